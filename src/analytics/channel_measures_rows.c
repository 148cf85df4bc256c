/*
 * channel_measures_rows.c
 *		What channel_measures tells, as rows.
 */
#include "postgres.h"

#include "analytics/channel_measures.h"
#include "analytics/row_set.h"
#include "compat.h"
#include "journey/journey.h"
#include "utils/builtins.h"

typedef struct MeasuresSet
{
	RowSet rows;
	MeasuresReader reader;
	bool in_period; /* its rows are being told */
	bool any;
} MeasuresSet;

/* Rows of what must have been counted. */
static Datum
measures_rows(FunctionCallInfo fcinfo, RowSetRow next_row, uint8 kind)
{
	MeasuresSet *set = row_set(fcinfo, sizeof(MeasuresSet));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		set->in_period = set->any = false;
		measures_read(&set->reader, PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0)));
		MemoryContextSwitchTo(old);
		if (!(set->reader.question.measures & kind))
		{
			const char *name = measures_kinds[pg_rightmost_one_pos32(kind)];

			set->rows.started = false;
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s were not counted in this channel_measures", name),
					 errhint("Have channel_measures_agg count them: add \"%s\" to its measures.",
							 name)));
		}
	}
	return row_set_rows(fcinfo, &set->rows, next_row);
}

static Datum
period_start(const MeasuresReader *r, bool *isnull)
{
	*isnull = !r->question.by_period;
	return *isnull ? (Datum) 0 : DateADTGetDatum(calendar_date(r->question.unit, r->number));
}

static Datum
channel_name(const MeasuresReader *r, uint32 channel)
{
	return PointerGetDatum(
		cstring_to_text_with_len(r->channels[channel].text, r->channels[channel].len));
}

static void
pass_cells(MeasuresReader *r)
{
	while (measures_next_cell(r))
		;
}

static void
pass_transitions(MeasuresReader *r)
{
	while (measures_next_transition(r))
		while (measures_next_time(r))
			;
}

static bool
mix_row(void *arg, Datum *row, bool *nulls)
{
	MeasuresSet *set = arg;
	MeasuresReader *r = &set->reader;

	while (!set->in_period || !measures_next_cell(r))
	{
		if (set->in_period)
			pass_transitions(r);
		set->in_period = measures_next_period(r);
		if (!set->in_period)
			return false;
	}
	row[0] = period_start(r, &nulls[0]);
	row[1] = channel_name(r, r->cell);
	for (int i = 0; i < MIX_COUNTS; i++)
		row[2 + i] = Int64GetDatum(r->mix[i]);
	return true;
}

PG_FUNCTION_INFO_V1(channel_mix);
Datum
channel_mix(PG_FUNCTION_ARGS)
{
	return measures_rows(fcinfo, mix_row, MEASURES_CHANNELS);
}

/* As percentile_cont(0.5) has it: of an even number, the mean of the two in the middle. */
static int64
read_median(MeasuresReader *r)
{
	MeasuresReader again = *r;
	int64 n = 0;
	int64 seen = 0;
	int64 low = -1;
	int64 high = 0;
	int64 half;

	/* counts that overflow are an error there */
	while (measures_next_time(r))
		n += r->run.count;
	while (measures_next_time(&again))
	{
		seen += again.run.count;
		if (low < 0 && seen > (n - 1) / 2)
			low = again.run.time;
		high = again.run.time;
		if (seen > n / 2)
			break;
	}
	half = (high - low) / 2;
	/* half a microsecond goes to the even one */
	if ((high - low) % 2 != 0 && half % 2 != 0)
		half++;
	return low + half;
}

static bool
transition_row(void *arg, Datum *row, bool *nulls)
{
	MeasuresSet *set = arg;
	MeasuresReader *r = &set->reader;

	while (!set->in_period || !measures_next_transition(r))
	{
		set->in_period = measures_next_period(r);
		if (!set->in_period)
			return false;
		pass_cells(r);
	}
	nulls[5] = !(r->question.measures & MEASURES_TIMES);
	if (!nulls[5])
	{
		if (r->times_left == 0)
			measures_corrupt(r, "A transition has no times.");
		row[5] = usecs_interval(read_median(r));
	}
	row[0] = period_start(r, &nulls[0]);
	row[1] = channel_name(r, r->from);
	row[2] = channel_name(r, r->to);
	row[3] = Int64GetDatum(r->transition_handoffs);
	row[4] = Int64GetDatum(r->transition_customers);
	return true;
}

PG_FUNCTION_INFO_V1(channel_transitions);
Datum
channel_transitions(PG_FUNCTION_ARGS)
{
	return measures_rows(fcinfo, transition_row, MEASURES_TRANSITIONS);
}

static bool
customers_row(void *arg, Datum *row, bool *nulls)
{
	MeasuresSet *set = arg;
	MeasuresReader *r = &set->reader;

	do
	{
		if (!measures_next_period(r))
		{
			/* over all time there is a row, whoever there is: of nobody, if none was read */
			if (set->any || r->question.by_period)
				return false;
			Assert(r->customers[CUSTOMERS_ALL] == 0 && r->handoffs == 0);
			break;
		}
		pass_cells(r);
		pass_transitions(r);
	} while (r->question.by_period && r->customers[CUSTOMERS_ALL] == 0);
	set->any = true;
	row[0] = period_start(r, &nulls[0]);
	for (int i = 0; i < CUSTOMER_COUNTS; i++)
		row[1 + i] = Int64GetDatum(r->customers[i]);
	row[1 + CUSTOMER_COUNTS] = Int64GetDatum(r->handoffs);
	return true;
}

PG_FUNCTION_INFO_V1(channel_customers);
Datum
channel_customers(PG_FUNCTION_ARGS)
{
	return measures_rows(fcinfo, customers_row, MEASURES_CUSTOMERS);
}
