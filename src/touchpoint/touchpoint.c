/*
 * touchpoint.c
 *		SQL face of the type touchpoint; what it shares with journey, its I/O,
 *		comparison and hashing, is in src/journey.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(touchpoint_make);
Datum
touchpoint_make(PG_FUNCTION_ARGS)
{
	LabelDict *dict;
	Touch t;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1) && PG_ARGISNULL(2))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		time_channel_action_null(PG_ARGISNULL(0), PG_ARGISNULL(1), PG_ARGISNULL(2));
	dict = call_label_dict(fcinfo);
	touch_fill(&t, dict, PG_GETARG_TIMESTAMPTZ(0), PG_GETARG_TEXT_PP(1), PG_GETARG_TEXT_PP(2),
			   PG_ARGISNULL(5) ? NULL : PG_GETARG_TEXT_PP(5));
	if (!PG_ARGISNULL(3))
	{
		decimal_from_numeric(&t.value, PG_GETARG_DATUM(3));
		t.has_value = true;
	}
	if (!PG_ARGISNULL(4))
	{
		t.ref = PG_GETARG_INT64(4);
		t.has_ref = true;
	}
	return touch_pack(dict, &t);
}

/* The only touchpoint of a touchpoint. */
static TouchLabel *
open_touch(Datum d, JourneyArg *arg, Touch *t)
{
	JourneyCursor c;

	journey_arg_open(arg, d);
	if (arg->view.n != 1)
		journey_corrupt("a touchpoint does not hold one touchpoint");
	journey_start_at(&arg->view, &c, 0);
	journey_next(&c, t);
	return &journey_dictionary(&arg->view)[t->label];
}

PG_FUNCTION_INFO_V1(touchpoint_channel);
Datum
touchpoint_channel(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	Touch t;
	TouchLabel *label = open_touch(PG_GETARG_DATUM(0), &arg, &t);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(label->channel, label->channel_len));
}

PG_FUNCTION_INFO_V1(touchpoint_action);
Datum
touchpoint_action(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	Touch t;
	TouchLabel *label = open_touch(PG_GETARG_DATUM(0), &arg, &t);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(label->action, label->action_len));
}

PG_FUNCTION_INFO_V1(touchpoint_detail);
Datum
touchpoint_detail(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	Touch t;
	TouchLabel *label = open_touch(PG_GETARG_DATUM(0), &arg, &t);

	if (label->detail_len == 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(label->detail, label->detail_len));
}

PG_FUNCTION_INFO_V1(touchpoint_label);
Datum
touchpoint_label(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	Touch t;
	TouchLabel *label = open_touch(PG_GETARG_DATUM(0), &arg, &t);
	StringInfoData out;

	initStringInfo(&out);
	touch_label_print(&out, label);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

PG_FUNCTION_INFO_V1(touchpoint_ref);
Datum
touchpoint_ref(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	Touch t;

	open_touch(PG_GETARG_DATUM(0), &arg, &t);
	if (!t.has_ref)
		PG_RETURN_NULL();
	PG_RETURN_INT64(t.ref);
}
