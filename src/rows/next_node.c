/*
 * next_node.c
 *		SQL face of sequence_next_node: what comes after a chain of events.
 *
 * From a base row the rows that follow it, forwards or backwards, must meet the
 * conditions, one each; the value of the row behind them is the result. Any row may
 * be that one, so rows count whether or not they meet a condition. But once a base
 * is known, those that cannot come into it any more are dropped (see prune).
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "rows/rows.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef enum NodeBase
{
	BASE_HEAD,
	BASE_TAIL,
	BASE_FIRST_MATCH,
	BASE_LAST_MATCH
} NodeBase;

typedef struct NodeParameters
{
	int32 backward;
	int32 base;
} NodeParameters;

typedef struct NodeRow
{
	int64 time;
	uint64 conditions;
	text *value; /* its own */
	bool base;   /* meets the condition of a base */
} NodeRow;

typedef struct NodeState
{
	RowsSpec *spec; /* NULL: it is a NodePacked */
	NodeParameters parameters;
	MemoryContext cxt;
	uint32 n;
	uint32 max;
	bool unsorted;
	NodeRow *nodes;
} NodeState;

typedef struct NodePacked
{
	RowsSpec *no_spec;
	bytea *message;
} NodePacked;

#define NODES_MOST PG_INT32_MAX
#define NODES_FIRST 4

/* Any total order of rows does, as long as it is the same in all plans. */
static inline int
node_cmp(const NodeRow *a, const NodeRow *b)
{
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	if (a->value != b->value)
	{
		size_t alen = VARSIZE_ANY_EXHDR(a->value);
		size_t blen = VARSIZE_ANY_EXHDR(b->value);
		int cmp = memcmp(VARDATA_ANY(a->value), VARDATA_ANY(b->value), Min(alen, blen));
		if (cmp != 0)
			return cmp;
		if (alen != blen)
			return alen < blen ? -1 : 1;
	}
	if (a->conditions != b->conditions)
		return a->conditions < b->conditions ? -1 : 1;
	return (int) a->base - (int) b->base;
}

#define ST_SORT sort_nodes
#define ST_ELEMENT_TYPE NodeRow
#define ST_COMPARE(a, b) node_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* ---- parameters ---- */

static const char *const directions[] = {"forward", "backward"};
static const char *const bases[] = {"head", "tail", "first_match", "last_match"};

static char *
describe(const RowsSpec *spec)
{
	NodeParameters p;

	memcpy(&p, spec->parameters, sizeof(p));
	return psprintf("%s, %s", directions[p.backward], bases[p.base]);
}

static int
parse_word(FunctionCallInfo fcinfo, const RowsSite *site, int arg, const char *what,
		   const char *const *words, int n, const char *hint)
{
	text *t = rows_parameter(fcinfo, site, arg, what);
	size_t len = VARSIZE_ANY_EXHDR(t);

	for (int i = 0; i < n; i++)
		if (strlen(words[i]) == len && memcmp(words[i], VARDATA_ANY(t), len) == 0)
			return i;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s of sequence_next_node is not known: \"%s\"", what,
						   text_excerpt(VARDATA_ANY(t), VARDATA_ANY(t) + len, 40)),
					errhint("%s", hint)));
}

static NodeParameters
parse_parameters(FunctionCallInfo fcinfo, const RowsSite *site)
{
	NodeParameters p;

	p.backward = parse_word(fcinfo, site, 1, "direction", directions, lengthof(directions),
							"It is forward or backward.");
	p.base = parse_word(fcinfo, site, 2, "base", bases, lengthof(bases),
						"It is head, tail, first_match or last_match.");
	if ((p.base == BASE_HEAD && p.backward) || (p.base == BASE_TAIL && !p.backward))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("nothing comes %s of sequence_next_node's base \"%s\"",
						p.backward ? "before the first row" : "behind the last row", bases[p.base]),
				 errhint("Use head with forward, and tail with backward.")));
	return p;
}

/* ---- the base and what it needs ---- */

static inline bool
may_be_base(const NodeState *state, uint32 i)
{
	return state->nodes[i].base && (state->nodes[i].conditions & 1) != 0;
}

/* The row, of sorted ones, that decides; or n. At the head or the tail it may yet fail to be one. */
static uint32
find_base(const NodeState *state)
{
	switch ((NodeBase) state->parameters.base)
	{
		case BASE_HEAD:
			return 0;
		case BASE_TAIL:
			return state->n - 1;
		case BASE_FIRST_MATCH:
			for (uint32 i = 0; i < state->n; i++)
				if (may_be_base(state, i))
					return i;
			break;
		case BASE_LAST_MATCH:
			for (uint32 i = state->n; i-- > 0;)
				if (may_be_base(state, i))
					return i;
			break;
	}
	return state->n;
}

static void
sort_state(NodeState *state)
{
	if (state->unsorted)
		sort_nodes(state->nodes, state->n);
	state->unsorted = false;
}

/*
 * Drop rows that no further row can bring into the result: the base only moves
 * towards the beginning (head, first_match) or the end, and as many rows as there
 * are conditions, and one more, count from it.
 */
static void
prune(NodeState *state)
{
	uint32 reach = state->spec->nconditions + 1;
	uint32 from = 0;
	uint32 to = state->n;
	uint32 base;

	sort_state(state);
	base = find_base(state);
	if (base == state->n)
		return;
	if (state->parameters.base == BASE_HEAD || state->parameters.base == BASE_FIRST_MATCH)
		to = state->parameters.backward ? base + 1 : Min((uint64) base + reach, state->n);
	else
		from = !state->parameters.backward ? base : base + 1 - Min(base + 1, reach);
	for (uint32 i = 0; i < state->n; i++)
	{
		if (i % 0x10000 == 0)
			CHECK_FOR_INTERRUPTS();
		if (i < from || i >= to)
			pfree(state->nodes[i].value);
	}
	memmove(state->nodes, state->nodes + from, (to - from) * sizeof(NodeRow));
	state->n = to - from;
}

/* ---- states ---- */

static NodeState *
state_create(MemoryContext cxt, RowsSpec *spec)
{
	NodeState *state = MemoryContextAllocZero(cxt, sizeof(NodeState));

	state->spec = spec;
	memcpy(&state->parameters, spec->parameters, sizeof(NodeParameters));
	state->cxt = cxt;
	state->max = NODES_FIRST;
	state->nodes = MemoryContextAlloc(cxt, NODES_FIRST * sizeof(NodeRow));
	return state;
}

/* The state argument, or a new one. */
static NodeState *
state_argument(FunctionCallInfo fcinfo, RowsSite *site)
{
	NodeState *state;

	if (PG_ARGISNULL(0))
		return state_create(aggregate_context(fcinfo, site->aggregate), site->spec);
	state = (NodeState *) PG_GETARG_POINTER(0);
	if (state->spec != site->spec)
		rows_same_parameters(site, state->spec, site->spec);
	return state;
}

static void
add_node(NodeState *state, int64 time, uint64 conditions, bool base, const char *value, int len)
{
	NodeRow *node;

	if (state->n == state->max)
	{
		prune(state);
		if (state->n > state->max / 2)
		{
			if (state->max >= NODES_MOST / 2)
				ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
								errmsg("a group has too many rows for sequence_next_node"),
								errdetail("There can be at most %d.", NODES_MOST / 2)));
			state->max *= 2;
			state->nodes = repalloc_huge(state->nodes, state->max * sizeof(NodeRow));
		}
	}
	node = &state->nodes[state->n++];
	node->time = time;
	node->conditions = conditions;
	node->base = base;
	node->value = MemoryContextAlloc(state->cxt, VARHDRSZ + len);
	SET_VARSIZE(node->value, VARHDRSZ + len);
	memcpy(VARDATA(node->value), value, len);
	if (state->n > 1 && node_cmp(node - 1, node) > 0)
		state->unsorted = true;
}

PG_FUNCTION_INFO_V1(sequence_next_node_transfn);
Datum
sequence_next_node_transfn(PG_FUNCTION_ARGS)
{
	RowsSite *site = rows_site(fcinfo, "sequence_next_node", 6, sizeof(RowsSite));
	NodeParameters p = parse_parameters(fcinfo, site);
	uint64 conditions = rows_conditions(fcinfo, site);
	bool base = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	NodeState *state;
	text *value;

	if (site->nconditions == 0 && (p.base == BASE_FIRST_MATCH || p.base == BASE_LAST_MATCH))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("base %s of sequence_next_node needs a condition",
							   p.base == BASE_FIRST_MATCH ? "first_match" : "last_match"),
						errhint("The base is a row that meets the first condition.")));
	if (!rows_specified(site, &p, sizeof(p)))
		rows_specify(site, &p, sizeof(p));
	site->describe = describe;
	/* what has no value is no node */
	if (PG_ARGISNULL(4) || (PG_ARGISNULL(3) && conditions == 0 && !base))
		return unchanged_state(fcinfo);
	value = PG_GETARG_TEXT_PP(4);
	state = state_argument(fcinfo, site);
	add_node(state, rows_time(fcinfo, site, 3), conditions, base, VARDATA_ANY(value),
			 VARSIZE_ANY_EXHDR(value));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(sequence_next_node_finalfn);
Datum
sequence_next_node_finalfn(PG_FUNCTION_ARGS)
{
	NodeState *state;
	uint32 nconditions;
	int step;
	int64 at;

	aggregate_context(fcinfo, "sequence_next_node");
	state = (NodeState *) PG_GETARG_POINTER(0);
	nconditions = state->spec->nconditions;
	sort_state(state);
	at = find_base(state);
	step = state->parameters.backward ? -1 : 1;
	if (at == state->n || !state->nodes[at].base)
		PG_RETURN_NULL();
	for (uint32 k = 0; k < nconditions; k++, at += step)
		if (at < 0 || at >= state->n || (state->nodes[at].conditions >> k & 1) == 0)
			PG_RETURN_NULL();
	if (at < 0 || at >= state->n)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(DatumGetTextPCopy(PointerGetDatum(state->nodes[at].value)));
}

/* ---- parallel plans ---- */

/* One node of a message; its value follows. */
typedef struct NodeMessage
{
	int64 time;
	uint64 conditions;
	int32 len;
	int32 base;
} NodeMessage;

PG_FUNCTION_INFO_V1(sequence_next_node_serialfn);
Datum
sequence_next_node_serialfn(PG_FUNCTION_ARGS)
{
	NodeState *state;
	StringInfoData out;

	aggregate_context(fcinfo, "sequence_next_node");
	state = (NodeState *) PG_GETARG_POINTER(0);
	prune(state);
	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	appendBinaryStringInfo(&out, (char *) &state->spec->nconditions, sizeof(uint32));
	appendBinaryStringInfo(&out, (char *) &state->parameters, sizeof(NodeParameters));
	for (uint32 i = 0; i < state->n; i++)
	{
		const NodeRow *node = &state->nodes[i];
		NodeMessage m = {node->time, node->conditions, VARSIZE_ANY_EXHDR(node->value), node->base};

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		appendBinaryStringInfo(&out, (char *) &m, sizeof(m));
		appendBinaryStringInfo(&out, VARDATA_ANY(node->value), m.len);
	}
	SET_VARSIZE(out.data, out.len);
	PG_RETURN_BYTEA_P(out.data);
}

PG_FUNCTION_INFO_V1(sequence_next_node_deserialfn);
Datum
sequence_next_node_deserialfn(PG_FUNCTION_ARGS)
{
	NodePacked *packed;

	aggregate_context(fcinfo, "sequence_next_node");
	packed = palloc(sizeof(NodePacked));
	packed->no_spec = NULL;
	packed->message = PG_GETARG_BYTEA_PP(0);
	PG_RETURN_POINTER(packed);
}

static void
add_message(FunctionCallInfo fcinfo, RowsSite *site, NodeState **state, const bytea *message)
{
	const char *p = VARDATA_ANY(message);
	const char *end = p + VARSIZE_ANY_EXHDR(message);
	uint32 nconditions;
	NodeParameters parameters;

	if (end - p < sizeof(nconditions) + sizeof(parameters))
		goto corrupt;
	memcpy(&nconditions, p, sizeof(nconditions));
	p += sizeof(nconditions);
	memcpy(&parameters, p, sizeof(parameters));
	p += sizeof(parameters);
	site->nconditions = nconditions;
	if (!rows_specified(site, &parameters, sizeof(parameters)))
		rows_specify(site, &parameters, sizeof(parameters));
	*state = state_argument(fcinfo, site);
	for (uint32 i = 0; p < end; i++)
	{
		NodeMessage m;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (end - p < sizeof(m))
			goto corrupt;
		memcpy(&m, p, sizeof(m));
		p += sizeof(m);
		if (m.len < 0 || end - p < m.len)
			goto corrupt;
		add_node(*state, m.time, m.conditions, m.base != 0, p, m.len);
		p += m.len;
	}
	return;

corrupt:
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of sequence_next_node is corrupt")));
}

PG_FUNCTION_INFO_V1(sequence_next_node_combinefn);
Datum
sequence_next_node_combinefn(PG_FUNCTION_ARGS)
{
	RowsSite *site = rows_site(fcinfo, "sequence_next_node", PG_NARGS(), sizeof(RowsSite));
	const NodeState *other;
	NodeState *state;

	aggregate_context(fcinfo, "sequence_next_node");
	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = (const NodeState *) PG_GETARG_POINTER(1);
	if (other->spec == NULL)
		add_message(fcinfo, site, &state, ((const NodePacked *) other)->message);
	else
	{
		site->nconditions = other->spec->nconditions;
		rows_specify(site, &other->parameters, sizeof(NodeParameters));
		state = state_argument(fcinfo, site);
		for (uint32 i = 0; i < other->n; i++)
		{
			const NodeRow *node = &other->nodes[i];

			add_node(state, node->time, node->conditions, node->base, VARDATA_ANY(node->value),
					 VARSIZE_ANY_EXHDR(node->value));
		}
	}
	PG_RETURN_POINTER(state);
}
