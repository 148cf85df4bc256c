/*
 * block_change.c
 *		Journeys from blocks, and blocks from blocks.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(journey_block_length);
Datum
journey_block_length(PG_FUNCTION_ARGS)
{
	BlockArg arg;

	block_arg_open(&arg, PG_GETARG_DATUM(0), BLOCK_HEAD);
	PG_RETURN_INT64(arg.view.n);
}

PG_FUNCTION_INFO_V1(journey_block_touchpoints);
Datum
journey_block_touchpoints(PG_FUNCTION_ARGS)
{
	BlockArg arg;

	block_arg_open(&arg, PG_GETARG_DATUM(0), BLOCK_HEAD);
	PG_RETURN_INT64(arg.view.touchpoints);
}

ArrayType *
block_array(const BlockView *b, int64 **numbers)
{
	uint64 size = ARR_OVERHEAD_NONULLS(1) + (uint64) b->n * sizeof(int64);
	ArrayType *result;

	if (b->n == 0)
		return construct_empty_array(INT8OID);
	if (size > MaxAllocSize)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("journey block has too many journeys for an array"),
						errdetail("It has %u.", b->n)));
	result = palloc0(size);
	SET_VARSIZE(result, size);
	result->ndim = 1;
	result->elemtype = INT8OID;
	ARR_DIMS(result)[0] = b->n;
	ARR_LBOUND(result)[0] = 1;
	*numbers = (int64 *) ARR_DATA_PTR(result);
	return result;
}

PG_FUNCTION_INFO_V1(journey_block_customers);
Datum
journey_block_customers(PG_FUNCTION_ARGS)
{
	BlockArg arg;
	BlockCursor *c = &arg.cursor;
	ArrayType *result;
	int64 *customers;

	block_arg_open(&arg, PG_GETARG_DATUM(0), BLOCK_LENGTHS);
	result = block_array(&arg.view, &customers);
	while (block_next(c))
	{
		if (c->i % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		customers[c->i - 1] = block_customer(c);
	}
	PG_RETURN_ARRAYTYPE_P(result);
}

/* Journeys of two blocks; where a customer is in both, that of the second. */
typedef struct Merge
{
	BlockSource source;
	BlockWalk walk[2];
	BlockRow row[2];
	bool there[2]; /* row is the next one of that block */
} Merge;

static void
merge_advance(Merge *m, int i)
{
	m->there[i] = m->walk[i].source.next(&m->walk[i].source, &m->row[i]);
}

static void
merge_begin(BlockSource *source)
{
	Merge *m = (Merge *) source;

	for (int i = 0; i < 2; i++)
	{
		m->walk[i].source.begin(&m->walk[i].source);
		merge_advance(m, i);
	}
}

static bool
merge_next(BlockSource *source, BlockRow *row)
{
	Merge *m = (Merge *) source;
	bool both = m->there[0] && m->there[1];
	int take = m->there[0] && (!both || m->row[0].customer < m->row[1].customer) ? 0 : 1;

	if (!m->there[take])
		return false;
	*row = m->row[take];
	if (both && m->row[0].customer == m->row[1].customer)
		merge_advance(m, 0);
	merge_advance(m, take);
	return true;
}

PG_FUNCTION_INFO_V1(journey_block_merge);
Datum
journey_block_merge(PG_FUNCTION_ARGS)
{
	LabelDict *dict = call_label_dict(fcinfo);
	Merge m = {{0, merge_begin, merge_next}};
	BlockArg args[2];

	for (int i = 0; i < 2; i++)
	{
		block_arg_open(&args[i], PG_GETARG_DATUM(i), BLOCK_ALL);
		block_walk_init(&m.walk[i], &args[i].view, dict);
	}
	m.source.base = Min(args[0].view.base, args[1].view.base);
	PG_RETURN_POINTER(block_pack(&m.source, dict));
}

/* Journeys of a block but those of some customers. */
typedef struct Without
{
	BlockSource source;
	BlockWalk walk;
	const int64 *gone; /* ascending */
	int ngone;
	int i; /* those below it are behind us */
} Without;

static void
without_begin(BlockSource *source)
{
	Without *w = (Without *) source;

	w->i = 0;
	w->walk.source.begin(&w->walk.source);
}

static bool
without_next(BlockSource *source, BlockRow *row)
{
	Without *w = (Without *) source;

	while (w->walk.source.next(&w->walk.source, row))
	{
		while (w->i < w->ngone && w->gone[w->i] < row->customer)
			w->i++;
		if (w->i == w->ngone || w->gone[w->i] != row->customer)
			return true;
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

#define ST_SORT sort_customers
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

PG_FUNCTION_INFO_V1(journey_block_without);
Datum
journey_block_without(PG_FUNCTION_ARGS)
{
	LabelDict *dict = call_label_dict(fcinfo);
	Without w = {{0, without_begin, without_next}};
	BlockArg arg;
	Datum *elements;
	bool *nulls;
	int64 *gone;
	int n;
	struct varlena *cut;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements, &nulls, &n);
	gone = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			gone[w.ngone++] = DatumGetInt64(elements[i]);
	if (w.ngone == 0)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0)); /* not fetched */
	sort_customers(gone, w.ngone);
	w.gone = gone;
	block_arg_open(&arg, PG_GETARG_DATUM(0), BLOCK_ALL);
	if (block_cut(&arg.view, gone, w.ngone, &cut))
		PG_RETURN_DATUM(cut ? PointerGetDatum(cut) : PG_GETARG_DATUM(0));
	block_walk_init(&w.walk, &arg.view, dict);
	w.source.base = arg.view.base;
	PG_RETURN_POINTER(block_pack(&w.source, dict));
}

/* What split keeps from call to call. */
typedef struct Split
{
	BlockArg arg;
	BlockWalk walk; /* of the piece to be made; cursor: behind the piece before */
	LabelDict *dict;
	uint64 bytes;
} Split;

/*
 * How many of the journeys from the cursor on fit, at least one: with the first time of the
 * whole block, and a dictionary that is never longer than what is reckoned for it.
 */
static uint32
piece_end(const Split *s)
{
	const BlockView *b = &s->arg.view;
	BlockCursor c = s->walk.from;
	BlockPlan plan = {0};
	uint64 dictionary = 0;

	block_set_base(&plan.block, b->base);
	dictionary_start(s->dict, &plan.dictionary);
	plan.dictionary.details = b->shared.details;
	while (block_next(&c))
	{
		JourneyView v;

		CHECK_FOR_INTERRUPTS();
		block_journey(&c, &v);
		block_plan_add(&plan, block_customer(&c), &v);
		for (uint32 i = 0; i < v.n; i++)
		{
			if (i % BUILDER_INTERRUPT_EVERY == BUILDER_INTERRUPT_EVERY - 1)
				CHECK_FOR_INTERRUPTS();
			dictionary +=
				dictionary_use_bytes(s->dict, &plan.dictionary,
									 s->walk.numbers[journey_label_at(&v, i)], b->shared.nlabels);
		}
		plan.dictionary.len = Min(dictionary, b->shared.dictionary_len);
		if (plan.n > 1 && block_plan_size(&plan) > s->bytes)
			return c.i - 1;
	}
	return b->n;
}

PG_FUNCTION_INFO_V1(journey_block_split);
Datum
journey_block_split(PG_FUNCTION_ARGS)
{
	FuncCallContext *srf;
	Split *s;
	BlockWalk *w;
	struct varlena *piece;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		int32 bytes = PG_GETARG_INT32(1);

		if (bytes < 1)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("size of a journey block's pieces must be positive"),
							errdetail("Found %d.", bytes)));
		srf = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(srf->multi_call_memory_ctx);
		srf->user_fctx = s = palloc0(sizeof(Split));
		block_arg_open(&s->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))),
					   BLOCK_ALL);
		s->dict = label_dict_create(srf->multi_call_memory_ctx);
		s->bytes = bytes;
		block_walk_init(&s->walk, &s->arg.view, s->dict);
		MemoryContextSwitchTo(old);
	}
	srf = SRF_PERCALL_SETUP();
	s = srf->user_fctx;
	w = &s->walk;
	w->from = w->cursor;
	if (w->from.i == s->arg.view.n)
		SRF_RETURN_DONE(srf);
	for (w->to = piece_end(s);; w->to--)
	{
		piece = block_pack(&w->source, s->dict);
		/* the estimate may be some bytes too small, where sections are rounded */
		if (VARSIZE(piece) <= s->bytes || w->to - w->from.i == 1)
			break;
		pfree(piece);
	}
	SRF_RETURN_NEXT(srf, PointerGetDatum(piece));
}

/* What unnest keeps from call to call. */
typedef struct Unnest
{
	BlockArg arg;
	BlockWalk walk;
	LabelDict *dict;
} Unnest;

PG_FUNCTION_INFO_V1(journey_block_unnest);
Datum
journey_block_unnest(PG_FUNCTION_ARGS)
{
	FuncCallContext *srf;
	Unnest *u;
	BlockRow row;
	Datum values[2];
	bool nulls[2] = {0};

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc desc;

		srf = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(srf->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		srf->tuple_desc = BlessTupleDesc(desc);
		srf->user_fctx = u = palloc0(sizeof(Unnest));
		block_arg_open(&u->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))),
					   BLOCK_ALL);
		u->dict = label_dict_create(srf->multi_call_memory_ctx);
		block_walk_init(&u->walk, &u->arg.view, u->dict);
		label_dict_rank_all(u->dict);
		u->walk.source.begin(&u->walk.source);
		MemoryContextSwitchTo(old);
	}
	srf = SRF_PERCALL_SETUP();
	u = srf->user_fctx;
	if (!u->walk.source.next(&u->walk.source, &row))
		SRF_RETURN_DONE(srf);
	values[0] = Int64GetDatum(row.customer);
	values[1] = PointerGetDatum(view_pack(&row.view, u->dict, row.numbers));
	SRF_RETURN_NEXT(srf, HeapTupleGetDatum(heap_form_tuple(srf->tuple_desc, values, nulls)));
}
