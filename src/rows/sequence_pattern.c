/*
 * sequence_pattern.c
 *		The compiler of sequence_match's patterns.
 *
 * Events and "." are the positions of a chain. What stands between two of them,
 * P and Q, becomes the link from P to Q:
 *
 *	nothing             Q is the very next row;
 *	.* or a time        any rows may lie between;
 *	times behind the    limits on the time from P to Q;
 *	last .*
 *	times before a .*   some row behind P, Q at the latest, must meet them. That is so
 *	                    if the first row behind P by at least the lower bound keeps
 *	                    to the upper one, which is a matter of P alone, and Q is
 *	                    behind P by at least the lower bound.
 *
 * ClickHouse, too, lets any rows pass where a time stands, and measures it from the
 * event before; but directly behind .* it measures from where the star ended.
 */
#include "postgres.h"

#include "common/int.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "rows/sequence_pattern.h"

typedef struct SequenceCompiler
{
	TextScan *scan;
	Program *program;
	int nconditions;
	int positions_max;
	int steps_max;

	/* since the last position */
	bool star;        /* .* or a time was seen */
	int64 link_min;   /* lower limit of the link, so far */
	RowAhead pending; /* upper bounds of times that may yet turn out to stand before a .* */
	bool has_pending; /* is there one? */
	const char *time; /* the first time, for an error */
	int naheads;
	int aheads_max;
	RowAhead *aheads;
} SequenceCompiler;

/* Seconds, or a duration with units, in microseconds. */
static bool
scan_time(TextScan *s, int64 *usecs)
{
	const char *begin;
	Decimal seconds;

	text_skip_space(s);
	begin = s->p;
	if (s->p >= s->end || *s->p < '0' || *s->p > '9')
		return text_fail(s, "a number of seconds or a duration such as 7 days");
	if (!decimal_scan(s, &seconds))
		return false;
	text_skip_space(s);
	if (s->p >= s->end || *s->p != ')')
	{
		s->p = begin;
		return duration_scan(s, usecs);
	}
	if (seconds.scale > 6)
		return text_fail_with(s, ERRCODE_INVALID_TEXT_REPRESENTATION,
							  "duration is finer than a microsecond",
							  psprintf("Found \"%s\".", text_excerpt(begin, s->p, 40)), NULL);
	if (pg_mul_s64_overflow(seconds.mantissa, USECS_PER_SEC / decimal_power[seconds.scale], usecs))
		return text_fail_with(s, ERRCODE_INTERVAL_FIELD_OVERFLOW, "duration is out of range",
							  psprintf("Found \"%s\".", text_excerpt(begin, s->p, 40)), NULL);
	return true;
}

static bool
parse_time(SequenceCompiler *c, const char *begin)
{
	TextScan *s = c->scan;
	TestOp op = TEST_EQ;
	int64 usecs;

	if (!text_accept(s, "==") && !test_op_scan(s, &op))
		return false;
	if (!scan_time(s, &usecs))
		return false;
	if (!text_accept(s, ")"))
		return text_fail(s, "\")\"");
	if (c->program->npositions == 0)
		return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE,
							  "time condition has no event before it to be measured from",
							  psprintf("Found \"%s\".", text_excerpt(begin, s->p, 40)), NULL);
	if (!c->time)
		c->time = begin;
	c->star = true;
	c->has_pending = true;
	limit_time(op, usecs, &c->link_min, &c->pending.max);
	c->pending.min = c->link_min;
	return true;
}

/* What is pending stands before a star. */
static void
end_pending(SequenceCompiler *c)
{
	if (c->has_pending && c->pending.max != PG_INT64_MAX)
	{
		reserve(c->aheads, c->naheads, c->aheads_max);
		c->aheads[c->naheads++] = c->pending;
	}
	c->has_pending = false;
	c->pending.max = PG_INT64_MAX;
}

/* The step of a condition, or of any row (-1); each is there once. */
static int
add_step(SequenceCompiler *c, int condition)
{
	Program *p = c->program;

	for (int i = 0; i < p->nsteps; i++)
		if (p->row_conditions[i] == condition)
			return i;
	reserve(p->row_conditions, p->nsteps, c->steps_max);
	p->row_conditions[p->nsteps] = condition;
	return p->nsteps++;
}

/* The next position, an event or (-1) any row; and all that stood before it. */
static bool
add_position(SequenceCompiler *c, int condition)
{
	Program *p = c->program;
	int q = p->npositions;

	if (q == PATTERN_POSITIONS_MAX)
		return text_fail_with(c->scan, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "pattern is too long",
							  psprintf("It has more than %d events.", PATTERN_POSITIONS_MAX), NULL);
	if (q >= c->positions_max)
	{
		c->positions_max = Max(8, 2 * q);
#define grow(array)                                                                                \
	(array) = (array) ? repalloc(array, c->positions_max * sizeof(*(array)))                       \
					  : palloc(c->positions_max * sizeof(*(array)))
		grow(p->positions);
		grow(p->links);
		grow(p->edges);
#undef grow
	}
	p->edges[q] = (ProgramEdge) {.from = q - 1, .to = q, .link = q - 1};
	if (q > 0)
		/* what is pending stands behind the last star, if there is one */
		p->links[q - 1] = (ProgramLink) {.next = !c->star,
										 .min = c->link_min,
										 .max = c->pending.max,
										 .naheads = c->naheads,
										 .aheads = c->aheads};
	p->positions[q] =
		(ProgramPosition) {.step = add_step(c, condition), .item = q + 1, .ends_item = true};
	p->npositions++;
	c->star = c->has_pending = false;
	c->link_min = 0;
	c->pending.max = PG_INT64_MAX;
	c->naheads = c->aheads_max = 0;
	c->aheads = NULL;
	c->time = NULL;
	return true;
}

static bool
parse_event(SequenceCompiler *c, const char *begin)
{
	TextScan *s = c->scan;
	int64 number = 0;

	text_skip_space(s);
	if (s->p >= s->end || *s->p < '0' || *s->p > '9')
		return text_fail(s, "the number of a condition, or t and a time");
	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
		number = Min(number * 10 + (*s->p - '0'), PG_INT32_MAX);
	if (!text_accept(s, ")"))
		return text_fail(s, "\")\"");
	if (number < 1 || number > c->nconditions)
		return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE,
							  psprintf("there is no condition %s", text_excerpt(begin, s->p, 40)),
							  c->nconditions == 1
								  ? "There is one condition."
								  : psprintf("There are %d conditions.", c->nconditions),
							  NULL);
	return add_position(c, number - 1);
}

Program *
sequence_compile(TextScan *s, int nconditions)
{
	SequenceCompiler c = {.scan = s, .nconditions = nconditions};
	Program *p = palloc0(sizeof(Program));

	c.program = p;
	c.pending.max = PG_INT64_MAX;
	for (text_skip_space(s); s->p < s->end; text_skip_space(s))
	{
		const char *begin = s->p;
		bool ok;

		if (text_accept(s, "(?"))
			ok = text_accept(s, "t") ? parse_time(&c, begin) : parse_event(&c, begin);
		else if (text_accept(s, ".*"))
		{
			end_pending(&c);
			ok = c.star = true;
		}
		else if (text_accept(s, "."))
			ok = add_position(&c, -1);
		else
			ok = text_fail(s, "(?1), (?t<=3600), \".\" or \".*\"");
		if (!ok)
			return NULL;
	}
	if (p->npositions == 0)
		return p;
	if (c.time)
	{
		text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE,
					   "time condition has no event behind it to be measured to",
					   psprintf("Found \"%s\".", text_excerpt(c.time, s->end, 40)), NULL);
		return NULL;
	}
	p->nlinks = p->npositions - 1;
	p->nedges = p->nitems = p->least = p->npositions;
	p->within = PATTERN_UNBOUNDED;
	p->naccepts = 1;
	p->accepts = palloc0(sizeof(ProgramAccept));
	p->accepts[0].position = p->npositions - 1;
	p->accepts[0].link = PROGRAM_NO_LINK;
	return p;
}
