/*
 * picture.h
 *		What the pictures share: options, colours, text that fits, and the SVG around it.
 *
 * Text is told in two forms. What SQL gives is in the server's encoding and may hold anything. What
 * is "shown" is UTF-8 made by shown_text(): legal, bounded, and with nothing in it that XML forbids or
 * that turns the text around it. Only picture_put_shown() writes shown text into a picture, and it
 * escapes it, so that no label can be markup.
 */
#ifndef PGJ_PICTURE_H
#define PGJ_PICTURE_H

#include <math.h>

#include "journey/journey.h"
#include "lib/stringinfo.h"

/*
 * Colours, by what they are for. Series are six of the eight colours of Okabe and Ito (Color Universal
 * Design, 2008), made to be told apart by the colour-blind; their black is the text here, and their
 * yellow would vanish on white. MORE and LESS are the blue and the vermilion of them from light to
 * dark (in the dark, from dark to light): how much a cell holds is told by lightness alone.
 */
#define SERIES_COLOURS 6
#define LEVELS 7
typedef enum Ink
{
	INK_NONE = -1,
	INK_GROUND,
	INK_TEXT,
	INK_MUTED,
	INK_LINE,
	INK_TRACK,     /* the empty part of a bar, a cell of zero */
	INK_OTHER,     /* what is no label of the data: (other), (end) */
	INK_ON_STRONG, /* text on a cell of one of the strongest levels */
	INK_WHITE,
	INK_BLACK,
	INK_SERIES,
	INK_MORE = INK_SERIES + SERIES_COLOURS,
	INK_LESS = INK_MORE + LEVELS,
	INKS = INK_LESS + LEVELS
} Ink;

#define PICTURE_MARGIN 16

typedef enum Theme
{
	THEME_AUTO,
	THEME_LIGHT,
	THEME_DARK
} Theme;

/* Options beside title, width and theme, which all pictures take. */
#define OPTION_TOP 1
#define OPTION_UNIT 2
#define OPTION_ITEM 4

typedef struct Picture
{
	StringInfoData body;
	StringInfoData desc; /* shown */
	const char *title;   /* shown; NULL: none is drawn */
	double width;
	double y; /* what is drawn next begins here */
	Theme theme;
	int top; /* 0: not given */
	const char *unit;
	LabelPart item;
} Picture;

/* How a text stands. */
typedef struct TextStyle
{
	double size;
	Ink ink;
	char anchor; /* 's'tart, 'm'iddle, 'e'nd */
	bool bold;
	bool halo;    /* stands on something */
	bool upwards; /* reads from below to above */
} TextStyle;

/* picture.c */
extern void picture_start(Picture *p, Datum options, int known);
extern struct varlena *picture_finish(Picture *p, const char *name);
extern struct varlena *picture_empty(Picture *p, const char *name, const char *why);
extern void picture_put(Picture *p, const char *format, ...) pg_attribute_printf(2, 3);
extern void picture_ink(Picture *p, Ink fill, Ink stroke);
extern void picture_open(Picture *p, const char *tip);
extern void picture_close(Picture *p);
extern void picture_rect(Picture *p, double x, double y, double width, double height, double radius,
						 Ink ink);
extern void picture_line(Picture *p, double x1, double y1, double x2, double y2);
extern void picture_text(Picture *p, double x, double y, TextStyle style, const char *shown);
extern void picture_named_number(Picture *p, double x, double y, TextStyle style, double room,
								 const char *name, const char *number);
extern void picture_paragraph(Picture *p, TextStyle style, const char *shown);
extern void picture_header(Picture *p, const char *summary);
extern const char *px(double x);

/* picture_text.c */
extern char *shown_text(const char *text, size_t len, bool bounded);
extern char *shown_datum(Datum text);
extern double shown_width(const char *shown, TextStyle style);
extern char *shown_fit(const char *shown, TextStyle style, double room);
extern char *shown_isolated(const char *shown);
extern void picture_put_shown(StringInfo out, const char *shown);
extern char *shown_count(int64 n);
extern char *shown_value(double value);
extern char *shown_compact(double value, bool decimal);
extern char *shown_share(double part, double whole);
extern char *shown_duration(double seconds);

/* picture_rows.c */

/* A label as SQL gave it; NULL: none. Labels are the same where their bytes are. */
typedef struct ItemName
{
	const char *text;
	uint32 len;
} ItemName;

/* One of some names; n of them are numbered by those that are the same, in order of first appearance. */
extern uint32 names_number(const ItemName *names, uint32 n, uint32 *numbers, ItemName *distinct);
extern ItemName name_of(Datum d, bool isnull);
extern int name_cmp(ItemName a, ItemName b);
extern char *shown_name(ItemName name);

/* An array of rows of a type of this extension. */
typedef struct Rows
{
	Datum *rows;
	int n;
	const char *what; /* "a step of a funnel" */
} Rows;

extern void rows_open(Rows *r, Datum array, const char *what);
extern Datum rows_column(const Rows *r, int i, int column, bool *isnull);
extern Datum rows_known(const Rows *r, int i, int column, const char *name);
extern int64 rows_count(const Rows *r, int i, int column, const char *name);

#endif /* PGJ_PICTURE_H */
