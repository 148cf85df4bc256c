/*
 * conflicts.c
 *		Links that would make a component break a rule.
 *
 * To be kept apart is to be of a group of two that may have one, so limits are
 * the only rule; the groups of pairs are numbered after the others.
 *
 * Each component keeps a list of tallies, how many nodes of which group it has,
 * and a hash table finds the tally of a component and a group. Whether two
 * components may become one is seen along the shorter list; if they may, the
 * shorter one goes into the longer. So a tally moves only as often as its list
 * can double, and a link that is skipped costs as many look-ups as the shorter
 * list is long.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/graph.h"
#include "touchpoint/frozen_hash.h"

typedef struct Tally
{
	uint32 group;
	uint32 count;
	uint32 next; /* 0: the last */
} Tally;

typedef struct TallyPlace
{
	uint64 key; /* list and group */
	uint32 tally;
	char status;
} TallyPlace;

#define SH_PREFIX tallies
#define SH_ELEMENT_TYPE TallyPlace
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) mix(0, key))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* Of each node, which has the number of its list until that goes into another */
typedef struct TallyList
{
	uint32 first;
	uint32 length;
	uint32 broken; /* the smallest group of which the node alone is too many; 0: none */
} TallyList;

typedef struct Partition
{
	Components c;
	const Rules *rules;
	uint32 *list_of; /* the list of a root's component */
	TallyList *lists;
	Tally *tallies; /* from 1 */
	uint32 ntallies;
	tallies_hash *places;
} Partition;

static inline uint64
key_of(uint32 list, uint32 group)
{
	return (uint64) list << 32 | group;
}

static inline uint32
limit_of(const Partition *p, uint32 group)
{
	return group <= p->rules->nlimits ? p->rules->limits[group - 1] : 1;
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
	TallyList *list = &p->lists[node];
	bool found;
	TallyPlace *place = tallies_insert(p->places, key_of(node, group), &found);

	if (found)
		return;
	place->tally = ++p->ntallies;
	p->tallies[p->ntallies] = (Tally) {group, 1, list->first};
	list->first = p->ntallies;
	list->length++;
	if (limit_of(p, group) == 0)
		list->broken = smaller_group(list->broken, group);
}

static void
add_members(Partition *p)
{
	const Rules *rules = p->rules;

	for (uint32 i = 0; i < rules->nmembers; i++)
	{
		check_interrupts_sometimes(i);
		add_member(p, components_number(&p->c, rules->members[i]), rules->groups[i]);
	}
	for (uint32 i = 0; i < rules->napart; i++)
	{
		check_interrupts_sometimes(i);
		add_member(p, components_number(&p->c, rules->apart_a[i]), rules->nlimits + 1 + i);
		add_member(p, components_number(&p->c, rules->apart_b[i]), rules->nlimits + 1 + i);
	}
}

/* The smallest group of which two components together have too many; 0: none. */
static uint32
broken_group(Partition *p, uint32 shorter, uint32 longer)
{
	uint32 broken = smaller_group(p->lists[shorter].broken, p->lists[longer].broken);

	for (uint32 i = p->lists[shorter].first; i != 0; i = p->tallies[i].next)
	{
		const Tally *tally = &p->tallies[i];
		TallyPlace *place = tallies_lookup(p->places, key_of(longer, tally->group));

		CHECK_FOR_INTERRUPTS();
		if (place != NULL &&
			tally->count + p->tallies[place->tally].count > limit_of(p, tally->group))
			broken = smaller_group(broken, tally->group);
	}
	return broken;
}

static void
move_tallies(Partition *p, uint32 shorter, uint32 longer)
{
	TallyList *to = &p->lists[longer];
	uint32 next;

	for (uint32 i = p->lists[shorter].first; i != 0; i = next)
	{
		Tally *tally = &p->tallies[i];
		bool found;
		TallyPlace *place;

		CHECK_FOR_INTERRUPTS();
		next = tally->next;
		tallies_delete(p->places, key_of(shorter, tally->group));
		place = tallies_insert(p->places, key_of(longer, tally->group), &found);
		if (found)
			p->tallies[place->tally].count += tally->count;
		else
		{
			place->tally = i;
			tally->next = to->first;
			to->first = i;
			to->length++;
		}
	}
}

static uint32
add_link(Partition *p, uint32 a, uint32 b)
{
	uint32 shorter;
	uint32 longer;
	uint32 broken;

	a = components_root(&p->c, a);
	b = components_root(&p->c, b);
	if (a == b)
		return 0;
	shorter = p->list_of[a];
	longer = p->list_of[b];
	if (p->lists[shorter].length > p->lists[longer].length)
	{
		shorter = p->list_of[b];
		longer = p->list_of[a];
	}
	broken = broken_group(p, shorter, longer);
	if (broken != 0)
		return broken;
	move_tallies(p, shorter, longer);
	p->list_of[components_join(&p->c, a, b)] = longer;
	return 0;
}

/* The arrays of nodes are made when all nodes are known. */
uint32 *
graph_conflicts(const Links *links, const Rules *rules)
{
	uint32 *broken = graph_array(links->n, sizeof(uint32));
	Links members = {rules->nmembers, rules->members, rules->members};
	Links apart = {rules->napart, rules->apart_a, rules->apart_b};
	Partition p = {.rules = rules};
	LinkEnds *ends;

	components_init(&p.c, CurrentMemoryContext);
	ends = graph_number_links(&p.c, links);
	pfree(graph_number_links(&p.c, &members));
	pfree(graph_number_links(&p.c, &apart));
	p.list_of = graph_array(p.c.n, sizeof(uint32));
	p.lists = graph_array(p.c.n, sizeof(TallyList));
	p.tallies = graph_array(rules->nmembers + 2 * (size_t) rules->napart, sizeof(Tally));
	p.places = tallies_create(CurrentMemoryContext, 64, NULL);
	for (uint32 i = 1; i <= p.c.n; i++)
		p.list_of[i] = i;
	add_members(&p);
	for (uint32 i = 0; i < links->n; i++)
	{
		check_interrupts_sometimes(i);
		broken[i] = add_link(&p, ends[i].a, ends[i].b);
	}
	return broken;
}
