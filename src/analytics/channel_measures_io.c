/*
 * channel_measures_io.c
 *		Text and binary forms of channel_measures.
 *
 * The text is JSON. All keys must be there, but for those of what was not counted, in any
 * order, and no others, so that what has been a jsonb is read as well. Times are seconds;
 * one that is there more than once is told as [seconds, how often].
 *
 * The binary form is, all integers big-endian:
 *
 *	int8	version, 1
 *	int8	period, as in channel_measures.h
 *	int8	measures, likewise
 *	int64	session_gap, handoff_within, since, until
 *	text	time zone: int32 length, and as many bytes in the client's encoding
 *	lists	not_own, digital, personal, channels: int32 number of texts, and these
 *
 * and then periods as they stand there. Channels need not ascend here, because their
 * order may be another one in the client's encoding, but they are distinct.
 */
#include "postgres.h"

#include "analytics/channel_measures.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/bits.h"
#include "journey/journey.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"

/* --- writing text --- */

static const char *const mix_names[MIX_COUNTS] = {
	[MIX_TOUCHPOINTS] = "touchpoints", [MIX_CUSTOMERS] = "customers", [MIX_INBOUND] = "inbound",
	[MIX_OUTBOUND] = "outbound",       [MIX_SESSIONS] = "sessions",   [MIX_VISITS] = "visits",
	[MIX_VISITS_LEFT] = "visits_left",
};

static const char *const customer_names[CUSTOMER_COUNTS] = {
	[CUSTOMERS_ALL] = "customers",
	[CUSTOMERS_MULTICHANNEL] = "multichannel",
	[CUSTOMERS_CROSS_CHANNEL] = "cross_channel",
	[CUSTOMERS_OMNICHANNEL] = "omnichannel",
};

static void
print_text(StringInfo out, const NameText *name)
{
	char *terminated = pnstrdup(name->text, name->len);

	escape_json(out, terminated);
	pfree(terminated);
}

static void
print_texts(StringInfo out, const NameList *list)
{
	appendStringInfoChar(out, '[');
	for (uint32 i = 0; i < list->n; i++)
	{
		if (i > 0)
			appendStringInfoString(out, ", ");
		print_text(out, &list->names[i]);
	}
	appendStringInfoChar(out, ']');
}

static void
print_seconds(StringInfo out, int64 usecs)
{
	int fraction = usecs % USECS_PER_SEC;
	int digits = 6;

	text_print_int64(out, usecs / USECS_PER_SEC);
	if (fraction == 0)
		return;
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	appendStringInfo(out, ".%0*d", digits, fraction);
}

static void
print_limit(StringInfo out, int64 time, int64 unbounded)
{
	if (time == unbounded)
		appendStringInfoString(out, "null");
	else if (TIMESTAMP_NOT_FINITE(time))
		appendStringInfoString(out, TIMESTAMP_IS_NOEND(time) ? "\"infinity\"" : "\"-infinity\"");
	else
	{
		appendStringInfoChar(out, '"');
		isotime_print(out, time);
		appendStringInfoChar(out, '"');
	}
}

#define MIDNIGHT "T00:00:00Z"

static void
print_date(StringInfo out, DateADT date)
{
	appendStringInfoChar(out, '"');
	isotime_print(out, date * USECS_PER_DAY);
	Assert(memcmp(out->data + out->len - strlen(MIDNIGHT), MIDNIGHT, strlen(MIDNIGHT)) == 0);
	out->len -= strlen(MIDNIGHT);
	appendStringInfoChar(out, '"');
}

static void
print_period(StringInfo out, MeasuresReader *r)
{
	const MeasuresQuestion *q = &r->question;
	const char *between = "";

	appendStringInfoString(out, "{\"period_start\": ");
	if (q->by_period)
		print_date(out, calendar_date(q->unit, r->number));
	else
		appendStringInfoString(out, "null");
	for (int i = 0; i < CUSTOMER_COUNTS && (q->measures & MEASURES_CUSTOMERS); i++)
	{
		appendStringInfo(out, ", \"%s\": ", customer_names[i]);
		text_print_int64(out, r->customers[i]);
	}
	if (q->measures & MEASURES_CHANNELS)
		appendStringInfoString(out, ", \"channels\": [");
	for (; measures_next_cell(r); between = ", ")
	{
		appendStringInfo(out, "%s{\"channel\": ", between);
		print_text(out, &r->channels[r->cell]);
		for (int i = 0; i < MIX_COUNTS; i++)
		{
			appendStringInfo(out, ", \"%s\": ", mix_names[i]);
			text_print_int64(out, r->mix[i]);
		}
		appendStringInfoChar(out, '}');
	}
	if (q->measures & MEASURES_CHANNELS)
		appendStringInfoChar(out, ']');
	if (q->measures & MEASURES_TRANSITIONS)
		appendStringInfoString(out, ", \"transitions\": [");
	for (between = ""; measures_next_transition(r); between = ", ")
	{
		const char *comma = "";

		appendStringInfo(out, "%s{\"from_channel\": ", between);
		print_text(out, &r->channels[r->from]);
		appendStringInfoString(out, ", \"to_channel\": ");
		print_text(out, &r->channels[r->to]);
		appendStringInfoString(out, ", \"customers\": ");
		text_print_int64(out, r->transition_customers);
		if (!(q->measures & MEASURES_TIMES))
		{
			appendStringInfoString(out, ", \"handoffs\": ");
			text_print_int64(out, r->transition_handoffs);
			appendStringInfoChar(out, '}');
			continue;
		}
		appendStringInfoString(out, ", \"times\": [");
		for (; measures_next_time(r); comma = ", ")
		{
			appendStringInfoString(out, comma);
			if (r->run.count > 1)
				appendStringInfoChar(out, '[');
			print_seconds(out, r->run.time);
			if (r->run.count > 1)
			{
				appendStringInfoString(out, ", ");
				text_print_int64(out, r->run.count);
				appendStringInfoChar(out, ']');
			}
		}
		appendStringInfoString(out, "]}");
	}
	if (q->measures & MEASURES_TRANSITIONS)
		appendStringInfoChar(out, ']');
	appendStringInfoChar(out, '}');
}

PG_FUNCTION_INFO_V1(channel_measures_out);
Datum
channel_measures_out(PG_FUNCTION_ARGS)
{
	MeasuresReader r = {0};
	const MeasuresQuestion *q = &r.question;
	const char *between = "";
	StringInfoData out;

	measures_read(&r, PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0)));
	initStringInfo(&out);
	appendStringInfoString(&out, "{\"measures\": [");
	for (int i = 0; i < MEASURES_KINDS; i++)
		if (q->measures & 1 << i)
		{
			appendStringInfo(&out, "%s\"%s\"", between, measures_kinds[i]);
			between = ", ";
		}
	between = "";
	appendStringInfoString(&out, "], \"session_gap\": ");
	print_seconds(&out, q->session_gap);
	appendStringInfoString(&out, ", \"handoff_within\": ");
	print_seconds(&out, q->handoff_within);
	for (int i = 0; i < MEASURES_LISTS; i++)
	{
		appendStringInfo(&out, ", \"%s\": ", measures_list_names[i]);
		print_texts(&out, &q->lists[i]);
	}
	appendStringInfo(&out, ", \"period\": \"%s\", \"time_zone\": ",
					 q->by_period ? calendar_unit_name(q->unit) : "all");
	if (q->by_period)
		print_text(&out, &q->time_zone);
	else
		appendStringInfoString(&out, "null");
	appendStringInfoString(&out, ", \"since\": ");
	print_limit(&out, q->since, DT_NOBEGIN);
	appendStringInfoString(&out, ", \"until\": ");
	print_limit(&out, q->until, DT_NOEND);
	appendStringInfoString(&out, ", \"periods\": [");
	for (; measures_next_period(&r); between = ", ")
	{
		appendStringInfoString(&out, between);
		print_period(&out, &r);
	}
	appendStringInfoString(&out, "]}");
	PG_RETURN_CSTRING(out.data);
}

/* --- reading text --- */

static void
scan_skip_space(TextScan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

/* Pass over a character, and white space before it, if it stands here. */
static bool
scan_accept(TextScan *s, char c)
{
	scan_skip_space(s);
	if (s->p >= s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool
scan_accept_null(TextScan *s)
{
	scan_skip_space(s);
	if (s->end - s->p < 4 || memcmp(s->p, "null", 4) != 0)
		return false;
	s->p += 4;
	return true;
}

/* Four hexadecimal digits. */
static bool
scan_hex(TextScan *s, pg_wchar *code)
{
	*code = 0;
	for (int i = 0; i < 4; i++, s->p++)
	{
		char c = s->p < s->end ? *s->p : '\0';

		if (c >= '0' && c <= '9')
			*code = *code * 16 + c - '0';
		else if (c >= 'a' && c <= 'f')
			*code = *code * 16 + c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			*code = *code * 16 + c - 'A' + 10;
		else
			return text_fail(s, "a hexadecimal digit");
	}
	return true;
}

/* What stands behind a backslash. */
static bool
scan_escape(TextScan *s, StringInfo out)
{
	static const char codes[] = "\"\\/bfnrt";
	static const char chars[] = "\"\\/\b\f\n\r\t";
	const char *found;
	unsigned char buf[MAX_UNICODE_EQUIVALENT_STRING + 1];
	pg_wchar code;
	pg_wchar low;

	if (s->p < s->end && *s->p != '\0' && (found = strchr(codes, *s->p)) != NULL)
	{
		appendStringInfoChar(out, chars[found - codes]);
		s->p++;
		return true;
	}
	if (s->p >= s->end || *s->p != 'u')
		return text_fail(s, "an escape of JSON");
	s->p++;
	if (!scan_hex(s, &code))
		return false;
	if (is_utf16_surrogate_first(code))
	{
		if (s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u')
			return text_fail(s, "the second half of a surrogate pair");
		s->p += 2;
		if (!scan_hex(s, &low))
			return false;
		if (!is_utf16_surrogate_second(low))
			return text_fail(s, "no character but the second half of a surrogate pair before this");
		code = surrogate_pair_to_codepoint(code, low);
	}
	if (!is_valid_unicode_codepoint(code) || is_utf16_surrogate_second(code))
		return text_fail(s, "no escape of such a character before this");
	pg_unicode_to_server(code, buf);
	appendStringInfoString(out, (char *) buf);
	return true;
}

static bool
scan_text(TextScan *s, NameText *text)
{
	StringInfoData out;
	const char *start;

	if (!scan_accept(s, '"'))
		return text_fail(s, "a string");
	start = s->p;
	while (s->p < s->end && *s->p != '"' && *s->p != '\\' && (unsigned char) *s->p >= ' ')
		s->p++;
	if (likely(s->p < s->end && *s->p == '"'))
	{
		*text = (NameText) {start, s->p++ - start};
		return true;
	}
	initStringInfo(&out);
	appendBinaryStringInfo(&out, start, s->p - start);
	for (; s->p < s->end && *s->p != '"'; s->p++)
	{
		if ((unsigned char) *s->p < ' ')
			return text_fail(s, "no control character in a string");
		if (*s->p != '\\')
			appendStringInfoCharMacro(&out, *s->p);
		else
		{
			s->p++;
			if (!scan_escape(s, &out))
				return false;
			s->p--;
		}
	}
	if (s->p >= s->end)
		return text_fail(s, "the end of a string");
	s->p++;
	*text = (NameText) {out.data, out.len};
	return true;
}

/* A number that is not negative, times 10^digits; more digits behind the point are an error. */
static bool
scan_number(TextScan *s, int digits, const char *what, int64 *number)
{
	const char *start;
	uint64 n = 0;
	bool point = false;

	scan_skip_space(s);
	start = s->p;
	for (; s->p < s->end; s->p++)
	{
		if (*s->p == '.' && digits > 0 && !point && s->p > start && s->end - s->p > 1 &&
			s->p[1] >= '0' && s->p[1] <= '9')
		{
			point = true;
			continue;
		}
		if (*s->p < '0' || *s->p > '9' || (point && digits == 0) ||
			(s->p == start + 1 && *start == '0' && !point))
			break;
		if (n > PG_INT64_MAX / 10)
			break;
		n = n * 10 + (*s->p - '0');
		digits -= point;
	}
	if (s->p == start || n > PG_INT64_MAX ||
		(s->p < s->end && ((*s->p >= '0' && *s->p <= '9') || strchr(".eE+-", *s->p) != NULL)))
	{
		s->p = start;
		return text_fail(s, what);
	}
	for (; digits > 0; digits--)
	{
		if (n > PG_INT64_MAX / 10)
		{
			s->p = start;
			return text_fail(s, what);
		}
		n *= 10;
	}
	*number = n;
	return true;
}

#define JSON_COUNT "a count"
#define JSON_SECONDS "seconds, not negative, with at most 6 digits behind the point"

/* Pass over an array, of which only the brackets and strings are looked at; it is read later. */
static bool
scan_skip_array(TextScan *s)
{
	NameText text;
	size_t depth = 0;

	scan_skip_space(s);
	if (s->p >= s->end || *s->p != '[')
		return text_fail(s, "an array");
	for (;;)
	{
		if (s->p >= s->end)
			return text_fail(s, "the end of an array");
		if (*s->p == '"')
		{
			if (!scan_text(s, &text))
				return false;
			continue;
		}
		if (*s->p == '[' || *s->p == '{')
			depth++;
		else if ((*s->p == ']' || *s->p == '}') && --depth == 0)
			break;
		s->p++;
	}
	s->p++;
	return true;
}

typedef enum FieldKind
{
	FIELD_COUNT,        /* int64 */
	FIELD_SECONDS,      /* int64 */
	FIELD_TEXT,         /* NameText */
	FIELD_TEXT_OR_NULL, /* NameText, whose text is NULL where that stands */
	FIELD_TEXTS,        /* NameList */
	FIELD_LATER         /* const char *, where an array begins */
} FieldKind;

typedef struct Field
{
	const char *key;
	FieldKind kind;
	void *to;
} Field;

#define FIELDS_MAX 16

static bool
scan_texts(TextScan *s, NameList *list)
{
	NameText *names = NULL;
	uint32 n = 0;
	uint32 max = 0;

	if (!scan_accept(s, '['))
		return text_fail(s, "an array");
	if (!scan_accept(s, ']'))
		do
		{
			if (n == max)
			{
				max = Max(8, 2 * max);
				names = names ? repalloc_huge(names, max * sizeof(NameText))
							  : palloc(max * sizeof(NameText));
			}
			if (!scan_text(s, &names[n++]))
				return false;
		} while (scan_accept(s, ','));
	if (n > 0 && !scan_accept(s, ']'))
		return text_fail(s, "\",\" or \"]\"");
	name_list_set(list, names, n);
	return true;
}

static bool
scan_field(TextScan *s, const Field *field)
{
	switch (field->kind)
	{
		case FIELD_COUNT:
			return scan_number(s, 0, JSON_COUNT, field->to);
		case FIELD_SECONDS:
			return scan_number(s, 6, JSON_SECONDS, field->to);
		case FIELD_TEXT:
			return scan_text(s, field->to);
		case FIELD_TEXT_OR_NULL:
			*(NameText *) field->to = (NameText) {NULL, 0};
			return scan_accept_null(s) || scan_text(s, field->to);
		case FIELD_TEXTS:
			return scan_texts(s, field->to);
		case FIELD_LATER:
			scan_skip_space(s);
			*(const char **) field->to = s->p;
			return scan_skip_array(s);
	}
	return false;
}

/* An object with these keys. */
static bool
scan_object(TextScan *s, const Field *fields, int n)
{
	bool seen[FIELDS_MAX] = {false};
	NameText key;

	Assert(n <= FIELDS_MAX);
	if (!scan_accept(s, '{'))
		return text_fail(s, "an object");
	for (int count = 0; count < n; count++)
	{
		const char *start;
		int i;

		CHECK_FOR_INTERRUPTS();
		if (count > 0 && !scan_accept(s, ','))
			return text_fail(s, "\",\" and another key");
		scan_skip_space(s);
		start = s->p;
		if (!scan_text(s, &key))
			return false;
		for (i = 0; i < n; i++)
			if (strlen(fields[i].key) == key.len && memcmp(fields[i].key, key.text, key.len) == 0)
				break;
		if (i == n || seen[i])
		{
			s->p = start;
			for (i = 0; seen[i];)
				i++;
			return text_fail(s, psprintf("the key \"%s\"", fields[i].key));
		}
		seen[i] = true;
		if (!scan_accept(s, ':'))
			return text_fail(s, "\":\"");
		if (!scan_field(s, &fields[i]))
			return false;
	}
	return scan_accept(s, '}') || text_fail(s, "\"}\"");
}

/* What was read makes no sense; the place is where its object begins. */
static bool
scan_wrong(TextScan *s, const char *start, const char *what)
{
	return text_fail_with(s, ERRCODE_INVALID_TEXT_REPRESENTATION, NULL,
						  psprintf("%s See byte %zu.", what, (size_t) (start - s->start) + 1),
						  NULL);
}

/* Begin with an array that was passed over, or go on in it; false at its end, or on failure. */
static bool
scan_element(TextScan *s, bool first, bool *failed)
{
	if (first)
	{
		if (!scan_accept(s, '['))
			*failed = !text_fail(s, "an array");
		else if (!scan_accept(s, ']'))
			return true;
		return false;
	}
	if (scan_accept(s, ','))
		return true;
	if (!scan_accept(s, ']'))
		*failed = !text_fail(s, "\",\" or \"]\"");
	return false;
}

static bool
check_channel(TextScan *s, const char *start, const NameText *name)
{
	return name->len <= LABEL_PART_MAX ||
		   scan_wrong(s, start, "The name of a channel is too long.");
}

static bool
read_cells(TextScan *s, Measures *m, uint32 p)
{
	NameText channel;
	int64 counts[MIX_COUNTS];
	Field fields[1 + MIX_COUNTS] = {{"channel", FIELD_TEXT, &channel}};
	bool failed = false;

	for (int i = 0; i < MIX_COUNTS; i++)
		fields[1 + i] = (Field) {mix_names[i], FIELD_COUNT, &counts[i]};
	for (bool first = true; scan_element(s, first, &failed); first = false)
	{
		uint32 before = m->ncells;
		const char *start;
		const char *wrong;
		uint32 cell;

		scan_skip_space(s);
		start = s->p;
		if (!scan_object(s, fields, lengthof(fields)) || !check_channel(s, start, &channel))
			return false;
		wrong = measures_mix_wrong(counts);
		if (wrong)
			return scan_wrong(s, start, wrong);
		cell = measures_add_cell(m, p, measures_add_channel(m, channel.text, channel.len));
		if (cell < before)
			return scan_wrong(s, start, "A channel is there twice.");
		memcpy(m->cells[cell].counts, counts, sizeof(counts));
	}
	return !failed;
}

static bool
read_times(TextScan *s, Measures *m, MeasuresTransition *t, int64 *handoffs)
{
	bool failed = false;

	for (bool first = true; scan_element(s, first, &failed); first = false)
	{
		int64 time;
		int64 count = 1;
		bool several = scan_accept(s, '[');
		const char *start;

		CHECK_FOR_INTERRUPTS();
		scan_skip_space(s);
		start = s->p;
		if (!scan_number(s, 6, JSON_SECONDS, &time))
			return false;
		if (several)
		{
			if (!scan_accept(s, ','))
				return text_fail(s, "\",\"");
			if (!scan_number(s, 0, JSON_COUNT, &count))
				return false;
			if (!scan_accept(s, ']'))
				return text_fail(s, "\"]\"");
		}
		if (time > m->question.handoff_within)
			return scan_wrong(s, start, "A time is longer than the limit.");
		if (count == 0)
			return scan_wrong(s, start, "A time is there no times.");
		measures_sum(handoffs, count);
		measures_add_time(m, t, time, count);
	}
	return !failed;
}

static bool
read_transitions(TextScan *s, Measures *m, uint32 p, int64 *handoffs)
{
	NameText from;
	NameText to;
	int64 customers;
	int64 count;
	const char *times = NULL;
	Field fields[] = {{"from_channel", FIELD_TEXT, &from},
					  {"to_channel", FIELD_TEXT, &to},
					  {"customers", FIELD_COUNT, &customers},
					  {"handoffs", FIELD_COUNT, &count}};
	bool failed = false;

	if (m->question.measures & MEASURES_TIMES)
		fields[3] = (Field) {"times", FIELD_LATER, &times};
	for (bool first = true; scan_element(s, first, &failed); first = false)
	{
		uint32 before = m->ntransitions;
		MeasuresTransition *t;
		const char *start;
		const char *behind;
		const char *wrong;
		uint32 a;
		uint32 b;

		scan_skip_space(s);
		start = s->p;
		if (!scan_object(s, fields, lengthof(fields)) || !check_channel(s, start, &from) ||
			!check_channel(s, start, &to))
			return false;
		behind = s->p;
		a = measures_add_channel(m, from.text, from.len);
		b = measures_add_channel(m, to.text, to.len);
		if (a == b)
			return scan_wrong(s, start, "A transition is from a channel to itself.");
		t = measures_add_transition(m, p, a, b);
		if (m->ntransitions == before)
			return scan_wrong(s, start, "A transition is there twice.");
		t->customers = customers;
		if (times)
		{
			count = 0;
			s->p = times;
			if (!read_times(s, m, t, &count))
				return false;
			s->p = behind;
		}
		else
			t->handoffs = count;
		wrong = measures_transition_wrong(customers, count);
		if (wrong)
			return scan_wrong(s, start, wrong);
		measures_sum(handoffs, count);
	}
	return !failed;
}

/* A date as isotime_print writes it, which need not be one of a timestamp. */
static bool
date_of_text(const NameText *text, DateADT *date)
{
	int numbers[3] = {0};
	int digits = 0;
	int part = 0;
	char sign = text->len > 0 ? text->text[0] : '\0';
	int year;
	int month;
	int day;
	int julian;

	for (size_t i = sign == '+' || sign == '-'; i < text->len; i++)
	{
		char c = text->text[i];

		if (c >= '0' && c <= '9' && ++digits <= (part == 0 ? 6 : 2))
			numbers[part] = numbers[part] * 10 + c - '0';
		else if (c == '-' && digits >= (part == 0 ? 4 : 2) && part < 2)
		{
			part++;
			digits = 0;
		}
		else
			return false;
	}
	if (part < 2 || digits < 2)
		return false;
	if (sign == '-')
		numbers[0] = -numbers[0];
	if (!IS_VALID_JULIAN(numbers[0], numbers[1], numbers[2]))
		return false;
	julian = date2j(numbers[0], numbers[1], numbers[2]);
	*date = julian - POSTGRES_EPOCH_JDATE;
	j2date(julian, &year, &month, &day);
	return year == numbers[0] && month == numbers[1] && day == numbers[2];
}

/* The number of the period that begins on a date. */
static bool
read_period_start(TextScan *s, const char *start, const MeasuresQuestion *q, const NameText *text,
				  int32 *number)
{
	DateADT date;

	*number = 0;
	if (q->by_period != (text->text != NULL))
		return scan_wrong(s, start, "All time has no beginning, and every other period has one.");
	if (!q->by_period)
		return true;
	if (!date_of_text(text, &date))
		return scan_wrong(s, start, "The beginning of a period is no date.");
	if (!calendar_number_of_date(q->unit, date, number) || !calendar_has_date(q->unit, *number))
		return scan_wrong(s, start, "No period begins on that date.");
	return true;
}

static bool
read_periods(TextScan *s, Measures *m)
{
	NameText date;
	uint8 measures = m->question.measures;
	int64 counts[CUSTOMER_COUNTS] = {0};
	const char *cells;
	const char *transitions;
	Field fields[3 + CUSTOMER_COUNTS] = {{"period_start", FIELD_TEXT_OR_NULL, &date}};
	int nfields = 1;
	bool failed = false;

	for (int i = 0; i < CUSTOMER_COUNTS && (measures & MEASURES_CUSTOMERS); i++)
		fields[nfields++] = (Field) {customer_names[i], FIELD_COUNT, &counts[i]};
	if (measures & MEASURES_CHANNELS)
		fields[nfields++] = (Field) {"channels", FIELD_LATER, &cells};
	if (measures & MEASURES_TRANSITIONS)
		fields[nfields++] = (Field) {"transitions", FIELD_LATER, &transitions};
	for (bool first = true; scan_element(s, first, &failed); first = false)
	{
		uint32 before = m->nperiods;
		int64 handoffs = 0;
		const char *start;
		const char *behind;
		const char *wrong;
		int32 number;
		uint32 p;

		scan_skip_space(s);
		start = s->p;
		if (!scan_object(s, fields, nfields) ||
			!read_period_start(s, start, &m->question, &date, &number))
			return false;
		behind = s->p;
		p = measures_add_period(m, number);
		if (p < before)
			return scan_wrong(s, start, "A period is there twice.");
		memcpy(m->periods[p].counts, counts, sizeof(counts));
		if (measures & MEASURES_CHANNELS)
		{
			s->p = cells;
			if (!read_cells(s, m, p))
				return false;
		}
		if (measures & MEASURES_TRANSITIONS)
		{
			s->p = transitions;
			if (!read_transitions(s, m, p, &handoffs))
				return false;
		}
		s->p = behind;
		wrong = measures_period_wrong(counts, handoffs);
		if ((measures & MEASURES_CUSTOMERS) && wrong)
			return scan_wrong(s, start, wrong);
	}
	return !failed;
}

static bool
read_limit(TextScan *s, const NameText *text, int64 unbounded, int64 *time)
{
	TextScan of;

	*time = unbounded;
	if (text->text == NULL)
		return true;
	if (text->len == 8 && memcmp(text->text, "infinity", 8) == 0)
		*time = DT_NOEND;
	else if (text->len == 9 && memcmp(text->text, "-infinity", 9) == 0)
		*time = DT_NOBEGIN;
	else
	{
		text_scan_init(&of, text->text, text->len);
		if (!isotime_scan(&of, time) || of.p != of.end)
			return scan_wrong(s, s->start, "A limit of the range is no time.");
	}
	return true;
}

static Measures *
read_measures(TextScan *s)
{
	MeasuresQuestion q = {0};
	NameList measures;
	NameText period;
	NameText since;
	NameText until;
	const char *periods;
	const char *behind;
	const char *wrong;
	const Field fields[] = {{"measures", FIELD_TEXTS, &measures},
							{"session_gap", FIELD_SECONDS, &q.session_gap},
							{"handoff_within", FIELD_SECONDS, &q.handoff_within},
							{measures_list_names[0], FIELD_TEXTS, &q.lists[0]},
							{measures_list_names[1], FIELD_TEXTS, &q.lists[1]},
							{measures_list_names[2], FIELD_TEXTS, &q.lists[2]},
							{"period", FIELD_TEXT, &period},
							{"time_zone", FIELD_TEXT_OR_NULL, &q.time_zone},
							{"since", FIELD_TEXT_OR_NULL, &since},
							{"until", FIELD_TEXT_OR_NULL, &until},
							{"periods", FIELD_LATER, &periods}};
	Measures *m;

	if (!scan_object(s, fields, lengthof(fields)))
		return NULL;
	scan_skip_space(s);
	if (s->p < s->end)
	{
		text_fail(s, "the end of the text");
		return NULL;
	}
	behind = s->p;
	for (uint32 i = 0; i < measures.n; i++)
	{
		uint8 kind;

		if (!measures_kind_find(measures.names[i].text, measures.names[i].len, &kind))
		{
			scan_wrong(s, s->start, "A measure is not known.");
			return NULL;
		}
		q.measures |= kind;
	}
	q.by_period = period.len != 3 || memcmp(period.text, "all", 3) != 0;
	if (q.by_period && !calendar_unit_find(period.text, period.len, &q.unit))
	{
		scan_wrong(s, s->start, "Its unit of time is not known.");
		return NULL;
	}
	if (!read_limit(s, &since, DT_NOBEGIN, &q.since) || !read_limit(s, &until, DT_NOEND, &q.until))
		return NULL;
	if (q.time_zone.text == NULL)
		q.time_zone.text = "";
	wrong = measures_question_wrong(&q);
	if (wrong)
	{
		scan_wrong(s, s->start, wrong);
		return NULL;
	}
	m = measures_create(measures_asked(&q), CurrentMemoryContext);
	s->p = periods;
	if (!read_periods(s, m))
		return NULL;
	s->p = behind;
	return m;
}

static struct varlena *
flat_copy(Measures *m)
{
	const struct varlena *flat = measures_flat(m);

	return memcpy(palloc(VARSIZE(flat)), flat, VARSIZE(flat));
}

PG_FUNCTION_INFO_V1(channel_measures_in);
Datum
channel_measures_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "channel_measures input",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	struct varlena *result;
	Measures *m;
	TextScan s;

	old = MemoryContextSwitchTo(cxt);
	text_scan_init(&s, text, strlen(text));
	m = read_measures(&s);
	MemoryContextSwitchTo(old);
	if (m == NULL)
		text_ereturn(fcinfo->context, &s, "channel_measures");
	result = flat_copy(m);
	MemoryContextDelete(cxt);
	PG_RETURN_POINTER(result);
}

/* --- binary --- */

static void
send_name(StringInfo out, const NameText *name)
{
	char *terminated = pnstrdup(name->text, name->len);
	char *converted = pg_server_to_client(terminated, name->len);
	size_t len = converted == terminated ? name->len : strlen(converted);

	pq_sendint32(out, len);
	pq_sendbytes(out, converted, len);
	if (converted != terminated)
		pfree(converted);
	pfree(terminated);
}

static void
send_names(StringInfo out, const NameText *names, uint32 n)
{
	pq_sendint32(out, n);
	for (uint32 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		send_name(out, &names[i]);
	}
}

PG_FUNCTION_INFO_V1(channel_measures_send);
Datum
channel_measures_send(PG_FUNCTION_ARGS)
{
	MeasuresReader r = {0};
	const MeasuresQuestion *q = &r.question;
	StringInfoData out;

	measures_read(&r, PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0)));
	pq_begintypsend(&out);
	pq_sendint8(&out, MEASURES_VERSION);
	pq_sendint8(&out, q->by_period ? 1 + q->unit : 0);
	pq_sendint8(&out, q->measures);
	pq_sendint64(&out, q->session_gap);
	pq_sendint64(&out, q->handoff_within);
	pq_sendint64(&out, q->since);
	pq_sendint64(&out, q->until);
	send_name(&out, &q->time_zone);
	for (int i = 0; i < MEASURES_LISTS; i++)
		send_names(&out, q->lists[i].names, q->lists[i].n);
	send_names(&out, r.channels, r.nchannels);
	pq_sendbytes(&out, (const char *) r.body, r.end - r.body);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

static NameText
receive_name(const MeasuresReader *r, StringInfo buf)
{
	uint32 announced = pq_getmsgint(buf, 4);
	NameText name;
	int len;

	if (announced > buf->len - buf->cursor)
		measures_corrupt(r, "A text is cut off.");
	name.text = pq_getmsgtext(buf, announced, &len);
	name.len = len;
	/* conversion has checked all but this */
	if (memchr(name.text, '\0', len) != NULL)
		measures_corrupt(r, "A text contains a null byte.");
	return name;
}

static NameText *
receive_names(const MeasuresReader *r, StringInfo buf, uint32 *n)
{
	NameText *names;

	*n = pq_getmsgint(buf, 4);
	if (*n > (buf->len - buf->cursor) / 4)
		measures_corrupt(r, "A list is longer than the value.");
	names = palloc_extended(Max(*n, 1) * sizeof(NameText), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < *n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		names[i] = receive_name(r, buf);
	}
	return names;
}

PG_FUNCTION_INFO_V1(channel_measures_recv);
Datum
channel_measures_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "channel_measures input",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	struct varlena *result;
	MeasuresReader r = {.received = true};
	MeasuresQuestion q = {0};
	struct varlena *asked;
	NameText *names;
	StringInfoData flat;
	Measures *m;
	uint8 leb[LEB_MAX_BYTES];
	const char *wrong;
	uint32 n;
	int period;

	if (pq_getmsgbyte(buf) != MEASURES_VERSION)
		measures_corrupt(&r, "Its version is not known.");
	period = pq_getmsgbyte(buf);
	if (period > CALENDAR_UNITS)
		measures_corrupt(&r, "Its unit of time is not known.");
	q.by_period = period > 0;
	q.unit = q.by_period ? period - 1 : 0;
	q.measures = pq_getmsgbyte(buf);
	q.session_gap = pq_getmsgint64(buf);
	q.handoff_within = pq_getmsgint64(buf);
	q.since = pq_getmsgint64(buf);
	q.until = pq_getmsgint64(buf);
	q.time_zone = receive_name(&r, buf);
	for (int i = 0; i < MEASURES_LISTS; i++)
	{
		names = receive_names(&r, buf, &n);
		name_list_set(&q.lists[i], names, n);
	}
	wrong = measures_question_wrong(&q);
	if (wrong)
		measures_corrupt(&r, wrong);
	asked = measures_asked(&q);
	names = receive_names(&r, buf, &n);

	/* what follows is as it is stored, but for the order of channels */
	initStringInfo(&flat);
	appendBinaryStringInfo(&flat, (char *) asked, VARSIZE(asked));
	appendBinaryStringInfo(&flat, (char *) leb, leb_write(leb, n) - leb);
	for (uint32 i = 0; i < n; i++)
	{
		appendBinaryStringInfo(&flat, (char *) leb, leb_write(leb, names[i].len) - leb);
		appendBinaryStringInfo(&flat, names[i].text, names[i].len);
	}
	appendBinaryStringInfo(&flat, buf->data + buf->cursor, buf->len - buf->cursor);
	buf->cursor = buf->len;
	SET_VARSIZE(flat.data, flat.len);
	m = measures_of_flat((struct varlena *) flat.data, true, cxt);
	MemoryContextSwitchTo(old);
	result = flat_copy(m);
	MemoryContextDelete(cxt);
	PG_RETURN_POINTER(result);
}
