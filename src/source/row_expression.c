/*
 * row_expression.c
 *		Expressions over the columns of a table, as attach_source takes them.
 *
 * Such an expression must say the same of a row whenever it is asked, so it is held to
 * what a generated column may be, but that it need not be immutable, and may name the
 * columns of rows that are looked up for it.  Whether it is immutable, and whether its
 * order tells what came first, matters where it is a key.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(journey_row_expression);

/* An error is at a place in the expression, not in the query that called us */
static void
expression_error(void *text)
{
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(text);
	}
}

static bool
is_star(Node *node)
{
	if (IsA(node, ColumnRef))
		return IsA(llast(((ColumnRef *) node)->fields), A_Star);
	if (IsA(node, A_Indirection))
		return IsA(llast(((A_Indirection *) node)->indirection), A_Star);
	return false;
}

/* The one expression that the text is, and nothing besides */
static Node *
parse_expression(const char *text)
{
	List *statements = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = castNode(SelectStmt, linitial_node(RawStmt, statements)->stmt);
	ResTarget *target;

	if (list_length(select->targetList) == 1 && select->distinctClause == NIL &&
		select->fromClause == NIL && select->whereClause == NULL && select->groupClause == NIL &&
		select->havingClause == NULL && select->windowClause == NIL && select->sortClause == NIL &&
		select->limitOffset == NULL && select->limitCount == NULL && select->lockingClause == NIL)
	{
		target = linitial_node(ResTarget, select->targetList);
		if (target->name == NULL && !is_star(target->val))
			return target->val;
	}
	ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not a single expression: %s", text)));
	return NULL;
}

/* Whether values are numbers or times, whose order is the one in which things were counted */
static bool
is_counting(Node *expression)
{
	Oid type = getBaseType(exprType(expression));
	char category;
	bool preferred;
	ListCell *cell;

	if (IsA(expression, RowExpr))
	{
		foreach (cell, ((RowExpr *) expression)->args)
			if (!is_counting(lfirst(cell)))
				return false;
		return true;
	}
	get_type_category_preferred(type, &category, &preferred);
	return (category == TYPCATEGORY_NUMERIC || category == TYPCATEGORY_DATETIME) &&
		   OidIsValid(lookup_type_cache(type, TYPECACHE_CMP_PROC)->cmp_proc);
}

/* Where columns of the row are named by nothing but their name */
typedef struct
{
	Oid relid;
	List *places;
} BareColumns;

static bool
find_bare_columns(Node *node, BareColumns *bare)
{
	ColumnRef *reference = (ColumnRef *) node;

	if (node == NULL)
		return false;
	if (!IsA(node, ColumnRef))
		return raw_expression_tree_walker(node, find_bare_columns, bare);
	if (list_length(reference->fields) > 2)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("a column must not be named with its table's schema"),
						errhint("Write table.column, or the column's name."),
						errposition(reference->location + 1)));
	if (list_length(reference->fields) == 1 && IsA(linitial(reference->fields), String) &&
		get_attnum(bare->relid, strVal(linitial(reference->fields))) > 0)
		bare->places = list_append_unique_int(bare->places, reference->location);
	return false;
}

static int
compare_places(const ListCell *a, const ListCell *b)
{
	return lfirst_int(a) < lfirst_int(b) ? -1 : 1;
}

/*
 * The expression with the row's name before each bare column, so that it means the same
 * where other tables have columns of these names.
 */
static char *
qualify(const char *text, const char *alias, List *places)
{
	StringInfoData code;
	const char *quoted = quote_identifier(alias);
	int done = 0;
	ListCell *cell;

	initStringInfo(&code);
	list_sort(places, compare_places);
	foreach (cell, places)
	{
		appendBinaryStringInfo(&code, text + done, lfirst_int(cell) - done);
		appendStringInfo(&code, "%s.", quoted);
		done = lfirst_int(cell);
	}
	appendStringInfoString(&code, text + done);
	return code.data;
}

static void
refuse_column(Relation relation, AttrNumber number)
{
	if (number < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
						errmsg("system columns must not be used in the expression")));
	/* A virtual column has no value in a trigger's transition table */
	for (int i = Max(number, 1); i <= (number == 0 ? RelationGetNumberOfAttributes(relation) : number);
		 i++)
		if (TupleDescAttr(RelationGetDescr(relation), i - 1)->attgenerated == 'v')
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("column \"%s\" is a virtual generated column",
								   NameStr(TupleDescAttr(RelationGetDescr(relation), i - 1)->attname)),
							errhint("Write its expression instead.")));
}

/*
 * The first table is that of the row, whose columns need not be qualified; those of the
 * others must be.
 */
Datum
journey_row_expression(PG_FUNCTION_ARGS)
{
	ArrayType *tables = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType *aliases = PG_GETARG_ARRAYTYPE_P(1);
	char *string = text_to_cstring(PG_GETARG_TEXT_PP(2));
	ErrorContextCallback context = {.callback = expression_error, .arg = string};
	Datum *relids;
	Datum *names;
	bool *relid_nulls;
	bool *name_nulls;
	int ntables;
	int nnames;
	Relation *relations;
	ParseState *state;
	BareColumns bare = {InvalidOid, NIL};
	Node *raw;
	Node *expression;
	Datum *numbers;
	Datum *columns;
	int count = 0;
	int room = 0;
	TupleDesc descriptor;
	Datum values[6];
	bool nulls[6] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	deconstruct_array(tables, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &relids, &relid_nulls, &ntables);
	deconstruct_array(aliases, TEXTOID, -1, false, TYPALIGN_INT, &names, &name_nulls, &nnames);
	if (ntables == 0 || ntables != nnames || ntables > 1000)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("each table must have a name, and there must be one at least")));
	for (int i = 0; i < ntables; i++)
		if (relid_nulls[i] || name_nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("tables and names must not be NULL")));

	/* Before it is locked: who may not read it must not keep others from it */
	for (int i = 0; i < ntables; i++)
	{
		Oid relid = DatumGetObjectId(relids[i]);
		AclResult access = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);

		if (access != ACLCHECK_OK)
			access = pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ANY);
		if (access != ACLCHECK_OK)
			aclcheck_error(access, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	}
	context.previous = error_context_stack;
	error_context_stack = &context;
	state = make_parsestate(NULL);
	state->p_sourcetext = string;
	relations = palloc(ntables * sizeof(Relation));
	for (int i = 0; i < ntables; i++)
	{
		ParseNamespaceItem *item;

		relations[i] = table_open(DatumGetObjectId(relids[i]), AccessShareLock);
		item = addRangeTableEntryForRelation(state, relations[i], AccessShareLock,
											 makeAlias(text_to_cstring(DatumGetTextPP(names[i])), NIL), false, true);
		addNSItemToQuery(state, item, false, true, i == 0);
		room += RelationGetNumberOfAttributes(relations[i]) + 1;
	}
	raw = parse_expression(string);
	bare.relid = DatumGetObjectId(relids[0]);
	find_bare_columns(raw, &bare);
	expression = transformExpr(state, raw, EXPR_KIND_GENERATED_COLUMN);
	if (contain_volatile_functions(expression))
		ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						errmsg("functions in the expression must not be volatile"),
						errhint("Declare them IMMUTABLE or STABLE, if that is what they are.")));

	numbers = palloc(room * sizeof(Datum));
	columns = palloc(room * sizeof(Datum));
	for (int i = 0; i < ntables; i++)
	{
		Bitmapset *used = NULL;
		int column = -1;

		pull_varattnos(expression, i + 1, &used);
		while ((column = bms_next_member(used, column)) >= 0)
		{
			AttrNumber number = column + FirstLowInvalidHeapAttributeNumber;

			refuse_column(relations[i], number);
			numbers[count] = Int16GetDatum(i + 1);
			columns[count++] = Int16GetDatum(number);
		}
	}
	error_context_stack = context.previous;

	values[0] = CStringGetTextDatum(
		qualify(string, text_to_cstring(DatumGetTextPP(names[0])), bare.places));
	values[1] = ObjectIdGetDatum(getBaseType(exprType(expression)));
	values[2] = PointerGetDatum(
		construct_array(numbers, count, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
	values[3] = PointerGetDatum(
		construct_array(columns, count, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
	/* As in an index: what functions and casts are made of counts, not what they are declared */
	values[4] = BoolGetDatum(
		!contain_mutable_functions((Node *) expression_planner((Expr *) expression)));
	values[5] = BoolGetDatum(is_counting(expression));
	free_parsestate(state);
	for (int i = 0; i < ntables; i++)
		table_close(relations[i], NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

/*
 * Where an expression ends that is within two places: at a parenthesis that closes none of its own; or, if another
 * condition begins at the second place, before what opens those of that, and the comma or AND between them.
 */
static int
expression_end(const char *text, int from, int until, bool followed)
{
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE place;
	core_yyscan_t scanner =
		scanner_init(pnstrdup(text + from, until - from), &extra, &ScanKeywords, ScanKeywordTokens);
	int depth = 0;
	int separator = until; /* the last token that is in no parentheses */
	int end = -1;
	int token;

	while (end < 0 && (token = core_yylex(&value, &place, scanner)) != 0)
	{
		if (token == ')' && depth == 0)
			end = from + place;
		else if (token == '(')
			depth++;
		else if (token == ')')
			depth--;
		else if (depth == 0)
			separator = from + place;
	}
	scanner_finish(scanner);
	if (end < 0)
		end = followed ? separator : until;
	return end;
}

/* What stands between two places, without spaces */
static Datum
slice(const char *text, int from, int to)
{
	while (to > from && scanner_isspace(text[to - 1]))
		to--;
	while (from < to && scanner_isspace(text[from]))
		from++;
	return PointerGetDatum(cstring_to_text_with_len(text + from, to - from));
}

static void
lookup_error(const char *text)
{
	ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not a table and columns that are looked up: %s", text),
					errhint("Write table(column = expression), or table(column = expression, column = expression).")));
}

/* Conditions column = expression, joined by commas or AND; followed: another begins at the end */
static void
add_conditions(const char *text, List *arguments, int end, bool followed, List **columns, List **expressions)
{
	ListCell *cell;

	foreach (cell, arguments)
	{
		Node *argument = lfirst(cell);
		ListCell *next = lnext(arguments, cell);
		int until = next ? exprLocation(lfirst(next)) : end;
		bool more = next != NULL || followed;
		A_Expr *condition = (A_Expr *) argument;
		ColumnRef *column;
		int from;

		if (IsA(argument, BoolExpr) && ((BoolExpr *) argument)->boolop == AND_EXPR)
		{
			add_conditions(text, ((BoolExpr *) argument)->args, until, more, columns, expressions);
			continue;
		}
		if (!IsA(argument, A_Expr) || condition->kind != AEXPR_OP || list_length(condition->name) != 1 ||
			strcmp(strVal(linitial(condition->name)), "=") != 0 || condition->lexpr == NULL ||
			!IsA(condition->lexpr, ColumnRef))
			lookup_error(text);
		column = (ColumnRef *) condition->lexpr;
		if (list_length(column->fields) != 1 || !IsA(linitial(column->fields), String))
			lookup_error(text);
		from = condition->location + 1;
		if (until < from)
			lookup_error(text);
		*columns = lappend(*columns, strVal(linitial(column->fields)));
		*expressions = lappend(*expressions,
							   DatumGetPointer(slice(text, from, expression_end(text, from, until, more))));
	}
}

PG_FUNCTION_INFO_V1(journey_lookup);

/*
 * table(column = expression, ...), which to the parser is a call of a function.  Where an
 * expression ends is told by where the next begins.
 */
Datum
journey_lookup(PG_FUNCTION_ARGS)
{
	char *string = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ErrorContextCallback context = {.callback = expression_error, .arg = string};
	FuncCall *call;
	StringInfoData table;
	List *columns = NIL;
	List *expressions = NIL;
	Datum *texts;
	int end = strlen(string);
	ListCell *cell;
	TupleDesc descriptor;
	Datum values[3];
	bool nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	context.previous = error_context_stack;
	error_context_stack = &context;
	call = (FuncCall *) parse_expression(string);
	error_context_stack = context.previous;
	while (end > 0 && string[end - 1] != ')')
		end--;
	if (!IsA(call, FuncCall) || call->args == NIL || call->agg_order != NIL || call->agg_filter != NULL ||
		call->over != NULL || call->agg_within_group || call->agg_star || call->agg_distinct ||
		call->func_variadic || end == 0)
		lookup_error(string);
	initStringInfo(&table);
	foreach (cell, call->funcname)
		appendStringInfo(&table, "%s%s", table.len > 0 ? "." : "", quote_identifier(strVal(lfirst(cell))));
	add_conditions(string, call->args, end - 1, false, &columns, &expressions);

	texts = palloc(list_length(columns) * sizeof(Datum));
	for (int i = 0; i < list_length(columns); i++)
		texts[i] = CStringGetTextDatum(list_nth(columns, i));
	values[0] = CStringGetTextDatum(table.data);
	values[1] = PointerGetDatum(
		construct_array(texts, list_length(columns), TEXTOID, -1, false, TYPALIGN_INT));
	for (int i = 0; i < list_length(expressions); i++)
		texts[i] = PointerGetDatum(list_nth(expressions, i));
	values[2] = PointerGetDatum(
		construct_array(texts, list_length(expressions), TEXTOID, -1, false, TYPALIGN_INT));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

/* Functions that a query runs, and domains whose constraints it checks */
typedef struct
{
	List *functions;
	List *domains;
} Called;

static bool
add_function(Oid id, void *called)
{
	((Called *) called)->functions = list_append_unique_oid(((Called *) called)->functions, id);
	return false;
}

static bool
find_called(Node *node, Called *called)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, add_function, called);
	if (IsA(node, CoerceToDomain))
		called->domains = list_append_unique_oid(called->domains, ((CoerceToDomain *) node)->resulttype);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_called, called, 0);
	return expression_tree_walker(node, find_called, called);
}

static Datum
oid_array(List *list)
{
	Datum *oids = palloc((list_length(list) + 1) * sizeof(Datum));

	for (int i = 0; i < list_length(list); i++)
		oids[i] = ObjectIdGetDatum(list_nth_oid(list, i));
	return PointerGetDatum(
		construct_array(oids, list_length(list), OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(journey_query_calls);

Datum
journey_query_calls(PG_FUNCTION_ARGS)
{
	char *string = text_to_cstring(PG_GETARG_TEXT_PP(0));
	List *statements = raw_parser(string, RAW_PARSE_DEFAULT);
	Called called = {NIL, NIL};
	Oid *parameters = NULL;
	int nparameters = 0;
	TupleDesc descriptor;
	Datum values[2];
	bool nulls[2] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (list_length(statements) != 1 || !IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not a single query: %s", string)));
	find_called((Node *) parse_analyze_varparams(linitial_node(RawStmt, statements), string, &parameters,
												 &nparameters, NULL),
				&called);
	values[0] = oid_array(called.functions);
	values[1] = oid_array(called.domains);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
