/*
 * pattern_print.c
 *		Journey patterns as canonical text: equal trees print alike, and what is
 *		printed parses to the same tree.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "pattern/pattern.h"

static void print_sequence(StringInfo out, const Sequence *sequence);

static const char *
op_text(TestOp op)
{
	switch (op)
	{
		case TEST_LT:
			return "<";
		case TEST_LE:
			return "<=";
		case TEST_GT:
			return ">";
		case TEST_GE:
			return ">=";
		case TEST_NE:
			return "<>";
		default:
			return "=";
	}
}

/* In units that read well: 1 day 12 h, 90 min as 1 h 30 min. */
static void
duration_print(StringInfo out, int64 usecs)
{
	static const struct
	{
		const char *name;
		int64 usecs;
	} units[] = {
		{"day", USECS_PER_DAY}, {"h", USECS_PER_HOUR}, {"min", USECS_PER_MINUTE},
		{"s", USECS_PER_SEC},   {"ms", 1000},          {"us", 1},
	};
	bool first = true;

	if (usecs == 0)
		appendStringInfoString(out, "0 s");
	for (int i = 0; i < lengthof(units); i++)
	{
		int64 n = usecs / units[i].usecs;

		if (n == 0)
			continue;
		appendStringInfo(out, "%s" INT64_FORMAT " %s%s", first ? "" : " ", n, units[i].name,
						 i == 0 && n > 1 ? "s" : "");
		usecs -= n * units[i].usecs;
		first = false;
	}
}

static void
print_part(StringInfo out, const PartTest *part)
{
	if (part->len > 0 || !part->prefix)
		label_part_print(out, part->text, part->len);
	if (part->prefix)
		appendStringInfoChar(out, '%');
}

static void
step_print(StringInfo out, const Step *step)
{
	if (part_is_any(&step->channel) && part_is_any(&step->action) && part_is_any(&step->detail))
		appendStringInfoChar(out, '%');
	else
	{
		print_part(out, &step->channel);
		appendStringInfoChar(out, '.');
		print_part(out, &step->action);
		if (!part_is_any(&step->detail))
		{
			appendStringInfoChar(out, '.');
			print_part(out, &step->detail);
		}
	}
	for (int i = 0; i < step->nvalues; i++)
	{
		appendStringInfo(out, "%svalue %s ", i == 0 ? "[" : ", ", op_text(step->values[i].op));
		decimal_print(out, step->values[i].value);
	}
	if (step->nvalues > 0)
		appendStringInfoChar(out, ']');
}

static void
print_link(StringInfo out, const Link *link)
{
	for (int i = 0; i < link->nlimits; i++)
	{
		const LinkLimit *limit = &link->limits[i];

		appendStringInfoString(out, i > 0 ? ", " : link->next ? "=[" : "-[");
		if (limit->kind == LIMIT_TIME)
		{
			appendStringInfo(out, "%s ", op_text(limit->op));
			duration_print(out, limit->usecs);
			continue;
		}
		appendStringInfoChar(out, '!');
		step_print(out, limit->ban);
		if (limit->usecs != PATTERN_UNBOUNDED)
		{
			appendStringInfoString(out, " for ");
			duration_print(out, limit->usecs);
		}
	}
	if (link->nlimits > 0)
		appendStringInfoChar(out, ']');
	appendStringInfoString(out, link->next ? "=>" : "->");
}

void
item_print(StringInfo out, const PatternItem *item)
{
	if (item->kind == ITEM_STEP)
		step_print(out, &item->steps[0]);
	else if (item->kind == ITEM_ALL)
	{
		for (int i = 0; i < item->nsteps; i++)
		{
			appendStringInfoString(out, i == 0 ? "all(" : ", ");
			step_print(out, &item->steps[i]);
		}
		appendStringInfoChar(out, ')');
	}
	else
	{
		appendStringInfoChar(out, '(');
		for (int i = 0; i < item->nalternatives; i++)
		{
			if (i > 0)
				appendStringInfoString(out, " | ");
			print_sequence(out, item->alternatives[i]);
		}
		if (item->again)
		{
			appendStringInfoChar(out, ' ');
			print_link(out, item->again);
		}
		appendStringInfoChar(out, ')');
	}
	if (item->min == 1 && item->max == 1)
		return;
	if (item->min == 0 && item->max == 1)
		appendStringInfoChar(out, '?');
	else if (item->min <= 1 && item->max == PATTERN_UNBOUNDED)
		appendStringInfoChar(out, item->min == 0 ? '*' : '+');
	else if (item->min == item->max)
		appendStringInfo(out, "{%d}", item->min);
	else
	{
		appendStringInfoChar(out, '{');
		if (item->min > 0)
			appendStringInfo(out, "%d", item->min);
		appendStringInfoChar(out, ',');
		if (item->max != PATTERN_UNBOUNDED)
			appendStringInfo(out, "%d", item->max);
		appendStringInfoChar(out, '}');
	}
}

static void
print_sequence(StringInfo out, const Sequence *sequence)
{
	check_stack_depth();
	if (sequence->from_start)
	{
		appendStringInfoString(out, "^ ");
		if (sequence->start_link)
		{
			print_link(out, sequence->start_link);
			appendStringInfoChar(out, ' ');
		}
	}
	for (int i = 0; i < sequence->nitems; i++)
	{
		if (i > 0)
		{
			appendStringInfoChar(out, ' ');
			print_link(out, &sequence->links[i]);
			appendStringInfoChar(out, ' ');
		}
		item_print(out, &sequence->items[i]);
	}
	if (sequence->to_end)
	{
		if (sequence->end_link)
		{
			appendStringInfoChar(out, ' ');
			print_link(out, sequence->end_link);
		}
		appendStringInfoString(out, " $");
	}
}

void
pattern_print(StringInfo out, const Pattern *pattern)
{
	for (int i = 0; i < pattern->nsequences; i++)
	{
		if (i > 0)
			appendStringInfoString(out, " | ");
		print_sequence(out, pattern->sequences[i]);
	}
	if (pattern->within != PATTERN_UNBOUNDED)
	{
		appendStringInfoString(out, " within ");
		duration_print(out, pattern->within);
	}
}
