/*
 * row_expression.c
 *		Expressions over the columns of a table, as attach_source takes them.
 *
 * Such an expression will be evaluated for old and for new versions of a row and must
 * say the same of both whenever it is asked, so it is held to what a generated column
 * may be, but that it need not be immutable.  Whether it is, and whether its order tells
 * what came first, matters where it is a key.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
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

Datum
journey_row_expression(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	char *string = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ErrorContextCallback context = {.callback = expression_error, .arg = string};
	AclResult access;
	Relation relation;
	ParseState *state;
	ParseNamespaceItem *item;
	Node *expression;
	Bitmapset *used = NULL;
	int column = -1;
	int count = 0;
	Datum *columns;
	TupleDesc descriptor;
	Datum values[4];
	bool nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	/* Before it is locked: who may not read it must not keep others from it */
	access = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);
	if (access != ACLCHECK_OK)
		aclcheck_error(access, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	relation = table_open(relid, AccessShareLock);
	context.previous = error_context_stack;
	error_context_stack = &context;
	state = make_parsestate(NULL);
	state->p_sourcetext = string;
	item = addRangeTableEntryForRelation(state, relation, AccessShareLock, NULL, false, true);
	addNSItemToQuery(state, item, false, true, true);
	expression = transformExpr(state, parse_expression(string), EXPR_KIND_GENERATED_COLUMN);
	if (contain_volatile_functions(expression))
		ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						errmsg("functions in the expression must not be volatile"),
						errhint("Declare them IMMUTABLE or STABLE, if that is what they are.")));

	pull_varattnos(expression, 1, &used);
	columns = palloc((bms_num_members(used) + 1) * sizeof(Datum));
	while ((column = bms_next_member(used, column)) >= 0)
	{
		AttrNumber number = column + FirstLowInvalidHeapAttributeNumber;

		if (number < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
							errmsg("system columns must not be used in the expression")));
		/* A virtual column has no value in a trigger's transition table */
		for (int i = Max(number, 1);
			 i <= (number == 0 ? RelationGetNumberOfAttributes(relation) : number); i++)
			if (TupleDescAttr(RelationGetDescr(relation), i - 1)->attgenerated == 'v')
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("column \"%s\" is a virtual generated column",
								NameStr(TupleDescAttr(RelationGetDescr(relation), i - 1)->attname)),
						 errhint("Write its expression instead.")));
		columns[count++] = Int16GetDatum(number);
	}
	error_context_stack = context.previous;

	values[0] = ObjectIdGetDatum(getBaseType(exprType(expression)));
	values[1] = PointerGetDatum(
		construct_array(columns, count, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
	/* As in an index: what functions and casts are made of counts, not what they are declared */
	values[2] = BoolGetDatum(
		!contain_mutable_functions((Node *) expression_planner((Expr *) expression)));
	values[3] = BoolGetDatum(is_counting(expression));
	free_parsestate(state);
	table_close(relation, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
