/*
 * touch_text.c
 *		The text form of a touchpoint: channel.action[.detail][=value]@time[#ref]
 */
#include "postgres.h"

#include "compat.h"
#include "touchpoint/touch.h"

/* Read a touchpoint, the text of its label into *text, to which *label then points. */
bool
touch_scan(TextScan *s, Touch *t, LabelText *text, TouchLabel *label)
{
	memset(t, 0, sizeof(*t));
	text_skip_space(s);
	if (!touch_label_scan(s, text, label))
		return false;
	text_skip_space(s);
	if (s->p < s->end && *s->p == '=')
	{
		s->p++;
		text_skip_space(s);
		if (!decimal_scan(s, &t->value))
			return false;
		t->has_value = true;
		text_skip_space(s);
	}
	if (s->p >= s->end || *s->p != '@')
		return text_fail(s, t->has_value            ? "\"@\" and a time"
							: label->detail_len > 0 ? "\"@\" and a time, or \"=\" and a value"
													: "\"@\" and a time, \"=\" and a value, or "
													  "\".\" and a detail");
	s->p++;
	text_skip_space(s);
	if (!isotime_scan(s, &t->time))
		return false;
	text_skip_space(s);
	if (s->p < s->end && *s->p == '#')
	{
		s->p++;
		text_skip_space(s);
		if (!text_scan_int64(s, &t->ref, "reference is out of range"))
			return false;
		t->has_ref = true;
		text_skip_space(s);
	}
	return true;
}

void
touch_print(StringInfo out, const Touch *t, const TouchLabel *label)
{
	touch_label_print(out, label);
	if (t->has_value)
	{
		appendStringInfoCharMacro(out, '=');
		decimal_print(out, t->value);
	}
	appendStringInfoCharMacro(out, '@');
	isotime_print(out, t->time);
	if (t->has_ref)
	{
		appendStringInfoCharMacro(out, '#');
		text_print_int64(out, t->ref);
	}
}
