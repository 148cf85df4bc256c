/*
 * visit_arg.c
 *		Arguments of SQL functions that walk journeys.
 */
#include "postgres.h"

#include "analytics/visit_walk.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "journey/journey.h"
#include "utils/array.h"

void
visit_walk_not_own(VisitWalk *w, Datum d)
{
	ArrayType *array = (ArrayType *) DatumGetPointer(d);
	struct varlena *copy;
	Datum *elements;
	bool *nulls;
	const char **actions;
	size_t *lens;
	int n;

	if (unlikely(VARATT_IS_EXTENDED(array)))
		array = DatumGetArrayTypeP(d);
	if (likely(w->not_own && VARSIZE(w->not_own) == VARSIZE(array) &&
			   memcmp(w->not_own, array, VARSIZE(array)) == 0))
		goto done;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	actions = palloc_extended(Max(n, 1) * sizeof(char *), MCXT_ALLOC_HUGE);
	lens = palloc_extended(Max(n, 1) * sizeof(size_t), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("not_own must not contain nulls"),
							errdetail("Element %d is null.", i + 1),
							errhint("Remove it: array_remove(not_own, NULL).")));
		actions[i] = VARDATA_ANY(DatumGetPointer(elements[i]));
		lens[i] = VARSIZE_ANY_EXHDR(DatumGetPointer(elements[i]));
	}
	copy = MemoryContextAllocHuge(w->cxt, VARSIZE(array));
	memcpy(copy, array, VARSIZE(array));
	visit_walk_set_not_own(w, actions, lens, n);
	if (w->not_own)
		pfree(w->not_own);
	w->not_own = copy;
	pfree(lens);
	pfree(actions);
	pfree(nulls);
	pfree(elements);

done:
	if ((Pointer) array != DatumGetPointer(d))
		pfree(array);
}
