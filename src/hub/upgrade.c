/*
 * upgrade.c
 *		What upgrades of hubs and of the extension need that SQL has not.
 */
#include "postgres.h"

#include "compat.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(journey_statements);
PG_FUNCTION_INFO_V1(journey_retired);

/* The statements of a script, in order, each with its command tag */
Datum
journey_statements(PG_FUNCTION_ARGS)
{
	char	   *script = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *statements;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	statements = raw_parser(script, RAW_PARSE_DEFAULT);
	foreach(cell, statements)
	{
		RawStmt    *statement = lfirst_node(RawStmt, cell);
		const char *start = script + statement->stmt_location;
		int			length = statement->stmt_len > 0 ? statement->stmt_len : strlen(start);
		Datum		values[2];
		bool		nulls[2] = {false, false};

		CHECK_FOR_INTERRUPTS();
		values[0] = CStringGetTextDatum(CreateCommandName(statement->stmt));
		values[1] = PointerGetDatum(cstring_to_text_with_len(start, length));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* What functions of the extension call that an upgrade has replaced, until nothing of a hub or a user's calls them */
Datum
journey_retired(PG_FUNCTION_ARGS)
{
	char	   *name = get_func_name(fcinfo->flinfo->fn_oid);
	char	   *end = name ? strstr(name, " retired ") : NULL;

	if (end != NULL)
		*end = '\0';
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("function %s was replaced when pg_journey was upgraded", name ? name : "?"),
			 errhint("If a hub calls it, SELECT journey_upgrade_hub(name); make views and functions of your own that "
					 "call it again.")));
}
