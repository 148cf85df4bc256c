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

static MeasuresSet *
measures_set(FunctionCallInfo fcinfo)
{
	MeasuresSet *set = row_set(fcinfo, sizeof(MeasuresSet));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		set->in_period = set->any = false;
		measures_read(&set->reader, PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0)));
		MemoryContextSwitchTo(old);
	}
	return set;
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

PG_FUNCTION_INFO_V1(channel_mix);
Datum
channel_mix(PG_FUNCTION_ARGS)
{
	MeasuresSet *set = measures_set(fcinfo);
	MeasuresReader *r = &set->reader;
	bool nulls[2 + MIX_COUNTS] = {false};
	Datum row[2 + MIX_COUNTS];

	for (;;)
	{
		if (set->in_period && measures_next_cell(r))
			break;
		if (set->in_period)
			pass_transitions(r);
		set->in_period = measures_next_period(r);
		if (!set->in_period)
			return row_set_end(fcinfo, &set->rows);
	}
	row[0] = period_start(r, &nulls[0]);
	row[1] = channel_name(r, r->cell);
	for (int i = 0; i < MIX_COUNTS; i++)
		row[2 + i] = Int64GetDatum(r->mix[i]);
	return row_set_next(&set->rows, row, nulls);
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

PG_FUNCTION_INFO_V1(channel_transitions);
Datum
channel_transitions(PG_FUNCTION_ARGS)
{
	MeasuresSet *set = measures_set(fcinfo);
	MeasuresReader *r = &set->reader;
	bool nulls[6] = {false};
	Datum row[6];
	int64 median;

	for (;;)
	{
		if (set->in_period && measures_next_transition(r))
			break;
		set->in_period = measures_next_period(r);
		if (!set->in_period)
			return row_set_end(fcinfo, &set->rows);
		pass_cells(r);
	}
	if (r->times_left == 0)
		measures_corrupt(r, "A transition has no times.");
	median = read_median(r);
	row[0] = period_start(r, &nulls[0]);
	row[1] = channel_name(r, r->from);
	row[2] = channel_name(r, r->to);
	row[3] = Int64GetDatum(r->transition_handoffs);
	row[4] = Int64GetDatum(r->transition_customers);
	row[5] = usecs_interval(median);
	return row_set_next(&set->rows, row, nulls);
}

PG_FUNCTION_INFO_V1(channel_customers);
Datum
channel_customers(PG_FUNCTION_ARGS)
{
	MeasuresSet *set = measures_set(fcinfo);
	MeasuresReader *r = &set->reader;
	bool nulls[2 + CUSTOMER_COUNTS] = {false};
	Datum row[2 + CUSTOMER_COUNTS];

	for (;;)
	{
		if (!measures_next_period(r))
		{
			/* over all time there is a row, whoever there is */
			if (set->any || r->question.by_period)
				return row_set_end(fcinfo, &set->rows);
			memset(r->customers, 0, sizeof(r->customers));
			r->handoffs = 0;
			r->has_period = false;
			break;
		}
		pass_cells(r);
		pass_transitions(r);
		if (r->customers[CUSTOMERS_ALL] > 0 || !r->question.by_period)
			break;
	}
	set->any = true;
	row[0] = period_start(r, &nulls[0]);
	for (int i = 0; i < CUSTOMER_COUNTS; i++)
		row[1 + i] = Int64GetDatum(r->customers[i]);
	row[1 + CUSTOMER_COUNTS] = Int64GetDatum(r->handoffs);
	return row_set_next(&set->rows, row, nulls);
}
