/*
 * journey_arg.c
 *		Arguments of SQL functions: opening journeys, checking labels.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/journey.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

/* Open a whole journey, without a copy where it is stored inline. */
void
journey_arg_open(JourneyArg *arg, Datum d)
{
	arg->packed = short_text_argument(d);
	arg->copied = (Pointer) arg->packed != DatumGetPointer(d);
	journey_open(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
				 VARSIZE_ANY_EXHDR(arg->packed));
#ifdef USE_ASSERT_CHECKING
	journey_check(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
				  VARSIZE_ANY_EXHDR(arg->packed));
#endif
}

void
journey_arg_close(JourneyArg *arg)
{
	if (arg->copied)
		pfree(arg->packed);
}

/*
 * Open a journey of which only the header, and the dictionary if so asked,
 * will be read: a toasted value is fetched only that far.
 */
void
journey_arg_open_head(JourneyArg *arg, Datum d, bool dictionary)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(d);
	uint64 total;

	if (!VARATT_IS_EXTERNAL_ONDISK(value))
	{
		journey_arg_open(arg, d);
		return;
	}
	total = toast_raw_datum_size(d) - VARHDRSZ;
	arg->copied = true;
	arg->packed = PG_DETOAST_DATUM_SLICE(d, 0, JOURNEY_HEADER_MAX);
	journey_open_head(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
					  VARSIZE_ANY_EXHDR(arg->packed), total);
	if (dictionary)
	{
		size_t need = arg->view.labels - (const uint8 *) VARDATA_ANY(arg->packed);

		pfree(arg->packed);
		arg->packed = PG_DETOAST_DATUM_SLICE(d, 0, need);
		if (VARSIZE_ANY_EXHDR(arg->packed) < need)
			journey_corrupt("the dictionary is cut off");
		journey_open_head(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
						  VARSIZE_ANY_EXHDR(arg->packed), total);
	}
}

/*
 * The dictionary of this call site, kept from call to call. Callers that keep
 * no builder from call to call get it trimmed.
 */
LabelDict *
call_label_dict(FunctionCallInfo fcinfo)
{
	LabelDict *dict;

	if (fcinfo->flinfo == NULL)
		return label_dict_create(CurrentMemoryContext);
	dict = fcinfo->flinfo->fn_extra;
	if (dict == NULL)
		fcinfo->flinfo->fn_extra = dict = label_dict_create(fcinfo->flinfo->fn_mcxt);
	label_dict_trim(dict);
	return dict;
}

void
label_too_long(const char *what, const char *part, size_t len)
{
	ereport(ERROR, (errcode(ERRCODE_NAME_TOO_LONG), errmsg("%s is too long", what),
					errdetail("\"%.*s...\" has %zu bytes, the limit is %d.",
							  pg_mbcliplen(part, len, 40), part, len, LABEL_PART_MAX)));
}

void
time_not_finite(TimestampTz time, const char *of)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW), errmsg("time of a %s must be finite", of),
			 errdetail("Found %s.", TIMESTAMP_IS_NOBEGIN(time) ? "-infinity" : "infinity")));
}

/* Fill in time and label (detail: or NULL) from SQL values, and no value and no reference. */
void
touch_fill(Touch *t, LabelDict *dict, TimestampTz time, text *channel, text *action, text *detail)
{
	TouchLabel label;

	label_check_size("channel", VARDATA_ANY(channel), VARSIZE_ANY_EXHDR(channel));
	label_check_size("action", VARDATA_ANY(action), VARSIZE_ANY_EXHDR(action));
	label.channel = VARDATA_ANY(channel);
	label.channel_len = VARSIZE_ANY_EXHDR(channel);
	label.action = VARDATA_ANY(action);
	label.action_len = VARSIZE_ANY_EXHDR(action);
	label.detail = "";
	label.detail_len = 0;
	if (detail)
	{
		label_check_size("detail", VARDATA_ANY(detail), VARSIZE_ANY_EXHDR(detail));
		label.detail = VARDATA_ANY(detail);
		label.detail_len = VARSIZE_ANY_EXHDR(detail);
	}
	t->time = finite_time(time, "touchpoint");
	t->label = label_dict_add(dict, &label);
	t->has_value = t->has_ref = false;
}

/* A touchpoint as a value. */
Datum
touch_pack(LabelDict *dict, const Touch *t)
{
	JourneyBuilder b;
	struct varlena *packed;

	builder_init(&b, dict, CurrentMemoryContext);
	builder_add(&b, t);
	packed = builder_pack(&b);
	builder_free(&b);
	return PointerGetDatum(packed);
}

/* Some, but not all, of the three that every touchpoint has are NULL. */
void
time_channel_action_null(bool time, bool channel, bool action)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s of a touchpoint must not be null", time      ? "time"
														   : channel ? "channel"
																	 : "action"),
			 errdetail(
				 "A row counts as no touchpoint only if time, channel and action are all null.")));
}

MemoryContext
aggregate_context(FunctionCallInfo fcinfo, const char *aggregate)
{
	MemoryContext cxt;

	if (!AggCheckCallContext(fcinfo, &cxt))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("%s's support functions cannot be called outside of an aggregate",
							   aggregate)));
	return cxt;
}

/* What a transition function returns for a row that counts for nothing. */
Datum
unchanged_state(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return PG_GETARG_DATUM(0);
}
