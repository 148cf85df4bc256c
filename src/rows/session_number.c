/*
 * session_number.c
 *		The window function session_number: journey_sessions over rows.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "nodes/nodes.h"
#include "utils/timestamp.h"
#include "windowapi.h"

/* Of a partition, zeroed where it begins. */
typedef struct SessionCount
{
	int64 number; /* of the session; 0: no row had a time as yet */
	int64 time;   /* of the last row that had one */
} SessionCount;

PG_FUNCTION_INFO_V1(session_number);
Datum
session_number(PG_FUNCTION_ARGS)
{
	WindowObject window = PG_WINDOW_OBJECT();
	SessionCount *count;
	bool isnull;
	Datum d;
	int64 gap;
	TimestampTz time;

	/* an operator may have been made of it */
	if (unlikely(!WindowObjectIsValid(window)))
		ereport(ERROR, (errcode(ERRCODE_WINDOWING_ERROR),
						errmsg("session_number can only be called as a window function")));
	count = WinGetPartitionLocalMemory(window, sizeof(SessionCount));
	/* no row before this one is looked at again, so that they need not be kept */
	WinSetMarkPosition(window, WinGetCurrentPosition(window));
	d = WinGetFuncArgCurrent(window, 1, &isnull);
	if (unlikely(isnull))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("gap between sessions must not be null")));
	gap = fixed_usecs(DatumGetIntervalP(d), "gap between sessions");
	d = WinGetFuncArgCurrent(window, 0, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	time = finite_time(DatumGetTimestampTz(d), "row");
	if (count->number == 0)
		count->number = 1;
	else if (unlikely(time < count->time))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("session_number needs rows in order of time"),
						errdetail("Found %s behind %s.", pstrdup(timestamptz_to_str(time)),
								  pstrdup(timestamptz_to_str(count->time))),
						errhint("Add ORDER BY and the time to the OVER clause.")));
	else if ((uint64) time - (uint64) count->time > (uint64) gap)
		count->number++;
	count->time = time;
	PG_RETURN_INT64(count->number);
}
