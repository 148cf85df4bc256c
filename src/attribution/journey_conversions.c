/*
 * journey_conversions.c
 *		The conversions of a journey, each with its path.
 */
#include "postgres.h"

#include "analytics/row_set.h"
#include "attribution/attribution_walk.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef struct FoundPath
{
	bool converts;
	uint32 conversion;
	uint32 from; /* its touches, among those that are kept */
	uint32 n;
} FoundPath;

typedef struct Conversions
{
	RowSet rows;
	bool known;
	Walk walk;
	JourneyArg arg;
	uint32 *numbers;
	JourneyCursor conversion;
	JourneyCursor touch;
	uint32 *touches; /* numbers of touchpoints */
	uint32 ntouches;
	FoundPath *paths;
	uint32 npaths;
	uint32 paths_max;
	uint32 told;
} Conversions;

/* With reset no touch is on two paths, so there is room; without, all are kept at the end. */
static void
keep_path(void *arg, Walk *w, const WalkPath *path)
{
	Conversions *set = arg;
	FoundPath found = {path->converts, path->conversion, path->from, path->to - path->from};

	if (w->reset)
	{
		found.from = set->ntouches;
		memcpy(set->touches + set->ntouches, w->touch + path->from, found.n * sizeof(uint32));
		set->ntouches += found.n;
	}
	if (set->npaths == set->paths_max)
	{
		set->paths_max = Max(2 * set->paths_max, 8);
		set->paths = set->paths == NULL
						 ? palloc(set->paths_max * sizeof(FoundPath))
						 : repalloc_huge(set->paths, set->paths_max * sizeof(FoundPath));
	}
	set->paths[set->npaths++] = found;
}

/* These touchpoints, which ascend, as a journey. Mostly they are behind those of the row before. */
static Datum
pick(Conversions *set, JourneyCursor *c, const uint32 *touchpoints, uint32 n)
{
	JourneyBuilder b;
	struct varlena *packed;

	builder_init(&b, set->walk.dict, CurrentMemoryContext);
	if (n > 0 && touchpoints[0] < c->i)
		journey_start_at(&set->arg.view, c, touchpoints[0]);
	for (uint32 i = 0; i < n; i++)
	{
		Touch passed;

		if (i % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		while (c->i < touchpoints[i])
			journey_next(c, &passed);
		builder_add_touches(&b, c, set->numbers, touchpoints[i] + 1);
	}
	packed = builder_pack(&b);
	builder_free(&b);
	return PointerGetDatum(packed);
}

static bool
conversion_row(void *arg, Datum *values, bool *nulls)
{
	Conversions *set = arg;
	const FoundPath *path;

	if (set->told == set->npaths)
		return false;
	path = &set->paths[set->told++];
	nulls[0] = !path->converts;
	values[0] = path->converts ? pick(set, &set->conversion, &path->conversion, 1) : 0;
	values[1] = pick(set, &set->touch, set->touches + path->from, path->n);
	return true;
}

PG_FUNCTION_INFO_V1(journey_conversions);
Datum
journey_conversions(PG_FUNCTION_ARGS)
{
	Conversions *set = row_set(fcinfo, sizeof(Conversions));

	if (!set->rows.started)
	{
		MemoryContext old;
		Walk *w = &set->walk;

		if (!set->known)
		{
			walk_init(w, fcinfo->flinfo->fn_mcxt, "journey_conversions");
			w->nulls = true;
			set->known = true;
		}
		w->lookback = attr_lookback(PG_GETARG_INTERVAL_P(3));
		w->reset = PG_GETARG_BOOL(4);
		w->until = PG_GETARG_TIMESTAMPTZ(5);
		walk_patterns(w, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2));
		old = row_set_start(&set->rows);
		journey_arg_open(&set->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))));
		walk_labels(w, &set->arg.view);
		set->numbers = journey_intern_labels(&set->arg.view, w->dict);
		journey_start_at(&set->arg.view, &set->conversion, 0);
		journey_start_at(&set->arg.view, &set->touch, 0);
		set->paths = NULL;
		set->npaths = set->paths_max = set->told = set->ntouches = 0;
		set->touches = palloc_extended(Max(set->arg.view.n, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
		walk_journey(w, &set->arg.view, keep_path, set);
		if (!w->reset && set->npaths > 0)
			memcpy(set->touches, w->touch, set->arg.view.n * sizeof(uint32));
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, conversion_row);
}
