/*
 * journey.h
 *		What the SQL faces of touchpoint and journey share.
 *
 * A touchpoint is stored as a journey of exactly one touchpoint.
 */
#ifndef PGJ_JOURNEY_H
#define PGJ_JOURNEY_H

#include "compat.h"
#include "journey/builder.h"
#include "datatype/timestamp.h"
#include "utils/numeric.h"

/* A detoasted argument, opened; free it with journey_arg_close where memory lasts. */
typedef struct JourneyArg
{
	JourneyView view;
	struct varlena *packed;
	bool copied;
} JourneyArg;

/* journey_arg.c */
extern void journey_arg_open(JourneyArg *arg, Datum d);
extern void journey_arg_close(JourneyArg *arg);
extern void journey_arg_open_head(JourneyArg *arg, Datum d, bool dictionary);
extern LabelDict *call_label_dict(FunctionCallInfo fcinfo);
extern void label_too_long(const char *what, const char *part, size_t len)
	__attribute__((noreturn));
extern void time_not_finite(TimestampTz time, const char *of) __attribute__((noreturn));
extern void touch_fill(Touch *t, LabelDict *dict, TimestampTz time, text *channel, text *action,
					   text *detail);
extern Datum touch_pack(LabelDict *dict, const Touch *t);
extern void time_channel_action_null(bool time, bool channel, bool action)
	__attribute__((noreturn));
extern MemoryContext aggregate_context(FunctionCallInfo fcinfo, const char *aggregate);
extern Datum unchanged_state(FunctionCallInfo fcinfo);

/* journey_change.c */
extern struct varlena *journey_cut(LabelDict *dict, const JourneyView *v, uint32 from, uint32 to);

/* Microseconds of an interval that is not negative and has no months; "what" begins the error. */
extern int64 fixed_usecs(const Interval *i, const char *what);

/*
 * Microseconds of an interval that times are compared with, as SQL compares intervals: a month is
 * 30 days, a day 24 hours; at most PG_UINT64_MAX, which is longer than all time. It must not be negative.
 */
extern uint64 limit_usecs(const Interval *i, const char *what);

/* As timestamptz - timestamptz gives it: days have 24 hours. */
extern Datum usecs_interval(uint64 usecs);

/* journey_read.c */

/* Which text of a label a function shows. */
typedef enum LabelPart
{
	PART_CHANNEL,
	PART_ACTION,
	PART_DETAIL,
	PART_LABEL
} LabelPart;

extern LabelPart label_part_argument(Datum d);

extern void label_text_print(StringInfo out, const TouchLabel *label, LabelPart part);

/* What stands in a dictionary for a part of a label: numbers of equal parts are equal. */
extern uint32 label_part_number(LabelDict *dict, uint32 number, LabelPart part);

/* That text of each label, as text datums, 0 where there is no detail; and their order, bytewise. */
extern Datum *label_texts(const JourneyView *v, LabelPart part);
extern int label_text_cmp(Datum a, Datum b);

/* numeric_value.c */
extern void decimal_from_numeric(Decimal *d, Datum numeric);
extern Datum decimal_to_numeric(Decimal d);

/* Raise what a TextScan has noted, softly where the server can. */
#define text_ereturn(escontext, s, type)                                                           \
	ereturn(escontext, (Datum) 0,                                                                  \
			(errcode((s)->sqlerrcode),                                                             \
			 (s)->message ? errmsg_internal("%s", (s)->message)                                    \
						  : errmsg("invalid input syntax for type %s", type),                      \
			 (s)->detail ? errdetail_internal("%s", (s)->detail) : 0,                              \
			 (s)->hint ? errhint("%s", (s)->hint) : 0))

/* PG_DETOAST_DATUM_PACKED without the call, where there is nothing to do. */
static inline text *
short_text_argument(Datum d)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(d);

	if (unlikely(VARATT_IS_COMPRESSED(value) || VARATT_IS_EXTERNAL(value)))
		return pg_detoast_datum_packed(value);
	return value;
}

/* A time as SQL gives it must not be infinite; of what it is begins the error. */
static inline TimestampTz
finite_time(TimestampTz time, const char *of)
{
	if (unlikely(TIMESTAMP_NOT_FINITE(time)))
		time_not_finite(time, of);
	return time;
}

/* A part of a label as SQL gives it must not be too long. */
static inline void
label_check_size(const char *what, const char *part, size_t len)
{
	if (unlikely(len > LABEL_PART_MAX))
		label_too_long(what, part, len);
}

#endif /* PGJ_JOURNEY_H */
