/*
 * flow_options.c
 *		Options of flow_agg, and the bytes that a flow keeps of them.
 *
 * These are the item (LabelPart), 1 byte; flags, 1 byte; max_steps and gap, LEB128; and, where
 * flags say so, start and end, each LEB128, its length, and as many bytes.
 */
#include "postgres.h"

#include "compat.h"
#include "flow/flow.h"
#include "mb/pg_wchar.h"
#include "pattern/program.h"

#define OPTION_START 1
#define OPTION_END 2
#define OPTION_BACKWARD 4
#define OPTION_COLLAPSE 8

/*
 * A pattern in canonical form, of matches of one touchpoint each. NULL: it is none; then the scan
 * has no message if it is a pattern, but of more.
 */
const char *
flow_single_step(TextScan *s)
{
	Pattern *pattern = pattern_parse(s);
	Program *program = pattern ? program_compile(pattern, s) : NULL;
	StringInfoData out;
	bool single = true;

	if (program == NULL)
		return NULL;
	for (int e = 0; e < program->nedges; e++)
		single &= program->edges[e].from < 0 && !program->edges[e].from_start &&
				  program->edges[e].link == PROGRAM_NO_LINK;
	for (int a = 0; a < program->naccepts; a++)
		single &= !program->accepts[a].to_end;
	s->detail = NULL;
	if (!single)
		return NULL;
	initStringInfo(&out);
	pattern_print(&out, pattern);
	return out.data;
}

static void
put_number(StringInfo out, uint64 number)
{
	uint8 bytes[LEB_MAX_BYTES];

	appendBinaryStringInfo(out, (char *) bytes, leb_write(bytes, number) - bytes);
}

static void
put_string(StringInfo out, const char *value)
{
	if (value == NULL)
		return;
	put_number(out, strlen(value));
	appendStringInfoString(out, value);
}

bytea *
flow_options_bytes(const FlowOptions *o)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	appendStringInfoChar(&out, o->item);
	appendStringInfoChar(&out, (o->start ? OPTION_START : 0) | (o->end ? OPTION_END : 0) |
								   (o->backward ? OPTION_BACKWARD : 0) |
								   (o->collapse ? OPTION_COLLAPSE : 0));
	put_number(&out, o->max_steps);
	put_number(&out, o->gap);
	put_string(&out, o->start);
	put_string(&out, o->end);
	SET_VARSIZE(out.data, out.len);
	return (bytea *) out.data;
}

/* A canonical pattern; where it ends, or NULL. */
static const uint8 *
take_pattern(const uint8 *p, const uint8 *end, const char **pattern)
{
	uint64 len;
	TextScan s;

	p = leb_read(p, end, &len);
	if (p == NULL || len > end - p ||
		!pg_verify_mbstr(GetDatabaseEncoding(), (const char *) p, len, true))
		return NULL;
	text_scan_init(&s, (const char *) p, len);
	*pattern = flow_single_step(&s);
	if (*pattern == NULL || strlen(*pattern) != len || memcmp(*pattern, p, len) != 0)
		return NULL;
	return p + len;
}

/* The options of such bytes; NULL if they are none. */
FlowOptions *
flow_options_of_bytes(const uint8 *p, size_t len)
{
	FlowOptions *o = palloc0(sizeof(FlowOptions));
	const uint8 *end = p + len;
	uint64 max_steps;
	int flags;

	if (len < 4 || p[0] > PART_LABEL || p[1] > 15)
		return NULL;
	o->item = p[0];
	flags = p[1];
	o->backward = (flags & OPTION_BACKWARD) != 0;
	o->collapse = (flags & OPTION_COLLAPSE) != 0;
	p = leb_read(p + 2, end, &max_steps);
	p = p ? leb_read(p, end, &o->gap) : NULL;
	if (p && (flags & OPTION_START))
		p = take_pattern(p, end, &o->start);
	if (p && (flags & OPTION_END))
		p = take_pattern(p, end, &o->end);
	if (p != end || max_steps > FLOW_MAX_STEPS || o->gap > PG_INT64_MAX)
		return NULL;
	o->max_steps = max_steps;
	return o;
}

static bool
same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* What differs. */
const char *
flow_options_differ(const FlowOptions *a, const FlowOptions *b)
{
	if (a->item != b->item)
		return "item";
	if (!same(a->start, b->start))
		return "start";
	if (!same(a->end, b->end))
		return "end";
	if (a->backward != b->backward)
		return "direction";
	if (a->max_steps != b->max_steps)
		return "max_steps";
	return a->gap != b->gap ? "gap" : "collapse";
}
