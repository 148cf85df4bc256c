/*
 * label_counts.c
 *		The aggregate journey_label_agg: which labels there are, how often and by how many.
 *
 * Here are its states, what they are together and what they tell; how a journey or a block
 * is counted is label_counts_agg.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "analytics/label_counts.h"
#include "compat.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#define LABEL_COUNT_COLUMNS 6

typedef struct CellEntry
{
	uint64 key;
	uint32 cell;
	char status;
} CellEntry;

#define SH_PREFIX cells
#define SH_ELEMENT_TYPE CellEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) (UINT64CONST(0x9e3779b97f4a7c15) * (key) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

const char *const counted_parts[COUNTED_PARTS] = {[PART_CHANNEL] = "channel",
												  [PART_ACTION] = "action",
												  [PART_DETAIL] = "detail",
												  [PART_LABEL] = "label",
												  [PART_ALL] = "all"};

LabelCounts *
label_counts_create(MemoryContext cxt, const LabelQuestion *q)
{
	static uint64 serial;
	LabelCounts *s = MemoryContextAllocZero(cxt, sizeof(LabelCounts));

	s->cxt = cxt;
	s->serial = ++serial;
	s->question = *q;
	s->dict = label_dict_create(cxt);
	s->table = cells_create(cxt, 8, NULL);
	return s;
}

static const char *
period_name(const LabelQuestion *q)
{
	return q->by_period ? calendar_unit_name(q->unit) : "all";
}

void
label_counts_check(const LabelQuestion *a, const LabelQuestion *b)
{
	const char *what;
	const char *found[2];

	if (likely(a->part == b->part && a->by_period == b->by_period && a->unit == b->unit &&
			   a->zone == b->zone && a->since == b->since && a->until == b->until))
		return;
	if (a->part != b->part)
	{
		what = "part";
		found[0] = counted_parts[a->part];
		found[1] = counted_parts[b->part];
	}
	else if (a->by_period != b->by_period || a->unit != b->unit)
	{
		what = "period";
		found[0] = period_name(a);
		found[1] = period_name(b);
	}
	else if (a->zone != b->zone)
	{
		what = "time_zone";
		found[0] = pg_get_timezone_name(a->zone);
		found[1] = pg_get_timezone_name(b->zone);
	}
	else
	{
		bool since = a->since != b->since;

		what = since ? "since" : "until";
		found[0] = pstrdup(timestamptz_to_str(since ? a->since : a->until));
		found[1] = pstrdup(timestamptz_to_str(since ? b->since : b->until));
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("journey_label_agg needs the same %s for all rows of a group", what),
					errdetail("Found \"%s\" and \"%s\".", found[0], found[1]),
					errhint("Group by %s.", what)));
}

uint32
label_counts_cell(LabelCounts *s, int32 period, uint32 number)
{
	bool found;
	CellEntry *entry = cells_insert(s->table, (uint64) (uint32) period << 32 | number, &found);

	if (found)
		return entry->cell;
	if (s->ncells == s->cells_max)
	{
		size_t max = Max(8, 2 * (size_t) s->cells_max);

		if (s->cells)
			s->cells = repalloc_huge(s->cells, max * sizeof(LabelCell));
		else
			s->cells = MemoryContextAlloc(s->cxt, max * sizeof(LabelCell));
		s->cells_max = max;
	}
	entry->cell = s->ncells;
	s->cells[s->ncells] = (LabelCell) {.period = period, .number = number};
	return s->ncells++;
}

PG_FUNCTION_INFO_V1(journey_label_agg_combinefn);
Datum
journey_label_agg_combinefn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_label_agg");
	LabelCounts *s;
	const LabelCounts *other;
	uint32 *numbers;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = (const LabelCounts *) PG_GETARG_POINTER(1);
	s = PG_ARGISNULL(0) ? label_counts_create(cxt, &other->question)
						: (LabelCounts *) PG_GETARG_POINTER(0);
	label_counts_check(&s->question, &other->question);
	numbers = palloc_extended(Max(other->dict->nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	memset(numbers, 0xff, other->dict->nlabels * sizeof(uint32));
	for (uint32 i = 0; i < other->ncells; i++)
	{
		const LabelCell *from = &other->cells[i];
		LabelCell *cell;
		uint32 to;

		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		if (numbers[from->number] == PG_UINT32_MAX)
			numbers[from->number] =
				label_dict_add(s->dict, &other->dict->labels[from->number].text);
		to = label_counts_cell(s, from->period, numbers[from->number]);
		cell = &s->cells[to];
		cell->touchpoints += from->touchpoints;
		cell->customers += from->customers;
	}
	pfree(numbers);
	PG_RETURN_POINTER(s);
}

/* --- in order --- */

/* A cell; and the place of its label among those that were counted. */
typedef struct CellPlace
{
	int32 period;
	uint32 label;
	uint32 cell;
} CellPlace;

#define ST_SORT sort_cells
#define ST_ELEMENT_TYPE CellPlace
#define ST_COMPARE(a, b)                                                                           \
	((a)->period != (b)->period ? ((a)->period < (b)->period ? -1 : 1)                             \
								: ((a)->label < (b)->label ? -1 : (a)->label > (b)->label))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* The labels that were counted are in dict->used then, in order, *n of them. */
static CellPlace *
ordered_cells(LabelCounts *s, uint32 *n)
{
	LabelDict *dict = s->dict;
	CellPlace *places = palloc_extended(Max(s->ncells, 1) * sizeof(CellPlace), MCXT_ALLOC_HUGE);

	*n = 0;
	label_dict_new_stamp(dict);
	for (uint32 i = 0; i < s->ncells; i++)
	{
		LabelMark *mark = &dict->marks[s->cells[i].number];

		if (mark->stamp != dict->stamp)
		{
			mark->stamp = dict->stamp;
			dict->used[(*n)++] = s->cells[i].number;
		}
	}
	label_dict_sort_used(dict, *n);
	for (uint32 i = 0; i < *n; i++)
		dict->marks[dict->used[i]].code = i;
	for (uint32 i = 0; i < s->ncells; i++)
		places[i] = (CellPlace) {s->cells[i].period, dict->marks[s->cells[i].number].code, i};
	sort_cells(places, s->ncells);
	return places;
}

/* --- a worker's state --- */

static void
send_part(StringInfo out, const char *p, size_t len)
{
	pq_sendint8(out, len);
	pq_sendbytes(out, p, len);
}

void
send_labels(StringInfo out, const LabelDict *dict, const uint32 *these, uint32 n)
{
	pq_sendint32(out, n);
	for (uint32 i = 0; i < n; i++)
	{
		const TouchLabel *label = &dict->labels[these ? these[i] : i].text;

		send_part(out, label->channel, label->channel_len);
		send_part(out, label->action, label->action_len);
		send_part(out, label->detail, label->detail_len);
	}
}

static const char *
receive_part(StringInfo in, uint8 *len)
{
	*len = pq_getmsgbyte(in);
	return pq_getmsgbytes(in, *len);
}

uint32 *
receive_labels(StringInfo in, LabelDict *dict, uint32 *n)
{
	uint32 *numbers;

	*n = pq_getmsgint(in, 4);
	numbers = palloc_extended(Max(*n, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < *n; i++)
	{
		TouchLabel label;

		label.channel = receive_part(in, &label.channel_len);
		label.action = receive_part(in, &label.action_len);
		label.detail = receive_part(in, &label.detail_len);
		numbers[i] = label_dict_add(dict, &label);
	}
	return numbers;
}

PG_FUNCTION_INFO_V1(journey_label_agg_serialfn);
Datum
journey_label_agg_serialfn(PG_FUNCTION_ARGS)
{
	LabelCounts *s = (LabelCounts *) PG_GETARG_POINTER(0);
	const LabelQuestion *q = &s->question;
	StringInfoData out;
	CellPlace *places;
	uint32 n;

	aggregate_context(fcinfo, "journey_label_agg");
	places = ordered_cells(s, &n);
	pq_begintypsend(&out);
	pq_sendint8(&out, q->part);
	pq_sendint8(&out, q->by_period ? 1 + q->unit : 0);
	if (q->by_period)
		pq_sendstring(&out, pg_get_timezone_name(q->zone));
	pq_sendint64(&out, q->since);
	pq_sendint64(&out, q->until);
	send_labels(&out, s->dict, s->dict->used, n);
	pq_sendint32(&out, s->ncells);
	for (uint32 i = 0; i < s->ncells; i++)
	{
		const LabelCell *cell = &s->cells[places[i].cell];

		pq_sendint32(&out, cell->period);
		pq_sendint32(&out, places[i].label);
		pq_sendint64(&out, cell->touchpoints);
		pq_sendint64(&out, cell->customers);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(journey_label_agg_deserialfn);
Datum
journey_label_agg_deserialfn(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	LabelQuestion q = {0};
	StringInfoData in;
	LabelCounts *s;
	uint32 *numbers;
	uint32 n;
	int unit;

	aggregate_context(fcinfo, "journey_label_agg");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	q.part = pq_getmsgbyte(&in);
	unit = pq_getmsgbyte(&in);
	if (unit > 0)
	{
		q.by_period = true;
		q.unit = unit - 1;
		q.zone = calendar_zone(pq_getmsgrawstring(&in));
	}
	q.since = pq_getmsgint64(&in);
	q.until = pq_getmsgint64(&in);
	/* it lasts until it has been combined: in the aggregate's context all of them would pile up */
	s = label_counts_create(CurrentMemoryContext, &q);
	numbers = receive_labels(&in, s->dict, &n);
	for (uint32 left = pq_getmsgint(&in, 4); left > 0; left--)
	{
		int32 period = (int32) pq_getmsgint(&in, 4);
		uint32 label = pq_getmsgint(&in, 4);
		LabelCell *cell;
		uint32 to;

		if (label >= n)
			elog(ERROR, "state of journey_label_agg is corrupt");
		to = label_counts_cell(s, period, numbers[label]);
		cell = &s->cells[to];
		cell->touchpoints += pq_getmsgint64(&in);
		cell->customers += pq_getmsgint64(&in);
	}
	pq_getmsgend(&in);
	pfree(numbers);
	pfree(in.data);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_label_agg_finalfn);
Datum
journey_label_agg_finalfn(PG_FUNCTION_ARGS)
{
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	LabelCounts *s;
	TupleDesc desc;
	CellPlace *places;
	Datum *rows;
	uint32 n;
	int part;

	aggregate_context(fcinfo, "journey_label_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	s = (LabelCounts *) PG_GETARG_POINTER(0);
	part = s->question.part;
	desc = lookup_rowtype_tupdesc(type, -1);
	if (desc->natts != LABEL_COUNT_COLUMNS)
		elog(ERROR, "type label_count has %d columns", desc->natts);
	places = ordered_cells(s, &n);
	rows = palloc_extended(Max(s->ncells, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < s->ncells; i++)
	{
		const LabelCell *cell = &s->cells[places[i].cell];
		const TouchLabel *label = &s->dict->labels[cell->number].text;
		Datum values[LABEL_COUNT_COLUMNS] = {0};
		bool nulls[LABEL_COUNT_COLUMNS] = {false};

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		nulls[0] = !s->question.by_period;
		nulls[1] = part != PART_LABEL && part != PART_CHANNEL;
		nulls[2] = part != PART_LABEL && part != PART_ACTION;
		nulls[3] = label->detail_len == 0;
		if (!nulls[0])
			values[0] = DateADTGetDatum(calendar_date(s->question.unit, cell->period));
		values[1] = PointerGetDatum(cstring_to_text_with_len(label->channel, label->channel_len));
		values[2] = PointerGetDatum(cstring_to_text_with_len(label->action, label->action_len));
		values[3] = PointerGetDatum(cstring_to_text_with_len(label->detail, label->detail_len));
		values[4] = Int64GetDatum(cell->touchpoints);
		values[5] = Int64GetDatum(cell->customers);
		rows[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, s->ncells, type, -1, false, TYPALIGN_DOUBLE));
}
