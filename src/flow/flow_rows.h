/*
 * flow_rows.h
 *		What the readings of a flow share: rows that are made at once, and quantiles of times.
 */
#ifndef PGJ_FLOW_ROWS_H
#define PGJ_FLOW_ROWS_H

#include "analytics/row_set.h"
#include "datatype/timestamp.h"
#include "flow/flow.h"

/* Beside an item plus FLOW_ITEM, FLOW_END and FLOW_MORE: all that are not among the first ones. */
#define FLOW_OTHERS PG_UINT32_MAX

/* --- flow_spread.c: the times of several edges --- */

typedef struct Spread
{
	bool rounded;
	uint64 n;
	int64 least;
	int64 greatest;
	uint64 sum;
	uint64 sum_high;
	int64 *values; /* ascending once it is sorted */
	uint64 max;
	bool sorted;
	uint64 *histogram;
} Spread;

extern Spread *spread_create(const Flow *m);
extern void spread_reset(Spread *s);
extern void spread_add_times(Spread *s, Flow *m, FlowTimes *t);
extern void spread_add(Spread *s, Flow *m, FlowEdge *e);

/* As percentile_cont has it, of so many tenths; there must be times. */
extern Datum spread_quantile(Spread *s, int tenths, bool clamp);

/* Their mean, to the nearest microsecond. */
extern Datum spread_mean(const Spread *s);

/* --- flow_rows.c --- */

typedef struct FlowRow
{
	int32 step;
	uint32 source;
	uint32 target;
	int64 a;
	int64 b;
	int64 c;
	Interval times[5];
	bool timeless;
	const FlowPath *path;
} FlowRow;

typedef struct FlowRows
{
	RowSet rows;
	Flow *m;
	FlowRow *list;
	uint32 n;
	uint32 max;
	uint32 i;
	int64 seen;
	Datum *texts; /* of items, 0: not made */
} FlowRows;

typedef void (*MakeRows)(FunctionCallInfo fcinfo, FlowRows *set);

extern FlowRow *flow_add_row(FlowRows *set);
extern void flow_sort_rows(FlowRows *set);
extern Datum flow_rows(FunctionCallInfo fcinfo, MakeRows make, RowSetRow next);
extern Datum flow_item_text(FlowRows *set, uint32 item);
extern void flow_append_item(StringInfo out, const FlowText *item);

/* Keep an interval in a row. */
extern void flow_keep_interval(FlowRow *row, int i, Datum interval);

/* An edge of what is grouped. */
typedef struct FlowPlace
{
	uint32 step;
	uint32 source;
	uint32 target;
	uint32 edge;
} FlowPlace;

extern void flow_sort_places(FlowPlace *places, uint32 n);

static inline void *
flow_scratch(size_t n, size_t size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

#endif /* PGJ_FLOW_ROWS_H */
