/*
 * conflicts.c
 *		Links that would make a component break a rule.
 *
 * Each component keeps two lists: tallies, how many nodes of which group it has,
 * and enemies, the nodes that must stay apart from one of its own. Hash tables
 * find the tally of a component and a group, and whether two components are
 * enemies. When two become one, the shorter list goes into the longer, so that an
 * item moves only as often as its list can double. A link that is skipped costs
 * one look-up for the enemies and one for each group of the shorter list.
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
	uint32 what;  /* a group, or an enemy */
	uint32 count; /* nodes of the group */
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
	pairs_hash *pairs; /* (list, group) to its item, or the two lists of enemies */
} Lists;

typedef struct Partition
{
	Components c;
	const ConflictRules *rules;
	uint32 *broken; /* the smallest group of which a node alone is too many; 0: none */
	Lists tallies;
	Lists enemies;
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

static uint32
join_tallies(Lists *l, uint32 a, uint32 b)
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
		if (found)
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
add_link(Partition *p, uint32 a, uint32 b)
{
	uint32 broken;
	uint32 tallies;
	uint32 enemies;
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
	tallies = join_tallies(&p->tallies, a, b);
	enemies = join_enemies(&p->enemies, &p->c, a, b);
	root = components_join(&p->c, a, b);
	p->tallies.of[root] = tallies;
	p->enemies.of[root] = enemies;
	return 0;
}

/* The arrays of nodes are made when all nodes are known. */
uint32 *
graph_conflicts(const Links *links, const ConflictRules *rules)
{
	uint32 *broken = graph_array(links->n, sizeof(uint32));
	Links members = {rules->nmembers, rules->members, rules->members};
	Links apart = {rules->napart, rules->apart_a, rules->apart_b};
	Partition p = {.rules = rules};
	LinkEnds *ends;
	LinkEnds *member_ends;
	LinkEnds *apart_ends;

	components_init(&p.c, CurrentMemoryContext);
	ends = graph_number_links(&p.c, links);
	member_ends = graph_number_links(&p.c, &members);
	apart_ends = graph_number_links(&p.c, &apart);
	p.broken = graph_array(p.c.n, sizeof(uint32));
	lists_init(&p.tallies, p.c.n, members.n);
	lists_init(&p.enemies, p.c.n, 2 * (size_t) apart.n);
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
	for (uint32 i = 0; i < links->n; i++)
	{
		check_interrupts_sometimes(i);
		broken[i] = add_link(&p, ends[i].a, ends[i].b);
	}
	return broken;
}
