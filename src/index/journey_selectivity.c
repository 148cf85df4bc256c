/*
 * journey_selectivity.c
 *		What the planner should know: how many journeys a condition selects,
 *		that the function form of an operator can use the operator's index, and that
 *		a function minds no collation.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "catalog/dependency.h"
#include "commands/extension.h"
#include "compat.h"
#include "index/journey_index.h"
#include "index/journey_keys.h"
#include "index/journey_stats.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "pattern/journey_pattern.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

/* Without statistics, or without knowing the pattern. */
#define SELECTIVITY_DEFAULT 0.01

/* So many journeys of the sample must match for their share to be trusted alone. */
#define SAMPLE_ENOUGH 8

/* So many are plenty. */
#define SAMPLE_PLENTY 100

/*
 * Is it the type of this name of the extension that this function belongs to? An
 * estimator may be attached to any operator, so arguments of other types
 * must not be taken for ours.
 */
static bool
is_our_type(Oid type, const char *name, Oid function)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(getBaseType(type)));
	bool ours = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_type t = (Form_pg_type) GETSTRUCT(tuple);
		Oid extension = getExtensionOfObject(ProcedureRelationId, function);

		ours = strcmp(NameStr(t->typname), name) == 0 && OidIsValid(extension) &&
			   getExtensionOfObject(TypeRelationId, t->oid) == extension;
		ReleaseSysCache(tuple);
	}
	return ours;
}

static int
key_cmp(const void *a, const void *b)
{
	int64 x = DatumGetInt64(*(const Datum *) a);
	int64 y = DatumGetInt64(*(const Datum *) b);

	return x < y ? -1 : x > y;
}

/* The share of journeys that have the keys a pattern asks for, at most. */
static double
share_by_keys(HeapTuple statistics, Datum pattern)
{
	AttStatsSlot slot;
	CompiledPattern *compiled = NULL;
	PatternKeys *k;
	double *shares;
	double result;

	if (!get_attstatsslot(&slot, statistics, JOURNEY_STATS_KEYS, InvalidOid,
						  ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
		return 1;
	if (slot.nnumbers != slot.nvalues + 2 || slot.valuetype != INT8OID)
	{
		free_attstatsslot(&slot);
		return 1;
	}
	k = pattern_keys(pattern_argument(&compiled, CurrentMemoryContext, pattern)->program,
					 JOURNEY_HORIZON_DEFAULT);
	shares = palloc(Max(k->nkeys, 1) * sizeof(double));
	for (int i = 0; i < k->nkeys; i++)
	{
		Datum key = Int64GetDatum(k->keys[i]);
		Datum *found = bsearch(&key, slot.values, slot.nvalues, sizeof(Datum), key_cmp);

		shares[i] = found ? slot.numbers[found - slot.values]
						  : -slot.numbers[slot.nvalues + (i < k->nsingles ? 0 : 1)];
	}
	result = pattern_keys_share(k, shares);
	free_attstatsslot(&slot);
	return result;
}

/*
 * How many of these journeys meet the condition, and of how many that were
 * tried: it ends early where many do. Each is as likely to be tried first.
 */
static void
try_sample(const AttStatsSlot *slot, Oid function, const Const *constant, bool var_on_left,
		   int *matching, int *tried)
{
	FmgrInfo flinfo;
	/* a prime that does not divide their number leads through all in another order */
	int step = slot->nvalues % 7919 != 0 ? 7919 : 1;
	int i = 0;

	fmgr_info(function, &flinfo);
	*matching = 0;
	for (*tried = 0; *tried < slot->nvalues && *matching < SAMPLE_PLENTY; (*tried)++)
	{
		Datum journey = slot->values[i];

		if (DatumGetBool(FunctionCall2(&flinfo, var_on_left ? journey : constant->constvalue,
									   var_on_left ? constant->constvalue : journey)))
			(*matching)++;
		i = (i + step) % slot->nvalues;
	}
}

/* Share of journeys that are not null for which function(journey, constant) holds. */
static double
share_of_matching(VariableStatData *var, Oid function, const Const *constant, bool var_on_left,
				  bool is_pattern)
{
	AttStatsSlot slot;
	int matching;
	int tried;
	double kept = 0; /* share of journeys that the sample stands for */
	double by_sample = SELECTIVITY_DEFAULT;
	double by_keys = 1;

	if (!HeapTupleIsValid(var->statsTuple) || !statistic_proc_security_check(var, function))
		return SELECTIVITY_DEFAULT;
	if (is_pattern)
		by_keys = share_by_keys(var->statsTuple, constant->constvalue);
	if (get_attstatsslot(&slot, var->statsTuple, JOURNEY_STATS_SAMPLE, InvalidOid,
						 ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
	{
		kept = slot.nnumbers == 1 ? slot.numbers[0] : 1;
		try_sample(&slot, function, constant, var_on_left, &matching, &tried);
		by_sample = (matching + 0.5) / (tried + 1);
		/*
		 * Too rare for the sample? If the keys are common all the same, it still
		 * knows better than they; if not, they set the limit, and both have a say.
		 */
		if (matching < SAMPLE_ENOUGH && by_keys * tried < SAMPLE_ENOUGH)
			by_sample = sqrt(by_keys * by_sample);
		free_attstatsslot(&slot);
	}
	/* of long journeys the keys alone tell */
	return Min(by_keys, kept * by_sample + (1 - kept) * (is_pattern ? by_keys : by_sample));
}

static double
selectivity(PlannerInfo *root, Oid function, Oid estimator, List *args, int varRelid)
{
	VariableStatData var;
	Node *other;
	bool var_on_left;
	double result = SELECTIVITY_DEFAULT;

	if (!get_restriction_variable(root, args, varRelid, &var, &other, &var_on_left))
		return SELECTIVITY_DEFAULT;
	if (IsA(other, Const) && is_our_type(var.vartype, "journey", estimator))
	{
		Const *constant = (Const *) other;
		bool is_pattern = is_our_type(constant->consttype, "journey_pattern", estimator);

		if (constant->constisnull)
			result = 0;
		else if (is_pattern || constant->consttype == TSTZRANGEOID)
		{
			result = share_of_matching(&var, function, constant, var_on_left, is_pattern);
			if (HeapTupleIsValid(var.statsTuple))
				result *= 1 - ((Form_pg_statistic) GETSTRUCT(var.statsTuple))->stanullfrac;
		}
	}
	ReleaseVariableStats(var);
	CLAMP_PROBABILITY(result);
	return result;
}

PG_FUNCTION_INFO_V1(journey_sel);
Datum
journey_sel(PG_FUNCTION_ARGS)
{
	PlannerInfo *root = (PlannerInfo *) PG_GETARG_POINTER(0);
	Oid op = PG_GETARG_OID(1);
	List *args = (List *) PG_GETARG_POINTER(2);
	int varRelid = PG_GETARG_INT32(3);

	PG_RETURN_FLOAT8(selectivity(root, get_opcode(op), fcinfo->flinfo->fn_oid, args, varRelid));
}

/* The operator of a family that does what this function does, its column being argument "column". */
static Oid
operator_of(Oid family, Oid function, Oid column_type, Oid other_type, int column)
{
	static const int strategies[] = {JOURNEY_MATCHES_STRATEGY, JOURNEY_OVERLAPS_STRATEGY,
									 JOURNEY_WITHIN_STRATEGY};

	for (int i = 0; i < lengthof(strategies); i++)
	{
		Oid op = get_opfamily_member(family, column_type, other_type, strategies[i]);

		if (OidIsValid(op) && get_opcode(column == 0 ? op : get_commutator(op)) == function)
			return op;
	}
	return InvalidOid;
}

/* Is there a usable GIN index on the same column or expression that knows the operator? */
static bool
gin_does_it(const IndexOptInfo *index, Node *column, Oid function, Oid other_type, int argument)
{
	ListCell *lc;

	foreach (lc, index->rel->indexlist)
	{
		IndexOptInfo *other = lfirst(lc);

		if (other->relam != GIN_AM_OID || (other->indpred != NIL && !other->predOK))
			continue;
		for (int c = 0; c < other->nkeycolumns; c++)
			if (match_index_to_operand(column, c, other) &&
				OidIsValid(operator_of(other->opfamily[c], function, exprType(column), other_type,
									   argument)))
				return true;
	}
	return false;
}

/*
 * An index condition for the function form of an operator. GiST's family does
 * not have ~ itself, but a twin of it, so that we are asked here as well: a
 * planner left alone would prefer GiST to GIN, since it cannot know that its
 * signatures prune much less.
 */
static List *
index_condition(SupportRequestIndexCondition *req)
{
	List *args = IsA(req->node, OpExpr)     ? ((OpExpr *) req->node)->args
				 : IsA(req->node, FuncExpr) ? ((FuncExpr *) req->node)->args
											: NIL;
	Node *column;
	Node *other;
	Oid op;

	if (list_length(args) != 2)
		return NIL;
	column = list_nth(args, req->indexarg);
	other = list_nth(args, 1 - req->indexarg);
	op = operator_of(req->opfamily, req->funcid, exprType(column), exprType(other), req->indexarg);
	if (!OidIsValid(op) || !is_pseudo_constant_for_index(req->root, other, req->index) ||
		(req->index->relam == GIST_AM_OID &&
		 gin_does_it(req->index, column, req->funcid, exprType(other), req->indexarg)))
		return NIL;
	req->lossy = false;
	return list_make1(make_opclause(op, BOOLOID, false, (Expr *) column, (Expr *) other, InvalidOid,
									req->indexcollation));
}

/*
 * None of these functions minds a collation. postgres_fdw would keep a call at home that has one
 * from a constant alone.
 */
static Node *
without_collation(const FuncExpr *call)
{
	FuncExpr *same;

	if (!OidIsValid(call->inputcollid))
		return NULL;
	same = makeNode(FuncExpr);
	*same = *call;
	same->inputcollid = InvalidOid;
	return (Node *) same;
}

PG_FUNCTION_INFO_V1(journey_support);
Datum
journey_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);
	Node *result = NULL;

	if (IsA(request, SupportRequestIndexCondition))
		result = (Node *) index_condition((SupportRequestIndexCondition *) request);
	else if (IsA(request, SupportRequestSimplify))
		result = without_collation(((SupportRequestSimplify *) request)->fcall);
	else if (IsA(request, SupportRequestSelectivity))
	{
		SupportRequestSelectivity *req = (SupportRequestSelectivity *) request;

		if (!req->is_join && list_length(req->args) == 2)
		{
			req->selectivity = selectivity(req->root, req->funcid, fcinfo->flinfo->fn_oid,
										   req->args, req->varRelid);
			result = (Node *) req;
		}
	}
	PG_RETURN_POINTER(result);
}
