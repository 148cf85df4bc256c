/*
 * journey_range.c
 *		Journeys and ranges of time.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/journey.h"
#include "journey/journey_range.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

void
time_range_open(TimeRange *range, const RangeType *value)
{
	TypeCacheEntry *type = lookup_type_cache(RangeTypeGetOid(value), TYPECACHE_RANGE_INFO);
	RangeBound lower;
	RangeBound upper;

	range_deserialize(type, value, &lower, &upper, &range->empty);
	range->lower = lower.infinite ? DT_NOBEGIN : DatumGetTimestampTz(lower.val);
	range->upper = upper.infinite ? DT_NOEND : DatumGetTimestampTz(upper.val);
	range->lower_inclusive = lower.infinite || lower.inclusive;
	range->upper_inclusive = upper.infinite || upper.inclusive;
}

PG_FUNCTION_INFO_V1(journey_period);
Datum
journey_period(PG_FUNCTION_ARGS)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound lower = {.inclusive = true, .lower = true};
	RangeBound upper = {.inclusive = true};
	JourneyArg arg;

	journey_arg_open_head(&arg, PG_GETARG_DATUM(0), false);
	lower.val = TimestampTzGetDatum(arg.view.first);
	upper.val = TimestampTzGetDatum(arg.view.last);
#if PG_VERSION_NUM >= 160000
	PG_RETURN_RANGE_P(make_range(type, &lower, &upper, arg.view.n == 0, NULL));
#else
	PG_RETURN_RANGE_P(make_range(type, &lower, &upper, arg.view.n == 0));
#endif
}

bool
time_range_meets(const TimeRange *range, int64 first, int64 last)
{
	return !range->empty &&
		   (range->lower < last || (range->lower == last && range->lower_inclusive)) &&
		   (range->upper > first || (range->upper == first && range->upper_inclusive));
}

bool
time_range_contains(const TimeRange *range, int64 first, int64 last)
{
	return !range->empty &&
		   (range->lower < first || (range->lower == first && range->lower_inclusive)) &&
		   (range->upper > last || (range->upper == last && range->upper_inclusive));
}

static bool
overlaps(Datum journey, RangeType *value)
{
	JourneyArg arg;
	TimeRange range;

	journey_arg_open_head(&arg, journey, false);
	time_range_open(&range, value);
	return arg.view.n > 0 && time_range_meets(&range, arg.view.first, arg.view.last);
}

static bool
within(Datum journey, RangeType *value)
{
	JourneyArg arg;
	TimeRange range;

	journey_arg_open_head(&arg, journey, false);
	time_range_open(&range, value);
	return arg.view.n == 0 || time_range_contains(&range, arg.view.first, arg.view.last);
}

PG_FUNCTION_INFO_V1(journey_overlaps);
Datum
journey_overlaps(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(overlaps(PG_GETARG_DATUM(0), PG_GETARG_RANGE_P(1)));
}

PG_FUNCTION_INFO_V1(range_overlaps_journey);
Datum
range_overlaps_journey(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(overlaps(PG_GETARG_DATUM(1), PG_GETARG_RANGE_P(0)));
}

PG_FUNCTION_INFO_V1(journey_within);
Datum
journey_within(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(within(PG_GETARG_DATUM(0), PG_GETARG_RANGE_P(1)));
}

PG_FUNCTION_INFO_V1(range_contains_journey);
Datum
range_contains_journey(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(within(PG_GETARG_DATUM(1), PG_GETARG_RANGE_P(0)));
}
