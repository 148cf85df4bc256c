/*
 * match_picture.c
 *		svg_matches: how pairs score, and what would come of accepting them from a score on.
 *
 * Above are bars, as high as there are pairs, by the logarithm: there are thousands of pairs that are
 * nobody for each that is somebody. Below, by the same scores, lines of what is expected of a threshold.
 */
#include "postgres.h"

#include "common/int.h"
#include "compat.h"
#include "picture/picture.h"

#define PLOT_HEIGHT 132
#define BIN_LEAST 4 /* width */
#define TICK_LEAST 44
#define SCORE_MOST 1e6
#define BEYOND_MOST 30 /* bits */

/* Columns of match_score */
enum
{
	MATCH_SCORE = 1,
	MATCH_PAIRS,
	MATCH_SHARES /* and the two behind it */
};

#define SHARES 3
static const char *const share_names[SHARES] = {"precision", "recall", "unlinked"};
static const Ink share_inks[SHARES] = {INK_SERIES, INK_SERIES + 2, INK_SERIES + 1};

typedef struct Score
{
	double score;
	int64 pairs;
	double shares[SHARES];
} Score;

typedef struct Plot
{
	double left;
	double width;
	double low; /* the scores at both ends */
	double high;
} Plot;

static int
score_cmp(const void *a, const void *b)
{
	const Score *x = a;
	const Score *y = b;

	return x->score < y->score ? -1 : x->score > y->score;
}

static double
number_of(const Rows *rows, int i, int column, const char *name)
{
	double n = DatumGetFloat8(rows_known(rows, i, column, name));

	if (!isfinite(n))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s of %s must be finite", name, rows->what),
				 errdetail("In element %d of the array it is %s.", i + 1,
						   isnan(n) ? "not a number" : "infinite")));
	return n;
}

static double
share_of(const Rows *rows, int i, int share)
{
	double n = number_of(rows, i, MATCH_SHARES + share, share_names[share]);

	if (n < 0 || n > 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s of %s must be from 0 to 1", share_names[share], rows->what),
						errdetail("In element %d of the array it is %g.", i + 1, n)));
	return n;
}

/* In order; those of the same score are one. */
static int
read_scores(const Rows *rows, Score *scores)
{
	int n = 0;

	for (int i = 0; i < rows->n; i++)
	{
		scores[i].score = number_of(rows, i, MATCH_SCORE, "the score");
		if (fabs(scores[i].score) > SCORE_MOST)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("the score of %s is out of range", rows->what),
							errdetail("In element %d of the array it is %g.", i + 1,
									  scores[i].score)));
		scores[i].pairs = rows_count(rows, i, MATCH_PAIRS, "the number of pairs");
		for (int s = 0; s < SHARES; s++)
			scores[i].shares[s] = share_of(rows, i, s);
	}
	qsort(scores, rows->n, sizeof(Score), score_cmp);
	for (int i = 1; i < rows->n; i++)
	{
		if (scores[i].score != scores[n].score)
			scores[++n] = scores[i];
		else if (pg_add_s64_overflow(scores[n].pairs, scores[i].pairs, &scores[n].pairs))
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("there are more pairs than can be counted")));
	}
	return n + 1;
}

static double
x_of(const Plot *plot, double score)
{
	return plot->left + plot->width * (score - plot->low) / (plot->high - plot->low);
}

/* Whole scores with a distance that is easy to read */
static double
tick_step(const Plot *plot)
{
	static const double steps[] = {1, 2, 5};
	double ten = 1;

	for (;; ten *= 10)
		for (int i = 0; i < lengthof(steps); i++)
			if (plot->width * ten * steps[i] / (plot->high - plot->low) >= TICK_LEAST)
				return ten * steps[i];
}

static void
draw_scale(Picture *p, const Plot *plot, double top, double y, const char *name)
{
	picture_line(p, plot->left, y, plot->left + plot->width, y);
	picture_text(p, plot->left - 6, Max(y + 4, top + 4), (TextStyle) {11, INK_MUTED, 'e'}, name);
}

/* Bars of scores that are put together where there are too many */
static void
draw_bars(Picture *p, const Plot *plot, const Score *scores, int n, double top)
{
	double bottom = top + PLOT_HEIGHT;
	double bin = 1;
	double most = 1;
	double height;

	while (plot->width * bin / (plot->high - plot->low) < BIN_LEAST)
		bin *= 2;
	for (int pass = 0; pass < 2; pass++)
	{
		height = PLOT_HEIGHT / (log10(most) + 0.3);
		for (double power = 1; pass == 1 && power <= most; power *= 10)
			draw_scale(p, plot, top, bottom - height * (log10(power) + 0.3),
					   shown_compact(power, false));
		for (int i = 0; i < n;)
		{
			double from = floor(scores[i].score / bin) * bin;
			double pairs = 0;
			double left = x_of(plot, Max(from, plot->low));
			double right = x_of(plot, Min(from + bin, plot->high));

			for (; i < n && scores[i].score < from + bin; i++)
				pairs += scores[i].pairs;
			most = Max(most, pairs);
			if (pass == 0 || pairs == 0)
				continue;
			picture_open(p, psprintf("%s to %s: %s pairs", shown_value(from),
									 shown_value(from + bin), shown_value(pairs)));
			picture_rect(p, left, bottom - height * (log10(pairs) + 0.3),
						 Max(right - left - 1, 1), height * (log10(pairs) + 0.3), 0, INK_OTHER);
			picture_close(p);
		}
	}
	draw_scale(p, plot, top, bottom, "");
}

/* What comes of a threshold is the same for all up to the score it takes first. */
static void
draw_share(Picture *p, const Plot *plot, const Score *scores, int n, int share, double top)
{
	double x = plot->left;

	picture_put(p, "<path d=\"M%s ", px(x));
	for (int i = 0; i < n; i++)
	{
		double y = top + PLOT_HEIGHT * (1 - scores[i].shares[share]);

		picture_put(p, i == 0 ? "%s" : "V%s", px(y));
		x = i + 1 < n ? x_of(plot, scores[i].score) : plot->left + plot->width;
		picture_put(p, "H%s", px(x));
	}
	picture_put(p, "\" stroke-width=\"2\"%s",
				share == 2 ? " stroke-dasharray=\"5 3\"" : "");
	picture_ink(p, INK_NONE, share_inks[share]);
	picture_put(p, "/>\n");
}

static void
draw_legend(Picture *p, double x)
{
	const TextStyle style = {12, INK_MUTED, 's'};
	static const char *const names[SHARES] = {"expected precision", "expected recall",
											  "records without a match"};

	for (int s = 0; s < SHARES; s++)
	{
		if (x + 18 + shown_width(names[s], style) > p->width - PICTURE_MARGIN && s > 0)
		{
			x = PICTURE_MARGIN;
			p->y += 18;
		}
		picture_rect(p, x, p->y + 5, 12, 4, 0, share_inks[s]);
		picture_text(p, x + 18, p->y + 11, style, names[s]);
		x += 18 + shown_width(names[s], style) + 16;
	}
	p->y += 22;
}

/* The scale goes on to a threshold that is not far. */
static void
show_threshold(Plot *plot, double score)
{
	if (score >= plot->low - BEYOND_MOST && score <= plot->high + BEYOND_MOST)
	{
		plot->low = Min(plot->low, floor(score));
		plot->high = Max(plot->high, ceil(score));
	}
}

/* A line through bars and shares; its name stands on the side it likes best, or else where there is room. */
static void
draw_threshold(Picture *p, const Plot *plot, double score, const char *name, bool to_left,
			   double bars, double shares, double text)
{
	TextStyle style = {12, INK_TEXT, 's', .bold = true, .halo = true};
	double x = x_of(plot, score);
	double width;

	if (score < plot->low || score > plot->high)
		return;
	name = psprintf("%s %s", name, shown_value(score));
	width = shown_width(name, style) + 5;
	if (to_left ? x - width < plot->left : x + width > plot->left + plot->width)
		to_left = !to_left;
	style.anchor = to_left ? 'e' : 's';
	picture_put(p, "<path d=\"M%s %sV%sM%s %sV%s\" stroke-width=\"1.5\"", px(x), px(text - 10),
				px(bars + PLOT_HEIGHT), px(x), px(shares), px(shares + PLOT_HEIGHT));
	picture_ink(p, INK_NONE, INK_TEXT);
	picture_put(p, "/>");
	picture_text(p, x + (to_left ? -5 : 5), text, style, name);
}

/* What is to be expected from the score on, which may be above all. */
static const char *
told_threshold(const Score *scores, int n, double above)
{
	int64 pairs = 0;
	int first = n;

	while (first > 0 && scores[first - 1].score >= above)
		pairs += scores[--first].pairs;
	if (first == n)
		return psprintf("No pair scores %s or more.", shown_value(above));
	return psprintf("From %s on: %s pairs, expected precision %s, recall %s; %s of records have no "
					"match then.",
					shown_value(above), shown_count(pairs), shown_share(scores[first].shares[0], 1),
					shown_share(scores[first].shares[1], 1),
					shown_share(scores[first].shares[2], 1));
}

static bool
threshold_argument(FunctionCallInfo fcinfo, int arg, const char *name, double *score)
{
	if (PG_ARGISNULL(arg))
		return false;
	*score = PG_GETARG_FLOAT8(arg);
	if (isnan(*score))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be a number", name), errdetail("It is NaN.")));
	return true;
}

PG_FUNCTION_INFO_V1(svg_matches);
Datum
svg_matches(PG_FUNCTION_ARGS)
{
	Picture p;
	Rows rows;
	Plot plot;
	Score *scores;
	int n;
	int64 pairs = 0;
	double above = 0;
	double review = 0;
	bool has_above;
	bool has_review;
	double top;
	double lines;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	picture_start(&p, PG_GETARG_DATUM(3), 0);
	has_above = threshold_argument(fcinfo, 1, "above", &above);
	has_review = threshold_argument(fcinfo, 2, "review_above", &review);
	rows_open(&rows, PG_GETARG_DATUM(0), "a score of matches");
	if (rows.n == 0)
		PG_RETURN_TEXT_P(picture_empty(&p, "Matches", "Nothing to show: there are no pairs."));
	scores = palloc_extended(rows.n * sizeof(Score), MCXT_ALLOC_HUGE);
	n = read_scores(&rows, scores);
	for (int i = 0; i < n; i++)
		if (pg_add_s64_overflow(pairs, scores[i].pairs, &pairs))
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("there are more pairs than can be counted")));
	picture_header(&p, psprintf("%s pairs. %s", shown_count(pairs),
								has_above ? told_threshold(scores, n, above) : ""));

	plot.left = PICTURE_MARGIN + 40;
	plot.width = p.width - PICTURE_MARGIN - plot.left;
	plot.low = floor(scores[0].score);
	plot.high = floor(scores[n - 1].score) + 1;
	if (has_review)
		show_threshold(&plot, review);
	if (has_above)
		show_threshold(&plot, above);
	picture_text(&p, plot.left, p.y + 10, (TextStyle) {12, INK_MUTED, 's'},
				 "pairs by score, on a logarithmic scale");
	p.y += 34;
	top = p.y;
	draw_bars(&p, &plot, scores, n, top);
	p.y += PLOT_HEIGHT + 14;
	draw_legend(&p, plot.left);
	p.y += 8;
	lines = p.y;
	for (int quarter = 0; quarter <= 4; quarter++)
		draw_scale(&p, &plot, lines, lines + PLOT_HEIGHT * (1 - quarter / 4.0),
				   psprintf("%d%%", 25 * quarter));
	for (int s = SHARES - 1; s >= 0; s--)
		draw_share(&p, &plot, scores, n, s, lines);
	p.y += PLOT_HEIGHT + 16;
	{
		double step = tick_step(&plot);

		for (double tick = ceil(plot.low / step) * step; tick <= plot.high; tick += step)
			picture_text(&p, x_of(&plot, tick), p.y, (TextStyle) {11, INK_MUTED, 'm'},
						 shown_value(tick));
	}
	p.y += 16;
	picture_text(&p, plot.left + plot.width / 2, p.y, (TextStyle) {12, INK_MUTED, 'm'},
				 "score from which on pairs are accepted, in bits");
	p.y += 2;
	if (has_review && (!has_above || review != above))
		draw_threshold(&p, &plot, review, "review from", true, top, lines, top - 10);
	if (has_above)
		draw_threshold(&p, &plot, above, "accepted from", false, top, lines, top + 5);
	PG_RETURN_TEXT_P(picture_finish(&p, "Matches"));
}
