/*
 * label.c
 *		Labels and their parts as text: channel.action[.detail], where a part is
 *		a bare name or quoted.
 *
 * A bare name is made of letters, digits, '_' and inner hyphens and does not
 * begin with a digit. Every byte outside ASCII counts as part of a letter, as
 * in SQL's identifiers: the rule must not depend on a locale, because the
 * output of an immutable function does. Any other part is double-quoted, with
 * a quote inside doubled.
 */
#include "postgres.h"

#include "compat.h"
#include "touchpoint/touch.h"

static inline bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || IS_HIGHBIT_SET(c);
}

static inline bool
is_name_byte(char c)
{
	return is_name_start(c) || (c >= '0' && c <= '9');
}

/* Length of the bare name at p, 0 if there is none. */
static size_t
bare_name_length(const char *p, const char *end)
{
	const char *q = p;

	if (q >= end || !is_name_start(*q))
		return 0;
	for (;;)
	{
		const char *hyphens;

		while (q < end && is_name_byte(*q))
			q++;
		/* hyphens belong to the name only if it goes on behind them */
		for (hyphens = q; hyphens < end && *hyphens == '-'; hyphens++)
			;
		if (hyphens == q || hyphens >= end || !is_name_byte(*hyphens))
			return q - p;
		q = hyphens;
	}
}

int
label_bytes_cmp(const char *a, size_t alen, const char *b, size_t blen)
{
	int cmp = memcmp(a, b, Min(alen, blen));

	if (cmp != 0)
		return cmp;
	return alen < blen ? -1 : alen > blen;
}

/* Order of labels: channel, action, detail (none first), each bytewise. */
int
touch_label_cmp(const TouchLabel *a, const TouchLabel *b)
{
	int cmp = label_bytes_cmp(a->channel, a->channel_len, b->channel, b->channel_len);

	if (cmp == 0)
		cmp = label_bytes_cmp(a->action, a->action_len, b->action, b->action_len);
	if (cmp == 0)
		cmp = label_bytes_cmp(a->detail, a->detail_len, b->detail, b->detail_len);
	return cmp;
}

/* Are they the same but for the details? */
bool
touch_label_same_pair(const TouchLabel *a, const TouchLabel *b)
{
	return label_bytes_cmp(a->channel, a->channel_len, b->channel, b->channel_len) == 0 &&
		   label_bytes_cmp(a->action, a->action_len, b->action, b->action_len) == 0;
}

/*
 * Read one part into buf, which has room for LABEL_PART_MAX bytes.
 */
bool
label_part_scan(TextScan *s, char *buf, uint8 *len)
{
	const char *begin = s->p;
	size_t n = 0;

	if (s->p < s->end && *s->p == '"')
	{
		const char *p = s->p + 1;

		for (;; p++)
		{
			if (p >= s->end)
			{
				s->p = s->end;
				return text_fail(s, "a closing quote");
			}
			if (*p == '"')
			{
				if (p + 1 >= s->end || p[1] != '"')
					break;
				p++;
			}
			if (n < LABEL_PART_MAX)
				buf[n] = *p;
			n++;
		}
		s->p = p + 1;
	}
	else
	{
		n = bare_name_length(s->p, s->end);
		if (n == 0)
			return text_fail(s, "a name or a quoted text");
		memcpy(buf, s->p, Min(n, LABEL_PART_MAX));
		s->p += n;
	}
	if (n > LABEL_PART_MAX)
		return text_fail_with(s, ERRCODE_NAME_TOO_LONG, "part of a label is too long",
							  psprintf("\"%s\" has %zu bytes, the limit is %d.",
									   text_excerpt(begin, s->p, 40), n, LABEL_PART_MAX),
							  NULL);
	*len = n;
	return true;
}

void
label_part_print(StringInfo out, const char *part, size_t len)
{
	if (len > 0 && bare_name_length(part, part + len) == len)
	{
		appendBinaryStringInfo(out, part, len);
		return;
	}
	appendStringInfoCharMacro(out, '"');
	for (size_t i = 0; i < len; i++)
	{
		if (part[i] == '"')
			appendStringInfoCharMacro(out, '"');
		appendStringInfoCharMacro(out, part[i]);
	}
	appendStringInfoCharMacro(out, '"');
}

/* Read a label into text, to which *label then points. */
bool
touch_label_scan(TextScan *s, LabelText *text, TouchLabel *label)
{
	label->channel = text->channel;
	label->action = text->action;
	label->detail = text->detail;
	label->detail_len = 0;
	if (!label_part_scan(s, text->channel, &label->channel_len))
		return false;
	if (s->p >= s->end || *s->p != '.')
		return text_fail(s, "\".\" between channel and action");
	s->p++;
	if (!label_part_scan(s, text->action, &label->action_len))
		return false;
	if (s->p >= s->end || *s->p != '.')
		return true;
	s->p++;
	return label_part_scan(s, text->detail, &label->detail_len);
}

void
touch_label_print(StringInfo out, const TouchLabel *label)
{
	label_part_print(out, label->channel, label->channel_len);
	appendStringInfoCharMacro(out, '.');
	label_part_print(out, label->action, label->action_len);
	if (label->detail_len > 0)
	{
		appendStringInfoCharMacro(out, '.');
		label_part_print(out, label->detail, label->detail_len);
	}
}
