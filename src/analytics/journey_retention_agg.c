/*
 * journey_retention_agg.c
 *		The aggregate journey_retention_agg: counts by cohort and bracket.
 *
 * A state is a bytea, so that it can be aggregated in part anywhere, another
 * server included; hence whatever comes from elsewhere is checked whole. It is
 * flat: a hash table with open addressing. It is changed in place as long as
 * there is room. One that has grown is made in the current context; the executor
 * moves it to the aggregate's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "analytics/retention.h"
#include "block/block_candidates.h"
#include "common/hashfn.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* Differs from itself on a machine with another byte order, too. */
#define RETENTION_VERSION 0x52540001

#define RETENTION_CELL_COLUMNS 3

#define ROOM_MIN 8
#define ROOM_MAX (1 << 25) /* what fits in a value */

typedef struct RetentionCell
{
	int32 cohort;
	int32 bracket;
	uint64 customers; /* 0 where there is no cell */
} RetentionCell;

typedef struct RetentionState
{
	int32 vl_len_;
	uint32 version;
	uint64 asked; /* hash of patterns, unit and time zone */
	uint32 unit;
	uint32 n;    /* cells */
	uint32 room; /* for them, a power of two; a quarter of it remains empty */
	uint32 unused;
	RetentionCell cells[FLEXIBLE_ARRAY_MEMBER];
} RetentionState;

/* Patterns of start and return, unit, time zone. */
#define ASKED_ARGUMENTS 4

/* What a call site keeps. */
typedef struct RetentionSite
{
	struct varlena *arguments[ASKED_ARGUMENTS];
	RetentionQuery query; /* made of them */
	uint64 asked;         /* their hash */
	Units units;
	BlockCandidates candidates; /* journeys of a block that have a start */
} RetentionSite;

static inline size_t
state_size(uint32 room)
{
	return offsetof(RetentionState, cells) + room * sizeof(RetentionCell);
}

static inline uint32
most_cells(uint32 room)
{
	return room - room / 4;
}

static void
state_corrupt(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of journey_retention_agg is corrupt"),
			 errdetail_internal("%s", what)));
}

/* A state argument, aligned; all that memory access relies on is checked. */
static RetentionState *
state_argument(Datum d)
{
	RetentionState *state = (RetentionState *) PG_DETOAST_DATUM(d);
	uint64 size = VARSIZE(state);

	if (size < state_size(0))
		state_corrupt("It is too short.");
	if (state != (RetentionState *) MAXALIGN(state))
		state = memcpy(palloc(size), state, size);
	if (state->version != RETENTION_VERSION)
		state_corrupt("Its version is not known.");
	if (state->room < ROOM_MIN || state->room > ROOM_MAX ||
		(state->room & (state->room - 1)) != 0 || size != state_size(state->room) ||
		state->n > most_cells(state->room))
		state_corrupt("Its size is impossible.");
	return state;
}

/* Check all the rest of a state. */
static RetentionState *
whole_state_argument(Datum d)
{
	RetentionState *state = state_argument(d);
	uint32 n = 0;

	if (state->unit >= CALENDAR_UNITS)
		state_corrupt("Its unit of time is not known.");
	for (uint32 i = 0; i < state->room; i++)
	{
		const RetentionCell *cell = &state->cells[i];

		CHECK_FOR_INTERRUPTS();
		if (cell->customers == 0)
			continue;
		n++;
		if (!calendar_has_number(state->unit, cell->cohort) || cell->bracket < 0 ||
			cell->customers > PG_INT64_MAX)
			state_corrupt("A cell is impossible.");
	}
	if (n != state->n)
		state_corrupt("It has another number of cells than it says.");
	return state;
}

static RetentionState *
state_create(uint64 asked, uint32 unit, uint32 room)
{
	RetentionState *state = palloc0(state_size(room));

	SET_VARSIZE(state, state_size(room));
	state->version = RETENTION_VERSION;
	state->asked = asked;
	state->unit = unit;
	state->room = room;
	return state;
}

/* The states of a group must be of the same patterns, unit and time zone. */
static void
same_asked(const RetentionState *state, uint64 asked)
{
	if (unlikely(state->asked != asked))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("journey_retention_agg needs the same patterns, unit and time zone for "
						"all rows of a group"),
				 errhint("Group by those that differ.")));
}

/* The cell of a cohort and bracket, or the empty one where it may be put. */
static inline RetentionCell *
find_cell(RetentionState *state, int32 cohort, int32 bracket)
{
	uint32 at = murmurhash32(murmurhash32(cohort) + bracket);

	for (uint32 i = 0; i < state->room; i++)
	{
		RetentionCell *cell = &state->cells[(at + i) & (state->room - 1)];

		if (cell->customers == 0 || (cell->cohort == cohort && cell->bracket == bracket))
			return cell;
	}
	state_corrupt("It has more cells than it says.");
	return NULL;
}

/* The state with room for so many cells. */
static RetentionState *
make_room(RetentionState *state, uint64 n)
{
	uint32 room = state->room;
	RetentionState *grown;

	while (n > most_cells(room))
	{
		if (room == ROOM_MAX)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("too many cohorts and brackets for journey_retention_agg"),
							errhint("Use a longer unit of time.")));
		room *= 2;
	}
	if (likely(room == state->room))
		return state;
	grown = state_create(state->asked, state->unit, room);
	grown->n = state->n;
	for (uint32 i = 0; i < state->room; i++)
	{
		const RetentionCell *cell = &state->cells[i];

		CHECK_FOR_INTERRUPTS();
		if (cell->customers > 0)
			*find_cell(grown, cell->cohort, cell->bracket) = *cell;
	}
	return grown;
}

/* There must be room for a cell more. */
static inline void
count_customers(RetentionState *state, int32 cohort, int32 bracket, uint64 customers)
{
	RetentionCell *cell = find_cell(state, cohort, bracket);

	if (cell->customers == 0)
	{
		cell->cohort = cohort;
		cell->bracket = bracket;
		state->n++;
	}
	if (customers > (uint64) PG_INT64_MAX - cell->customers)
		state_corrupt("It counts too many customers.");
	cell->customers += customers;
}

static inline bool
same_value(const struct varlena *a, const struct varlena *b)
{
	size_t len = VARSIZE_ANY_EXHDR(b);

	return a && VARSIZE_ANY_EXHDR(a) == len && memcmp(VARDATA_ANY(a), VARDATA_ANY(b), len) == 0;
}

/* This call's, which knows what is asked for; cheap if that is the same as before. */
static RetentionSite *
call_site(FunctionCallInfo fcinfo)
{
	RetentionSite *site = fcinfo->flinfo->fn_extra;
	struct varlena *arguments[ASKED_ARGUMENTS];
	bool same = true;
	MemoryContext old;

	if (unlikely(site == NULL))
		fcinfo->flinfo->fn_extra = site =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(RetentionSite));
	for (int i = 0; i < ASKED_ARGUMENTS; i++)
	{
		arguments[i] = short_text_argument(PG_GETARG_DATUM(2 + i));
		same &= same_value(site->arguments[i], arguments[i]);
	}
	if (likely(same))
		return site;
	retention_query_set(&site->query, fcinfo->flinfo->fn_mcxt, PointerGetDatum(arguments[0]),
						PointerGetDatum(arguments[1]), arguments[2], arguments[3]);
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	site->asked = 0;
	for (int i = 0; i < ASKED_ARGUMENTS; i++)
	{
		if (site->arguments[i])
			pfree(site->arguments[i]);
		site->arguments[i] =
			cstring_to_text_with_len(VARDATA_ANY(arguments[i]), VARSIZE_ANY_EXHDR(arguments[i]));
		site->asked = hash_bytes_extended((const unsigned char *) VARDATA_ANY(arguments[i]),
										  VARSIZE_ANY_EXHDR(arguments[i]), site->asked);
	}
	if (site->units.max == 0)
	{
		/* here, because what grows remains where it is */
		site->units.max = 16;
		site->units.numbers = palloc(site->units.max * sizeof(int32));
	}
	MemoryContextSwitchTo(old);
	return site;
}

static bool
has_null(FunctionCallInfo fcinfo)
{
	for (int i = 1; i <= 1 + ASKED_ARGUMENTS; i++)
		if (PG_ARGISNULL(i))
			return true;
	return false;
}

/* The state of a transition function, to be changed. */
static RetentionState *
transition_state(FunctionCallInfo fcinfo, const RetentionSite *site)
{
	RetentionState *state = PG_ARGISNULL(0)
								? state_create(site->asked, site->query.calendar.unit, ROOM_MIN)
								: state_argument(PG_GETARG_DATUM(0));

	same_asked(state, site->asked);
	return state;
}

/* No units as yet of a journey. */
static Units *
no_units(RetentionSite *site)
{
	site->units.n = 0;
	site->units.falls = false;
	return &site->units;
}

/* The state with a journey more, whose units are found. */
static RetentionState *
add_units(RetentionState *state, const Units *units)
{
	for (size_t i = 0; i < units->n; i++)
	{
		state = make_room(state, (uint64) state->n + 1);
		count_customers(state, units->numbers[0], units->numbers[i] - units->numbers[0], 1);
	}
	return state;
}

PG_FUNCTION_INFO_V1(journey_retention_agg_transfn);
Datum
journey_retention_agg_transfn(PG_FUNCTION_ARGS)
{
	RetentionSite *site;
	RetentionState *state;
	JourneyArg arg;

	aggregate_context(fcinfo, "journey_retention_agg");
	if (has_null(fcinfo))
		return unchanged_state(fcinfo);
	site = call_site(fcinfo);
	state = transition_state(fcinfo, site);
	journey_arg_open(&arg, PG_GETARG_DATUM(1));
	retention_units(&site->query, no_units(site), &arg.view,
					retention_check(&site->query, &arg.view, "journey_retention_agg"));
	state = add_units(state, &site->units);
	journey_arg_close(&arg);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(journey_retention_agg_block_transfn);
Datum
journey_retention_agg_block_transfn(PG_FUNCTION_ARGS)
{
	RetentionSite *site;
	RetentionState *state;
	RetentionQuery *query;
	BlockCandidates *b;
	bool returns_values;
	bool marked;

	aggregate_context(fcinfo, "journey_retention_agg");
	if (has_null(fcinfo))
		return unchanged_state(fcinfo);
	site = call_site(fcinfo);
	query = &site->query;
	b = &site->candidates;
	/* who returns may be a matter of values where who starts is none */
	returns_values = matcher_reads_values(pattern_matcher(query->back, &b->arg.view.shared));
	marked = !returns_values &&
			 !matcher_reads_values(pattern_matcher(query->start, &b->arg.view.shared));
	b->beside = marked && !query->same ? query->back : NULL;
	block_candidates_open(b, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(1), query->start, true,
						  returns_values ? BLOCK_ALL : BLOCK_TIMES);
	if (b->arg.view.n == 0)
		return unchanged_state(fcinfo);
	retention_check(query, &b->arg.view.shared, "journey_retention_agg");
	state = transition_state(fcinfo, site);
	while (block_candidates_next(b))
	{
		block_candidates_read_on(b);
		if (marked)
			retention_units_marked(query, no_units(site), &b->journey, block_candidates_marks(b),
								   b->wanted.start, b->beside ? MARK_BESIDE : b->wanted.start);
		else
			retention_units(query, no_units(site), &b->journey, b->matcher);
		state = add_units(state, &site->units);
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(journey_retention_agg_combinefn);
Datum
journey_retention_agg_combinefn(PG_FUNCTION_ARGS)
{
	RetentionState *state;
	RetentionState *other;

	aggregate_context(fcinfo, "journey_retention_agg");
	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = whole_state_argument(PG_GETARG_DATUM(1));
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(other);
	state = state_argument(PG_GETARG_DATUM(0));
	same_asked(state, other->asked);
	/* for all at once, as in the order of their hash they would crowd a small table's beginning */
	state = make_room(state, (uint64) state->n + other->n);
	for (uint32 i = 0; i < other->room; i++)
	{
		const RetentionCell *cell = &other->cells[i];

		CHECK_FOR_INTERRUPTS();
		if (cell->customers > 0)
			count_customers(state, cell->cohort, cell->bracket, cell->customers);
	}
	PG_RETURN_POINTER(state);
}

static inline int
cell_cmp(const RetentionCell *a, const RetentionCell *b)
{
	if (a->cohort != b->cohort)
		return a->cohort < b->cohort ? -1 : 1;
	return a->bracket < b->bracket ? -1 : a->bracket > b->bracket;
}

#define ST_SORT sort_cells
#define ST_ELEMENT_TYPE RetentionCell
#define ST_COMPARE(a, b) cell_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

PG_FUNCTION_INFO_V1(journey_retention_agg_finalfn);
Datum
journey_retention_agg_finalfn(PG_FUNCTION_ARGS)
{
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	RetentionState *state;
	RetentionCell *cells;
	TupleDesc desc;
	Datum *rows;
	uint32 n = 0;

	aggregate_context(fcinfo, "journey_retention_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = whole_state_argument(PG_GETARG_DATUM(0));
	cells = palloc(state->n * sizeof(RetentionCell));
	for (uint32 i = 0; i < state->room; i++)
		if (state->cells[i].customers > 0)
			cells[n++] = state->cells[i];
	sort_cells(cells, n);
	desc = lookup_rowtype_tupdesc(type, -1);
	if (desc->natts != RETENTION_CELL_COLUMNS)
		elog(ERROR, "type retention_cell has %d columns", desc->natts);
	rows = palloc(n * sizeof(Datum));
	for (uint32 i = 0; i < n; i++)
	{
		Datum values[RETENTION_CELL_COLUMNS];
		bool nulls[RETENTION_CELL_COLUMNS] = {false};

		CHECK_FOR_INTERRUPTS();
		if (i > 0 && cell_cmp(&cells[i - 1], &cells[i]) == 0)
			state_corrupt("It has a cell twice.");
		values[0] = DateADTGetDatum(calendar_date(state->unit, cells[i].cohort));
		values[1] = Int32GetDatum(cells[i].bracket);
		values[2] = Int64GetDatum(cells[i].customers);
		rows[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, n, type, -1, false, TYPALIGN_DOUBLE));
}
