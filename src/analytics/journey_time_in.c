/*
 * journey_time_in.c
 *		How long a journey stays in each channel, action, detail or label.
 */
#include "postgres.h"

#include "analytics/row_set.h"
#include "compat.h"
#include "journey/journey.h"
#include "miscadmin.h"

typedef struct State
{
	Datum name;
	int64 stays;
	uint64 usecs;
} State;

typedef struct StateSet
{
	RowSet rows;
	State *states; /* by name */
	uint32 n;
	uint32 next; /* to be told */
} StateSet;

#define ST_SORT sort_by_text
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE_ARG_TYPE Datum
#define ST_COMPARE(a, b, arg) label_text_cmp(arg[*(a)], arg[*(b)])
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Find the states of the labels, and which is whose. */
static uint32 *
make_states(StateSet *set, const JourneyView *v, LabelPart part)
{
	Datum *texts = label_texts(v, part);
	uint32 *labels = palloc_extended(Max(v->nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint32 *label_states = palloc_extended(Max(v->nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);

	set->states = palloc_extended(Max(v->nlabels, 1) * sizeof(State), MCXT_ALLOC_HUGE);
	set->n = set->next = 0;
	for (uint32 i = 0; i < v->nlabels; i++)
		labels[i] = i;
	/* labels stand in order of their parts, not of their printed text */
	if (part != PART_CHANNEL)
		sort_by_text(labels, v->nlabels, texts);
	for (uint32 i = 0; i < v->nlabels; i++)
	{
		Datum name = texts[labels[i]];

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (set->n == 0 || label_text_cmp(set->states[set->n - 1].name, name) != 0)
			set->states[set->n++] = (State) {.name = name};
		label_states[labels[i]] = set->n - 1;
	}
	pfree(labels);
	pfree(texts);
	return label_states;
}

static void
collect_states(StateSet *set, Datum journey, LabelPart part)
{
	JourneyArg arg;
	const JourneyView *v = &arg.view;
	EliasFanoCursor times;
	uint32 *label_states;
	State *now = NULL;
	int64 since = 0;

	journey_arg_open(&arg, journey);
	label_states = make_states(set, v, part);
	ef_start(&v->times, &times);
	for (uint32 i = 0; i < v->n; i++)
	{
		State *state = &set->states[label_states[journey_label_at(v, i)]];
		int64 time = journey_time_from_offset(v, ef_next(&v->times, &times));

		if (i % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (state == now)
			continue;
		if (now)
			now->usecs += (uint64) time - (uint64) since;
		state->stays++;
		now = state;
		since = time;
	}
	if (now)
		now->usecs += (uint64) v->last - (uint64) since;
	pfree(label_states);
	journey_arg_close(&arg);
}

static bool
state_row(void *arg, Datum *values, bool *nulls)
{
	StateSet *set = arg;
	const State *state;

	if (set->next == set->n)
		return false;
	state = &set->states[set->next++];
	values[0] = state->name;
	nulls[0] = state->name == 0;
	values[1] = Int64GetDatum(state->stays);
	values[2] = usecs_interval(state->usecs);
	return true;
}

PG_FUNCTION_INFO_V1(journey_time_in);
Datum
journey_time_in(PG_FUNCTION_ARGS)
{
	StateSet *set = row_set(fcinfo, sizeof(StateSet));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		collect_states(set, PG_GETARG_DATUM(0), label_part_argument(PG_GETARG_DATUM(1)));
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, state_row);
}
