/*
 * flow_read.c
 *		Reading the flat form of a flow; whatever it says is checked.
 */
#include "postgres.h"

#include "compat.h"
#include "flow/flow.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct FlowReader
{
	const uint8 *p;
	const uint8 *end;
	FlowSource source; /* of the value */
	bool rounded;
	int64 steps;     /* of all paths */
	uint32 *numbers; /* the state's, of items */
	uint32 nitems;
	FlowRun *runs; /* of the times read last */
	uint32 nruns;
	uint32 runs_max;
	uint8 *key;
	size_t key_max;
	uint8 *own; /* likewise, of the state's numbers */
	size_t own_max;
} FlowReader;

static const char kind_wrong[] = "Its times are not of the kind that so many steps have.";

void
flow_corrupt(FlowSource source, const char *what)
{
	if (source == FLOW_TYPED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type flow"), errdetail_internal("%s", what)));
	if (source == FLOW_RECEIVED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of flow"), errdetail_internal("%s", what)));
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("flow is corrupt"),
					errdetail_internal("%s", what)));
}

static inline uint64
read_number(FlowReader *r)
{
	uint64 number;
	const uint8 *p = leb_read_word(r->p, r->end, &number);

	if (unlikely(p == NULL))
		flow_corrupt(r->source, "A number is cut off or too long.");
	r->p = p;
	return number;
}

static inline int64
read_count(FlowReader *r)
{
	uint64 count = read_number(r);

	if (unlikely(count > PG_INT64_MAX))
		flow_corrupt(r->source, "A count is out of range.");
	return count;
}

static FlowText
read_text(FlowReader *r)
{
	FlowText name;

	name.len = read_number(r);
	if (name.len > r->end - r->p)
		flow_corrupt(r->source, "A text is cut off.");
	name.text = (const char *) r->p;
	r->p += name.len;
	if (!pg_verify_mbstr(GetDatabaseEncoding(), name.text, name.len, true))
		flow_corrupt(r->source, "A text is not valid in the database's encoding.");
	return name;
}

/* Room for bytes in a buffer, in the current context. */
static uint8 *
bytes_room(uint8 *buffer, size_t len, size_t *max)
{
	if (buffer && len <= *max)
		return buffer;
	*max = Max(256, 2 * len);
	return buffer ? repalloc_huge(buffer, *max) : palloc_extended(*max, MCXT_ALLOC_HUGE);
}

static void
read_times(FlowReader *r, int64 paths)
{
	uint64 n = read_number(r);
	int64 all = 0;
	int64 time = 0;

	if (n == 0 || n > r->end - r->p)
		flow_corrupt(r->source, "Times are cut off, or there are none.");
	if (n > r->runs_max)
	{
		r->runs_max = Max(64, n + n / 2);
		r->runs = r->runs ? repalloc_huge(r->runs, r->runs_max * sizeof(FlowRun))
						  : palloc_extended(r->runs_max * sizeof(FlowRun), MCXT_ALLOC_HUGE);
	}
	for (r->nruns = 0; r->nruns < n; r->nruns++)
	{
		uint64 code = read_number(r);
		uint64 more = code >> 1;
		int64 count = 1;

		if (unlikely(r->nruns % 0x1000 == 0x1000 - 1))
			CHECK_FOR_INTERRUPTS();
		if (r->nruns > 0 && more == 0)
			flow_corrupt(r->source, "Times do not ascend.");
		if (more > (r->rounded ? FLOW_BUCKETS - 1 : PG_INT64_MAX) - time)
			flow_corrupt(r->source, "A time is out of range.");
		time += more;
		if (code & 1)
		{
			count = read_count(r);
			if (count < 2)
				flow_corrupt(r->source, "A time is there less than twice.");
		}
		r->runs[r->nruns] = (FlowRun) {time, count};
		if (count > paths - all)
			flow_corrupt(r->source, "There are more times than paths.");
		all += count;
	}
	if (all != paths)
		flow_corrupt(r->source, "There are fewer times than paths.");
}

/* The key in the state's numbers; how many steps it has. */
static int64
own_key(FlowReader *r, size_t len, uint32 *own_len)
{
	const uint8 *p = r->key;
	const uint8 *end = p + len;
	int64 steps = 0;
	uint8 *to;

	if (len < 2 || r->key[0] > (FLOW_REACHED | FLOW_CUT))
		flow_corrupt(r->source, "A path has no steps, or is of no kind.");
	r->own = bytes_room(r->own, len * 5, &r->own_max);
	to = r->own;
	*to++ = *p++;
	for (; p < end; steps++)
	{
		uint64 item;

		p = leb_read(p, end, &item);
		if (p == NULL || item >= r->nitems)
			flow_corrupt(r->source, "An item of a path is not there.");
		to = leb_write(to, r->numbers[item]);
	}
	if (to - r->own > MaxAllocSize)
		flow_corrupt(r->source, "A path is too long.");
	*own_len = to - r->own;
	return steps;
}

static void
read_paths(FlowReader *r, Flow *m, bool fresh)
{
	uint64 n = read_number(r);
	size_t len = 0;

	for (uint64 i = 0; i < n; i++)
	{
		uint64 same = read_number(r);
		uint64 own = read_number(r);
		uint32 own_len;
		FlowPath *path;
		int64 paths;
		int64 steps;
		bool found;

		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		if (same > len || own > r->end - r->p)
			flow_corrupt(r->source, "A path is cut off.");
		r->key = bytes_room(r->key, same + own, &r->key_max);
		/* it goes on otherwise than the one before, and with more */
		if (r->source == FLOW_STORED && i > 0 &&
			(own == 0 || (same < len && r->key[same] >= r->p[0])))
			flow_corrupt(r->source, "Paths do not ascend.");
		memcpy(r->key + same, r->p, own);
		r->p += own;
		len = same + own;
		steps = own_key(r, len, &own_len);
		paths = read_count(r);
		if (paths == 0 || steps > PG_INT64_MAX / paths)
			flow_corrupt(r->source, "A path's count is impossible.");
		flow_sum(&r->steps, steps * paths);
		if (!r->rounded && r->steps > FLOW_EXACT_STEPS)
			flow_corrupt(r->source, kind_wrong);
		read_times(r, paths);
		flow_count_steps(m, steps * paths);
		path = flow_add_path(m, r->own, own_len, &found);
		if (fresh && found)
			flow_corrupt(r->source, "A path is there twice.");
		flow_sum(&path->paths, paths);
		flow_sum(&m->paths_sum, paths);
		flow_add_runs(m, &path->durations, r->runs, r->nruns, r->rounded);
	}
}

static uint32
read_item(FlowReader *r)
{
	uint64 item = read_number(r);

	if (item >= r->nitems)
		flow_corrupt(r->source, "An edge's item is not there.");
	return r->numbers[item];
}

static void
read_edges(FlowReader *r, Flow *m, bool fresh)
{
	uint64 n = read_number(r);
	uint64 step = 0;
	uint64 last[3] = {0};

	for (uint64 i = 0; i < n; i++)
	{
		uint32 before = m->nedges;
		uint64 place[3];
		const uint8 *at;
		FlowEdge *e;
		int64 paths;
		int64 touchpoints;
		uint32 node;
		uint32 other;
		uint64 more = read_number(r);

		CHECK_FOR_INTERRUPTS();
		if (more > flow_told_steps(&m->options) + 1 - step || step + more == 0)
			flow_corrupt(r->source, "A step is out of range.");
		step += more;
		at = r->p;
		place[0] = step;
		place[1] = read_number(r);
		r->p = at;
		node = read_item(r);
		at = r->p;
		place[2] = read_number(r);
		other = place[2];
		if (place[2] >= FLOW_ITEM)
		{
			if (place[2] - FLOW_ITEM >= r->nitems)
				flow_corrupt(r->source, "An edge's item is not there.");
			other = r->numbers[place[2] - FLOW_ITEM] + FLOW_ITEM;
		}
		if (r->source == FLOW_STORED && i > 0 &&
			(place[0] != last[0]   ? place[0] < last[0]
			 : place[1] != last[1] ? place[1] < last[1]
								   : place[2] <= last[2]))
			flow_corrupt(r->source, "Edges do not ascend.");
		memcpy(last, place, sizeof(last));
		paths = read_count(r);
		touchpoints = read_count(r);
		/* each step of a path is in one edge */
		if (paths == 0 || paths > r->steps || touchpoints > PG_INT64_MAX - paths)
			flow_corrupt(r->source, "An edge's count is impossible.");
		r->steps -= paths;
		e = flow_add_edge(m, step, node, other);
		if (fresh && m->nedges == before)
			flow_corrupt(r->source, "An edge is there twice.");
		flow_sum(&e->paths, paths);
		flow_sum(&e->touchpoints, paths + touchpoints);
		if (other < FLOW_ITEM)
			continue;
		read_times(r, paths);
		if (r->rounded)
		{
			uint64 sum = read_number(r);
			uint64 high = read_number(r);
			int64 least = read_count(r);
			int64 greatest = read_count(r);

			if (least > greatest)
				flow_corrupt(r->source, "The least time is greater than the greatest.");
			e->sum += sum;
			e->sum_high += high + (e->sum < sum);
			e->least = Min(e->least, least);
			e->greatest = Max(e->greatest, greatest);
		}
		else
			for (uint32 k = 0; k < r->nruns; k++)
			{
				/* so many times at most that it cannot overflow */
				uint64 time = r->runs[k].time;

				e->least = Min(e->least, r->runs[k].time);
				e->greatest = Max(e->greatest, r->runs[k].time);
				for (int64 c = 0; c < r->runs[k].count; c++)
				{
					e->sum += time;
					e->sum_high += e->sum < time;
				}
			}
		flow_add_runs(m, &e->times, r->runs, r->nruns, r->rounded);
	}
}

static void
read_head(FlowReader *r, const struct varlena *flat, FlowSource source, FlowText *options)
{
	memset(r, 0, sizeof(*r));
	r->source = source;
	r->p = (const uint8 *) VARDATA_ANY(flat);
	r->end = r->p + VARSIZE_ANY_EXHDR(flat);
	if (r->end - r->p < 2)
		flow_corrupt(source, "It is too short.");
	if (r->p[0] != FLOW_VERSION)
		flow_corrupt(source, "Its version is not known.");
	if (r->p[1] > 1)
		flow_corrupt(source, "Its times are of no kind.");
	r->rounded = r->p[1] == 1;
	r->p += 2;
	options->len = read_number(r);
	if (options->len > r->end - r->p)
		flow_corrupt(source, "Its options are cut off.");
	options->text = (const char *) r->p;
	r->p += options->len;
}

/* Add a flow of the same options; one that was received to an empty one. */
void
flow_merge(Flow *m, const struct varlena *flat, FlowSource source)
{
	FlowReader r;
	FlowText options;
	FlowText before = {0};
	uint64 nitems;
	bool fresh = m->npaths == 0;

	read_head(&r, flat, source, &options);
	if (options.len != VARSIZE(m->options_bytes) - VARHDRSZ ||
		memcmp(options.text, VARDATA(m->options_bytes), options.len) != 0)
	{
		const FlowOptions *other = flow_options_of_bytes((const uint8 *) options.text, options.len);

		if (other == NULL)
			flow_corrupt(source, "Its options are none.");
		flows_differ(&m->options, other);
	}
	nitems = read_number(&r);
	if (nitems > r.end - r.p)
		flow_corrupt(source, "There are fewer items than it says.");
	r.nitems = nitems;
	r.numbers = palloc_extended(Max(nitems, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < r.nitems; i++)
	{
		FlowText item = read_text(&r);
		uint32 known = m->nitems;

		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		if (source == FLOW_STORED && i > 0 &&
			label_bytes_cmp(before.text, before.len, item.text, item.len) >= 0)
			flow_corrupt(source, "Items do not ascend.");
		r.numbers[i] = flow_add_item(m, item.text, item.len);
		if (fresh && source != FLOW_STORED && m->nitems == known)
			flow_corrupt(source, "An item is there twice.");
		before = item;
	}
	if (r.rounded && !m->rounded)
		flow_round(m);
	read_paths(&r, m, fresh);
	if (r.rounded && r.steps <= FLOW_EXACT_STEPS)
		flow_corrupt(source, kind_wrong);
	read_edges(&r, m, fresh);
	if (r.p != r.end)
		flow_corrupt(source, "It is longer than what it says.");
	if (r.runs)
		pfree(r.runs);
	if (r.key)
		pfree(r.key);
	if (r.own)
		pfree(r.own);
	pfree(r.numbers);
}

Flow *
flow_of_flat(const struct varlena *flat, FlowSource source, MemoryContext cxt)
{
	FlowReader r;
	FlowText options;
	bytea *copy;
	Flow *m;

	read_head(&r, flat, source, &options);
	copy = palloc_extended(VARHDRSZ + options.len, MCXT_ALLOC_HUGE);
	SET_VARSIZE(copy, VARHDRSZ + options.len);
	memcpy(VARDATA(copy), options.text, options.len);
	m = flow_create(copy, cxt);
	if (m == NULL)
		flow_corrupt(source, "Its options are none.");
	pfree(copy);
	flow_merge(m, flat, source);
	return m;
}

const char *
flow_wrong(Flow *m)
{
	Flow *again = flow_create(m->options_bytes, CurrentMemoryContext);
	uint32 told = flow_told_steps(&m->options);
	const char *wrong = NULL;

	/* the same numbers of items */
	for (uint32 i = 0; i < m->npaths; i++)
	{
		const FlowPath *path = &m->paths[i];
		const uint8 *end = path->key + path->len;
		const uint8 *p = path->key + 1;
		uint32 n = 0;
		uint32 *items = palloc_extended(path->len * sizeof(uint32), MCXT_ALLOC_HUGE);

		CHECK_FOR_INTERRUPTS();
		while (p < end)
			p = flow_step(p, end, &items[n++]);
		if (((path->key[0] & FLOW_REACHED) && m->options.end == NULL) ||
			((path->key[0] & FLOW_CUT) && n != m->options.max_steps) ||
			(m->options.max_steps > 0 && n > m->options.max_steps))
			return "A path is not one that its options allow.";
		for (uint32 k = 0; m->options.collapse && k + 1 < n; k++)
			if (items[k] == items[k + 1])
				return "A path has equal neighbours, but they were to be one step.";
		for (uint32 k = 0; k < n; k++)
		{
			uint32 at = m->options.backward ? n - 1 - k : k;
			uint32 other = k + 1 < n ? items[m->options.backward ? at - 1 : at + 1] + FLOW_ITEM
						   : path->key[0] & FLOW_CUT ? FLOW_MORE
													 : FLOW_END;

			flow_sum(&flow_add_edge(again, Min(k, told) + 1, items[at], other)->paths, path->paths);
		}
		pfree(items);
	}
	if (again->nedges != m->nedges)
		wrong = "Its edges are not those of its paths.";
	for (uint32 i = 0; i < m->nedges && wrong == NULL; i++)
	{
		const FlowEdge *e = &m->edges[i];

		CHECK_FOR_INTERRUPTS();
		if (flow_add_edge(again, e->step, e->node, e->other)->paths != e->paths)
			wrong = "Its edges are not those of its paths.";
		else if (!m->options.collapse && e->touchpoints != e->paths)
			wrong = "A step has more touchpoints than one.";
	}
	return wrong;
}
