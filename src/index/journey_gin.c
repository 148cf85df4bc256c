/*
 * journey_gin.c
 *		GIN operator class journey_ops: journey ~ journey_pattern.
 *
 * Keys too common to help need no treatment: from triConsistent GIN learns
 * which of the rarest keys every answer has one of, and only looks the others up.
 */
#include "postgres.h"

#include "access/gin.h"
#include "access/reloptions.h"
#include "compat.h"
#include "index/journey_index.h"
#include "index/journey_keys.h"
#include "journey/journey.h"
#include "pattern/journey_pattern.h"

typedef struct JourneyOptions
{
	int32 vl_len_;
	int horizon; /* offset of the text */
} JourneyOptions;

static bool
horizon_parse(const char *text, int64 *usecs)
{
	TextScan s;

	text_scan_init(&s, text, strlen(text));
	if (strcmp(text, "0") == 0)
		*usecs = 0;
	else if (!duration_scan(&s, usecs))
		return false;
	text_skip_space(&s);
	return strcmp(text, "0") == 0 || s.p == s.end;
}

static void
horizon_validate(const char *text)
{
	int64 usecs;

	if (text && !horizon_parse(text, &usecs))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid horizon of index keys: \"%s\"", text),
				 errdetail("It is a duration such as 30 min, 1 h or 7 days, or 0 for no pairs.")));
}

PG_FUNCTION_INFO_V1(journey_gin_options);
Datum
journey_gin_options(PG_FUNCTION_ARGS)
{
	local_relopts *relopts = (local_relopts *) PG_GETARG_POINTER(0);

	init_local_reloptions(relopts, sizeof(JourneyOptions));
	add_local_string_reloption(relopts, "horizon",
							   "how near two touchpoints are that are found as a pair", NULL,
							   horizon_validate, NULL, offsetof(JourneyOptions, horizon));
	PG_RETURN_VOID();
}

static int64
index_horizon(FunctionCallInfo fcinfo)
{
	const char *text = NULL;
	int64 usecs = JOURNEY_HORIZON_DEFAULT;

	if (PG_HAS_OPCLASS_OPTIONS())
		text = GET_STRING_RELOPTION((JourneyOptions *) PG_GET_OPCLASS_OPTIONS(), horizon);
	if (text && !horizon_parse(text, &usecs))
		elog(ERROR, "horizon of index keys is corrupt");
	return usecs;
}

PG_FUNCTION_INFO_V1(journey_gin_extract_value);
Datum
journey_gin_extract_value(PG_FUNCTION_ARGS)
{
	int32 *n = (int32 *) PG_GETARG_POINTER(1);
	JourneyArg arg;
	int64 *keys;
	Datum *entries;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	keys = journey_keys(&arg.view, index_horizon(fcinfo), n);
	journey_arg_close(&arg);
	entries = palloc_extended(Max(*n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (int i = 0; i < *n; i++)
		entries[i] = Int64GetDatum(keys[i]);
	pfree(keys);
	PG_RETURN_POINTER(entries);
}

PG_FUNCTION_INFO_V1(journey_gin_extract_query);
Datum
journey_gin_extract_query(PG_FUNCTION_ARGS)
{
	int32 *n = (int32 *) PG_GETARG_POINTER(1);
	Pointer **extra = (Pointer **) PG_GETARG_POINTER(4);
	int32 *mode = (int32 *) PG_GETARG_POINTER(6);
	CompiledPattern *compiled = NULL;
	CompiledPattern *c = pattern_argument(&compiled, CurrentMemoryContext, PG_GETARG_DATUM(0));
	PatternKeys *k = pattern_keys(c->program, index_horizon(fcinfo));
	Datum *entries;
	char *none = palloc0(Max(k->nkeys, 1));

	/* without any key a journey may match all the same: then keys are of no use */
	if (pattern_keys_allow(k, none))
	{
		*n = 0;
		*mode = GIN_SEARCH_MODE_ALL;
		PG_RETURN_POINTER(NULL);
	}
	*n = k->nkeys;
	entries = palloc(k->nkeys * sizeof(Datum));
	*extra = palloc(k->nkeys * sizeof(Pointer));
	for (int i = 0; i < k->nkeys; i++)
	{
		entries[i] = Int64GetDatum(k->keys[i]);
		(*extra)[i] = (Pointer) k;
	}
	PG_RETURN_POINTER(entries);
}

PG_FUNCTION_INFO_V1(journey_gin_consistent);
Datum
journey_gin_consistent(PG_FUNCTION_ARGS)
{
	const bool *check = (bool *) PG_GETARG_POINTER(0);
	int32 n = PG_GETARG_INT32(3);
	Pointer *extra = (Pointer *) PG_GETARG_POINTER(4);
	bool *recheck = (bool *) PG_GETARG_POINTER(5);

	*recheck = true;
	PG_RETURN_BOOL(n == 0 || pattern_keys_allow((PatternKeys *) extra[0], (const char *) check));
}

PG_FUNCTION_INFO_V1(journey_gin_triconsistent);
Datum
journey_gin_triconsistent(PG_FUNCTION_ARGS)
{
	const GinTernaryValue *check = (GinTernaryValue *) PG_GETARG_POINTER(0);
	int32 n = PG_GETARG_INT32(3);
	Pointer *extra = (Pointer *) PG_GETARG_POINTER(4);

	StaticAssertStmt(GIN_FALSE == 0, "what is absent must be 0");
	PG_RETURN_GIN_TERNARY_VALUE(
		n == 0 || pattern_keys_allow((PatternKeys *) extra[0], (const char *) check) ? GIN_MAYBE
																					 : GIN_FALSE);
}
