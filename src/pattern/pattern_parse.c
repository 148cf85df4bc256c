/*
 * pattern_parse.c
 *		The parser of journey patterns: recursive descent over the text.
 *
 * Written by hand rather than generated, because it shares label parts, numbers
 * and error reporting with the types' own text forms (src/touchpoint), and
 * because one look at the next character always tells what follows.
 */
#include "postgres.h"

#include "common/int.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "pattern/pattern.h"

/* A growing array: make room for one more element. */
#define array_push(array, n)                                                                       \
	((array) =                                                                                     \
		 ((n) == 0                            ? palloc(4 * sizeof(*(array)))                       \
		  : (n) >= 4 && ((n) & ((n) -1)) == 0 ? repalloc((array), 2 * (n) * sizeof(*(array)))      \
											  : (array)),                                          \
	 &(array)[(n)++])

static Sequence *parse_sequence(TextScan *s, bool top);

static char
peek(TextScan *s)
{
	text_skip_space(s);
	return s->p < s->end ? *s->p : '\0';
}

/* A keyword, which must not go on in letters; a digit may follow, as in 1h30min. */
static bool
accept_word(TextScan *s, const char *word)
{
	const char *before;

	text_skip_space(s);
	before = s->p;
	if (!text_accept(s, word))
		return false;
	if (s->p < s->end && ((*s->p >= 'a' && *s->p <= 'z') || (*s->p >= 'A' && *s->p <= 'Z') ||
						  *s->p == '_' || IS_HIGHBIT_SET(*s->p)))
	{
		s->p = before;
		return false;
	}
	return true;
}

static bool
parse_part(TextScan *s, PartTest *part)
{
	char buf[LABEL_PART_MAX];
	uint8 len = 0;

	if (s->p >= s->end || *s->p != '%')
	{
		if (!label_part_scan(s, buf, &len))
		{
			if (s->sqlerrcode == ERRCODE_INVALID_TEXT_REPRESENTATION && s->p < s->end)
				text_fail(s, "a name, a quoted text or \"%\"");
			return false;
		}
	}
	part->text = pnstrdup(buf, len);
	part->len = len;
	part->prefix = false;
	if (s->p < s->end && *s->p == '%')
	{
		s->p++;
		part->prefix = true;
	}
	return true;
}

bool
test_op_scan(TextScan *s, TestOp *op)
{
	if (text_accept(s, "<="))
		*op = TEST_LE;
	else if (text_accept(s, ">="))
		*op = TEST_GE;
	else if (text_accept(s, "<"))
		*op = TEST_LT;
	else if (text_accept(s, ">"))
		*op = TEST_GT;
	else if (text_accept(s, "="))
		*op = TEST_EQ;
	else
		return text_fail(s, "\"<\", \"<=\", \">\", \">=\" or \"=\"");
	return true;
}

/* What a value is compared by; <> may also be written !=. */
static bool
parse_value_op(TextScan *s, TestOp *op)
{
	if (text_accept(s, "<>") || text_accept(s, "!="))
	{
		*op = TEST_NE;
		return true;
	}
	return test_op_scan(s, op) || text_fail(s, "\"<\", \"<=\", \">\", \">=\", \"=\" or \"<>\"");
}

static bool
parse_step(TextScan *s, Step *step)
{
	static const PartTest any = {.text = "", .prefix = true};

	memset(step, 0, sizeof(*step));
	step->detail = any;
	text_skip_space(s);
	if (!parse_part(s, &step->channel))
		return false;
	if (s->p < s->end && *s->p == '.')
	{
		s->p++;
		if (!parse_part(s, &step->action))
			return false;
		if (s->p < s->end && *s->p == '.')
		{
			s->p++;
			if (!parse_part(s, &step->detail))
				return false;
		}
	}
	else if (part_is_any(&step->channel))
		step->action = any; /* % alone is any label */
	else
		return text_fail(s, "\".\" between channel and action");

	if (peek(s) != '[')
		return true;
	s->p++;
	do
	{
		ValueTest *test = array_push(step->values, step->nvalues);

		if (!accept_word(s, "value"))
			return text_fail(s, "\"value\"");
		if (!parse_value_op(s, &test->op))
			return false;
		text_skip_space(s);
		if (!decimal_scan(s, &test->value))
			return false;
	} while (text_accept(s, ","));
	if (!text_accept(s, "]"))
		return text_fail(s, "\",\" or \"]\"");
	return true;
}

static const struct
{
	const char *name;
	int64 usecs;
} units[] = {
	{"us", 1},
	{"\302\265s", 1}, /* the micro sign in UTF-8 */
	{"\316\274s", 1}, /* and the Greek letter */
	{"\265s", 1},     /* the micro sign in encodings of one byte a character */
	{"ms", 1000},
	{"seconds", USECS_PER_SEC},
	{"second", USECS_PER_SEC},
	{"secs", USECS_PER_SEC},
	{"sec", USECS_PER_SEC},
	{"s", USECS_PER_SEC},
	{"minutes", USECS_PER_MINUTE},
	{"minute", USECS_PER_MINUTE},
	{"mins", USECS_PER_MINUTE},
	{"min", USECS_PER_MINUTE},
	{"hours", USECS_PER_HOUR},
	{"hour", USECS_PER_HOUR},
	{"h", USECS_PER_HOUR},
	{"days", USECS_PER_DAY},
	{"day", USECS_PER_DAY},
	{"d", USECS_PER_DAY},
	{"weeks", 7 * USECS_PER_DAY},
	{"week", 7 * USECS_PER_DAY},
	{"w", 7 * USECS_PER_DAY},
};

bool
duration_scan(TextScan *s, int64 *usecs)
{
	const char *begin;
	int64 total = 0;

	text_skip_space(s);
	begin = s->p;
	if (s->p >= s->end || *s->p < '0' || *s->p > '9')
		return text_fail(s, "a duration such as 7 days");
	while (peek(s) >= '0' && peek(s) <= '9')
	{
		Decimal number;
		int64 unit = 0;
		int64 whole;
		int64 rest;

		if (!decimal_scan(s, &number))
			return false;
		text_skip_space(s);
		for (int i = 0; i < lengthof(units) && unit == 0; i++)
			if (accept_word(s, units[i].name))
				unit = units[i].usecs;
		if (unit == 0)
		{
			text_fail(s, "a unit of time");
			s->hint = "Units are us, ms, s, min, h, days and weeks; months and years have no fixed "
					  "length.";
			return false;
		}
		/* whole part and fraction apart, so that nothing overflows unseen */
		whole = number.mantissa / decimal_power[number.scale];
		rest = number.mantissa % decimal_power[number.scale];
		if (pg_mul_s64_overflow(whole, unit, &whole) || pg_add_s64_overflow(total, whole, &total))
			goto out_of_range;
		if (rest != 0)
		{
			if (pg_mul_s64_overflow(rest, unit, &rest) || rest % decimal_power[number.scale] != 0)
				return text_fail_with(
					s, ERRCODE_INVALID_TEXT_REPRESENTATION, "duration is finer than a microsecond",
					psprintf("Found \"%s\".", text_excerpt(begin, s->p, 40)), NULL);
			if (pg_add_s64_overflow(total, rest / decimal_power[number.scale], &total))
				goto out_of_range;
		}
	}
	*usecs = total;
	return true;

out_of_range:
	return text_fail_with(s, ERRCODE_INTERVAL_FIELD_OVERFLOW, "duration is out of range",
						  psprintf("Found \"%s\".", text_excerpt(begin, s->p, 40)), NULL);
}

/* Limits of a link, behind its "[". "for" is allowed before $ only: see parse_sequence. */
static bool
parse_limits(TextScan *s, Link *link)
{
	do
	{
		LinkLimit *limit = array_push(link->limits, link->nlimits);

		memset(limit, 0, sizeof(*limit));
		if (text_accept(s, "!"))
		{
			limit->kind = LIMIT_BAN;
			limit->usecs = PATTERN_UNBOUNDED;
			limit->ban = palloc(sizeof(Step));
			if (!parse_step(s, limit->ban))
				return false;
			if (accept_word(s, "for") && !duration_scan(s, &limit->usecs))
				return false;
		}
		else if (peek(s) == '<' || peek(s) == '>' || peek(s) == '=')
		{
			limit->kind = LIMIT_TIME;
			if (!test_op_scan(s, &limit->op) || !duration_scan(s, &limit->usecs))
				return false;
		}
		else
			return text_fail(s, "a time limit such as <= 7 days, or a ban such as !web.purchase");
	} while (text_accept(s, ","));
	return text_accept(s, "]") || text_fail(s, "\",\" or \"]\"");
}

/* A link, if there is one. */
static bool
parse_link(TextScan *s, Link **link)
{
	bool next;

	*link = NULL;
	if (text_accept(s, "->") || text_accept(s, "=>"))
	{
		*link = palloc0(sizeof(Link));
		(*link)->next = s->p[-2] == '=';
		return true;
	}
	if (!text_accept(s, "-[") && !text_accept(s, "=["))
		return true;
	next = s->p[-2] == '=';
	*link = palloc0(sizeof(Link));
	(*link)->next = next;
	if (!parse_limits(s, *link))
		return false;
	if (!text_accept(s, next ? "=>" : "->"))
		return text_fail(s, next ? "\"=>\"" : "\"->\"");
	return true;
}

static bool
no_duration_of_ban(TextScan *s, const Link *link)
{
	for (int i = 0; link && i < link->nlimits; i++)
		if (link->limits[i].kind == LIMIT_BAN && link->limits[i].usecs != PATTERN_UNBOUNDED)
			return text_fail_with(
				s, ERRCODE_INVALID_TEXT_REPRESENTATION,
				"\"for\" is only allowed on a link to \"$\"",
				psprintf("Found on a link before byte %zu.", (size_t) (s->p - s->start) + 1),
				"Between two touchpoints a ban lasts from one to the other.");
	return true;
}

static bool
parse_count(TextScan *s, int *count)
{
	int64 n = 0;

	text_skip_space(s);
	if (s->p >= s->end || *s->p < '0' || *s->p > '9')
		return text_fail(s, "a number of repetitions");
	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
		n = Min(n * 10 + (*s->p - '0'), PG_INT32_MAX);
	if (n > PATTERN_POSITIONS_MAX)
		return text_fail_with(
			s, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "too many repetitions in a pattern",
			psprintf("Found " INT64_FORMAT ", the limit is %d.", n, PATTERN_POSITIONS_MAX), NULL);
	*count = n;
	return true;
}

static bool
parse_quantifier(TextScan *s, PatternItem *item)
{
	item->min = item->max = 1;
	if (text_accept(s, "?"))
		item->min = 0;
	else if (text_accept(s, "*"))
	{
		item->min = 0;
		item->max = PATTERN_UNBOUNDED;
	}
	else if (text_accept(s, "+"))
		item->max = PATTERN_UNBOUNDED;
	else if (text_accept(s, "{"))
	{
		item->min = 0;
		if (peek(s) != ',' && !parse_count(s, &item->min))
			return false;
		if (text_accept(s, ","))
		{
			item->max = PATTERN_UNBOUNDED;
			if (peek(s) != '}' && !parse_count(s, &item->max))
				return false;
		}
		else
			item->max = item->min;
		if (!text_accept(s, "}"))
			return text_fail(s, "\"}\"");
		if (item->max == 0 || (item->max != PATTERN_UNBOUNDED && item->max < item->min))
			return text_fail_with(s, ERRCODE_INVALID_TEXT_REPRESENTATION,
								  "impossible number of repetitions in a pattern",
								  psprintf("At least %d, but at most %d.", item->min, item->max),
								  NULL);
	}
	return true;
}

static bool
parse_item(TextScan *s, PatternItem *item)
{
	memset(item, 0, sizeof(*item));
	item->min = item->max = 1;
	if (text_accept(s, "("))
	{
		item->kind = ITEM_GROUP;
		do
		{
			Sequence *sequence = parse_sequence(s, false);

			if (sequence == NULL)
				return false;
			*array_push(item->alternatives, item->nalternatives) = sequence;
		} while (text_accept(s, "|"));
		if (!parse_link(s, &item->again) || !no_duration_of_ban(s, item->again))
			return false;
		if (!text_accept(s, ")"))
			return text_fail(s, "\"->\" or another link, \"|\" or \")\"");
		if (item->again && !item->again->next && item->again->nlimits == 0)
			item->again = NULL; /* what it means anyway */
		return parse_quantifier(s, item);
	}
	if (accept_word(s, "all"))
	{
		if (peek(s) == '(')
		{
			s->p++;
			item->kind = ITEM_ALL;
			do
			{
				if (item->nsteps == PATTERN_ALL_MAX)
					return text_fail_with(s, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
										  "too many steps in all(...)",
										  psprintf("The limit is %d.", PATTERN_ALL_MAX), NULL);
				if (!parse_step(s, array_push(item->steps, item->nsteps)))
					return false;
			} while (text_accept(s, ","));
			if (item->nsteps < 2)
				return text_fail(s, "\",\" and a second step");
			return text_accept(s, ")") || text_fail(s, "\",\" or \")\"");
		}
		s->p -= 3; /* a channel of that name */
	}
	item->kind = ITEM_STEP;
	return parse_step(s, array_push(item->steps, item->nsteps)) && parse_quantifier(s, item);
}

/* One alternative: of the pattern (top), or of a group. */
static Sequence *
parse_sequence(TextScan *s, bool top)
{
	Sequence *sequence = palloc0(sizeof(Sequence));
	Link *link = NULL;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (peek(s) == '^')
	{
		if (!top)
		{
			text_fail(s, "no \"^\" inside a group");
			return NULL;
		}
		s->p++;
		sequence->from_start = true;
		if (!parse_link(s, &sequence->start_link) || !no_duration_of_ban(s, sequence->start_link))
			return NULL;
	}
	for (;;)
	{
		const char *before_link;
		Link *here = array_push(sequence->links, sequence->nitems);

		sequence->nitems--; /* links and items grow together */
		memset(here, 0, sizeof(*here));
		if (link)
			*here = *link;
		if (!parse_item(s, array_push(sequence->items, sequence->nitems)))
			return NULL;
		text_skip_space(s);
		before_link = s->p;
		if (!parse_link(s, &link))
			return NULL;
		if (peek(s) == '$')
		{
			if (!top)
			{
				text_fail(s, "no \"$\" inside a group");
				return NULL;
			}
			s->p++;
			sequence->to_end = true;
			sequence->end_link = link;
			return sequence;
		}
		if (link == NULL)
			return sequence;
		if (!no_duration_of_ban(s, link))
			return NULL;
		if (!top && peek(s) == ')')
		{
			s->p = before_link; /* the group's own link */
			return sequence;
		}
	}
}

Pattern *
pattern_parse(TextScan *s)
{
	Pattern *pattern = palloc0(sizeof(Pattern));

	pattern->within = PATTERN_UNBOUNDED;
	do
	{
		Sequence *sequence = parse_sequence(s, true);

		if (sequence == NULL)
			return NULL;
		*array_push(pattern->sequences, pattern->nsequences) = sequence;
	} while (text_accept(s, "|"));
	if (accept_word(s, "within") && !duration_scan(s, &pattern->within))
		return NULL;
	text_skip_space(s);
	if (s->p < s->end)
	{
		text_fail(s, "\"->\" or another link, \"|\", \"$\", \"within\" or the end of the pattern");
		return NULL;
	}
	return pattern;
}
