/*
 * attribution_state.c
 *		The state of attribution_agg: an expanded object that makes a value.
 *
 * Items have numbers in the order in which they come; their order by text is found when the
 * value is made.
 */
#include "postgres.h"

#include "attribution/attribution_state.h"
#include "common/hashfn.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define STATE_MAGIC 0x41545231

typedef struct NameEntry
{
	AttrText text;
	uint32 item;
	char status;
} NameEntry;

#define SH_PREFIX attr_names
#define SH_ELEMENT_TYPE NameEntry
#define SH_KEY_TYPE AttrText
#define SH_KEY text
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key).text, (key).len)
#define SH_EQUAL(tb, a, b) ((a).len == (b).len && memcmp((a).text, (b).text, (a).len) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define hash_number(key) ((uint32) (UINT64CONST(0x9e3779b97f4a7c15) * (key) >> 32))

typedef struct KeyEntry
{
	uint64 key;
	uint32 number;
	char status;
} KeyEntry;

#define SH_PREFIX attr_keys
#define SH_ELEMENT_TYPE KeyEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_number(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct PlaceEntry
{
	uint64 key;
	AttrSum sum;
	char status;
} PlaceEntry;

#define SH_PREFIX attr_places
#define SH_ELEMENT_TYPE PlaceEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_number(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct GramKey
{
	uint64 from;
	uint32 to;
} GramKey;

typedef struct GramEntry
{
	GramKey key;
	char status;
	int64 times;
} GramEntry;

#define SH_PREFIX attr_grams
#define SH_ELEMENT_TYPE GramEntry
#define SH_KEY_TYPE GramKey
#define SH_KEY key
#define SH_HASH_KEY(tb, k) hash_number((k).from *UINT64CONST(0xff51afd7ed558ccd) + (k).to)
#define SH_EQUAL(tb, a, b) ((a).from == (b).from && (a).to == (b).to)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static Size flat_size(ExpandedObjectHeader *eohptr);
static void flatten_into(ExpandedObjectHeader *eohptr, void *result, Size allocated_size);

static const ExpandedObjectMethods state_methods = {flat_size, flatten_into};

static AttrText
copy_text(const AttrText *text)
{
	char *copy = palloc(Max(text->len, 1));

	memcpy(copy, text->text, text->len);
	return (AttrText) {copy, text->len};
}

/* In a context of its own below the aggregate's, as the executor wants it. */
AttrState *
attr_state_create(const AttrParams *params, MemoryContext aggregate)
{
	MemoryContext cxt = AllocSetContextCreate(aggregate, "attribution", ALLOCSET_START_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	AttrState *s = palloc0(sizeof(AttrState));

	EOH_init_header(&s->hdr, &state_methods, cxt);
	s->magic = STATE_MAGIC;
	s->params = *params;
	s->params.conversion = copy_text(&params->conversion);
	s->params.touches = copy_text(&params->touches);
	s->params.direct = palloc(Max(params->ndirect, 1) * sizeof(AttrText));
	for (uint32 i = 0; i < params->ndirect; i++)
		s->params.direct[i] = copy_text(&params->direct[i]);
	s->nsums = attr_sums(params);
	s->names = attr_names_create(cxt, 8, NULL);
	if (params->transform == ATTR_FREQUENCY)
		s->counted = attr_keys_create(cxt, 8, NULL);
	if (attr_keeps(params, ATTR_ORDERED_SHAPLEY))
		s->places = attr_places_create(cxt, 8, NULL);
	if (attr_keeps(params, ATTR_MARKOV))
		s->grams = attr_grams_create(cxt, 8, NULL);
	if (params->paths)
	{
		s->paths = attr_keys_create(cxt, 8, NULL);
		s->nodes_max = 8;
		s->nodes = palloc(s->nodes_max * sizeof(AttrNode));
		s->nodes[0] = (AttrNode) {0};
		s->nnodes = 1;
	}
	MemoryContextSwitchTo(old);
	return s;
}

AttrState *
attr_state_argument(Datum d, MemoryContext aggregate)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(d);
	AttrFacts f;
	AttrState *s;

	if (VARATT_IS_EXTERNAL_EXPANDED_RW(value))
	{
		s = (AttrState *) DatumGetEOHP(d);
		if (s->magic != STATE_MAGIC)
			elog(ERROR, "state of attribution_agg is something else");
		return s;
	}
	attr_facts_argument(&f, d);
	s = attr_state_create(&f.params, aggregate);
	attr_state_merge(s, &f);
	return s;
}

/* --- items --- */

static bool
is_direct(const AttrParams *p, const AttrText *text)
{
	uint32 low = 0;
	uint32 high = p->ndirect;

	while (low < high)
	{
		uint32 middle = low + (high - low) / 2;
		int cmp = attr_text_cmp(text, &p->direct[middle]);

		if (cmp == 0)
			return true;
		if (cmp < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

uint32
attr_state_item(AttrState *s, const AttrText *text)
{
	MemoryContext cxt = s->hdr.eoh_context;
	NameEntry *entry = attr_names_lookup(s->names, *text);
	AttrText copy;
	MemoryContext old;
	bool found;

	if (entry)
		return entry->item;
	if (s->nitems == ATTR_ITEMS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many items for attribution_agg"),
						errdetail("There can be %d.", ATTR_ITEMS_MAX),
						errhint("Use a coarser item, such as \"channel\".")));
	if (s->nitems == s->items_max)
	{
		uint32 max = Max(2 * s->items_max, 8);
		size_t width = s->nsums * sizeof(AttrSum);

		if (s->items_max == 0)
		{
			s->items = MemoryContextAlloc(cxt, max * sizeof(StateItem));
			s->sums = MemoryContextAllocHuge(cxt, Max(max * width, 1));
		}
		else
		{
			s->items = repalloc_huge(s->items, max * sizeof(StateItem));
			s->sums = repalloc_huge(s->sums, Max(max * width, 1));
		}
		memset((char *) s->sums + s->items_max * width, 0, (max - s->items_max) * width);
		s->items_max = max;
	}
	old = MemoryContextSwitchTo(cxt);
	copy = copy_text(text);
	MemoryContextSwitchTo(old);
	entry = attr_names_insert(s->names, copy, &found);
	entry->item = s->nitems;
	s->items[s->nitems] = (StateItem) {.text = copy, .direct = is_direct(&s->params, text)};
	return s->nitems++;
}

uint32
attr_state_counted(AttrState *s, uint32 item, uint32 count)
{
	bool found;
	KeyEntry *entry = attr_keys_insert(s->counted, (uint64) item << 32 | count, &found);
	StringInfoData text;
	bool direct = s->items[item].direct;

	if (found)
		return entry->number;
	initStringInfo(&text);
	appendBinaryStringInfo(&text, s->items[item].text.text, s->items[item].text.len);
	appendStringInfo(&text, "(%u)", count);
	entry->number = attr_state_item(s, &(AttrText) {text.data, text.len});
	s->items[entry->number].direct = direct;
	pfree(text.data);
	return entry->number;
}

static inline void
add_count(int64 *sum, int64 x)
{
	if (unlikely(__builtin_add_overflow(*sum, x, sum)))
		attr_corrupt("It counts too much.");
}

void
attr_state_gram(AttrState *s, uint64 from, uint32 to, int64 times)
{
	bool found;
	GramEntry *entry = attr_grams_insert(s->grams, (GramKey) {from, to}, &found);

	if (!found)
		entry->times = 0;
	add_count(&entry->times, times);
}

int64 *
attr_state_make_pairs(AttrState *s)
{
	s->pairs = MemoryContextAllocZero(s->hdr.eoh_context,
									  (ATTR_PAIRS + 1) * ATTR_PAIRS_TO * sizeof(int64));
	return s->pairs;
}

/* Put them where the others are. */
static void
fold_pairs(AttrState *s)
{
	for (uint32 before = 0; before <= ATTR_PAIRS; before++)
		for (uint32 to = 0; to < ATTR_PAIRS_TO; to++)
		{
			int64 *times = &s->pairs[before * ATTR_PAIRS_TO + to];

			if (*times > 0)
				attr_state_gram(s, before, to, *times);
			*times = 0;
		}
}

void
attr_state_place(AttrState *s, uint32 item, uint32 place, const AttrSum *sum)
{
	bool found;
	PlaceEntry *entry = attr_places_insert(s->places, (uint64) item << 32 | place, &found);

	if (!found)
		entry->sum = (AttrSum) {0, 0};
	attr_add(&entry->sum.conversions, sum->conversions);
	attr_add(&entry->sum.value, sum->value);
}

uint32
attr_state_node(AttrState *s, uint32 parent, uint32 item)
{
	bool found;
	KeyEntry *entry = attr_keys_insert(s->paths, (uint64) parent << 32 | item, &found);

	if (found)
		return entry->number;
	if (s->nnodes == s->nodes_max)
	{
		if (s->nodes_max >= 1U << 28)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("too many paths for attribution_agg"),
							errhint("Leave out the option \"paths\", or use a coarser item or a "
									"transform.")));
		s->nodes = repalloc_huge(s->nodes, 2 * (size_t) s->nodes_max * sizeof(AttrNode));
		s->nodes_max *= 2;
	}
	entry->number = s->nnodes;
	s->nodes[s->nnodes] = (AttrNode) {.parent = parent, .item = item};
	return s->nnodes++;
}

/* What came before, and what came after, by other numbers of the items. */
static AttrGram
renumbered(uint64 from, uint32 to, int64 times, const uint32 *numbers)
{
	AttrGram gram = {0, to, times};

	for (int k = ATTR_ORDER_MAX; k-- > 0;)
		if (from >> 16 * k != 0)
			gram.from = gram.from << 16 | (numbers[(from >> 16 * k & 0xffff) - 1] + 1);
	if (to >= ATTR_TO_ITEM)
		gram.to = ATTR_TO_ITEM + numbers[to - ATTR_TO_ITEM];
	return gram;
}

/* --- merging --- */

void
attr_state_merge(AttrState *s, const AttrFacts *f)
{
	uint32 *items = palloc(Max(f->nitems, 1) * sizeof(uint32));

	attr_same_params(&s->params, &f->params);
	attr_state_change(s);
	add_count(&s->totals.conversions, f->totals.conversions);
	add_count(&s->totals.without_touch, f->totals.without_touch);
	add_count(&s->totals.without_value, f->totals.without_value);
	add_count(&s->totals.negative, f->totals.negative);
	add_count(&s->totals.nulls, f->totals.nulls);
	add_count(&s->totals.undecided, f->totals.undecided);
	attr_add(&s->totals.value, f->totals.value);
	attr_add(&s->totals.value_without_touch, f->totals.value_without_touch);
	for (uint32 i = 0; i < f->nitems; i++)
	{
		uint32 item = items[i] = attr_state_item(s, &f->items[i]);

		s->items[item].used = true;
		for (int k = 0; k < s->nsums; k++)
		{
			AttrSum *sum = &s->sums[(size_t) item * s->nsums + k];

			attr_add(&sum->conversions, f->sums[(size_t) i * s->nsums + k].conversions);
			attr_add(&sum->value, f->sums[(size_t) i * s->nsums + k].value);
		}
	}
	for (uint32 i = 0; i < f->nplaces; i++)
		attr_state_place(s, items[f->places[i].item], f->places[i].place, &f->places[i].sum);
	for (uint32 i = 0; i < f->ngrams; i++)
	{
		AttrGram gram = renumbered(f->grams[i].from, f->grams[i].to, f->grams[i].times, items);

		CHECK_FOR_INTERRUPTS();
		attr_state_gram(s, gram.from, gram.to, gram.times);
	}
	if (f->params.paths)
	{
		uint32 *nodes = palloc_extended(((size_t) f->nnodes + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);

		nodes[0] = 0;
		for (uint32 i = 0; i < f->nnodes; i++)
		{
			const AttrNode *from = &f->nodes[i];
			AttrNode *node;

			CHECK_FOR_INTERRUPTS();
			nodes[i + 1] = attr_state_node(s, nodes[from->parent], items[from->item]);
			node = &s->nodes[nodes[i + 1]];
			add_count(&node->conversions, from->conversions);
			add_count(&node->nulls, from->nulls);
			attr_add(&node->value, from->value);
		}
		pfree(nodes);
	}
	pfree(items);
}

/* --- the value --- */

static int
text_order(const void *a, const void *b, void *items)
{
	const StateItem *all = items;

	return attr_text_cmp(&all[*(const uint32 *) a].text, &all[*(const uint32 *) b].text);
}

static int
place_order(const void *a, const void *b)
{
	const AttrPlace *x = a;
	const AttrPlace *y = b;

	if (x->item != y->item)
		return x->item < y->item ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static int
gram_order(const void *a, const void *b)
{
	const AttrGram *x = a;
	const AttrGram *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

typedef struct NodePlace
{
	uint64 key; /* place of the path before, then of the item */
	uint32 node;
} NodePlace;

static int
node_order(const void *a, const void *b)
{
	const NodePlace *x = a;
	const NodePlace *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* Paths by length, then by the path before and the item: so each stands behind the latter. */
static void
order_nodes(const AttrState *s, const uint32 *ranks, AttrFacts *f)
{
	uint32 n = s->nnodes;
	uint32 *lengths = palloc_extended(n * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint32 *places = palloc_extended(n * sizeof(uint32), MCXT_ALLOC_HUGE);
	NodePlace *level = palloc_extended(n * sizeof(NodePlace), MCXT_ALLOC_HUGE);
	uint32 *starts;
	uint32 longest = 0;

	f->nnodes = n - 1;
	f->nodes = palloc_extended(n * sizeof(AttrNode), MCXT_ALLOC_HUGE);
	lengths[0] = 0;
	for (uint32 i = 1; i < n; i++)
	{
		lengths[i] = lengths[s->nodes[i].parent] + 1;
		longest = Max(longest, lengths[i]);
	}
	starts =
		palloc_extended(((size_t) longest + 2) * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < n; i++)
		starts[lengths[i] + 1]++;
	for (uint32 i = 1; i <= longest + 1; i++)
		starts[i] += starts[i - 1];
	for (uint32 i = 0; i < n; i++)
		level[starts[lengths[i]]++].node = i;
	/* each start is the next one's now */
	places[0] = 0;
	for (uint32 length = 1, from = 1; length <= longest; from = starts[length++])
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 i = from; i < starts[length]; i++)
		{
			const AttrNode *node = &s->nodes[level[i].node];

			level[i].key = (uint64) places[node->parent] << 32 | ranks[node->item];
		}
		qsort(level + from, starts[length] - from, sizeof(NodePlace), node_order);
		for (uint32 i = from; i < starts[length]; i++)
		{
			const AttrNode *node = &s->nodes[level[i].node];

			places[level[i].node] = i;
			f->nodes[i - 1] = *node;
			f->nodes[i - 1].parent = places[node->parent];
			f->nodes[i - 1].item = ranks[node->item];
		}
	}
	pfree(starts);
	pfree(level);
	pfree(places);
	pfree(lengths);
}

struct varlena *
attr_state_flat(AttrState *s)
{
	MemoryContext work;
	MemoryContext old;
	AttrFacts f = {.params = s->params, .totals = s->totals};
	uint32 *order;
	uint32 *ranks;
	struct varlena *flat;

	if (s->flat)
		return s->flat;
	if (s->pairs)
		fold_pairs(s);
	work = AllocSetContextCreate(s->hdr.eoh_context, "attribution value", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	order = palloc(Max(s->nitems, 1) * sizeof(uint32));
	ranks = palloc0(Max(s->nitems, 1) * sizeof(uint32));
	for (uint32 i = 0; i < s->nitems; i++)
		if (s->items[i].used)
			order[f.nitems++] = i;
	qsort_arg(order, f.nitems, sizeof(uint32), text_order, s->items);
	f.items = palloc(Max(f.nitems, 1) * sizeof(AttrText));
	f.sums = palloc_extended((size_t) Max(f.nitems, 1) * Max(s->nsums, 1) * sizeof(AttrSum),
							 MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < f.nitems; i++)
	{
		ranks[order[i]] = i;
		f.items[i] = s->items[order[i]].text;
		memcpy(&f.sums[(size_t) i * s->nsums], &s->sums[(size_t) order[i] * s->nsums],
			   s->nsums * sizeof(AttrSum));
	}
	if (s->places)
	{
		attr_places_iterator it;
		PlaceEntry *entry;

		f.places = palloc_extended(Max(s->places->members, 1) * sizeof(AttrPlace), MCXT_ALLOC_HUGE);
		attr_places_start_iterate(s->places, &it);
		while ((entry = attr_places_iterate(s->places, &it)) != NULL)
			f.places[f.nplaces++] =
				(AttrPlace) {ranks[entry->key >> 32], (uint32) entry->key, entry->sum};
		qsort(f.places, f.nplaces, sizeof(AttrPlace), place_order);
	}
	if (s->grams)
	{
		attr_grams_iterator it;
		GramEntry *entry;

		f.grams = palloc_extended(Max(s->grams->members, 1) * sizeof(AttrGram), MCXT_ALLOC_HUGE);
		attr_grams_start_iterate(s->grams, &it);
		while ((entry = attr_grams_iterate(s->grams, &it)) != NULL)
		{
			CHECK_FOR_INTERRUPTS();
			f.grams[f.ngrams++] = renumbered(entry->key.from, entry->key.to, entry->times, ranks);
		}
		qsort(f.grams, f.ngrams, sizeof(AttrGram), gram_order);
	}
	if (s->paths)
		order_nodes(s, ranks, &f);
	MemoryContextSwitchTo(s->hdr.eoh_context);
	flat = attr_facts_write(&f);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	s->flat = flat;
	return flat;
}

static Size
flat_size(ExpandedObjectHeader *eohptr)
{
	return VARSIZE(attr_state_flat((AttrState *) eohptr));
}

static void
flatten_into(ExpandedObjectHeader *eohptr, void *result, Size allocated_size)
{
	struct varlena *flat = attr_state_flat((AttrState *) eohptr);

	Assert(allocated_size == VARSIZE(flat));
	memcpy(result, flat, VARSIZE(flat));
}
