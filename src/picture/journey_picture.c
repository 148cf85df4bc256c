/*
 * journey_picture.c
 *		svg_journey: a lane for each channel, over time.
 *
 * Touchpoints are gathered in bins as wide as a circle, lane by lane, so that circles never cover each other
 * and the picture is as small for a million touchpoints as for a hundred. A circle stands at the mean
 * of its touchpoints' times, kept within its bin, and tells how many they are.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "picture/picture.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#define LANES_DEFAULT 12
#define LANE_HEIGHT 46
#define BIN_WIDTH 24
#define LABELS_TOLD 3  /* of a bin */
#define LINES_MOST 500 /* touchpoints that a line goes through */

typedef struct Bin
{
	int64 n;
	double offsets; /* sum of the places of its touchpoints */
	TimestampTz first;
	TimestampTz last;
	uint32 labels[LABELS_TOLD]; /* the first ones, each once */
	int nlabels;                /* LABELS_TOLD + 1: there are more */
	double x;
} Bin;

typedef struct Lanes
{
	uint32 n;
	uint32 other;  /* the one of the rest, or none: PG_UINT32_MAX */
	char **names;  /* shown */
	uint32 *of;    /* of each label */
	Datum *labels; /* what they tell beside their lane; 0: nothing */
	uint32 nbins;  /* of a lane */
	Bin *bins;     /* by lane */
	double left;
	double width;
} Lanes;

/* --- time --- */

/* The session's clock */
static void
local_time(TimestampTz at, struct pg_tm *tm, fsec_t *fsec)
{
	int tz;

	if (timestamp2tm(at, &tz, tm, fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
}

static char *
shown_date(const struct pg_tm *tm, bool year)
{
	if (!year)
		return psprintf("%d %s", tm->tm_mday, months[tm->tm_mon - 1]);
	return psprintf("%d %s %d%s", tm->tm_mday, months[tm->tm_mon - 1],
					tm->tm_year > 0 ? tm->tm_year : 1 - tm->tm_year, tm->tm_year > 0 ? "" : " BC");
}

static char *
shown_clock(const struct pg_tm *tm, fsec_t fsec, bool seconds)
{
	if (fsec != 0)
		return psprintf("%02d:%02d:%02d.%06d", tm->tm_hour, tm->tm_min, tm->tm_sec, (int) fsec);
	return seconds || tm->tm_sec != 0
			   ? psprintf("%02d:%02d:%02d", tm->tm_hour, tm->tm_min, tm->tm_sec)
			   : psprintf("%02d:%02d", tm->tm_hour, tm->tm_min);
}

static char *
shown_time(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t fsec;

	local_time(at, &tm, &fsec);
	return psprintf("%s %s", shown_date(&tm, true), shown_clock(&tm, fsec, false));
}

/* Steps from one mark of the axis to the next: microseconds, then months. */
static const int64 steps[] = {1,
							  10,
							  100,
							  1000,
							  10000,
							  100000,
							  USECS_PER_SEC,
							  5 * USECS_PER_SEC,
							  15 * USECS_PER_SEC,
							  30 * USECS_PER_SEC,
							  USECS_PER_MINUTE,
							  5 * USECS_PER_MINUTE,
							  15 * USECS_PER_MINUTE,
							  30 * USECS_PER_MINUTE,
							  USECS_PER_HOUR,
							  3 * USECS_PER_HOUR,
							  6 * USECS_PER_HOUR,
							  12 * USECS_PER_HOUR,
							  USECS_PER_DAY,
							  2 * USECS_PER_DAY,
							  7 * USECS_PER_DAY,
							  14 * USECS_PER_DAY};
static const int month_steps[] = {1,     3,      6,      12,     24,     60,    120,
								  240,   600,    1200,   2400,   6000,   12000, 24000,
								  60000, 120000, 240000, 600000, 1200000};

#define USECS_PER_MONTH (30 * USECS_PER_DAY)

static double
place_of(const JourneyView *v, const Lanes *lanes, TimestampTz at)
{
	double span = (double) v->last - (double) v->first;

	return lanes->width *
		   (span > 0 ? Max(0, Min(((double) at - (double) v->first) / span, 1)) : 0.5);
}

/* The time that a clock shows so, if there is one in range */
static bool
time_at(struct pg_tm *tm, fsec_t fsec, TimestampTz *at)
{
	int tz = DetermineTimeZoneOffset(tm, session_timezone);

	return tm2timestamp(tm, fsec, &tz, at) == 0;
}

static void
draw_mark(Picture *p, const JourneyView *v, const Lanes *lanes, TimestampTz at, const char *text,
		  double top, double *free)
{
	const TextStyle style = {11, INK_MUTED, 'm'};
	double x = lanes->left + place_of(v, lanes, at);
	double half = shown_width(text, style) / 2;
	double middle = Max(Min(x, p->width - 4 - half), half + 4);

	if (at < v->first || at > v->last || middle - half < *free)
		return;
	*free = middle + half + 8;
	picture_line(p, x, top, x, p->y + 4);
	picture_text(p, middle, p->y + 17, style, text);
}

/* Marks at round times of the session's clock, as close as their texts allow */
static void
draw_axis(Picture *p, const JourneyView *v, const Lanes *lanes, double top)
{
	double least =
		((double) v->last - (double) v->first) * 74 / lanes->width; /* from one to the next */
	double free = 0;
	struct pg_tm tm;
	fsec_t fsec;
	TimestampTz at;
	int step = 0;

	local_time(v->first, &tm, &fsec);
	while (step < lengthof(steps) && steps[step] < least)
		step++;
	if (v->first == v->last)
		draw_mark(p, v, lanes, v->first, shown_time(v->first), top, &free);
	else if (step < lengthof(steps))
	{
		/* days are counted by the calendar, what is shorter from midnight on */
		int64 usecs = Min(steps[step], USECS_PER_DAY);
		int days = steps[step] / usecs;
		int day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);
		int64 clock =
			((tm.tm_hour * 60 + tm.tm_min) * (int64) 60 + tm.tm_sec) * USECS_PER_SEC + fsec;

		clock -= clock % usecs;
		for (int i = 0; i < 400; i++)
		{
			struct pg_tm mark = {0};
			int64 seconds = clock / USECS_PER_SEC;

			j2date(day, &mark.tm_year, &mark.tm_mon, &mark.tm_mday);
			mark.tm_hour = seconds / 3600;
			mark.tm_min = seconds / 60 % 60;
			mark.tm_sec = seconds % 60;
			if (!time_at(&mark, clock % USECS_PER_SEC, &at) || at > v->last)
				break;
			draw_mark(p, v, lanes, at,
					  clock == 0
						  ? shown_date(&mark, false)
						  : shown_clock(&mark, clock % USECS_PER_SEC, usecs < USECS_PER_MINUTE),
					  top, &free);
			clock += usecs;
			if (clock >= USECS_PER_DAY)
			{
				clock = 0;
				day += days;
			}
		}
	}
	else
	{
		int64 month;
		int n;

		for (step = 0; step < lengthof(month_steps) - 1 &&
					   (double) month_steps[step] * USECS_PER_MONTH < least;
			 step++)
			;
		n = month_steps[step];
		month = (int64) tm.tm_year * 12 + tm.tm_mon - 1;
		month -= (month % n + n) % n;
		for (int i = 0; i < 400; i++, month += n)
		{
			struct pg_tm mark = {.tm_mday = 1};

			mark.tm_year = (month - (month % 12 + 12) % 12) / 12;
			mark.tm_mon = (month % 12 + 12) % 12 + 1;
			if (!time_at(&mark, 0, &at))
				continue;
			if (at > v->last)
				break;
			draw_mark(p, v, lanes, at,
					  n < 12             ? psprintf("%s %d", months[mark.tm_mon - 1], mark.tm_year)
					  : mark.tm_year > 0 ? psprintf("%d", mark.tm_year)
										 : psprintf("%d BC", 1 - mark.tm_year),
					  top, &free);
		}
	}
	p->y += 20;
}

/* --- lanes --- */

typedef struct LaneCount
{
	int64 n;
	uint32 item;
} LaneCount;

static int
lane_count_cmp(const void *a, const void *b)
{
	const LaneCount *x = a;
	const LaneCount *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return x->item < y->item ? -1 : 1;
}

/* Those with most touchpoints, in the order in which they come first; the rest are one. */
static void
make_lanes(Lanes *lanes, const JourneyView *v, LabelPart item, uint32 most)
{
	Datum *texts = label_texts(v, item);
	Datum *told = label_texts(v, item == PART_CHANNEL  ? PART_ACTION
								 : item == PART_ACTION ? PART_CHANNEL
													   : PART_LABEL);
	ItemName *names = palloc_extended(v->nlabels * sizeof(ItemName), MCXT_ALLOC_HUGE);
	ItemName *distinct = palloc_extended(v->nlabels * sizeof(ItemName), MCXT_ALLOC_HUGE);
	uint32 *items = palloc_extended(v->nlabels * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint32 n;
	uint32 kept;
	LaneCount *counts;
	uint32 *lane_of; /* of an item; PG_UINT32_MAX: none yet */

	for (uint32 i = 0; i < v->nlabels; i++)
		names[i] = name_of(texts[i], texts[i] == 0);
	n = names_number(names, v->nlabels, items, distinct);
	counts = palloc_extended(n * sizeof(LaneCount), MCXT_ALLOC_HUGE);
	lane_of = palloc_extended(n * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < n; i++)
		counts[i] = (LaneCount) {0, i};
	for (uint32 i = 0; i < v->n; i++)
	{
		if (i % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		counts[items[journey_label_at(v, i)]].n++;
	}
	qsort(counts, n, sizeof(LaneCount), lane_count_cmp);
	kept = n > most ? most - 1 : n;
	for (uint32 i = 0; i < n; i++)
		lane_of[counts[i].item] = i < kept ? PG_UINT32_MAX : kept;
	lanes->names = palloc((kept + 1) * sizeof(char *));
	lanes->n = 0;
	for (uint32 i = 0; i < v->n && lanes->n < kept; i++)
	{
		uint32 lane = items[journey_label_at(v, i)];

		if (lane_of[lane] == PG_UINT32_MAX)
		{
			lane_of[lane] = lanes->n;
			lanes->names[lanes->n++] = shown_name(distinct[lane]);
		}
	}
	lanes->other = n > kept ? kept : PG_UINT32_MAX;
	if (n > kept)
		lanes->names[lanes->n++] = psprintf("(other: %s)", shown_count(n - kept));
	for (uint32 i = 0; i < v->nlabels; i++)
		items[i] = lane_of[items[i]];
	lanes->of = items;
	lanes->labels = told;
	for (uint32 i = 0; i < v->nlabels; i++)
		if (items[i] == lanes->other)
			told[i] = texts[i];
}

static Bin *
bin_at(const Lanes *lanes, uint32 lane, double place)
{
	uint32 bin = Min((uint32) (place / BIN_WIDTH), lanes->nbins - 1);

	return &lanes->bins[(size_t) lane * lanes->nbins + bin];
}

static void
fill_bins(Lanes *lanes, const JourneyView *v)
{
	EliasFanoCursor times;

	lanes->nbins = Max(1, (uint32) (lanes->width / BIN_WIDTH));
	lanes->bins = palloc0((size_t) lanes->n * lanes->nbins * sizeof(Bin));
	ef_start(&v->times, &times);
	for (uint32 i = 0; i < v->n; i++)
	{
		int64 at = journey_time_from_offset(v, ef_next(&v->times, &times));
		uint32 label = journey_label_at(v, i);
		double place = place_of(v, lanes, at);
		Bin *bin = bin_at(lanes, lanes->of[label], place);
		int told = 0;

		if (i % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (bin->n++ == 0)
			bin->first = at;
		bin->last = at;
		bin->offsets += place;
		while (told < Min(bin->nlabels, LABELS_TOLD) && bin->labels[told] != label)
			told++;
		if (told == bin->nlabels && told < LABELS_TOLD)
			bin->labels[bin->nlabels++] = label;
		else if (told == LABELS_TOLD)
			bin->nlabels = LABELS_TOLD + 1;
	}
	for (size_t i = 0; i < (size_t) lanes->n * lanes->nbins; i++)
	{
		Bin *bin = &lanes->bins[i];
		double start = (i % lanes->nbins) * BIN_WIDTH;
		double radius = bin->n > 1 ? 11 : 7;

		if (bin->n > 0)
			bin->x = lanes->left +
					 Max(start + radius, Min(bin->offsets / bin->n, start + BIN_WIDTH - radius));
	}
}

static double
lane_middle(double top, uint32 lane)
{
	return top + lane * LANE_HEIGHT + 17;
}

/* From each touchpoint to the next that is elsewhere */
static void
draw_path(Picture *p, const Lanes *lanes, const JourneyView *v, double top)
{
	EliasFanoCursor times;
	const Bin *before = NULL;
	double y_before = 0;

	picture_put(p, "<path d=\"");
	ef_start(&v->times, &times);
	for (uint32 i = 0; i < v->n; i++)
	{
		int64 at = journey_time_from_offset(v, ef_next(&v->times, &times));
		uint32 lane = lanes->of[journey_label_at(v, i)];
		const Bin *bin = bin_at(lanes, lane, place_of(v, lanes, at));
		double y = lane_middle(top, lane);

		if (bin == before)
			continue;
		if (before == NULL)
			picture_put(p, "M%s %s", px(bin->x), px(y));
		else if (y == y_before)
			picture_put(p, "L%s %s", px(bin->x), px(y));
		else
		{
			double half = (before->x + bin->x) / 2;

			picture_put(p, "C%s %s %s %s %s %s", px(half), px(y_before), px(half), px(y),
						px(bin->x), px(y));
		}
		before = bin;
		y_before = y;
	}
	picture_put(p, "\" stroke-width=\"1.5\" opacity=\"0.7\"");
	picture_ink(p, INK_NONE, INK_OTHER);
	picture_put(p, "/>\n");
}

/* What the touchpoints of a bin are, each once */
static const char *
told_labels(const Lanes *lanes, const Bin *bin)
{
	int told = Min(bin->nlabels, LABELS_TOLD);
	ItemName names[LABELS_TOLD];
	ItemName distinct[LABELS_TOLD];
	uint32 numbers[LABELS_TOLD];
	StringInfoData out;

	for (int i = 0; i < told; i++)
		names[i] = name_of(lanes->labels[bin->labels[i]], lanes->labels[bin->labels[i]] == 0);
	told = names_number(names, told, numbers, distinct);
	initStringInfo(&out);
	for (int i = 0; i < told; i++)
		appendStringInfo(&out, "%s%s", i > 0 ? ", " : "", shown_isolated(shown_name(distinct[i])));
	if (bin->nlabels > LABELS_TOLD)
		appendStringInfoString(&out, ", \342\200\246");
	return out.data;
}

static void
draw_lane(Picture *p, const Lanes *lanes, uint32 lane, double top)
{
	const TextStyle told = {10, INK_MUTED, 's', .halo = true};
	const Bin *bins = &lanes->bins[(size_t) lane * lanes->nbins];
	const char *name = lanes->names[lane];
	Ink ink = lane == lanes->other ? INK_OTHER : INK_SERIES + lane % SERIES_COLOURS;
	double y = lane_middle(top, lane);
	double free = lanes->left - 8; /* from here on nothing is written as yet */
	int64 n = 0;

	for (uint32 b = 0; b < lanes->nbins; b++)
	{
		const Bin *bin = &bins[b];
		double radius = bin->n > 1 ? 10.5 : 6;
		const char *labels;
		double next = p->width - 4;
		double width;

		if (bin->n == 0)
			continue;
		n += bin->n;
		labels = told_labels(lanes, bin);
		picture_open(
			p, bin->n == 1
				   ? psprintf("%s, %s: %s", shown_isolated(name), shown_time(bin->first), labels)
				   : psprintf("%s, %s touchpoints from %s to %s: %s", shown_isolated(name),
							  shown_count(bin->n), shown_time(bin->first), shown_time(bin->last),
							  labels));
		picture_put(p, "<circle cx=\"%s\" cy=\"%s\" r=\"%s\" stroke-width=\"2\"", px(bin->x), px(y),
					px(radius));
		picture_ink(p, ink, INK_GROUND);
		picture_put(p, "/>");
		if (bin->n > 1)
			picture_text(p, bin->x, y + 3,
						 (TextStyle) {bin->n < 1000 ? 9 : 8,
									  ink == INK_SERIES ? INK_WHITE : INK_BLACK, 'm', .bold = true},
						 shown_compact(bin->n, false));
		/* below it, what happened: where there is room up to the next one, or else before it */
		for (uint32 c = b + 1; c < lanes->nbins; c++)
			if (bins[c].n > 0)
			{
				next = bins[c].x - 10;
				break;
			}
		width = shown_width(labels, told);
		if (bin->nlabels > LABELS_TOLD)
			; /* too much */
		else if (next - (bin->x - 7) >= Min(width, 40) && bin->x - 7 >= free)
		{
			const char *fits = shown_fit(labels, told, next - (bin->x - 7));

			picture_text(p, bin->x - 7, y + 22, told, fits);
			free = bin->x - 7 + shown_width(fits, told) + 6;
		}
		else if (bin->x + 7 - free >= Min(width, 40))
		{
			TextStyle ends = told;

			ends.anchor = 'e';
			picture_text(p, bin->x + 7, y + 22, ends, shown_fit(labels, told, bin->x + 7 - free));
			free = bin->x + 13;
		}
		picture_close(p);
	}
	if (p->desc.len < 2000)
		appendStringInfo(&p->desc, "%s: %s. ", shown_isolated(name), shown_count(n));
}

PG_FUNCTION_INFO_V1(svg_journey);
Datum
svg_journey(PG_FUNCTION_ARGS)
{
	const TextStyle named = {12, INK_TEXT, 'e', .bold = true};
	Picture p;
	JourneyArg arg;
	const JourneyView *v = &arg.view;
	Lanes lanes = {0};
	double widest = 0;
	double top;

	picture_start(&p, PG_GETARG_DATUM(1), OPTION_TOP | OPTION_ITEM);
	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	if (v->n == 0)
		PG_RETURN_TEXT_P(
			picture_empty(&p, "Journey", "Nothing to show: the journey has no touchpoints."));
	make_lanes(&lanes, v, p.item, p.top ? p.top : LANES_DEFAULT);
	picture_header(&p, v->n == 1
						   ? psprintf("1 touchpoint, %s (%s).", shown_time(v->first),
									  pg_get_timezone_name(session_timezone))
						   : psprintf("%s touchpoints, from %s to %s (%s).", shown_count(v->n),
									  shown_time(v->first), shown_time(v->last),
									  pg_get_timezone_name(session_timezone)));
	for (uint32 i = 0; i < lanes.n; i++)
		widest = Max(widest, shown_width(lanes.names[i], named));
	lanes.left = PICTURE_MARGIN + Min(widest, p.width * 0.3) + 14;
	lanes.width = p.width - PICTURE_MARGIN - lanes.left;
	fill_bins(&lanes, v);

	top = p.y;
	p.y += lanes.n * LANE_HEIGHT;
	draw_axis(&p, v, &lanes, top);
	picture_put(&p, "\n");
	for (uint32 lane = 0; lane < lanes.n; lane++)
	{
		picture_line(&p, PICTURE_MARGIN, top + (lane + 1) * LANE_HEIGHT, p.width - PICTURE_MARGIN,
					 top + (lane + 1) * LANE_HEIGHT);
		picture_text(&p, lanes.left - 14, lane_middle(top, lane) + 4, named,
					 shown_fit(lanes.names[lane], named, lanes.left - 14 - PICTURE_MARGIN));
	}
	picture_put(&p, "\n");
	if (v->n <= LINES_MOST)
		draw_path(&p, &lanes, v, top);
	for (uint32 lane = 0; lane < lanes.n; lane++)
		draw_lane(&p, &lanes, lane, top);
	PG_RETURN_TEXT_P(picture_finish(&p, "Journey"));
}
