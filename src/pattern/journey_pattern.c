/*
 * journey_pattern.c
 *		SQL face of the type journey_pattern and of matching journeys with it.
 *
 * A stored pattern is a varlena of one version byte and its canonical text.
 */
#include "postgres.h"

#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "pattern/journey_pattern.h"
#include "pattern/match.h"
#include "touchpoint/frozen_hash.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define PATTERN_VERSION 1

typedef struct varlena StoredPattern;

static inline const char *
stored_text(const StoredPattern *stored, size_t *len)
{
	const char *data = VARDATA_ANY(stored);

	if (VARSIZE_ANY_EXHDR(stored) < 2 || data[0] != PATTERN_VERSION)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("journey_pattern is corrupt")));
	*len = VARSIZE_ANY_EXHDR(stored) - 1;
	return data + 1;
}

/* The pattern of a text, checked whole, in canonical form. NULL: see the scan. */
static StoredPattern *
store(TextScan *s)
{
	Pattern *pattern = pattern_parse(s);
	StringInfoData out;

	if (pattern == NULL || program_compile(pattern, s) == NULL)
		return NULL;
	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	appendStringInfoChar(&out, PATTERN_VERSION);
	pattern_print(&out, pattern);
	SET_VARSIZE(out.data, out.len);
	return (StoredPattern *) out.data;
}

PG_FUNCTION_INFO_V1(journey_pattern_in);
Datum
journey_pattern_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	StoredPattern *stored;
	TextScan s;

	text_scan_init(&s, text, strlen(text));
	stored = store(&s);
	if (stored == NULL)
		text_ereturn(fcinfo->context, &s, "journey_pattern");
	PG_RETURN_POINTER(stored);
}

PG_FUNCTION_INFO_V1(journey_pattern_out);
Datum
journey_pattern_out(PG_FUNCTION_ARGS)
{
	size_t len;
	const char *text = stored_text(PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0)), &len);

	PG_RETURN_CSTRING(pnstrdup(text, len));
}

/* Binary form: the version in one byte, and the text in the client's encoding. */
PG_FUNCTION_INFO_V1(journey_pattern_recv);
Datum
journey_pattern_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int version = pq_getmsgbyte(buf);
	StoredPattern *stored;
	TextScan s;
	char *text;
	int len;

	if (version != PATTERN_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of a journey_pattern"),
				 errdetail("Its version is %d, but only %d is known.", version, PATTERN_VERSION)));
	text = pq_getmsgtext(buf, buf->len - buf->cursor, &len);
	text_scan_init(&s, text, len);
	stored = store(&s);
	if (stored == NULL)
		text_ereturn(NULL, &s, "journey_pattern");
	PG_RETURN_POINTER(stored);
}

PG_FUNCTION_INFO_V1(journey_pattern_send);
Datum
journey_pattern_send(PG_FUNCTION_ARGS)
{
	size_t len;
	const char *text = stored_text(PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0)), &len);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint8(&buf, PATTERN_VERSION);
	pq_sendtext(&buf, text, len);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ---- order, equality and hash: those of the text, bytewise ---- */

typedef struct PatternArg
{
	StoredPattern *stored;
	const char *text;
	size_t len;
} PatternArg;

static PatternArg
open_argument(FunctionCallInfo fcinfo, int argument)
{
	PatternArg arg;

	arg.stored = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(argument));
	arg.text = stored_text(arg.stored, &arg.len);
	return arg;
}

static bool
is_equal(FunctionCallInfo fcinfo)
{
	PatternArg a = open_argument(fcinfo, 0);
	PatternArg b = open_argument(fcinfo, 1);
	bool result = a.len == b.len && memcmp(a.text, b.text, a.len) == 0;

	PG_FREE_IF_COPY(a.stored, 0);
	PG_FREE_IF_COPY(b.stored, 1);
	return result;
}

static int
compare(FunctionCallInfo fcinfo)
{
	PatternArg a = open_argument(fcinfo, 0);
	PatternArg b = open_argument(fcinfo, 1);
	int result = memcmp(a.text, b.text, Min(a.len, b.len));

	if (result == 0)
		result = a.len < b.len ? -1 : a.len > b.len;
	PG_FREE_IF_COPY(a.stored, 0);
	PG_FREE_IF_COPY(b.stored, 1);
	return result;
}

PG_FUNCTION_INFO_V1(journey_pattern_cmp);
Datum
journey_pattern_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

PG_FUNCTION_INFO_V1(journey_pattern_lt);
Datum
journey_pattern_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(journey_pattern_le);
Datum
journey_pattern_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(journey_pattern_eq);
Datum
journey_pattern_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(journey_pattern_ne);
Datum
journey_pattern_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!is_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(journey_pattern_ge);
Datum
journey_pattern_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(journey_pattern_gt);
Datum
journey_pattern_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

static uint64
hash(FunctionCallInfo fcinfo, uint64 seed)
{
	PatternArg arg = open_argument(fcinfo, 0);
	uint64 result = mix_text(seed, arg.text, arg.len);

	PG_FREE_IF_COPY(arg.stored, 0);
	return result;
}

PG_FUNCTION_INFO_V1(journey_pattern_hash);
Datum
journey_pattern_hash(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT32((uint32) hash(fcinfo, 0));
}

PG_FUNCTION_INFO_V1(journey_pattern_hash_extended);
Datum
journey_pattern_hash_extended(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT64(hash(fcinfo, PG_GETARG_INT64(1)));
}

/* ---- matching ---- */

CompiledPattern *
pattern_compile(CompiledPattern **cached, MemoryContext parent, const char *text, size_t len)
{
	CompiledPattern *c = *cached;
	MemoryContext cxt;
	MemoryContext old;
	TextScan s;

	if (c && c->len == len && memcmp(c->text, text, len) == 0)
		return c;
	if (c)
	{
		*cached = NULL;
		MemoryContextDelete(c->cxt);
	}
	cxt = AllocSetContextCreate(parent, "journey_pattern", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(cxt);
	c = palloc0(sizeof(CompiledPattern));
	c->cxt = cxt;
	c->text = pnstrdup(text, len);
	c->len = len;
	text_scan_init(&s, c->text, len);
	c->pattern = pattern_parse(&s);
	c->program = c->pattern ? program_compile(c->pattern, &s) : NULL;
	if (c->program == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("journey_pattern is corrupt"),
						errdetail_internal("%s", s.detail ? s.detail : "")));
	MemoryContextSwitchTo(old);
	*cached = c;
	return c;
}

CompiledPattern *
pattern_argument(CompiledPattern **cached, MemoryContext parent, Datum d)
{
	size_t len;
	const char *text = stored_text(PG_DETOAST_DATUM_PACKED(d), &len);

	return pattern_compile(cached, parent, text, len);
}

Matcher *
pattern_matcher(CompiledPattern *c, const JourneyView *v)
{
	if (c->matcher == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(c->cxt);

		c->matcher = matcher_create(c->program);
		MemoryContextSwitchTo(old);
	}
	matcher_open(c->matcher, v);
	return c->matcher;
}

Matcher *
pattern_step_matcher(CompiledPattern *c, const JourneyView *v, const char *function)
{
	const Program *program = c->program;

	if (program->npositions != 1 || program->nsteps != 1 || program->nedges != 1 ||
		program->edges[0].from_start || program->accepts[0].to_end)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s needs a pattern of one step", function),
						errdetail("Found \"%s\".", c->text)));
	return pattern_matcher(c, v);
}

static CompiledPattern *
call_pattern(FunctionCallInfo fcinfo, int argument)
{
	return pattern_argument((CompiledPattern **) &fcinfo->flinfo->fn_extra, fcinfo->flinfo->fn_mcxt,
							PG_GETARG_DATUM(argument));
}

/* The matcher of this call site, turned to an argument; close that when done. */
static Matcher *
call_matcher(FunctionCallInfo fcinfo, int argument, JourneyArg *arg)
{
	CompiledPattern *c = call_pattern(fcinfo, argument);

	journey_arg_open(arg, PG_GETARG_DATUM(1 - argument));
	return pattern_matcher(c, &arg->view);
}

/*
 * The same, or NULL if there can be no match: of a journey out of line only the
 * head and the dictionary have been fetched then.
 */
static Matcher *
call_matcher_if_possible(FunctionCallInfo fcinfo, int argument, JourneyArg *arg)
{
	Datum journey = PG_GETARG_DATUM(1 - argument);

	if (VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(journey)))
	{
		CompiledPattern *c = call_pattern(fcinfo, argument);
		bool possible;

		journey_arg_open_head(arg, journey, true);
		possible = matcher_possible(pattern_matcher(c, &arg->view));
		journey_arg_close(arg);
		if (!possible)
			return NULL;
	}
	return call_matcher(fcinfo, argument, arg);
}

static bool
matches(FunctionCallInfo fcinfo, int argument)
{
	JourneyArg arg;
	Matcher *m = call_matcher_if_possible(fcinfo, argument, &arg);
	bool result;

	if (m == NULL)
		return false;
	result = matcher_exists(m);
	journey_arg_close(&arg);
	return result;
}

PG_FUNCTION_INFO_V1(journey_matches);
Datum
journey_matches(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(matches(fcinfo, 1));
}

PG_FUNCTION_INFO_V1(journey_pattern_matches);
Datum
journey_pattern_matches(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(matches(fcinfo, 0));
}

/* Makes journeys of a journey's touchpoints, going through it once: see pick. */
typedef struct Picker
{
	LabelDict *dict;
	uint32 *numbers;
	JourneyCursor cursor;
} Picker;

static void
picker_init(Picker *p, const JourneyView *v)
{
	p->dict = label_dict_create(CurrentMemoryContext);
	p->numbers = journey_intern_labels(v, p->dict);
	journey_start_at(v, &p->cursor, 0);
}

/* The touchpoints with these numbers, as a journey; each lies behind those picked before. */
static Datum
pick(Picker *p, const Match *match)
{
	JourneyCursor *c = &p->cursor;
	const JourneyView *v = c->view;
	/* else all values or references before the start are read again */
	bool start_is_cheap = (v->flags & (JOURNEY_VALUES | JOURNEY_REF_NULLS)) == 0;
	JourneyBuilder b;
	struct varlena *packed;

	builder_init(&b, p->dict, CurrentMemoryContext);
	for (uint32 i = 0; i < match->n; i++)
	{
		if (start_is_cheap && match->touchpoints[i] - c->i > 64)
			journey_start_at(v, c, match->touchpoints[i]);
		while (c->i < match->touchpoints[i])
		{
			Touch passed;

			if (c->i % BUILDER_INTERRUPT_EVERY == 0)
				CHECK_FOR_INTERRUPTS();
			journey_next(c, &passed);
		}
		builder_add_touches(&b, c, p->numbers, match->touchpoints[i] + 1);
	}
	packed = builder_pack(&b);
	builder_free(&b);
	return PointerGetDatum(packed);
}

static Datum
pick_once(const JourneyView *v, const Match *match)
{
	Picker p;

	picker_init(&p, v);
	return pick(&p, match);
}

PG_FUNCTION_INFO_V1(journey_match);
Datum
journey_match(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	Match match;
	Matcher *m;

	m = call_matcher_if_possible(fcinfo, 1, &arg);
	if (m == NULL || !matcher_next(m, &match))
		PG_RETURN_NULL();
	return pick_once(&arg.view, &match);
}

PG_FUNCTION_INFO_V1(journey_match_count);
Datum
journey_match_count(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	Matcher *m = call_matcher_if_possible(fcinfo, 1, &arg);
	int64 count;

	if (m == NULL)
		PG_RETURN_INT64(0);
	count = matcher_count(m);
	journey_arg_close(&arg);
	PG_RETURN_INT64(count);
}

PG_FUNCTION_INFO_V1(journey_reached);
Datum
journey_reached(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	int items = matcher_progress(call_matcher(fcinfo, 1, &arg), NULL, false);

	journey_arg_close(&arg);
	PG_RETURN_INT32(items);
}

PG_FUNCTION_INFO_V1(journey_progress);
Datum
journey_progress(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	Match match;

	matcher_progress(call_matcher(fcinfo, 1, &arg), &match, false);
	return pick_once(&arg.view, &match);
}

PG_FUNCTION_INFO_V1(journey_filter);
Datum
journey_filter(PG_FUNCTION_ARGS)
{
	CompiledPattern *c = call_pattern(fcinfo, 1);
	JourneyArg arg;
	Matcher *m;
	Match match = {0};
	uint32 i;
	int64 time;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	m = pattern_step_matcher(c, &arg.view, "journey_filter");
	match.touchpoints = palloc_extended(Max(arg.view.n, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	while (matcher_next_step(m, &i, &time))
		match.touchpoints[match.n++] = i;
	return pick_once(&arg.view, &match);
}

typedef struct MatchWalk
{
	CompiledPattern *compiled;
	JourneyArg arg;
	Picker picker;
	Matcher *matcher;
} MatchWalk;

PG_FUNCTION_INFO_V1(journey_match_all);
Datum
journey_match_all(PG_FUNCTION_ARGS)
{
	FuncCallContext *srf;
	MatchWalk *w;
	MemoryContext old;
	Match match;
	Datum picked;
	bool found;

	if (SRF_IS_FIRSTCALL())
	{
		srf = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(srf->multi_call_memory_ctx);
		w = palloc0(sizeof(MatchWalk));
		pattern_argument(&w->compiled, srf->multi_call_memory_ctx, PG_GETARG_DATUM(1));
		journey_arg_open(&w->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))));
		picker_init(&w->picker, &w->arg.view);
		w->matcher = pattern_matcher(w->compiled, &w->arg.view);
		srf->user_fctx = w;
		MemoryContextSwitchTo(old);
	}
	srf = SRF_PERCALL_SETUP();
	w = srf->user_fctx;
	found = matcher_next(w->matcher, &match);
	if (!found)
		SRF_RETURN_DONE(srf);
	picked = pick(&w->picker, &match);
	pfree(match.touchpoints);
	SRF_RETURN_NEXT(srf, picked);
}
