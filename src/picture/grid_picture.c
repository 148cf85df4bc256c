/*
 * grid_picture.c
 *		svg_heatmap and svg_retention: cells in rows and columns, each as dark as it holds much.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "picture/picture.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/float.h"

#define LINES_DEFAULT 30
#define CELL_HEIGHT 24
#define CELL_LEAST 16 /* width */
#define CELL_MOST 72
#define BRACKET_LEAST 34
#define HEADING_MOST 110 /* height of headings that stand upright */

static const TextStyle label_style = {12, INK_TEXT, 'e'};
static const TextStyle heading_style = {11, INK_MUTED, 'm'};
static const TextStyle cell_style = {11, INK_TEXT, 'm'};

/* Lines of a grid: its rows or its columns, as they are drawn. */
typedef struct Lines
{
	uint32 n;
	uint32 named;  /* without the one of the rest */
	char **labels; /* shown */
} Lines;

typedef struct Grid
{
	Lines rows;
	Lines columns;
	double left; /* where the cells begin */
	double cell; /* their width */
} Grid;

/* Room for the labels of the rows, and beside them for columns, as many as are at least so wide */
static uint32
grid_room(const Picture *p, Grid *grid, double least)
{
	double width = 0;

	for (uint32 i = 0; i < grid->rows.n; i++)
		width = Max(width, shown_width(grid->rows.labels[i], label_style));
	grid->left = PICTURE_MARGIN + Min(width, p->width * 0.3) + 8;
	return (p->width - PICTURE_MARGIN - grid->left) / least;
}

static void
grid_columns(const Picture *p, Grid *grid)
{
	grid->cell = Min((p->width - PICTURE_MARGIN - grid->left) / grid->columns.n, CELL_MOST);
}

/* Headings of the columns: upright where they are wider than a cell. */
static void
draw_headings(Picture *p, const Grid *grid)
{
	double widest = 0;
	bool upwards;

	for (uint32 i = 0; i < grid->columns.n; i++)
		widest = Max(widest, shown_width(grid->columns.labels[i], heading_style));
	upwards = widest > grid->cell - 1;
	p->y += upwards ? Min(widest, HEADING_MOST) + 4 : 16;
	for (uint32 i = 0; i < grid->columns.n; i++)
	{
		double middle = grid->left + grid->cell * (i + 0.5);
		TextStyle style = heading_style;

		style.anchor = upwards ? 's' : 'm';
		style.upwards = upwards;
		picture_text(
			p, upwards ? middle + 4 : middle, p->y - 4, style,
			shown_fit(grid->columns.labels[i], style, upwards ? HEADING_MOST : grid->cell));
	}
	picture_put(p, "\n");
}

static void
draw_row_label(Picture *p, const Grid *grid, const char *label)
{
	picture_text(p, grid->left - 8, p->y + CELL_HEIGHT / 2 + 4, label_style,
				 shown_fit(label, label_style, grid->left - 8 - PICTURE_MARGIN));
}

static bool
cell_has_room(const Grid *grid, const char *text)
{
	return shown_width(text, cell_style) <= grid->cell - 6;
}

/* A cell of a share from -1 to 1 of the most that there is */
static void
draw_cell(Picture *p, const Grid *grid, uint32 column, double share, const char *tip,
		  const char *text)
{
	int level = share == 0 ? 0 : Max(1, Min(LEVELS, (int) ceil(fabs(share) * LEVELS)));
	double x = grid->left + grid->cell * column;
	TextStyle style = cell_style;

	if (level > 5)
		style.ink = INK_ON_STRONG;
	picture_open(p, tip);
	picture_rect(p, x + 1, p->y + 1, grid->cell - 2, CELL_HEIGHT - 2, 3,
				 level == 0 ? INK_TRACK : (share > 0 ? INK_MORE : INK_LESS) + level - 1);
	if (text && cell_has_room(grid, text))
		picture_text(p, x + grid->cell / 2, p->y + CELL_HEIGHT / 2 + 4, style, text);
	picture_close(p);
}

/* --- heat maps --- */

/* Columns of heatmap_cell */
enum
{
	CELL_ROW = 1,
	CELL_COLUMN,
	CELL_VALUE
};

typedef struct LineSum
{
	double sum;
	uint32 number;
} LineSum;

static int
line_sum_cmp(const void *a, const void *b)
{
	const LineSum *x = a;
	const LineSum *y = b;

	if (x->sum != y->sum)
		return x->sum > y->sum ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/*
 * Of the lines that cells name, those with most, in order of appearance; the rest are one line. Gives the
 * number of the line of each cell.
 */
static uint32 *
make_lines(Lines *lines, const ItemName *names, const double *values, uint32 n, uint32 most)
{
	uint32 *numbers = palloc_extended(n * sizeof(uint32), MCXT_ALLOC_HUGE);
	ItemName *distinct = palloc_extended(n * sizeof(ItemName), MCXT_ALLOC_HUGE);
	uint32 found = names_number(names, n, numbers, distinct);
	uint32 kept = found > most ? most - 1 : found;
	LineSum *sums = palloc_extended(found * sizeof(LineSum), MCXT_ALLOC_HUGE);
	uint32 *places = palloc_extended(found * sizeof(uint32), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < found; i++)
		sums[i] = (LineSum) {0, i};
	for (uint32 i = 0; i < n; i++)
		if (!isnan(values[i]))
			sums[numbers[i]].sum += fabs(values[i]);
	qsort(sums, found, sizeof(LineSum), line_sum_cmp);
	for (uint32 i = 0; i < found; i++)
		places[sums[i].number] = i < kept ? 0 : kept;
	lines->n = 0;
	lines->labels = palloc((kept + 1) * sizeof(char *));
	for (uint32 i = 0; i < found; i++)
		if (places[i] != kept || kept == 0)
		{
			places[i] = lines->n;
			lines->labels[lines->n++] = shown_name(distinct[i]);
		}
	lines->named = lines->n;
	if (kept < found)
		lines->labels[lines->n++] = psprintf("(other: %s)", shown_count(found - kept));
	for (uint32 i = 0; i < n; i++)
		numbers[i] = places[numbers[i]];
	return numbers;
}

static void
draw_legend(Picture *p, double least, double most)
{
	const TextStyle style = {11, INK_MUTED, 's'};
	double x = PICTURE_MARGIN;
	const char *from = shown_value(Min(least, 0));
	int first = least < 0 ? -LEVELS : 0;
	int last = most > 0 ? LEVELS : 0;

	p->y += 10;
	picture_text(p, x, p->y + 10, style, from);
	x += shown_width(from, style) + 6;
	for (int level = first; level <= last; level++, x += 14)
		picture_rect(p, x, p->y, 13, 12, 2,
					 level == 0  ? INK_TRACK
					 : level > 0 ? INK_MORE + level - 1
								 : INK_LESS - level - 1);
	picture_text(p, x + 6, p->y + 10, style, shown_value(Max(most, 0)));
	picture_put(p, "\n");
	p->y += 12;
}

PG_FUNCTION_INFO_V1(svg_heatmap);
Datum
svg_heatmap(PG_FUNCTION_ARGS)
{
	Picture p;
	Rows rows;
	Grid grid;
	ItemName *names;
	double *values;
	double *sums;
	double least = 0;
	double most = 0;
	double extreme;
	size_t greatest = 0;
	uint32 *of_row;
	uint32 *of_column;
	bool any = false;
	bool compact = false;
	bool silent = false;

	picture_start(&p, PG_GETARG_DATUM(1), OPTION_TOP);
	rows_open(&rows, PG_GETARG_DATUM(0), "a cell of a heat map");
	names = palloc_extended(Max(rows.n, 1) * sizeof(ItemName), MCXT_ALLOC_HUGE);
	values = palloc_extended(Max(rows.n, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	for (int i = 0; i < rows.n; i++)
	{
		bool isnull;
		Datum d = rows_column(&rows, i, CELL_VALUE, &isnull);

		values[i] = isnull ? get_float8_nan() : DatumGetFloat8(d);
		if (!isnull && (isnan(values[i]) || isinf(values[i])))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("a cell of a heat map must be a finite number"),
							errdetail("In element %d of the array it is not.", i + 1)));
		any |= !isnull;
	}
	if (!any)
		PG_RETURN_TEXT_P(
			picture_empty(&p, "Heat map", "Nothing to show: the heat map has no cells."));
	for (int i = 0; i < rows.n; i++)
	{
		bool isnull;
		Datum d = rows_column(&rows, i, CELL_ROW, &isnull);

		names[i] = name_of(d, isnull);
	}
	of_row = make_lines(&grid.rows, names, values, rows.n, p.top ? p.top : LINES_DEFAULT);
	for (int i = 0; i < rows.n; i++)
	{
		bool isnull;
		Datum d = rows_column(&rows, i, CELL_COLUMN, &isnull);

		names[i] = name_of(d, isnull);
	}
	of_column = make_lines(&grid.columns, names, values, rows.n,
						   Min(p.top ? p.top : LINES_DEFAULT, grid_room(&p, &grid, CELL_LEAST)));

	/* cells of the same row and column are added up; one without a value stays empty */
	sums = palloc_extended((size_t) grid.rows.n * grid.columns.n * sizeof(double), MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < (size_t) grid.rows.n * grid.columns.n; i++)
		sums[i] = get_float8_nan();
	for (int i = 0; i < rows.n; i++)
		if (!isnan(values[i]))
		{
			double *sum = &sums[(size_t) of_row[i] * grid.columns.n + of_column[i]];

			*sum = isnan(*sum) ? values[i] : *sum + values[i];
		}

	/* the rest of many is as dark as can be where it is more than any other */
	for (uint32 r = 0; r < grid.rows.named; r++)
		for (uint32 c = 0; c < grid.columns.named; c++)
		{
			size_t i = (size_t) r * grid.columns.n + c;

			if (isnan(sums[i]))
				continue;
			least = Min(least, sums[i]);
			most = Max(most, sums[i]);
			if (isnan(sums[greatest]) || fabs(sums[i]) > fabs(sums[greatest]))
				greatest = i;
		}
	extreme = Max(most, -least);
	for (size_t i = 0; i < (size_t) grid.rows.n * grid.columns.n; i++)
		if (isinf(sums[i]))
			float_overflow_error();
	picture_header(&p,
				   isnan(sums[greatest])
					   ? ""
					   : psprintf("%s, %s has most: %s.",
								  shown_isolated(grid.rows.labels[greatest / grid.columns.n]),
								  shown_isolated(grid.columns.labels[greatest % grid.columns.n]),
								  shown_value(sums[greatest])));
	grid_columns(&p, &grid);
	/* all cells tell their values in one way, or none does */
	for (size_t i = 0; i < (size_t) grid.rows.n * grid.columns.n; i++)
		if (!isnan(sums[i]))
		{
			compact |= !cell_has_room(&grid, shown_value(sums[i]));
			silent |= !cell_has_room(&grid, shown_compact(sums[i], true));
		}
	draw_headings(&p, &grid);
	for (uint32 r = 0; r < grid.rows.n; r++)
	{
		CHECK_FOR_INTERRUPTS();
		draw_row_label(&p, &grid, grid.rows.labels[r]);
		for (uint32 c = 0; c < grid.columns.n; c++)
		{
			double value = sums[(size_t) r * grid.columns.n + c];

			if (!isnan(value))
				draw_cell(&p, &grid, c, extreme > 0 ? value / extreme : value,
						  psprintf("%s, %s: %s", shown_isolated(grid.rows.labels[r]),
								   shown_isolated(grid.columns.labels[c]), shown_value(value)),
						  silent    ? NULL
						  : compact ? shown_compact(value, true)
									: shown_value(value));
		}
		p.y += CELL_HEIGHT;
	}
	draw_legend(&p, least, most);
	PG_RETURN_TEXT_P(picture_finish(&p, "Heat map"));
}

/* --- retention --- */

/* Columns of retention_cell */
enum
{
	RETENTION_COHORT = 1,
	RETENTION_BRACKET,
	RETENTION_CUSTOMERS
};

/* Units of cohorts, and how many of them lie before a day */
typedef enum Unit
{
	UNIT_DAY,
	UNIT_WEEK,
	UNIT_MONTH,
	UNIT_QUARTER,
	UNIT_YEAR
} Unit;

static const char *const unit_names[] = {"day", "week", "month", "quarter", "year"};

static int64
units_before(DateADT day, Unit unit)
{
	int y;
	int m;
	int d;

	if (unit == UNIT_DAY)
		return day;
	if (unit == UNIT_WEEK)
		return ((int64) day + 5 + 7 * (int64) 1000000) / 7; /* 2000-01-03 is a Monday */
	j2date(day + POSTGRES_EPOCH_JDATE, &y, &m, &d);
	if (unit == UNIT_YEAR)
		return y;
	return unit == UNIT_MONTH ? (int64) y * 12 + m - 1 : (int64) y * 4 + (m - 1) / 3;
}

static bool
begins_unit(DateADT day, Unit unit)
{
	int y;
	int m;
	int d;

	if (unit == UNIT_DAY)
		return true;
	if (unit == UNIT_WEEK)
		return units_before(day, UNIT_WEEK) != units_before(day - 1, UNIT_WEEK);
	j2date(day + POSTGRES_EPOCH_JDATE, &y, &m, &d);
	return d == 1 && (unit == UNIT_MONTH || (unit == UNIT_QUARTER ? m % 3 == 1 : m == 1));
}

static char *
cohort_label(DateADT day, Unit unit)
{
	int y;
	int m;
	int d;

	j2date(day + POSTGRES_EPOCH_JDATE, &y, &m, &d);
	if (unit == UNIT_YEAR)
		return psprintf("%d", y);
	if (unit == UNIT_QUARTER)
		return psprintf("%d Q%d", y, (m + 2) / 3);
	if (unit == UNIT_MONTH)
		return psprintf("%s %d", months[m - 1], y);
	return psprintf("%d %s %d", d, months[m - 1], y);
}

typedef struct RetentionCell
{
	DateADT cohort;
	int32 bracket;
	int64 customers;
} RetentionCell;

typedef struct Retention
{
	RetentionCell *cells; /* by cohort and bracket */
	int ncells;
	Unit unit;
	uint32 cohorts;
	uint32 merged;  /* cohorts in the first row */
	int32 longest;  /* bracket */
	int64 last;     /* unit that anything is known of */
	double *counts; /* by row and bracket */
	double *sizes;  /* of the cohorts of a row that may have come to a bracket by then */
} Retention;

static int
retention_cmp(const void *a, const void *b)
{
	const RetentionCell *x = a;
	const RetentionCell *y = b;

	if (x->cohort != y->cohort)
		return x->cohort < y->cohort ? -1 : 1;
	return x->bracket < y->bracket ? -1 : x->bracket > y->bracket;
}

/* The unit, if it is not told: the longest that begins with each cohort, but of one alone a month at most. */
static Unit
guess_unit(const Retention *r)
{
	Unit unit = r->cohorts > 1 ? UNIT_YEAR : UNIT_MONTH;

	for (int i = 0; i < r->ncells; i++)
		while (!begins_unit(r->cells[i].cohort, unit))
			unit--;
	return unit;
}

static void
read_retention(Retention *r, const Rows *rows, const char *unit)
{
	r->ncells = rows->n;
	r->cells = palloc_extended(rows->n * sizeof(RetentionCell), MCXT_ALLOC_HUGE);
	for (int i = 0; i < rows->n; i++)
	{
		RetentionCell *cell = &r->cells[i];

		cell->cohort = DatumGetDateADT(rows_known(rows, i, RETENTION_COHORT, "the cohort"));
		cell->bracket = DatumGetInt32(rows_known(rows, i, RETENTION_BRACKET, "the bracket"));
		cell->customers = rows_count(rows, i, RETENTION_CUSTOMERS, "the count");
		if (DATE_NOT_FINITE(cell->cohort) || cell->bracket < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("a retention cell must have a finite cohort and a bracket that "
								   "is not negative"),
							errdetail("Element %d of the array has not.", i + 1)));
	}
	qsort(r->cells, r->ncells, sizeof(RetentionCell), retention_cmp);
	for (int i = 0; i < r->ncells; i++)
		r->cohorts += i == 0 || r->cells[i].cohort != r->cells[i - 1].cohort;
	r->unit = guess_unit(r);
	for (int i = 0; unit && i < lengthof(unit_names); i++)
		if (strcmp(unit, unit_names[i]) == 0)
			r->unit = i;
	r->last = PG_INT64_MIN;
	for (int i = 0; i < r->ncells; i++)
	{
		r->last = Max(r->last, units_before(r->cells[i].cohort, r->unit) + r->cells[i].bracket);
		r->longest = Max(r->longest, r->cells[i].bracket);
	}
}

static uint32
row_of(const Retention *r, uint32 cohort)
{
	return cohort < r->merged ? 0 : cohort - r->merged + 1;
}

/* Rows: the newest cohorts, the ones before as one, and all */
static void
label_retention(const Picture *p, Retention *r, Grid *grid)
{
	uint32 top = p->top ? p->top : LINES_DEFAULT;
	uint32 cohort = 0;

	r->merged = r->cohorts > top ? r->cohorts - top + 1 : 1;
	grid->rows.n = r->cohorts - r->merged + 2;
	grid->rows.labels = palloc0(grid->rows.n * sizeof(char *));
	for (int i = 0; i < r->ncells; i++)
		if (i == 0 || r->cells[i].cohort != r->cells[i - 1].cohort)
			grid->rows.labels[row_of(r, cohort++)] = cohort_label(r->cells[i].cohort, r->unit);
	if (r->merged > 1)
		grid->rows.labels[0] = psprintf("(earlier: %s)", shown_count(r->merged));
	grid->rows.labels[grid->rows.n - 1] = pstrdup("all");
	grid->columns.n = Min((uint32) r->longest + 1, grid_room(p, grid, BRACKET_LEAST));
	grid->columns.labels = palloc(grid->columns.n * sizeof(char *));
	for (uint32 b = 0; b < grid->columns.n; b++)
		grid->columns.labels[b] = b == 0 ? pstrdup("size") : psprintf("%u", b);
}

static void
sum_retention(Retention *r, const Grid *grid)
{
	uint32 n = grid->columns.n;
	double *all; /* counts, sizes */
	double *all_sizes;
	int at = 0;

	r->counts = palloc0((size_t) grid->rows.n * n * sizeof(double));
	r->sizes = palloc0((size_t) grid->rows.n * n * sizeof(double));
	all = r->counts + (size_t) (grid->rows.n - 1) * n;
	all_sizes = r->sizes + (size_t) (grid->rows.n - 1) * n;
	for (uint32 cohort = 0; cohort < r->cohorts; cohort++)
	{
		double *counts = r->counts + (size_t) row_of(r, cohort) * n;
		double *sizes = r->sizes + (size_t) row_of(r, cohort) * n;
		DateADT day = r->cells[at].cohort;
		int64 known =
			r->last - units_before(day, r->unit); /* brackets that are not in the future */
		double customers = 0;

		CHECK_FOR_INTERRUPTS();
		for (; at < r->ncells && r->cells[at].cohort == day; at++)
		{
			const RetentionCell *cell = &r->cells[at];

			if (cell->bracket == 0)
				customers += cell->customers;
			if (cell->bracket < n)
			{
				counts[cell->bracket] += cell->customers;
				all[cell->bracket] += cell->customers;
			}
		}
		for (uint32 b = 0; b < n && b <= known; b++)
		{
			sizes[b] += customers;
			all_sizes[b] += customers;
		}
	}
}

static void
draw_retention_row(Picture *p, const Grid *grid, const char *label, const double *counts,
				   const double *sizes, const char *unit)
{
	const char *size = shown_count((int64) counts[0]);
	bool decimal = cell_has_room(grid, shown_share(2, 3));

	draw_row_label(p, grid, label);
	if (sizes[0] > 0)
		draw_cell(p, grid, 0, 0, psprintf("%s: %s customers", label, size),
				  cell_has_room(grid, size) ? size : shown_compact(counts[0], true));
	for (uint32 b = 1; b < grid->columns.n; b++)
		if (sizes[b] > 0)
		{
			const char *share = shown_share(counts[b], sizes[b]);

			draw_cell(p, grid, b, counts[b] / sizes[b],
					  psprintf("%s, %s %u: %s of %s, %s", label, unit, b,
							   shown_count((int64) counts[b]), shown_count((int64) sizes[b]),
							   share),
					  decimal ? share : psprintf("%.0f%%", 100 * counts[b] / sizes[b]));
		}
	p->y += CELL_HEIGHT;
}

PG_FUNCTION_INFO_V1(svg_retention);
Datum
svg_retention(PG_FUNCTION_ARGS)
{
	Picture p;
	Rows rows;
	Grid grid = {0};
	Retention r = {0};
	const char *unit;
	const double *all;
	const double *all_sizes;

	picture_start(&p, PG_GETARG_DATUM(1), OPTION_TOP | OPTION_UNIT);
	rows_open(&rows, PG_GETARG_DATUM(0), "a retention cell");
	if (rows.n == 0)
		PG_RETURN_TEXT_P(picture_empty(&p, "Retention", "Nothing to show: there are no cohorts."));
	read_retention(&r, &rows, p.unit);
	label_retention(&p, &r, &grid);
	sum_retention(&r, &grid);
	unit = unit_names[r.unit];
	all = r.counts + (size_t) (grid.rows.n - 1) * grid.columns.n;
	all_sizes = r.sizes + (size_t) (grid.rows.n - 1) * grid.columns.n;
	picture_header(&p, psprintf("%s %s in %s %s.%s", shown_count((int64) all[0]),
								all[0] == 1 ? "customer" : "customers", shown_count(r.cohorts),
								r.cohorts == 1 ? "cohort" : "cohorts",
								grid.columns.n > 1 && all_sizes[1] > 0
									? psprintf(" %s came back in the %s after their first.",
											   shown_share(all[1], all_sizes[1]), unit)
									: ""));
	grid_columns(&p, &grid);
	if (grid.columns.n > 1)
	{
		picture_text(&p, grid.left + grid.cell + 4, p.y + 11, (TextStyle) {11, INK_MUTED, 's'},
					 psprintf("%ss after the first", unit));
		p.y += 16;
	}
	draw_headings(&p, &grid);
	for (uint32 row = 0; row < grid.rows.n; row++)
	{
		if (row == grid.rows.n - 1)
			p.y += 6;
		draw_retention_row(&p, &grid, grid.rows.labels[row],
						   r.counts + (size_t) row * grid.columns.n,
						   r.sizes + (size_t) row * grid.columns.n, unit);
	}
	if (r.longest >= grid.columns.n)
	{
		p.y += 6;
		picture_paragraph(&p, (TextStyle) {11, INK_MUTED, 's'},
						  psprintf("(other): %ss %u to %d, for which there is no room", unit,
								   grid.columns.n, r.longest));
	}
	PG_RETURN_TEXT_P(picture_finish(&p, "Retention"));
}
