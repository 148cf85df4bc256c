/*
 * blocked_scan.c
 *		One automaton of many regular expressions (blocked_scan.h).
 *
 * The server tells of an expression its automaton for searching, without its
 * constraints (regex/regexport.h).  That begins with what stands before the text and
 * ends with what stands behind the match: another character, or the text's end.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "compat.h"
#include "identity/blocked_scan.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "regex/regexport.h"
#include "utils/memutils.h"

/* What a text is made of: ASCII, and */
#define SYMBOL_OTHER 128 /* any other character */
#define SYMBOL_BEGIN 129
#define SYMBOL_END 130
#define NSYMBOLS 131

/* States that are kept; beyond that all are made anew. */
#define STATES_MAX 1024

/* Where a symbol leads from a state, besides to one. */
#define UNKNOWN 0
#define MATCH (-1)

/* An arc's label: a color of its expression, as symbols */
typedef struct Label
{
	uint64 symbols[(NSYMBOLS + 63) / 64];
} Label;

typedef struct Arc
{
	int32 label;
	int32 to;
} Arc;

typedef struct State
{
	uint64 *nodes; /* of the expressions' automata: a bit each */
	int16 next[NSYMBOLS];
} State;

struct BlockedScan
{
	MemoryContext cxt;
	MemoryContext states_cxt; /* NULL: no text yet */
	Label *labels;
	int nlabels;
	int *first_arc; /* of each node, and behind the last one's */
	bool *final;
	int nnodes;
	Arc *arcs;
	int narcs;
	int *initial; /* nodes */
	int ninitial;
	int nwords;    /* of a set of nodes */
	State *states; /* from 1; the first is that before the text */
	int nstates;
	int16 *slots; /* a table of states by their nodes, twice as large as there may be */
};

#define NSLOTS (2 * STATES_MAX)

BlockedScan *
blocked_scan_make(MemoryContext cxt)
{
	BlockedScan *scan = MemoryContextAllocZero(cxt, sizeof(BlockedScan));

	scan->cxt = cxt;
	scan->first_arc = MemoryContextAllocZero(cxt, sizeof(int));
	return scan;
}

static void *
enlarged(MemoryContext cxt, void *array, size_t size)
{
	return array == NULL ? MemoryContextAllocHuge(cxt, size) : repalloc_huge(array, size);
}

static inline void
set_symbol(Label *label, int symbol)
{
	label->symbols[symbol / 64] |= UINT64CONST(1) << symbol % 64;
}

static inline bool
has_symbol(const Label *label, int symbol)
{
	return label->symbols[symbol / 64] >> symbol % 64 & 1;
}

/*
 * The symbols of each color, behind those of any.  Colors whose characters the server
 * doesn't list have any of those that none has.
 */
static void
add_labels(BlockedScan *scan, const regex_t *re)
{
	int ncolors = pg_reg_getnumcolors(re);
	Label listed = {{0}};
	Label *labels;

	scan->labels = enlarged(scan->cxt, scan->labels, (scan->nlabels + 1 + ncolors) * sizeof(Label));
	labels = scan->labels + scan->nlabels;
	scan->nlabels += 1 + ncolors;
	memset(labels, 0, (1 + ncolors) * sizeof(Label));
	for (int symbol = 0; symbol <= SYMBOL_OTHER; symbol++)
		set_symbol(labels, symbol);
	labels++;
	for (int color = 0; color < ncolors; color++)
	{
		int n = pg_reg_getnumcharacters(re, color);
		pg_wchar *chars;

		if (n <= 0)
			continue;
		chars = palloc(n * sizeof(pg_wchar));
		pg_reg_getcharacters(re, color, chars, n);
		for (int i = 0; i < n; i++)
			if (chars[i] < SYMBOL_OTHER)
			{
				set_symbol(&labels[color], chars[i]);
				set_symbol(&listed, chars[i]);
			}
		set_symbol(&labels[color], SYMBOL_OTHER);
		pfree(chars);
	}
	for (int color = 0; color < ncolors; color++)
		if (pg_reg_colorisbegin(re, color))
			set_symbol(&labels[color], SYMBOL_BEGIN);
		else if (pg_reg_colorisend(re, color))
			set_symbol(&labels[color], SYMBOL_END);
		else if (pg_reg_getnumcharacters(re, color) < 0)
			for (int symbol = 0; symbol <= SYMBOL_OTHER; symbol++)
				if (symbol == SYMBOL_OTHER || !has_symbol(&listed, symbol))
					set_symbol(&labels[color], symbol);
}

void
blocked_scan_add(BlockedScan *scan, const regex_t *re)
{
	int base = scan->nnodes;
	int any = scan->nlabels;
	int n = pg_reg_getnumstates(re);

	Assert(scan->states_cxt == NULL);
	add_labels(scan, re);
	scan->nnodes += n;
	scan->first_arc = enlarged(scan->cxt, scan->first_arc, (scan->nnodes + 1) * sizeof(int));
	scan->final = enlarged(scan->cxt, scan->final, scan->nnodes * sizeof(bool));
	scan->initial = enlarged(scan->cxt, scan->initial, (scan->ninitial + 1) * sizeof(int));
	scan->initial[scan->ninitial++] = base + pg_reg_getinitialstate(re);
	for (int i = 0; i < n; i++)
	{
		int count = pg_reg_getnumoutarcs(re, i);
		regex_arc_t *arcs = palloc(Max(count, 1) * sizeof(regex_arc_t));

		CHECK_FOR_INTERRUPTS();
		scan->final[base + i] = i == pg_reg_getfinalstate(re);
		pg_reg_getoutarcs(re, i, arcs, count);
		scan->arcs = enlarged(scan->cxt, scan->arcs, (scan->narcs + Max(count, 1)) * sizeof(Arc));
		for (int j = 0; j < count; j++)
		{
			Arc *arc = &scan->arcs[scan->narcs++];

			arc->label = any + (arcs[j].co == COLOR_RAINBOW ? 0 : 1 + arcs[j].co);
			arc->to = base + arcs[j].to;
		}
		scan->first_arc[base + i + 1] = scan->narcs;
		pfree(arcs);
	}
}

/* The state of a set of nodes; the caller's array is copied. */
static int
state_of(BlockedScan *scan, const uint64 *nodes)
{
	size_t size = scan->nwords * sizeof(uint64);
	uint32 slot = hash_bytes((const unsigned char *) nodes, size) % NSLOTS;
	State *state;

	for (; scan->slots[slot] != 0; slot = (slot + 1) % NSLOTS)
		if (memcmp(scan->states[scan->slots[slot]].nodes, nodes, size) == 0)
			return scan->slots[slot];
	state = &scan->states[++scan->nstates];
	scan->slots[slot] = scan->nstates;
	memset(state->next, 0, sizeof(state->next));
	state->nodes = MemoryContextAlloc(scan->states_cxt, size);
	memcpy(state->nodes, nodes, size);
	return scan->nstates;
}

static void
begin_states(BlockedScan *scan)
{
	uint64 *nodes;

	if (scan->states_cxt == NULL)
		scan->states_cxt =
			AllocSetContextCreate(scan->cxt, "blocked values", ALLOCSET_DEFAULT_SIZES);
	else
		MemoryContextReset(scan->states_cxt);
	scan->nwords = scan->nnodes / 64 + 1;
	scan->nstates = 0;
	scan->states = MemoryContextAlloc(scan->states_cxt, (STATES_MAX + 1) * sizeof(State));
	scan->slots = MemoryContextAllocZero(scan->states_cxt, NSLOTS * sizeof(int16));
	nodes = palloc0(scan->nwords * sizeof(uint64));
	for (int i = 0; i < scan->ninitial; i++)
		nodes[scan->initial[i] / 64] |= UINT64CONST(1) << scan->initial[i] % 64;
	state_of(scan, nodes);
	pfree(nodes);
}

/* Where a symbol leads from a state, for the first time. */
static int
step(BlockedScan *scan, int from, int symbol)
{
	uint64 *nodes = palloc0(scan->nwords * sizeof(uint64));
	int to = 0;

	for (int word = 0; word < scan->nwords && to != MATCH; word++)
		for (uint64 rest = scan->states[from].nodes[word]; rest != 0; rest &= rest - 1)
		{
			int node = word * 64 + pg_rightmost_one_pos64(rest);

			for (int i = scan->first_arc[node]; i < scan->first_arc[node + 1]; i++)
			{
				const Arc *arc = &scan->arcs[i];

				if (!has_symbol(&scan->labels[arc->label], symbol))
					continue;
				if (scan->final[arc->to])
					to = MATCH;
				nodes[arc->to / 64] |= UINT64CONST(1) << arc->to % 64;
			}
		}
	if (to != MATCH)
	{
		if (scan->nstates == STATES_MAX)
		{
			begin_states(scan); /* the state it came from is gone, too */
			to = state_of(scan, nodes);
		}
		else
			to = scan->states[from].next[symbol] = state_of(scan, nodes);
	}
	else
		scan->states[from].next[symbol] = MATCH;
	pfree(nodes);
	return to;
}

static inline int
next_state(BlockedScan *scan, int from, int symbol)
{
	int to = scan->states[from].next[symbol];

	return likely(to != UNKNOWN) ? to : step(scan, from, symbol);
}

bool
blocked_scan_may_match(BlockedScan *scan, const char *text, int len)
{
	const char *end = text + len;
	int state;

	if (scan->states_cxt == NULL)
		begin_states(scan);
	state = next_state(scan, 1, SYMBOL_BEGIN);
	while (state != MATCH && text < end)
	{
		if (likely(!IS_HIGHBIT_SET(*text)))
			state = next_state(scan, state, (unsigned char) *text++);
		else
		{
			text += pg_mblen(text);
			state = next_state(scan, state, SYMBOL_OTHER);
		}
	}
	return state == MATCH || next_state(scan, state, SYMBOL_END) == MATCH;
}
