/*
 * attribution_facts.c
 *		The facts of an attribution, told field by field, and their flat form.
 *
 * The flat value is the fields one after the other behind the version: numbers as LEB128, signed
 * ones as zigzag, 128 bits where they are sums; texts with their length in front; lists with
 * their number of elements. It is canonical: items ascend bytewise, places by item and place,
 * grams by what they come from and go to, paths by the path before and the item; nothing is
 * there that counts nothing. So equal facts are equal bytes.
 */
#include "postgres.h"

#include "attribution/attribution.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "utils/memutils.h"

const char *const attr_models[ATTR_MODELS] = {
	[ATTR_FIRST] = "first",
	[ATTR_LAST] = "last",
	[ATTR_LAST_NON_DIRECT] = "last_non_direct",
	[ATTR_LINEAR] = "linear",
	[ATTR_POSITION] = "position",
	[ATTR_J_SHAPE] = "j_shape",
	[ATTR_INVERSE_J] = "inverse_j",
	[ATTR_TIME_DECAY] = "time_decay",
	[ATTR_PARTICIPATION] = "participation",
	[ATTR_SHAPLEY] = "shapley",
	[ATTR_ORDERED_SHAPLEY] = "ordered_shapley",
	[ATTR_MARKOV] = "markov",
};

const char *const attr_transforms[ATTR_TRANSFORMS] = {
	[ATTR_NONE] = "none",     [ATTR_EXPOSURE] = "exposure",   [ATTR_FIRST_OF_EACH] = "first",
	[ATTR_UNIQUE] = "unique", [ATTR_FREQUENCY] = "frequency",
};

const char *const attr_parts[PART_LABEL + 1] = {
	[PART_CHANNEL] = "channel",
	[PART_ACTION] = "action",
	[PART_DETAIL] = "detail",
	[PART_LABEL] = "label",
};

void
attr_corrupt(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("attribution is corrupt"),
					errdetail_internal("%s", what)));
}

void
attr_out_of_range(void)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("sum of values of an attribution is out of range"),
					errdetail("It must be between -%lld and %lld.", (long long) PG_INT64_MAX,
							  (long long) PG_INT64_MAX),
					errhint("Add up fewer journeys, by segment or period, or give touchpoints values "
							"in a larger unit.")));
}

/* --- fields --- */

/* A number that must not be more than this. */
static uint64
number_io(AttrIO *io, const char *key, uint64 x, uint64 most)
{
	if (io->reading)
		x = 0;
	io->number(io, key, &x);
	if (io->reading && x > most)
		attr_corrupt("A number is too large.");
	return x;
}

static void
count_io(AttrIO *io, const char *key, int64 *x)
{
	*x = number_io(io, key, *x, PG_INT64_MAX);
}

static void
sum_io(AttrIO *io, AttrSum *sum)
{
	io->fixed(io, "conversions", &sum->conversions);
	io->fixed(io, "value", &sum->value);
}

/* Read the length of a list, and make room. It is not touched before there is something to put in. */
static void *
list_io(AttrIO *io, const char *key, void *elements, uint32 *n, size_t size)
{
	io->list(io, key, n);
	if (io->reading)
		elements = palloc_extended(Max(*n, 1) * size, MCXT_ALLOC_HUGE);
	return elements;
}

static void
models_io(AttrIO *io, AttrParams *p)
{
	uint32 n = pg_popcount64(p->models);
	int model = -1;
	uint32 models = 0;

	io->list(io, "models", &n);
	for (uint32 i = 0; i < n; i++)
	{
		if (!io->reading)
			while (!attr_keeps(p, ++model))
				;
		io->word(io, NULL, attr_models, ATTR_MODELS, &model);
		if (models & 1U << model)
			attr_corrupt("A model is there twice.");
		if (io->reading && io->sorted && models >> model != 0)
			attr_corrupt("Its models are not in order.");
		models |= 1U << model;
	}
	io->end(io);
	if (io->reading && models == 0)
		attr_corrupt("It has no model.");
	p->models = models;
}

static void
params_io(AttrIO *io, AttrParams *p)
{
	uint32 weights = lengthof(p->position);

	io->object(io, "parameters");
	io->text(io, "conversion", &p->conversion);
	io->text(io, "touches", &p->touches);
	io->usecs(io, "lookback", &p->lookback);
	io->word(io, "item", attr_parts, lengthof(attr_parts), &p->part);
	p->order = number_io(io, "order", p->order, ATTR_ORDER_MAX);
	io->usecs(io, "half_life", &p->half_life);
	io->list(io, "position", &weights);
	if (weights != lengthof(p->position))
		attr_corrupt("It has not three weights.");
	for (uint32 i = 0; i < weights; i++)
	{
		int128 weight = p->position[i];

		io->fixed(io, NULL, &weight);
		if (weight < 0 || weight > ATTR_ONE)
			attr_corrupt("A weight is impossible.");
		p->position[i] = (int64) weight;
	}
	io->end(io);
	io->flag(io, "reset", &p->reset);
	io->time(io, "until", &p->until);
	io->word(io, "transform", attr_transforms, ATTR_TRANSFORMS, &p->transform);
	p->direct = list_io(io, "direct", p->direct, &p->ndirect, sizeof(AttrText));
	for (uint32 i = 0; i < p->ndirect; i++)
		io->text(io, NULL, &p->direct[i]);
	io->end(io);
	models_io(io, p);
	io->flag(io, "paths", &p->paths);
	io->end(io);
	if (p->order < 1 || p->lookback == 0 || p->half_life == 0 ||
		(int128) p->position[0] + p->position[1] + p->position[2] != ATTR_ONE ||
		TIMESTAMP_IS_NOBEGIN(p->until))
		attr_corrupt("Its parameters are impossible.");
	for (uint32 i = 1; i < p->ndirect; i++)
		if (attr_text_cmp(&p->direct[i - 1], &p->direct[i]) >= 0 && io->sorted)
			attr_corrupt("Direct items are not in order.");
}

static void
totals_io(AttrIO *io, const AttrParams *p, AttrTotals *t)
{
	count_io(io, "conversions", &t->conversions);
	io->fixed(io, "value", &t->value);
	count_io(io, "without_touch", &t->without_touch);
	io->fixed(io, "value_without_touch", &t->value_without_touch);
	count_io(io, "without_value", &t->without_value);
	count_io(io, "negative", &t->negative);
	if (!attr_keeps_nulls(p))
		return;
	count_io(io, "null_paths", &t->nulls);
	count_io(io, "undecided", &t->undecided);
}

static void
items_io(AttrIO *io, AttrFacts *f)
{
	int nsums = attr_sums(&f->params);

	f->items = list_io(io, "items", f->items, &f->nitems, sizeof(AttrText));
	if (f->nitems > ATTR_ITEMS_MAX)
		attr_corrupt("It has too many items.");
	if (io->reading)
		f->sums = palloc_extended((size_t) Max(f->nitems, 1) * Max(nsums, 1) * sizeof(AttrSum),
								  MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < f->nitems; i++)
	{
		AttrSum *sum = &f->sums[(size_t) i * nsums];

		CHECK_FOR_INTERRUPTS();
		io->object(io, NULL);
		io->text(io, "item", &f->items[i]);
		for (int model = 0; model < ATTR_SUMS; model++)
		{
			if (!attr_keeps(&f->params, model))
				continue;
			io->object(io, attr_models[model]);
			sum_io(io, sum++);
			io->end(io);
		}
		io->end(io);
		if (f->items[i].len > ATTR_TEXT_MAX)
			attr_corrupt("An item is too long.");
		if (io->sorted && i > 0 && attr_text_cmp(&f->items[i - 1], &f->items[i]) >= 0)
			attr_corrupt("Its items are not in order.");
	}
	io->end(io);
}

static uint32
item_io(AttrIO *io, const char *key, const AttrFacts *f, uint32 item)
{
	item = number_io(io, key, item, ATTR_ITEMS_MAX);
	if (item >= f->nitems)
		attr_corrupt("There is no such item.");
	return item;
}

static void
places_io(AttrIO *io, AttrFacts *f)
{
	f->places = list_io(io, "places", f->places, &f->nplaces, sizeof(AttrPlace));
	for (uint32 i = 0; i < f->nplaces; i++)
	{
		AttrPlace *place = &f->places[i];

		CHECK_FOR_INTERRUPTS();
		io->object(io, NULL);
		place->item = item_io(io, "item", f, place->item);
		place->place = number_io(io, "place", place->place, ATTR_ITEMS_MAX);
		sum_io(io, &place->sum);
		io->end(io);
		if (place->place < 1 || place->place > f->nitems)
			attr_corrupt("A place is impossible.");
		if (io->sorted && i > 0 && place[-1].item >= place->item &&
			(place[-1].item > place->item || place[-1].place >= place->place))
			attr_corrupt("Its places are not in order.");
	}
	io->end(io);
}

static void
grams_io(AttrIO *io, AttrFacts *f)
{
	f->grams = list_io(io, "transitions", f->grams, &f->ngrams, sizeof(AttrGram));
	for (uint32 i = 0; i < f->ngrams; i++)
	{
		AttrGram *gram = &f->grams[i];
		uint64 from = 0;
		uint32 before = 0;

		CHECK_FOR_INTERRUPTS();
		io->object(io, NULL);
		while (!io->reading && before < ATTR_ORDER_MAX && gram->from >> 16 * before != 0)
			before++;
		io->list(io, "from", &before);
		if (before > f->params.order)
			attr_corrupt("A state has too many items.");
		for (uint32 k = before; k-- > 0;)
		{
			uint32 item = ((gram->from >> 16 * k) & 0xffff) - 1;

			item = item_io(io, NULL, f, io->reading ? 0 : item);
			from = from << 16 | (item + 1);
		}
		io->end(io);
		gram->from = from;
		gram->to = number_io(io, "to", gram->to, ATTR_ITEMS_MAX + ATTR_TO_ITEM);
		if (gram->to >= ATTR_TO_ITEM + f->nitems)
			attr_corrupt("There is no such item.");
		count_io(io, "times", &gram->times);
		io->end(io);
		if (gram->times == 0 || (from == 0 && gram->to < ATTR_TO_ITEM))
			attr_corrupt("A transition is impossible.");
		if (io->sorted && i > 0 && gram[-1].from >= from &&
			(gram[-1].from > from || gram[-1].to >= gram->to))
			attr_corrupt("Its transitions are not in order.");
	}
	io->end(io);
}

static void
nodes_io(AttrIO *io, AttrFacts *f)
{
	f->nodes = list_io(io, "paths", f->nodes, &f->nnodes, sizeof(AttrNode));
	for (uint32 i = 0; i < f->nnodes; i++)
	{
		AttrNode *node = &f->nodes[i];

		CHECK_FOR_INTERRUPTS();
		io->object(io, NULL);
		node->parent = number_io(io, "behind", node->parent, i);
		node->item = item_io(io, "item", f, node->item);
		count_io(io, "conversions", &node->conversions);
		io->fixed(io, "value", &node->value);
		count_io(io, "null_paths", &node->nulls);
		io->end(io);
		if (io->sorted && i > 0 && node[-1].parent >= node->parent &&
			(node[-1].parent > node->parent || node[-1].item >= node->item))
			attr_corrupt("Its paths are not in order.");
	}
	io->end(io);
}

void
attr_io(AttrIO *io, AttrFacts *f)
{
	io->object(io, NULL);
	params_io(io, &f->params);
	totals_io(io, &f->params, &f->totals);
	items_io(io, f);
	if (attr_keeps(&f->params, ATTR_ORDERED_SHAPLEY))
		places_io(io, f);
	if (attr_keeps(&f->params, ATTR_MARKOV))
		grams_io(io, f);
	if (f->params.paths)
		nodes_io(io, f);
	io->end(io);
}

/* --- what must hold --- */

static void
check_sum(const char *what, int128 sum, int128 expected)
{
	if (sum != expected)
		attr_corrupt(what);
}

/* Adding what may be anything: sums of some items may be larger than that of all, and go round. */
static inline void
check_add(int128 *sum, int128 x)
{
	*sum = (int128) ((uint128) *sum + (uint128) x);
}

/* How often a state of the chain is entered, less how often it is left. */
typedef struct FlowEntry
{
	uint64 state;
	int128 flow;
	char status;
} FlowEntry;

#define SH_PREFIX flows
#define SH_ELEMENT_TYPE FlowEntry
#define SH_KEY_TYPE uint64
#define SH_KEY state
#define SH_HASH_KEY(tb, key) ((uint32) (UINT64CONST(0x9e3779b97f4a7c15) * (key) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static void
flow_add(flows_hash *flows, uint64 state, int128 times)
{
	bool found;
	FlowEntry *entry = flows_insert(flows, state, &found);

	if (!found)
		entry->flow = 0;
	check_add(&entry->flow, times);
}

/*
 * What goes into a state comes out of it: so every state that can be reached leads to an end, and
 * the chain can be solved.
 */
static void
check_grams(const AttrFacts *f, int64 touched)
{
	flows_hash *flows = flows_create(CurrentMemoryContext, 64, NULL);
	flows_iterator it;
	FlowEntry *entry;
	int128 ends[2] = {0, 0};
	int128 starts = 0;

	for (uint32 i = 0; i < f->ngrams; i++)
	{
		const AttrGram *gram = &f->grams[i];

		if (gram->from == 0)
			check_add(&starts, gram->times);
		else
			flow_add(flows, gram->from, -(int128) gram->times);
		if (gram->to < ATTR_TO_ITEM)
			check_add(&ends[gram->to], gram->times);
		else
			flow_add(flows, attr_gram_next(gram->from, gram->to - ATTR_TO_ITEM, f->params.order),
					 gram->times);
	}
	check_sum("Its transitions have not as many conversions.", ends[ATTR_TO_CONVERSION], touched);
	check_sum("Its transitions have not as many null paths.", ends[ATTR_TO_NULL], f->totals.nulls);
	check_sum("Its transitions do not begin as often as they end.", starts,
			  (int128) touched + f->totals.nulls);
	flows_start_iterate(flows, &it);
	while ((entry = flows_iterate(flows, &it)) != NULL)
		check_sum("A state is not left as often as it is entered.", entry->flow, 0);
	flows_destroy(flows);
}

void
attr_facts_check(const AttrFacts *f)
{
	const AttrParams *p = &f->params;
	const AttrTotals *t = &f->totals;
	int64 touched = t->conversions - t->without_touch;
	int128 value;
	int nsums = attr_sums(p);

	if (t->without_touch > t->conversions || t->without_value > t->conversions ||
		t->negative > t->conversions - t->without_value)
		attr_corrupt("Its conversions are impossible.");
	if (__builtin_sub_overflow(t->value, t->value_without_touch, &value))
		attr_corrupt("A sum is too large.");
	for (int model = 0; model < ATTR_SUMS; model++)
	{
		int128 conversions = 0;
		int128 values = 0;
		int at = attr_sum_of(p, model);

		if (!attr_keeps(p, model))
			continue;
		for (uint32 i = 0; i < f->nitems; i++)
		{
			const AttrSum *sum = &f->sums[(size_t) i * nsums + at];

			if (sum->conversions < 0 || sum->conversions > (int128) ATTR_ONE * touched)
				attr_corrupt("Credit of an item is impossible.");
			check_add(&conversions, sum->conversions);
			check_add(&values, sum->value);
		}
		if (model == ATTR_PARTICIPATION)
			continue;
		check_sum("Credits do not sum to the conversions.", conversions,
				  (int128) ATTR_ONE * touched);
		check_sum("Credits do not sum to the value.", values, value);
	}
	if (attr_keeps(p, ATTR_ORDERED_SHAPLEY))
	{
		int128 conversions = 0;
		int128 values = 0;

		for (uint32 i = 0; i < f->nplaces; i++)
		{
			if (f->places[i].sum.conversions <= 0)
				attr_corrupt("Credit of a place is impossible.");
			check_add(&conversions, f->places[i].sum.conversions);
			check_add(&values, f->places[i].sum.value);
		}
		check_sum("Credits of places do not sum to the conversions.", conversions,
				  (int128) ATTR_ONE * touched);
		check_sum("Credits of places do not sum to the value.", values, value);
	}
	if (attr_keeps(p, ATTR_MARKOV))
		check_grams(f, touched);
	if (p->paths)
	{
		int128 conversions = 0;
		int128 nulls = 0;
		int128 values = 0;
		bool *used = palloc0((size_t) f->nnodes + 1);

		for (uint32 i = f->nnodes; i-- > 0;)
		{
			const AttrNode *node = &f->nodes[i];

			if (node->conversions == 0 && node->nulls == 0 && !used[i + 1])
				attr_corrupt("A path counts nothing.");
			if (node->conversions == 0 && node->value != 0)
				attr_corrupt("A path without a conversion has a value.");
			used[node->parent] = true;
			check_add(&conversions, node->conversions);
			check_add(&nulls, node->nulls);
			check_add(&values, node->value);
		}
		pfree(used);
		check_sum("Its paths have not as many conversions.", conversions, touched);
		check_sum("Its paths have not as many null paths.", nulls, t->nulls);
		check_sum("Its paths have another value.", values, value);
	}
}

/* --- flat --- */

typedef struct FlatIO
{
	AttrIO io;
	StringInfoData out;
	const uint8 *p;
	const uint8 *end;
} FlatIO;

static void
flat_number(AttrIO *io, const char *key, uint64 *x)
{
	FlatIO *flat = (FlatIO *) io;

	if (io->reading)
	{
		flat->p = leb_read(flat->p, flat->end, x);
		if (flat->p == NULL)
			attr_corrupt("A number is cut off or too long.");
	}
	else
	{
		enlargeStringInfo(&flat->out, LEB_MAX_BYTES);
		flat->out.len =
			(char *) leb_write((uint8 *) flat->out.data + flat->out.len, *x) - flat->out.data;
	}
}

/* Zigzag: its lower 63 bits, one before them that tells whether there are more, and these. */
static void
flat_fixed(AttrIO *io, const char *key, int128 *x)
{
	uint128 bits;
	uint64 high = 0;
	uint64 low;

	if (!io->reading)
	{
		bits = ((uint128) *x << 1) ^ (uint128) (*x >> 127);
		high = (uint64) (bits >> 63);
		low = ((uint64) bits & (PG_UINT64_MAX >> 1)) << 1 | (high != 0);
		flat_number(io, key, &low);
		if (high != 0)
			flat_number(io, key, &high);
		return;
	}
	flat_number(io, key, &low);
	if (low & 1)
	{
		flat_number(io, key, &high);
		if (high == 0)
			attr_corrupt("A sum is longer than it need be.");
	}
	bits = (uint128) high << 63 | low >> 1;
	*x = (int128) (bits >> 1) ^ -(int128) (bits & 1);
	if (*x > ATTR_SUM_MAX || *x < -ATTR_SUM_MAX)
		attr_corrupt("A sum is too large.");
}

static void
flat_time(AttrIO *io, const char *key, int64 *x)
{
	uint64 bits = zigzag(*x);

	flat_number(io, key, &bits);
	*x = unzigzag(bits);
	if (io->reading && !TIMESTAMP_NOT_FINITE(*x) && !IS_VALID_TIMESTAMP(*x))
		attr_corrupt("A time is out of range.");
}

static void
flat_text(AttrIO *io, const char *key, AttrText *x)
{
	FlatIO *flat = (FlatIO *) io;
	uint64 len = x->len;

	flat_number(io, key, &len);
	if (io->reading)
	{
		if (len > flat->end - flat->p)
			attr_corrupt("A text is cut off.");
		x->text = (const char *) flat->p;
		x->len = len;
		flat->p += len;
		if (memchr(x->text, '\0', len) != NULL)
			attr_corrupt("A text contains a null byte.");
	}
	else
		appendBinaryStringInfo(&flat->out, x->text, len);
}

static void
flat_word(AttrIO *io, const char *key, const char *const *words, int n, int *x)
{
	uint64 word = *x;

	flat_number(io, key, &word);
	if (word >= n)
		attr_corrupt("A word is not known.");
	*x = word;
}

static void
flat_flag(AttrIO *io, const char *key, bool *x)
{
	uint64 flag = *x;

	flat_number(io, key, &flag);
	if (flag > 1)
		attr_corrupt("A flag is neither true nor false.");
	*x = flag;
}

static void
flat_list(AttrIO *io, const char *key, uint32 *n)
{
	FlatIO *flat = (FlatIO *) io;
	uint64 number = *n;

	flat_number(io, key, &number);
	if (io->reading && number > flat->end - flat->p)
		attr_corrupt("A list is cut off.");
	*n = number;
}

static void
flat_object(AttrIO *io, const char *key)
{
}

static void
flat_end(AttrIO *io)
{
}

static const AttrIO flat_io = {
	.sorted = true,
	.number = flat_number,
	.fixed = flat_fixed,
	.usecs = flat_number,
	.time = flat_time,
	.text = flat_text,
	.word = flat_word,
	.flag = flat_flag,
	.list = flat_list,
	.object = flat_object,
	.end = flat_end,
};

void
attr_facts_read(AttrFacts *facts, const uint8 *data, size_t len)
{
	FlatIO flat = {.io = flat_io, .p = data, .end = data + len};

	memset(facts, 0, sizeof(*facts));
	flat.io.reading = true;
	if (len == 0 || *flat.p++ != ATTRIBUTION_VERSION)
		attr_corrupt("Its version is not known.");
	attr_io(&flat.io, facts);
	if (flat.p != flat.end)
		attr_corrupt("There is something behind its end.");
	attr_facts_check(facts);
}

struct varlena *
attr_facts_write(const AttrFacts *facts)
{
	static const char header[VARHDRSZ];
	FlatIO flat = {.io = flat_io};
	AttrFacts f = *facts;

	initStringInfo(&flat.out);
	appendBinaryStringInfo(&flat.out, header, VARHDRSZ);
	appendStringInfoChar(&flat.out, ATTRIBUTION_VERSION);
	attr_io(&flat.io, &f);
	SET_VARSIZE(flat.out.data, flat.out.len);
	return (struct varlena *) flat.out.data;
}
