/*
 * touch_text.c
 *		The text form of a touchpoint: channel.action[.detail][=value]@time[#ref]
 */
#include "postgres.h"

#include "common/int.h"
#include "compat.h"
#include "touchpoint/touch.h"

static bool
scan_ref(TextScan *s, int64 *ref)
{
	const char *begin = s->p;
	bool negative = false;
	int64 n = 0;

	if (s->p < s->end && (*s->p == '-' || *s->p == '+'))
		negative = *s->p++ == '-';
	if (s->p >= s->end || *s->p < '0' || *s->p > '9')
		return text_fail(s, "an integer");
	/* collected below zero, where there is room for the smallest bigint */
	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
	{
		if (pg_mul_s64_overflow(n, 10, &n) || pg_sub_s64_overflow(n, *s->p - '0', &n))
			goto out_of_range;
	}
	if (!negative && n == PG_INT64_MIN)
		goto out_of_range;
	*ref = negative ? n : -n;
	return true;

out_of_range:
	return text_fail_with(
		s, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "reference is out of range",
		psprintf("\"%s\" does not fit the type bigint.", text_excerpt(begin, s->end, 40)), NULL);
}

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
		if (!scan_ref(s, &t->ref))
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
