/*
 * journey_subscript.c
 *		Subscripts: j[n] is the n-th touchpoint, j[m:n] a journey.
 *
 * As with arrays, counting starts at 1, what lies outside is NULL (a slice is
 * empty), and a missing bound of a slice is the journey's own.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/execExpr.h"
#include "journey/journey.h"
#include "nodes/nodeFuncs.h"
#include "nodes/subscripting.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "utils/syscache.h"

typedef struct SubscriptWorkspace
{
	int32 lower;
	int32 upper;
	LabelDict *dict;
} SubscriptWorkspace;

/* The type touchpoint that stands beside this journey in its schema. */
static Oid
touchpoint_type_beside(Oid journey)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(journey));
	Oid schema;
	Oid touchpoint;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", journey);
	schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	touchpoint = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("touchpoint"),
								 ObjectIdGetDatum(schema));
	if (!OidIsValid(touchpoint))
		elog(ERROR, "type touchpoint is missing");
	return touchpoint;
}

static Node *
transform_subscript(ParseState *pstate, Node *subscript)
{
	Node *expr;
	Oid type;

	if (subscript == NULL)
		return NULL; /* a slice's own bound */
	expr = transformExpr(pstate, subscript, pstate->p_expr_kind);
	type = exprType(expr);
	expr = coerce_to_target_type(pstate, expr, type, INT4OID, -1, COERCION_ASSIGNMENT,
								 COERCE_IMPLICIT_CAST, -1);
	if (expr == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("journey subscript must have type integer"),
						parser_errposition(pstate, exprLocation(subscript))));
	return expr;
}

static void
journey_subscript_transform(SubscriptingRef *sbsref, List *indirection, ParseState *pstate,
							bool isSlice, bool isAssignment)
{
	A_Indices *ai = linitial_node(A_Indices, indirection);

	if (list_length(indirection) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("journey allows only one subscript"),
				 parser_errposition(pstate, exprLocation((Node *) lsecond(indirection)))));
	sbsref->refupperindexpr = list_make1(transform_subscript(pstate, ai->uidx));
	if (isSlice)
	{
		sbsref->reflowerindexpr = list_make1(transform_subscript(pstate, ai->lidx));
		sbsref->refrestype = sbsref->refcontainertype;
	}
	else
		sbsref->refrestype = touchpoint_type_beside(sbsref->refcontainertype);
	sbsref->reftypmod = -1;
}

static bool
journey_subscript_check(ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	SubscriptingRefState *sbs = op->d.sbsref_subscript.state;
	SubscriptWorkspace *w = sbs->workspace;

	w->lower = 1;
	w->upper = PG_INT32_MAX;
	if ((sbs->upperprovided[0] && sbs->upperindexnull[0]) ||
		(sbs->numlower > 0 && sbs->lowerprovided[0] && sbs->lowerindexnull[0]))
	{
		*op->resnull = true;
		return false;
	}
	if (sbs->upperprovided[0])
		w->upper = DatumGetInt32(sbs->upperindex[0]);
	if (sbs->numlower == 0)
		w->lower = w->upper;
	else if (sbs->lowerprovided[0])
		w->lower = DatumGetInt32(sbs->lowerindex[0]);
	return true;
}

static void
journey_subscript_fetch(ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	SubscriptingRefState *sbs = op->d.sbsref.state;
	SubscriptWorkspace *w = sbs->workspace;
	JourneyArg arg;
	int64 from;
	int64 to;

	Assert(!*op->resnull); /* because fetch_strict */
	journey_arg_open(&arg, *op->resvalue);
	from = Max(w->lower, 1) - 1;
	to = Min((int64) w->upper, (int64) arg.view.n);
	if (sbs->numlower == 0 && (w->lower < 1 || from >= to))
	{
		*op->resnull = true;
		return;
	}
	label_dict_trim(w->dict);
	*op->resvalue = PointerGetDatum(journey_cut(w->dict, &arg.view, from, Max(from, to)));
}

static void
journey_subscript_setup(const SubscriptingRef *sbsref, SubscriptingRefState *sbsrefstate,
						SubscriptExecSteps *methods)
{
	SubscriptWorkspace *w = palloc0(sizeof(SubscriptWorkspace));

	w->dict = label_dict_create(CurrentMemoryContext);
	sbsrefstate->workspace = w;
	methods->sbs_check_subscripts = journey_subscript_check;
	methods->sbs_fetch = journey_subscript_fetch;
	/* without sbs_assign the executor refuses assignments by itself */
}

PG_FUNCTION_INFO_V1(journey_subscript);
Datum
journey_subscript(PG_FUNCTION_ARGS)
{
	static const SubscriptRoutines routines = {
		.transform = journey_subscript_transform,
		.exec_setup = journey_subscript_setup,
		.fetch_strict = true,
		.fetch_leakproof = false,
		.store_leakproof = false,
	};

	PG_RETURN_POINTER(&routines);
}
