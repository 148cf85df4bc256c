/*
 * flow.h
 *		Paths of journeys, counted: the type flow.
 *
 * A path is a stretch of a journey as steps, each an item (a channel, say) with at least one
 * touchpoint. A flow holds
 * - all different paths, each with how many there were and how long they took;
 * - edges: at each step, counted in the direction of reading, from which item to which, how
 *   many paths went, with how many touchpoints at the step, and the times between. Steps are
 *   told apart up to max_steps, or FLOW_STEPS if that is not given; all later ones are one.
 * All that is read of a flow comes from these two. Flows of the same options can be added up.
 *
 * Times are all kept up to FLOW_EXACT_STEPS steps; beyond, they are counted in buckets of
 * less than 1 % width, so that a median is off by at most 0.4 %. Both are a function of
 * what was counted, whatever the order.
 *
 * There are two forms. The flat one is stored, byte by byte behind the length word (LEB128 as
 * in journey/bits.h; a text is its length and as many bytes):
 *
 *	version		1 byte: 1
 *	rounded		1 byte: 1 if times are numbers of buckets, else 0 (microseconds)
 *	options		as a text: bytes as flow_options.c writes them
 *	items		LEB128, how many, and texts, ascending bytewise; named below by number, from 0
 *	paths		LEB128, how many; of each, ascending by key
 *		key			LEB128, how many bytes it begins with as the one before, and how many are its
 *					own; then these. A key is a byte (1: ends as the option "end" says; 2: is
 *					part of a longer path, which max_steps cut), and the items as LEB128
 *		paths		LEB128
 *		durations	times, as many as paths
 *	edges		LEB128, how many; of each, ascending by step, node and other
 *		step		LEB128, from 1, of later ones all the same; less the one before
 *		node		LEB128, item of the step
 *		other		LEB128, of the step behind it (before it, if read backward): 0: there is none;
 *					1: cut by max_steps; else 2 + item
 *		paths		LEB128
 *		touchpoints	LEB128, at the step; less paths
 *		[item]		times, as many as paths, between the two;
 *					[rounded: LEB128 each, sum, lower 64 bits, higher 64 bits; least; greatest]
 *	times		LEB128, how many distinct ones; ascending, of each LEB128, less the one before,
 *				times 2, and 1 more if it is there more than once; then LEB128, how often
 *
 * Equal flows are equal bytes. An aggregate's state is the other form, an expanded object,
 * from which everything is read. Readers trust nothing: a corrupt value raises
 * ERRCODE_DATA_CORRUPTED.
 */
#ifndef PGJ_FLOW_H
#define PGJ_FLOW_H

#include "fmgr.h"
#include "journey/journey.h"
#include "utils/expandeddatum.h"
#include "utils/jsonb.h"

#define FLOW_MAGIC 0x464c4f57

#define FLOW_VERSION 1
#define FLOW_EXACT_STEPS 1000000
#define FLOW_STEPS 30

/* What stands first in a path's key. */
#define FLOW_REACHED 1
#define FLOW_CUT 2

/* What an edge leads to, or an item plus FLOW_ITEM. */
#define FLOW_END 0
#define FLOW_MORE 1
#define FLOW_ITEM 2

typedef struct FlowOptions
{
	LabelPart item;
	const char *start; /* patterns, canonical; NULL: none */
	const char *end;
	bool backward;
	bool collapse;
	uint32 max_steps; /* 0: all */
	uint64 gap;       /* 0: none ends a path */
} FlowOptions;

typedef struct FlowText
{
	const char *text;
	size_t len;
} FlowText;

typedef struct FlowRun
{
	int64 time; /* or the bucket's number */
	int64 count;
} FlowRun;

/*
 * Times, microseconds each: int64s; rounded: buckets that were counted, and uint16s that are
 * to be.
 */
typedef struct FlowTimes
{
	int64 one; /* while there is but one */
	void *values;
	FlowRun *runs; /* ascending */
	uint32 n;      /* of one, or values */
	uint32 max;    /* 0: at most one */
	uint32 nruns;
	uint32 runs_max;
} FlowTimes;

typedef struct FlowEdge
{
	uint32 step;
	uint32 node;
	uint32 other;
	int64 paths;
	int64 touchpoints;
	int64 least;
	int64 greatest;
	uint64 sum;
	uint64 sum_high;
	FlowTimes times;
} FlowEdge;

typedef struct FlowPath
{
	const uint8 *key;
	uint32 len;
	int64 paths;
	FlowTimes durations;
} FlowPath;

/* In a flow of so many paths, edges among so many items, ends included, are known by their place. */
#define FLOW_NEAR_PATHS 1000
#define FLOW_NEAR 32
#define FLOW_NEAR_STEPS 32

typedef struct Flow
{
	ExpandedObjectHeader hdr;
	uint32 magic;
	bool rounded;
	uint64 serial; /* no other state in this process has it */
	bytea *options_bytes;
	FlowOptions options;
	int64 steps; /* of all paths */
	int64 paths_sum;
	FlowText *items;
	uint32 nitems;
	uint32 items_max;
	FlowPath *paths;
	uint32 npaths;
	uint32 paths_max;
	FlowEdge *edges;
	uint32 nedges;
	uint32 edges_max;
	struct flow_items_hash *item_table;
	struct flow_paths_hash *path_table;
	struct flow_edges_hash *edge_table;
	uint32 *near[FLOW_NEAR_STEPS];
	uint8 *arena; /* room for keys */
	size_t arena_left;
	uint64 *histogram; /* scratch: all zero in between */
	uint64 site;       /* the call site whose numbers of labels are known */
	uint32 *numbers;   /* of each: item + 1, or 0 */
	uint32 numbers_max;
	struct varlena *flat; /* or NULL */
} Flow;

#define FLOW_MAX_STEPS 1000000

/* --- flow_options.c --- */
extern const char *flow_single_step(TextScan *s);
extern bytea *flow_options_bytes(const FlowOptions *o);
extern FlowOptions *flow_options_of_bytes(const uint8 *p, size_t len);
extern const char *flow_options_differ(const FlowOptions *a, const FlowOptions *b);

/* --- flow_options_json.c --- */
extern FlowOptions *flow_options_parse(LabelPart item, Jsonb *options);
extern FlowOptions *flow_options_of_json(const char *p, size_t len);
extern void flow_options_print(StringInfo out, const FlowOptions *o);

/* --- flow_arg.c --- */
extern MemoryContext flow_context(MemoryContext aggregate);
extern Flow *flow_state_argument(Datum d, MemoryContext aggregate);
extern Flow *flow_argument(Datum d);
extern void flows_differ(const FlowOptions *a, const FlowOptions *b) __attribute__((noreturn));

/* --- flow_state.c --- */
extern Flow *flow_create(const bytea *options, MemoryContext cxt);
extern struct varlena *flow_flat(Flow *m);
extern uint32 flow_add_item(Flow *m, const char *text, size_t len);
extern FlowPath *flow_add_path(Flow *m, const uint8 *key, uint32 len, bool *found);
extern FlowEdge *flow_add_edge(Flow *m, uint32 step, uint32 node, uint32 other);
extern void flow_round(Flow *m);
extern void flow_add_time(Flow *m, FlowTimes *t, int64 time);
extern void flow_add_runs(Flow *m, FlowTimes *t, FlowRun *runs, uint32 n, bool rounded);
extern void flow_edge_time(Flow *m, FlowEdge *e, int64 time);
extern FlowRun *flow_runs(Flow *m, FlowTimes *t, uint32 *n);
extern void flow_sum(int64 *sum, int64 count);
extern int flow_item_cmp(const Flow *m, uint32 a, uint32 b);

/* Steps that edges tell apart. */
static inline uint32
flow_told_steps(const FlowOptions *o)
{
	return o->max_steps > 0 ? o->max_steps : FLOW_STEPS;
}

/* So many steps more are going to be counted. */
static inline void
flow_count_steps(Flow *m, int64 steps)
{
	flow_sum(&m->steps, steps);
	if (unlikely(!m->rounded && m->steps > FLOW_EXACT_STEPS))
		flow_round(m);
}

/* A path's steps one after the other: from key + 1 on, which must be below the end. */
static inline const uint8 *
flow_step(const uint8 *p, const uint8 *end, uint32 *item)
{
	uint64 number = 0;

	if (likely(*p < 0x80))
	{
		*item = *p;
		return p + 1;
	}
	p = leb_read(p, end, &number);
	*item = (uint32) number;
	return p;
}

/* Buckets: each power of two has 128, the first 256 have one time each. */
#define FLOW_BUCKETS 8192

static inline uint32
flow_bucket(uint64 time)
{
	int e;

	if (time < 256)
		return (uint32) time;
	e = pg_leftmost_one_pos64(time) - 7;
	return e * 128 + (uint32) (time >> e);
}

/* The middle of one. */
static inline int64
flow_bucket_time(uint32 bucket)
{
	int e;

	if (bucket < 256)
		return bucket;
	e = (bucket - 128) / 128;
	return ((int64) (bucket % 128 + 128) << e) + ((INT64CONST(1) << e) - 1) / 2;
}

/* --- flow_read.c: the flat form --- */


/* Where it comes from: from a client, items and paths need not ascend, and errors are its fault. */
typedef enum FlowSource
{
	FLOW_STORED,
	FLOW_RECEIVED,
	FLOW_TYPED
} FlowSource;

extern Flow *flow_of_flat(const struct varlena *flat, FlowSource source, MemoryContext cxt);
extern void flow_merge(Flow *m, const struct varlena *flat, FlowSource source);
extern void flow_corrupt(FlowSource source, const char *what) __attribute__((noreturn));

/* Do edges tell what paths tell? What is wrong, or NULL. */
extern const char *flow_wrong(Flow *m);

/* --- flow_agg.c --- */

/* The steps of one path. */
typedef struct FlowSteps
{
	uint32 n;
	uint32 max;
	uint32 *items;
	int64 *first; /* time of the first touchpoint of each */
	int64 *last;
	uint32 *touchpoints;
} FlowSteps;

typedef struct FlowSite FlowSite;
extern FlowSite *flow_site_create(MemoryContext cxt, const FlowOptions *o);

/* The steps of the path that a journey ends in; none, if it is in none. */
extern const FlowSteps *flow_last_path(FlowSite *site, Flow *m, const JourneyView *v, bool *open);

#endif /* PGJ_FLOW_H */
