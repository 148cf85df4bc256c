/*
 * path_counts.c
 *		The aggregate journey_path_agg: how many journeys begin with which path.
 *
 * Labels are numbers, and so are paths: a table has the path that another one becomes with a
 * label more. Of a block only labels are read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "analytics/label_counts.h"
#include "analytics/path_counts.h"
#include "block/block.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey_text.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#define PATH_COUNT_COLUMNS 2

/* Arguments of journey_path_agg_transfn. */
enum
{
	ARG_STATE,
	ARG_JOURNEY,
	ARG_PART,
	ARG_LENGTH
};

typedef struct PathEntry
{
	uint64 key;
	uint32 node;
	char status;
} PathEntry;

#define SH_PREFIX paths
#define SH_ELEMENT_TYPE PathEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) (UINT64CONST(0x9e3779b97f4a7c15) * (key) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct PathCounts
{
	PathTree tree;
	int part;
	int32 length; /* at most; PG_INT32_MAX: whole paths */
} PathCounts;

/* What a call site keeps. */
typedef struct PathSite
{
	text *given; /* NULL: nothing as yet */
	int part;
} PathSite;

/* --- the tree --- */

void
path_tree_create(PathTree *tree, MemoryContext cxt)
{
	tree->cxt = cxt;
	tree->dict = label_dict_create(cxt);
	tree->table = paths_create(cxt, 8, NULL);
	tree->max = 8;
	tree->nodes = MemoryContextAlloc(cxt, tree->max * sizeof(PathNode));
	tree->nodes[0] = (PathNode) {0};
	tree->n = 1;
}

uint32
path_tree_child(PathTree *tree, uint32 node, uint32 number)
{
	bool found;
	PathEntry *entry = paths_insert(tree->table, (uint64) node << 32 | number, &found);

	if (likely(found))
		return entry->node;
	if (tree->n == tree->max)
	{
		if (tree->max >= 1U << 31)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("too many paths"), errhint("Ask for shorter ones.")));
		tree->nodes = repalloc_huge(tree->nodes, 2 * (size_t) tree->max * sizeof(PathNode));
		tree->max *= 2;
	}
	entry->node = tree->n;
	tree->nodes[tree->n] =
		(PathNode) {.parent = node, .number = number, .length = tree->nodes[node].length + 1};
	return tree->n++;
}

/* A node among those of its length. */
typedef struct PathPlace
{
	uint64 key; /* place of the path before, then of the label */
	uint32 node;
} PathPlace;

#define ST_SORT sort_paths
#define ST_ELEMENT_TYPE PathPlace
#define ST_COMPARE(a, b) ((a)->key < (b)->key ? -1 : (a)->key > (b)->key)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

uint32 *
path_tree_order(PathTree *tree)
{
	LabelDict *dict = tree->dict;
	uint32 *order = palloc_extended(tree->n * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint32 *places = palloc_extended(tree->n * sizeof(uint32), MCXT_ALLOC_HUGE);
	PathPlace *level = palloc_extended(tree->n * sizeof(PathPlace), MCXT_ALLOC_HUGE);
	uint32 *starts; /* of lengths, in level */
	uint32 longest = 0;
	uint32 used = 0;

	label_dict_new_stamp(dict);
	for (uint32 i = 1; i < tree->n; i++)
	{
		LabelMark *mark = &dict->marks[tree->nodes[i].number];

		longest = Max(longest, tree->nodes[i].length);
		if (mark->stamp != dict->stamp)
		{
			mark->stamp = dict->stamp;
			dict->used[used++] = tree->nodes[i].number;
		}
	}
	label_dict_sort_used(dict, used);
	for (uint32 i = 0; i < used; i++)
		dict->marks[dict->used[i]].code = i;
	starts = palloc_extended(((size_t) longest + 2) * sizeof(uint32),
							 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < tree->n; i++)
		starts[tree->nodes[i].length + 1]++;
	for (uint32 i = 1; i <= longest + 1; i++)
		starts[i] += starts[i - 1];
	for (uint32 i = 0; i < tree->n; i++)
		level[starts[tree->nodes[i].length]++].node = i;
	/* each start is the next one's now */
	for (uint32 length = 0, from = 0; length <= longest; from = starts[length++])
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 i = from; i < starts[length]; i++)
		{
			const PathNode *node = &tree->nodes[level[i].node];

			level[i].key = length == 0 ? 0
									   : (uint64) places[node->parent] << 32 |
											 dict->marks[node->number].code;
		}
		sort_paths(level + from, starts[length] - from);
		for (uint32 i = from; i < starts[length]; i++)
		{
			order[i] = level[i].node;
			places[level[i].node] = i;
		}
	}
	pfree(starts);
	pfree(level);
	pfree(places);
	return order;
}

/* --- counting --- */

static PathSite *
call_site(FunctionCallInfo fcinfo)
{
	PathSite *site = fcinfo->flinfo->fn_extra;
	text *part;

	if (unlikely(site == NULL))
		fcinfo->flinfo->fn_extra = site =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(PathSite));
	if (PG_ARGISNULL(ARG_PART))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("part of journey_path_agg must not be null")));
	part = short_text_argument(PG_GETARG_DATUM(ARG_PART));
	if (likely(same_text(site->given, part)))
		return site;
	site->part = label_part_argument(PointerGetDatum(part));
	if (site->given)
		pfree(site->given);
	site->given = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, VARSIZE_ANY(part));
	memcpy(site->given, part, VARSIZE_ANY(part));
	return site;
}

static PathCounts *
path_counts_create(MemoryContext cxt, int part, int32 length)
{
	PathCounts *s = MemoryContextAlloc(cxt, sizeof(PathCounts));

	path_tree_create(&s->tree, cxt);
	s->part = part;
	s->length = length;
	return s;
}

static void
path_counts_check(const PathCounts *s, int part, int32 length)
{
	const char *what = s->part != part ? "part" : "length";

	if (likely(s->part == part && s->length == length))
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("journey_path_agg needs the same %s for all rows of a group", what),
					errhint("Group by %s.", what)));
}

static PathCounts *
state_argument(FunctionCallInfo fcinfo, MemoryContext cxt)
{
	int part = call_site(fcinfo)->part;
	int32 length = PG_ARGISNULL(ARG_LENGTH) ? PG_INT32_MAX : PG_GETARG_INT32(ARG_LENGTH);
	PathCounts *s;

	if (length < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("length of journey_path_agg must not be negative"),
						errdetail("Found %d.", length)));
	if (PG_ARGISNULL(ARG_STATE))
		return path_counts_create(cxt, part, length);
	s = (PathCounts *) PG_GETARG_POINTER(ARG_STATE);
	path_counts_check(s, part, length);
	return s;
}

/* The path that touchpoints [i, end) make of another one. */
static inline uint32
follow(PathTree *tree, const JourneyView *v, const uint32 *numbers, uint32 node, uint32 i,
	   uint32 end)
{
	for (; i < end; i++)
	{
		if (unlikely(i % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		node = path_tree_child(tree, node, numbers[journey_label_at(v, i)]);
	}
	return node;
}

PG_FUNCTION_INFO_V1(journey_path_agg_transfn);
Datum
journey_path_agg_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_path_agg");
	PathCounts *s;
	uint32 *numbers;
	JourneyArg arg;
	uint32 node;

	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo, cxt);
	journey_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY));
	numbers = counted_numbers(s->tree.dict, &arg.view, s->part);
	node = follow(&s->tree, &arg.view, numbers, 0, 0, Min(arg.view.n, s->length));
	s->tree.nodes[node].journeys++;
	pfree(numbers);
	journey_arg_close(&arg);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_path_agg_block_transfn);
Datum
journey_path_agg_block_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_path_agg");
	const JourneyView *shared;
	PathCounts *s;
	BlockArg arg;
	BlockCursor *c = &arg.cursor;
	uint32 *numbers;
	uint32 *firsts; /* paths of one label; 0: not known as yet */

	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	block_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY), BLOCK_LABELS);
	if (arg.view.n == 0)
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo, cxt);
	shared = &arg.view.shared;
	numbers = counted_numbers(s->tree.dict, shared, s->part);
	firsts = palloc_extended(Max(shared->nlabels, 1) * sizeof(uint32),
							 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	while (block_next(c))
	{
		uint32 n = Min(c->n, s->length);
		uint32 node = 0;

		if (unlikely(c->i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		if (n > 0)
		{
			uint32 label = journey_label_at(shared, c->first);

			node = firsts[label];
			if (unlikely(node == 0))
				node = firsts[label] = path_tree_child(&s->tree, 0, numbers[label]);
			node = follow(&s->tree, shared, numbers, node, c->first + 1, c->first + n);
		}
		s->tree.nodes[node].journeys++;
	}
	pfree(firsts);
	pfree(numbers);
	block_arg_close(&arg);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_path_agg_combinefn);
Datum
journey_path_agg_combinefn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_path_agg");
	const PathCounts *other;
	PathCounts *s;
	uint32 *numbers;
	uint32 *nodes;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = (const PathCounts *) PG_GETARG_POINTER(1);
	s = PG_ARGISNULL(0) ? path_counts_create(cxt, other->part, other->length)
						: (PathCounts *) PG_GETARG_POINTER(0);
	path_counts_check(s, other->part, other->length);
	numbers =
		palloc_extended(Max(other->tree.dict->nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	memset(numbers, 0xff, other->tree.dict->nlabels * sizeof(uint32));
	nodes = palloc_extended(other->tree.n * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < other->tree.n; i++)
	{
		const PathNode *from = &other->tree.nodes[i];

		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		nodes[i] = 0;
		if (i > 0)
		{
			uint32 *number = &numbers[from->number];

			if (*number == PG_UINT32_MAX)
				*number =
					label_dict_add(s->tree.dict, &other->tree.dict->labels[from->number].text);
			nodes[i] = path_tree_child(&s->tree, nodes[from->parent], *number);
		}
		s->tree.nodes[nodes[i]].journeys += from->journeys;
	}
	pfree(nodes);
	pfree(numbers);
	PG_RETURN_POINTER(s);
}

/* --- a worker's state --- */

PG_FUNCTION_INFO_V1(journey_path_agg_serialfn);
Datum
journey_path_agg_serialfn(PG_FUNCTION_ARGS)
{
	const PathCounts *s = (const PathCounts *) PG_GETARG_POINTER(0);
	StringInfoData out;

	aggregate_context(fcinfo, "journey_path_agg");
	pq_begintypsend(&out);
	pq_sendint8(&out, s->part);
	pq_sendint32(&out, s->length);
	send_labels(&out, s->tree.dict, NULL, s->tree.dict->nlabels);
	pq_sendint32(&out, s->tree.n);
	for (uint32 i = 0; i < s->tree.n; i++)
	{
		const PathNode *node = &s->tree.nodes[i];

		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		pq_sendint32(&out, node->parent);
		pq_sendint32(&out, node->number);
		pq_sendint64(&out, node->journeys);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(journey_path_agg_deserialfn);
Datum
journey_path_agg_deserialfn(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in;
	PathCounts *s;
	uint32 *numbers;
	uint32 nlabels;
	uint32 n;
	int part;

	aggregate_context(fcinfo, "journey_path_agg");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	part = pq_getmsgbyte(&in);
	/* it lasts until it has been combined: in the aggregate's context all of them would pile up */
	s = path_counts_create(CurrentMemoryContext, part, pq_getmsgint(&in, 4));
	numbers = receive_labels(&in, s->tree.dict, &nlabels);
	n = pq_getmsgint(&in, 4);
	for (uint32 i = 0; i < n; i++)
	{
		uint32 parent = pq_getmsgint(&in, 4);
		uint32 number = pq_getmsgint(&in, 4);
		uint32 node = 0;

		if (i > 0)
		{
			if (parent >= i || number >= nlabels)
				elog(ERROR, "state of journey_path_agg is corrupt");
			node = path_tree_child(&s->tree, parent, numbers[number]);
		}
		s->tree.nodes[node].journeys = pq_getmsgint64(&in);
	}
	pq_getmsgend(&in);
	pfree(numbers);
	pfree(in.data);
	PG_RETURN_POINTER(s);
}

/* --- the answer --- */

/* A label of the dictionary as journey_path shows it; 0: NULL. */
static Datum
path_text(const TouchLabel *label, int part)
{
	StringInfoData out;
	Datum result;

	if (part == PART_DETAIL && label->detail_len == 0)
		return 0;
	initStringInfo(&out);
	label_text_print(&out, label, part);
	result = PointerGetDatum(cstring_to_text_with_len(out.data, out.len));
	pfree(out.data);
	return result;
}

/* A path as an array; "known" has the texts that were needed before. */
static Datum
path_array(const PathCounts *s, uint32 node, Datum *known)
{
	int n = s->tree.nodes[node].length;
	Datum *texts = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	bool *nulls = palloc_extended(Max(n, 1), MCXT_ALLOC_HUGE);
	int lower = 1;
	ArrayType *result;

	for (int i = n - 1; i >= 0; i--)
	{
		uint32 number = s->tree.nodes[node].number;

		if (unlikely(i % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		if (known[number] == 0)
			known[number] = path_text(&s->tree.dict->labels[number].text, s->part);
		texts[i] = known[number];
		nulls[i] = texts[i] == 0;
		node = s->tree.nodes[node].parent;
	}
	result = construct_md_array(texts, nulls, n > 0 ? 1 : 0, &n, &lower, TEXTOID, -1, false,
								TYPALIGN_INT);
	pfree(texts);
	pfree(nulls);
	return PointerGetDatum(result);
}

PG_FUNCTION_INFO_V1(journey_path_agg_finalfn);
Datum
journey_path_agg_finalfn(PG_FUNCTION_ARGS)
{
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	PathCounts *s;
	TupleDesc desc;
	uint32 *order;
	Datum *known;
	Datum *rows;
	uint32 n = 0;

	aggregate_context(fcinfo, "journey_path_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	s = (PathCounts *) PG_GETARG_POINTER(0);
	desc = lookup_rowtype_tupdesc(type, -1);
	if (desc->natts != PATH_COUNT_COLUMNS)
		elog(ERROR, "type path_count has %d columns", desc->natts);
	order = path_tree_order(&s->tree);
	known = palloc_extended(Max(s->tree.dict->nlabels, 1) * sizeof(Datum),
							MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	rows = palloc_extended(s->tree.n * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < s->tree.n; i++)
	{
		const PathNode *node = &s->tree.nodes[order[i]];
		Datum values[PATH_COUNT_COLUMNS];
		bool nulls[PATH_COUNT_COLUMNS] = {false};

		CHECK_FOR_INTERRUPTS();
		if (node->journeys == 0)
			continue;
		values[0] = path_array(s, order[i], known);
		values[1] = Int64GetDatum(node->journeys);
		rows[n++] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
		pfree(DatumGetPointer(values[0]));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, n, type, -1, false, TYPALIGN_DOUBLE));
}
