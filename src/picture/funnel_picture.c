/*
 * funnel_picture.c
 *		svg_funnel: a bar for each step of a funnel.
 */
#include "postgres.h"

#include "compat.h"
#include "picture/picture.h"
#include "utils/timestamp.h"

#define STEPS_DEFAULT 30
#define BAR_HEIGHT 18

/* Columns of funnel_step */
enum
{
	STEP_NUMBER = 1,
	STEP_LABEL,
	STEP_REACHED,
	STEP_MEDIAN = 6
};

typedef struct Step
{
	int32 number;
	int element; /* of the array */
	int64 reached;
} Step;

static int
step_cmp(const void *a, const void *b)
{
	const Step *x = a;
	const Step *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->element < y->element ? -1 : 1;
}

/* One step of those at p->y; its place is told from 1. */
static void
draw_step(Picture *p, const Rows *rows, const Step *steps, int i, int64 most)
{
	const TextStyle named = {13, INK_TEXT, 's', .bold = true};
	const Step *step = &steps[i];
	double width = p->width - 2 * PICTURE_MARGIN;
	bool isnull;
	Datum d = rows_column(rows, step->element, STEP_LABEL, &isnull);
	const char *name =
		psprintf("%d. %s", step->number, shown_isolated(shown_name(name_of(d, isnull))));
	const char *number = psprintf("%s \302\267 %s", shown_count(step->reached),
								  shown_share(step->reached, steps[0].reached));
	double of_number = shown_width(number, named);
	StringInfoData more;

	initStringInfo(&more);
	if (i > 0)
	{
		/* a step that may be left out can be reached by fewer than one behind it */
		if (step->reached > steps[i - 1].reached)
			appendStringInfoString(&more, "more than the step before");
		else
			appendStringInfo(&more, "%s of the step before",
							 shown_share(step->reached, steps[i - 1].reached));
		d = rows_column(rows, step->element, STEP_MEDIAN, &isnull);
		if (!isnull && step->reached > 0)
		{
			Interval *median = DatumGetIntervalP(d);

			appendStringInfo(&more, " \302\267 median %s",
							 shown_duration(median->time / 1e6 +
											86400.0 * (median->day + 30.0 * median->month)));
		}
	}
	picture_open(p, psprintf("%s: %s%s%s", name, number, more.len > 0 ? ", " : "", more.data));
	picture_text(p, PICTURE_MARGIN, p->y + 13, named,
				 shown_fit(name, named, width - of_number - 12));
	picture_text(p, p->width - PICTURE_MARGIN, p->y + 13,
				 (TextStyle) {13, INK_TEXT, 'e', .bold = true}, number);
	picture_rect(p, PICTURE_MARGIN, p->y + 20, width, BAR_HEIGHT, 3, INK_TRACK);
	if (step->reached > 0)
		picture_rect(p, PICTURE_MARGIN, p->y + 20, Max(width * step->reached / most, 1.5),
					 BAR_HEIGHT, 3, INK_SERIES);
	p->y += 20 + BAR_HEIGHT;
	if (more.len > 0)
	{
		TextStyle style = {12, INK_MUTED, 's'};

		picture_text(p, PICTURE_MARGIN, p->y + 15, style, shown_fit(more.data, style, width));
		p->y += 18;
	}
	picture_close(p);
	if (p->desc.len < 2000)
		appendStringInfo(&p->desc, "%s: %s. ", name, number);
	p->y += 14;
}

PG_FUNCTION_INFO_V1(svg_funnel);
Datum
svg_funnel(PG_FUNCTION_ARGS)
{
	Picture p;
	Rows rows;
	Step *steps;
	int64 most = 0;
	int top;

	picture_start(&p, PG_GETARG_DATUM(1), OPTION_TOP);
	rows_open(&rows, PG_GETARG_DATUM(0), "a step of a funnel");
	if (rows.n == 0)
		PG_RETURN_TEXT_P(picture_empty(&p, "Funnel", "Nothing to show: the funnel has no steps."));
	steps = palloc_extended(rows.n * sizeof(Step), MCXT_ALLOC_HUGE);
	for (int i = 0; i < rows.n; i++)
	{
		steps[i].number = DatumGetInt32(rows_known(&rows, i, STEP_NUMBER, "the number"));
		steps[i].element = i;
		steps[i].reached = rows_count(&rows, i, STEP_REACHED, "the count");
		most = Max(most, steps[i].reached);
	}
	qsort(steps, rows.n, sizeof(Step), step_cmp);
	if (most == 0)
		PG_RETURN_TEXT_P(
			picture_empty(&p, "Funnel", "Nothing to show: nobody reached the first step."));
	top = p.top ? p.top : STEPS_DEFAULT;
	picture_header(&p,
				   psprintf("%s reach the first step, %s (%s) the last.",
							shown_count(steps[0].reached), shown_count(steps[rows.n - 1].reached),
							shown_share(steps[rows.n - 1].reached, steps[0].reached)));
	for (int i = 0; i < rows.n; i++)
	{
		if (rows.n > top && i == top - 1)
		{
			picture_paragraph(&p, (TextStyle) {12, INK_MUTED, 's'},
							  psprintf("(other): %s steps in between", shown_count(rows.n - top)));
			p.y += 12;
			i = rows.n - 1;
		}
		draw_step(&p, &rows, steps, i, most);
	}
	p.y -= 14;
	PG_RETURN_TEXT_P(picture_finish(&p, "Funnel"));
}
