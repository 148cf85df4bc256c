/*
 * conflicts.c
 *		Links that would make a component break a rule.
 *
 * Each component keeps three lists: tallies, how many nodes of which group it has,
 * enemies, the nodes that must stay apart from one of its own, and what is known of
 * which attribute. Hash tables find the tally of a component and a group, the value of
 * a component and an attribute, and whether two components are enemies. When two
 * become one, the shorter list goes into the longer, so that an item moves only as
 * often as its list can double. A link that is skipped costs one look-up for the
 * enemies and one for each group and attribute of the shorter lists.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/graph.h"
#include "touchpoint/frozen_hash.h"

typedef struct PairEntry
{
	uint64 key;
	uint32 item;
	char status;
} PairEntry;

#define SH_PREFIX pairs
#define SH_ELEMENT_TYPE PairEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) mix(0, key))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

typedef struct Item
{
	uint32 what;  /* a group, an enemy, or an attribute */
	uint32 count; /* nodes of the group; place of the value, from 1, 0: several differ */
	uint32 next;  /* 0: the last */
} Item;

typedef struct List
{
	uint32 first;
	uint32 length;
} List;

/* The lists of all components: that of each node, until it goes into another */
typedef struct Lists
{
	uint32 *of; /* a root's component */
	List *lists;
	Item *items; /* from 1 */
	uint32 nitems;
	pairs_hash *pairs; /* (list, group or attribute) to its item, or the two lists of enemies */
} Lists;

typedef struct Partition
{
	Components c;
	const ConflictRules *rules;
	uint32 *broken; /* the smallest group of which a node alone is too many; 0: none */
	Lists tallies;
	Lists enemies;
	Lists known;
} Partition;

static void
lists_init(Lists *l, uint32 nnodes, size_t nitems)
{
	l->of = graph_array(nnodes, sizeof(uint32));
	l->lists = graph_array(nnodes, sizeof(List));
	l->items = graph_array(nitems, sizeof(Item));
	l->nitems = 0;
	l->pairs = pairs_create(CurrentMemoryContext, 64, NULL);
	for (uint32 i = 1; i <= nnodes; i++)
		l->of[i] = i;
}

static inline void
push(Lists *l, uint32 list, uint32 item)
{
	l->items[item].next = l->lists[list].first;
	l->lists[list].first = item;
	l->lists[list].length++;
}

static void
push_new(Lists *l, uint32 list, uint32 what)
{
	l->items[++l->nitems] = (Item) {what, 1, 0};
	push(l, list, l->nitems);
}

/* The lists of two components, by their roots */
static inline void
find_lists(const Lists *l, uint32 a, uint32 b, uint32 *shorter, uint32 *longer)
{
	bool swap = l->lists[l->of[a]].length > l->lists[l->of[b]].length;

	*shorter = l->of[swap ? b : a];
	*longer = l->of[swap ? a : b];
}

static inline uint64
tally_key(uint32 list, uint32 group)
{
	return (uint64) list << 32 | group;
}

static inline uint64
enemies_key(uint32 a, uint32 b)
{
	return (uint64) Min(a, b) << 32 | Max(a, b);
}

static inline uint32
smaller_group(uint32 a, uint32 b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Said twice, it counts once. */
static void
add_member(Partition *p, uint32 node, uint32 group)
{
	Lists *l = &p->tallies;
	bool found;
	PairEntry *entry = pairs_insert(l->pairs, tally_key(node, group), &found);

	if (found)
		return;
	push_new(l, node, group);
	entry->item = l->nitems;
	if (p->rules->limits[group - 1] == 0)
		p->broken[node] = smaller_group(p->broken[node], group);
}

static void
add_enemies(Partition *p, uint32 a, uint32 b)
{
	bool found;

	if (a == b)
		return;
	pairs_insert(p->enemies.pairs, enemies_key(a, b), &found);
	if (found)
		return;
	push_new(&p->enemies, a, b);
	push_new(&p->enemies, b, a);
}

/* The smallest group of which two components together have too many; 0: none. */
static uint32
broken_group(Partition *p, uint32 a, uint32 b)
{
	const Lists *l = &p->tallies;
	uint32 broken = smaller_group(p->broken[a], p->broken[b]);
	uint32 shorter;
	uint32 longer;

	find_lists(l, a, b, &shorter, &longer);
	for (uint32 i = l->lists[shorter].first; i != 0; i = l->items[i].next)
	{
		const Item *tally = &l->items[i];
		PairEntry *entry = pairs_lookup(l->pairs, tally_key(longer, tally->what));

		CHECK_FOR_INTERRUPTS();
		if (entry != NULL &&
			tally->count + l->items[entry->item].count > p->rules->limits[tally->what - 1])
			broken = smaller_group(broken, tally->what);
	}
	return broken;
}

/* The place of the value that two items have both, by the places of theirs; 0: they have several. */
static inline uint32
same_value(const Partition *p, uint32 a, uint32 b)
{
	const int64 *values = p->rules->values;

	return a != 0 && b != 0 && values[a - 1] == values[b - 1] ? a : 0;
}

static void
add_value(Partition *p, uint32 node, uint32 attribute, uint32 place)
{
	Lists *l = &p->known;
	bool found;
	PairEntry *entry = pairs_insert(l->pairs, tally_key(node, attribute), &found);

	if (found)
	{
		Item *item = &l->items[entry->item];

		item->count = same_value(p, item->count, place);
		return;
	}
	push_new(l, node, attribute);
	l->items[l->nitems].count = place;
	entry->item = l->nitems;
}

/* The smallest attribute of which two components have different values; 0: none. */
static uint32
parting_attribute(Partition *p, uint32 a, uint32 b)
{
	const Lists *l = &p->known;
	uint32 parting = 0;
	uint32 shorter;
	uint32 longer;

	find_lists(l, a, b, &shorter, &longer);
	for (uint32 i = l->lists[shorter].first; i != 0; i = l->items[i].next)
	{
		const Item *value = &l->items[i];
		PairEntry *entry = pairs_lookup(l->pairs, tally_key(longer, value->what));

		CHECK_FOR_INTERRUPTS();
		if (entry != NULL && same_value(p, value->count, l->items[entry->item].count) == 0)
			parting = smaller_group(parting, value->what);
	}
	return parting;
}

/* Of tallies, or of what is known. */
static uint32
join_items(Partition *p, Lists *l, uint32 a, uint32 b)
{
	uint32 shorter;
	uint32 longer;
	uint32 next;

	find_lists(l, a, b, &shorter, &longer);
	for (uint32 i = l->lists[shorter].first; i != 0; i = next)
	{
		Item *tally = &l->items[i];
		PairEntry *entry;
		bool found;

		CHECK_FOR_INTERRUPTS();
		next = tally->next;
		pairs_delete(l->pairs, tally_key(shorter, tally->what));
		entry = pairs_insert(l->pairs, tally_key(longer, tally->what), &found);
		if (found && l == &p->known)
			l->items[entry->item].count =
				same_value(p, l->items[entry->item].count, tally->count);
		else if (found)
			l->items[entry->item].count += tally->count;
		else
		{
			entry->item = i;
			push(l, longer, i);
		}
	}
	return longer;
}

/* An item may be there for the same two lists more than once. */
static uint32
join_enemies(Lists *l, Components *c, uint32 a, uint32 b)
{
	uint32 shorter;
	uint32 longer;
	uint32 next;

	find_lists(l, a, b, &shorter, &longer);
	for (uint32 i = l->lists[shorter].first; i != 0; i = next)
	{
		uint32 other = l->of[components_root(c, l->items[i].what)];
		bool found;

		CHECK_FOR_INTERRUPTS();
		next = l->items[i].next;
		pairs_delete(l->pairs, enemies_key(shorter, other));
		pairs_insert(l->pairs, enemies_key(longer, other), &found);
		push(l, longer, i);
	}
	return longer;
}

static uint32
add_link(Partition *p, uint32 a, uint32 b, bool is_fact, uint32 *attribute)
{
	uint32 broken;
	uint32 tallies;
	uint32 enemies;
	uint32 known;
	uint32 root;

	a = components_root(&p->c, a);
	b = components_root(&p->c, b);
	if (a == b)
		return 0;
	broken = broken_group(p, a, b);
	if (broken != 0)
		return broken;
	if (pairs_lookup(p->enemies.pairs, enemies_key(p->enemies.of[a], p->enemies.of[b])) != NULL)
		return GRAPH_APART;
	if (!is_fact)
		*attribute = parting_attribute(p, a, b);
	if (*attribute != 0)
		return GRAPH_APART;
	tallies = join_items(p, &p->tallies, a, b);
	enemies = join_enemies(&p->enemies, &p->c, a, b);
	known = join_items(p, &p->known, a, b);
	root = components_join(&p->c, a, b);
	p->tallies.of[root] = tallies;
	p->enemies.of[root] = enemies;
	p->known.of[root] = known;
	return 0;
}

/* The arrays of nodes are made when all nodes are known. */
uint32 *
graph_conflicts(const Links *links, const ConflictRules *rules, uint32 **attributes)
{
	uint32 *broken = graph_array(links->n, sizeof(uint32));
	Links members = {rules->nmembers, rules->members, rules->members};
	Links apart = {rules->napart, rules->apart_a, rules->apart_b};
	Links valued = {rules->nvalues, rules->valued, rules->valued};
	Partition p = {.rules = rules};
	LinkEnds *ends;
	LinkEnds *member_ends;
	LinkEnds *apart_ends;
	LinkEnds *valued_ends;

	*attributes = graph_array(links->n, sizeof(uint32));
	components_init(&p.c, CurrentMemoryContext);
	ends = graph_number_links(&p.c, links);
	member_ends = graph_number_links(&p.c, &members);
	apart_ends = graph_number_links(&p.c, &apart);
	valued_ends = graph_number_links(&p.c, &valued);
	p.broken = graph_array(p.c.n, sizeof(uint32));
	lists_init(&p.tallies, p.c.n, members.n);
	lists_init(&p.enemies, p.c.n, 2 * (size_t) apart.n);
	lists_init(&p.known, p.c.n, valued.n);
	for (uint32 i = 0; i < members.n; i++)
	{
		check_interrupts_sometimes(i);
		add_member(&p, member_ends[i].a, rules->groups[i]);
	}
	for (uint32 i = 0; i < apart.n; i++)
	{
		check_interrupts_sometimes(i);
		add_enemies(&p, apart_ends[i].a, apart_ends[i].b);
	}
	for (uint32 i = 0; i < valued.n; i++)
	{
		check_interrupts_sometimes(i);
		add_value(&p, valued_ends[i].a, rules->attributes[i], i + 1);
	}
	for (uint32 i = 0; i < links->n; i++)
	{
		check_interrupts_sometimes(i);
		broken[i] = add_link(&p, ends[i].a, ends[i].b, i < rules->nfacts, &(*attributes)[i]);
	}
	return broken;
}
