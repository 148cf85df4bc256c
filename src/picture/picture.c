/*
 * picture.c
 *		The SVG around every picture, its options, and the shapes it is drawn with.
 *
 * A picture stands alone: no script, no font, no link, nothing is fetched. Colours stand as attributes, in
 * the light theme; a <style> of the picture's own replaces them where the viewer prefers dark colours
 * and looks at a screen. Its classes begin with pgj-, because in a page they are the whole page's.
 */
#include "postgres.h"

#include "compat.h"
#include "picture/picture.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#define FONTS "Segoe UI, Roboto, Helvetica, Arial, DejaVu Sans, sans-serif"

#define WIDTH_DEFAULT 760
#define WIDTH_LEAST 280
#define WIDTH_MOST 4000
#define TOP_MOST 200

typedef struct Colours
{
	const char *light;
	const char *dark;
} Colours;

static const Colours colours[INKS] = {{"#ffffff", "#14171c"}, /* ground */
									  {"#1b1f24", "#e8eaed"}, /* text */
									  {"#59626d", "#a6afba"}, /* muted */
									  {"#d3d9e0", "#39414c"}, /* line */
									  {"#edf0f3", "#22272f"}, /* track */
									  {"#a1aab4", "#6b7480"}, /* other */
									  {"#ffffff", "#0c1014"}, /* on strong */
									  {"#ffffff", "#ffffff"},
									  {"#111111", "#111111"},
									  /* series */
									  {"#0072b2", "#0072b2"},
									  {"#e69f00", "#e69f00"},
									  {"#009e73", "#009e73"},
									  {"#cc79a7", "#cc79a7"},
									  {"#56b4e9", "#56b4e9"},
									  {"#d55e00", "#d55e00"},
									  /* more */
									  {"#e3eff8", "#142c40"},
									  {"#c4ddf0", "#163a57"},
									  {"#9cc7e4", "#194a70"},
									  {"#6badd6", "#1c5a8a"},
									  {"#3f93c8", "#226ca3"},
									  {"#0072b2", "#5aa9de"},
									  {"#004f7d", "#a6d6f7"},
									  /* less */
									  {"#fbe9dd", "#35221a"},
									  {"#f6d0b5", "#4c2d1d"},
									  {"#efb089", "#643a20"},
									  {"#e6905c", "#7f4824"},
									  {"#db7430", "#9a5527"},
									  {"#b94f00", "#f0935a"},
									  {"#7f3700", "#fac9a8"}};

/* --- options --- */

static void
option_error(const char *name, const char *expected, const JsonbValue *v)
{
	const char *given = "null";

	if (v->type == jbvString)
		given = psprintf("\"%s\"", pnstrdup(v->val.string.val, v->val.string.len));
	else if (v->type == jbvNumeric)
		given = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));
	else if (v->type == jbvBool)
		given = v->val.boolean ? "true" : "false";
	else if (v->type == jbvBinary)
		given = "an array or an object";
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("option \"%s\" of a picture must be %s", name, expected),
					errdetail("It is %s.", given)));
}

static char *
string_option(const char *name, const char *expected, const JsonbValue *v)
{
	if (v->type != jbvString)
		option_error(name, expected, v);
	return pnstrdup(v->val.string.val, v->val.string.len);
}

static int
number_option(const char *name, int least, int most, const JsonbValue *v)
{
	const char *expected = psprintf("a whole number from %d to %d", least, most);
	double n;

	if (v->type != jbvNumeric)
		option_error(name, expected, v);
	n = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v->val.numeric)));
	if (!(n >= least && n <= most) || n != rint(n))
		option_error(name, expected, v);
	return (int) n;
}

/* The place of a text among those allowed, which expected tells. */
static int
choice_option(const char *name, const char *const *allowed, const char *expected,
			  const JsonbValue *v)
{
	char *given = string_option(name, expected, v);

	for (int i = 0; allowed[i]; i++)
		if (strcmp(given, allowed[i]) == 0)
			return i;
	option_error(name, expected, v);
	return 0; /* not reached */
}

static void
set_option(Picture *p, const char *key, const JsonbValue *v, int known)
{
	static const char *const themes[] = {"auto", "light", "dark", NULL};
	static const char *const units[] = {"day", "week", "month", "quarter", "year", NULL};
	static const char *const items[] = {"channel", "action", "label", "detail", NULL};
	static const LabelPart parts[] = {PART_CHANNEL, PART_ACTION, PART_LABEL, PART_DETAIL};

	if (strcmp(key, "title") == 0)
		p->title = v->type == jbvNull
					   ? NULL
					   : shown_datum(CStringGetTextDatum(string_option(key, "a text or null", v)));
	else if (strcmp(key, "width") == 0)
		p->width = number_option(key, WIDTH_LEAST, WIDTH_MOST, v);
	else if (strcmp(key, "theme") == 0)
		p->theme = (Theme) choice_option(key, themes, "auto, light or dark", v);
	else if (strcmp(key, "top") == 0 && (known & OPTION_TOP))
		p->top = number_option(key, 2, TOP_MOST, v);
	else if (strcmp(key, "unit") == 0 && (known & OPTION_UNIT))
		p->unit = units[choice_option(key, units, "day, week, month, quarter or year", v)];
	else if (strcmp(key, "item") == 0 && (known & OPTION_ITEM))
		p->item = parts[choice_option(key, items, "channel, action, label or detail", v)];
	else
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown option of a picture: \"%s\"", key),
			 errhint("There are title, width, theme%s%s%s.", known & OPTION_TOP ? ", top" : "",
					 known & OPTION_UNIT ? ", unit" : "", known & OPTION_ITEM ? ", item" : "")));
}

void
picture_start(Picture *p, Datum options, int known)
{
	Jsonb *given = DatumGetJsonbP(options);
	JsonbIterator *it = JsonbIteratorInit(&given->root);
	JsonbIteratorToken token;
	JsonbValue value;

	memset(p, 0, sizeof(Picture));
	initStringInfo(&p->body);
	initStringInfo(&p->desc);
	p->width = WIDTH_DEFAULT;
	p->y = PICTURE_MARGIN;
	p->item = PART_CHANNEL;
	if (!JB_ROOT_IS_OBJECT(given))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("options of a picture must be a JSON object"),
						errhint("For example {\"title\": \"Our funnel\", \"width\": 500}.")));
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if (token == WJB_KEY)
		{
			char *key = pnstrdup(value.val.string.val, value.val.string.len);

			(void) JsonbIteratorNext(&it, &value, true);
			set_option(p, key, &value, known);
		}
}

/* --- shapes --- */

void
picture_put(Picture *p, const char *format, ...)
{
	StringInfo out = &p->body;

	for (;;)
	{
		va_list args;
		int needed;

		va_start(args, format);
		needed = appendStringInfoVA(out, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(out, needed);
	}
}

/* A coordinate, to a tenth */
const char *
px(double x)
{
	char *text = psprintf("%.1f", x);
	size_t len = strlen(text);

	if (text[len - 1] == '0')
		text[len - 2] = 0;
	return strcmp(text, "-0") == 0 ? "0" : text;
}

/* Colours of a shape */
void
picture_ink(Picture *p, Ink fill, Ink stroke)
{
	bool classes = p->theme == THEME_AUTO;

	if (classes && fill != INK_NONE && stroke != INK_NONE)
		picture_put(p, " class=\"pgj-%d pgj-s%d\"", fill, stroke);
	else if (classes && fill != INK_NONE)
		picture_put(p, " class=\"pgj-%d\"", fill);
	else if (classes)
		picture_put(p, " class=\"pgj-s%d\"", stroke);
	picture_put(p, " fill=\"%s\"",
				fill == INK_NONE         ? "none"
				: p->theme == THEME_DARK ? colours[fill].dark
										 : colours[fill].light);
	if (stroke != INK_NONE)
		picture_put(p, " stroke=\"%s\"",
					p->theme == THEME_DARK ? colours[stroke].dark : colours[stroke].light);
}

/* Shapes that a pointer on them tells more of */
void
picture_open(Picture *p, const char *tip)
{
	appendStringInfoString(&p->body, "<g><title>");
	picture_put_shown(&p->body, tip);
	appendStringInfoString(&p->body, "</title>");
}

void
picture_close(Picture *p)
{
	appendStringInfoString(&p->body, "</g>\n");
}

void
picture_rect(Picture *p, double x, double y, double width, double height, double radius, Ink ink)
{
	picture_put(p, "<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"", px(x), px(y), px(width),
				px(height));
	if (radius > 0)
		picture_put(p, " rx=\"%s\"", px(Min(radius, Min(width, height) / 2)));
	picture_ink(p, ink, INK_NONE);
	picture_put(p, "/>");
}

void
picture_line(Picture *p, double x1, double y1, double x2, double y2)
{
	picture_put(p, "<path d=\"M%s %sL%s %s\"", px(x1), px(y1), px(x2), px(y2));
	picture_ink(p, INK_NONE, INK_LINE);
	picture_put(p, "/>");
}

static void
start_text(Picture *p, double x, double y, TextStyle style)
{
	picture_put(p, "<text x=\"%s\" y=\"%s\"", px(x), px(y));
	if (style.size != 12)
		picture_put(p, " font-size=\"%s\"", px(style.size));
	if (style.anchor != 's')
		picture_put(p, " text-anchor=\"%s\"", style.anchor == 'e' ? "end" : "middle");
	if (style.bold)
		picture_put(p, " font-weight=\"600\"");
	if (style.upwards)
		picture_put(p, " transform=\"rotate(-90 %s %s)\"", px(x), px(y));
	picture_ink(p, style.ink, style.halo ? INK_GROUND : INK_NONE);
	if (style.halo)
		picture_put(p, " stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\"");
	picture_put(p, ">");
}

void
picture_text(Picture *p, double x, double y, TextStyle style, const char *shown)
{
	start_text(p, x, y, style);
	picture_put_shown(&p->body, shown_isolated(shown));
	picture_put(p, "</text>");
}

/* A name and, muted behind it, a number, which is left out where it leaves too little room for the name. */
void
picture_named_number(Picture *p, double x, double y, TextStyle style, double room, const char *name,
					 const char *number)
{
	double of_number = shown_width(number, style) + style.size / 2;
	bool both = room - of_number >= Min(shown_width(name, style), 5 * style.size);

	start_text(p, x, y, style);
	picture_put_shown(&p->body,
					  shown_isolated(shown_fit(name, style, both ? room - of_number : room)));
	if (both)
	{
		picture_put(p, " <tspan font-weight=\"400\"");
		picture_ink(p, INK_MUTED, style.halo ? INK_GROUND : INK_NONE);
		picture_put(p, ">");
		picture_put_shown(&p->body, number);
		picture_put(p, "</tspan>");
	}
	picture_put(p, "</text>");
}

/* Lines of words at p->y, which goes on below them. */
void
picture_paragraph(Picture *p, TextStyle style, const char *shown)
{
	double room = p->width - 2 * PICTURE_MARGIN;
	char *words = pstrdup(shown);
	char *next;
	StringInfoData line;

	initStringInfo(&line);
	for (char *word = strtok_r(words, " ", &next); word; word = strtok_r(NULL, " ", &next))
	{
		if (line.len > 0 && shown_width(psprintf("%s %s", line.data, word), style) > room)
		{
			picture_text(p, PICTURE_MARGIN, p->y + style.size, style, line.data);
			p->y += style.size * 1.4;
			resetStringInfo(&line);
		}
		appendStringInfo(&line, "%s%s", line.len > 0 ? " " : "", shown_fit(word, style, room));
	}
	if (line.len > 0)
	{
		picture_text(p, PICTURE_MARGIN, p->y + style.size, style, line.data);
		p->y += style.size * 1.4;
	}
	picture_put(p, "\n");
}

/* The title, if there is one, and below it what there is to see. */
void
picture_header(Picture *p, const char *summary)
{
	if (p->title)
	{
		picture_paragraph(p, (TextStyle) {16, INK_TEXT, 's', .bold = true}, p->title);
		p->y += 2;
	}
	picture_paragraph(p, (TextStyle) {12, INK_MUTED, 's'}, summary);
	appendStringInfo(&p->desc, "%s ", summary);
	p->y += 8;
}

/* --- the whole --- */

static void
put_style(StringInfo out)
{
	appendStringInfoString(out, "<style>@media screen and (prefers-color-scheme:dark){");
	for (int i = 0; i < INKS; i++)
		if (strcmp(colours[i].light, colours[i].dark) != 0)
		{
			appendStringInfo(out, ".pgj-%d{fill:%s}", i, colours[i].dark);
			if (i < INK_TRACK)
				appendStringInfo(out, ".pgj-s%d{stroke:%s}", i, colours[i].dark);
		}
	appendStringInfoString(out, "}</style>\n");
}

/* What has been drawn as a picture; its name is told to who can't see it where it has no title. */
struct varlena *
picture_finish(Picture *p, const char *name)
{
	Picture whole = *p;
	double height = ceil(p->y) + PICTURE_MARGIN;

	initStringInfo(&whole.body);
	picture_put(&whole,
				"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %s %s\" width=\"%s\" "
				"height=\"%s\" "
				"role=\"img\" font-family=\"" FONTS "\" font-size=\"12\">\n<title>",
				px(p->width), px(height), px(p->width), px(height));
	picture_put_shown(&whole.body, p->title ? p->title : name);
	picture_put(&whole, "</title>\n<desc>");
	picture_put_shown(&whole.body, p->desc.data);
	picture_put(&whole, "</desc>\n");
	if (p->theme == THEME_AUTO)
		put_style(&whole.body);
	picture_rect(&whole, 0, 0, p->width, height, 0, INK_GROUND);
	picture_put(&whole, "\n");
	appendBinaryStringInfo(&whole.body, p->body.data, p->body.len);
	appendStringInfoString(&whole.body, "</svg>");
	return cstring_to_text_with_len(whole.body.data, whole.body.len);
}

/* A picture of nothing says so. */
struct varlena *
picture_empty(Picture *p, const char *name, const char *why)
{
	if (p->title)
		picture_paragraph(p, (TextStyle) {16, INK_TEXT, 's', .bold = true}, p->title);
	p->y += 4;
	picture_paragraph(p, (TextStyle) {14, INK_MUTED, 's'}, why);
	appendStringInfoString(&p->desc, why);
	return picture_finish(p, name);
}
