/*
 * window_funnel.c
 *		SQL face of window_funnel.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "rows/funnel_level.h"
#include "rows/rows.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static const struct
{
	const char *name;
	int mode;
} modes[] = {
	{"none", 0},
	{"strict_order", FUNNEL_ORDER},
	{"strict_deduplication", FUNNEL_DEDUPLICATION},
	{"strict_increase", FUNNEL_INCREASE},
	{"strict_once", FUNNEL_ONCE},
	{"allow_reentry", FUNNEL_REENTRY},
};

typedef struct FunnelParameters
{
	int64 window;
	int64 modes;
} FunnelParameters;

/* What a call site remembers of its last row's arguments beside the spec. */
typedef struct FunnelSite
{
	RowsSite rows;
	Interval window;
	int mode_len; /* -1: has none */
	int mode_max;
	char *mode;
	FunnelParameters parameters;
} FunnelSite;

static inline bool
is_separator(char c)
{
	return c == ',' || c == ' ' || (c >= '\t' && c <= '\r');
}

static int
parse_modes(const char *p, int len)
{
	const char *end = p + len;
	int all = 0;

	for (;;)
	{
		const char *word;
		bool found = false;

		while (p < end && is_separator(*p))
			p++;
		if (p == end)
			return all;
		for (word = p; p < end && !is_separator(*p);)
			p++;
		for (int i = 0; i < lengthof(modes) && !found; i++)
			if (strlen(modes[i].name) == p - word && memcmp(modes[i].name, word, p - word) == 0)
			{
				all |= modes[i].mode;
				found = true;
			}
		if (!found)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("mode of window_funnel is not known: \"%s\"",
								   text_excerpt(word, p, 40)),
							errhint("Modes, separated by commas or spaces, are none, strict_order, "
									"strict_deduplication, strict_increase, strict_once and "
									"allow_reentry.")));
	}
}

static char *
describe(const RowsSpec *spec)
{
	FunnelParameters p;
	StringInfoData out;

	memcpy(&p, spec->parameters, sizeof(p));
	initStringInfo(&out);
	appendStringInfoString(
		&out, DatumGetCString(DirectFunctionCall1(interval_out, usecs_interval(p.window))));
	for (int i = 0; i < lengthof(modes); i++)
		if ((p.modes & modes[i].mode) != 0)
			appendStringInfo(&out, ", %s", modes[i].name);
	return out.data;
}

/* Bring the site up to this row's window and mode. */
static void
specify(FunctionCallInfo fcinfo, FunnelSite *site, const Interval *window, const char *mode,
		int mode_len)
{
	site->parameters.window = fixed_usecs(window, "window of window_funnel");
	site->parameters.modes = mode_len > 0 ? parse_modes(mode, mode_len) : 0;
	site->window = *window;
	if (mode_len > site->mode_max)
	{
		site->mode = MemoryContextAlloc(site->rows.cxt, mode_len);
		site->mode_max = mode_len;
	}
	site->mode_len = mode_len;
	if (mode_len > 0)
		memcpy(site->mode, mode, mode_len);
	site->rows.describe = describe;
	rows_specify(&site->rows, &site->parameters, sizeof(FunnelParameters));
}

static inline Datum
transition(FunctionCallInfo fcinfo, bool has_mode)
{
	int at = has_mode ? 3 : 2;
	FunnelSite *site =
		(FunnelSite *) rows_site(fcinfo, "window_funnel", at + 1, sizeof(FunnelSite));
	const Interval *window;
	const char *mode = NULL;
	int mode_len = 0;
	uint64 conditions = rows_conditions(fcinfo, &site->rows);

	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("window of window_funnel must not be null")));
	window = PG_GETARG_INTERVAL_P(1);
	if (has_mode)
	{
		text *t = rows_parameter(fcinfo, &site->rows, 2, "mode");

		mode = VARDATA_ANY(t);
		mode_len = VARSIZE_ANY_EXHDR(t);
	}
	if (unlikely(site->rows.spec == NULL || window->time != site->window.time ||
				 window->day != site->window.day || window->month != site->window.month ||
				 mode_len != site->mode_len ||
				 (mode_len > 0 && memcmp(mode, site->mode, mode_len) != 0) ||
				 site->rows.spec->nconditions != site->rows.nconditions))
		specify(fcinfo, site, window, mode, mode_len);
	if (conditions == 0 && ((site->parameters.modes & FUNNEL_ORDER) == 0 || PG_ARGISNULL(at)))
		return unchanged_state(fcinfo);
	return rows_take(fcinfo, &site->rows, rows_time(fcinfo, &site->rows, at), conditions);
}

PG_FUNCTION_INFO_V1(window_funnel_transfn);
Datum
window_funnel_transfn(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, false);
}

PG_FUNCTION_INFO_V1(window_funnel_mode_transfn);
Datum
window_funnel_mode_transfn(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, true);
}

PG_FUNCTION_INFO_V1(window_funnel_finalfn);
Datum
window_funnel_finalfn(PG_FUNCTION_ARGS)
{
	MatchRow few[ROWS_FEW];
	FunnelParameters parameters;
	const RowsState *state;
	MatchRow *rows;
	int level;

	aggregate_context(fcinfo, "window_funnel");
	if (PG_ARGISNULL(0))
		PG_RETURN_INT32(0);
	state = (const RowsState *) PG_GETARG_POINTER(0);
	memcpy(&parameters, state->spec->parameters, sizeof(parameters));
	rows = rows_sorted(state, few);
	level =
		funnel_level(rows, state->n, state->spec->nconditions, parameters.window, parameters.modes);
	rows_free(rows, few);
	PG_RETURN_INT32(level);
}
