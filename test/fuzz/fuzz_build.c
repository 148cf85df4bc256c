/*
 * fuzz_build.c
 *		From touchpoints to the packed journey, and back.
 *
 * The input is a little program that makes touchpoints. However they are fed
 * to a builder (in any order, in pieces, from packed journeys, with labels known
 * or new, after an error) the packed bytes must be the same; and what is read
 * back must be the touchpoints as a plain qsort here orders them, with the flags
 * that format.h asks for. Every input is accepted.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "fuzz.h"

/* port.h puts PostgreSQL's own in their place */
#undef qsort
#undef snprintf

#define TOUCHES_MAX 600
#define LABELS_MAX 400

const char *const fuzz_tokens[] = {
	"\x07\xff\x01\xff", "\x07\x10\x02\x0f", "\x0a", "\x0c", "\xf9", NULL};

/* --- the touchpoints, naively --- */

typedef struct Naive
{
	int64 time;
	bool has_ref;
	int64 ref;
	TouchLabel label;
	bool has_value;
	Decimal value;
} Naive;

static int
compare_int64(int64 a, int64 b)
{
	return a < b ? -1 : a > b;
}

static int
compare_text(const char *a, uint8 alen, const char *b, uint8 blen)
{
	for (int i = 0; i < alen && i < blen; i++)
		if (a[i] != b[i])
			return (uint8) a[i] < (uint8) b[i] ? -1 : 1;
	return compare_int64(alen, blen);
}

static __int128
at_full_scale(Decimal d)
{
	__int128 x = d.mantissa;

	for (int scale = d.scale; scale < DECIMAL_DIGITS_MAX; scale++)
		x *= 10;
	return x;
}

static int
compare_naive(const void *pa, const void *pb)
{
	const Naive *a = pa;
	const Naive *b = pb;
	int cmp = compare_int64(a->time, b->time);

	if (cmp == 0)
		cmp = b->has_ref - a->has_ref;
	if (cmp == 0 && a->has_ref)
		cmp = compare_int64(a->ref, b->ref);
	if (cmp == 0)
		cmp = compare_text(a->label.channel, a->label.channel_len, b->label.channel,
						   b->label.channel_len);
	if (cmp == 0)
		cmp = compare_text(a->label.action, a->label.action_len, b->label.action,
						   b->label.action_len);
	if (cmp == 0)
		cmp = compare_text(a->label.detail, a->label.detail_len, b->label.detail,
						   b->label.detail_len);
	if (cmp == 0)
		cmp = b->has_value - a->has_value;
	if (cmp == 0 && a->has_value)
	{
		__int128 x = at_full_scale(a->value);
		__int128 y = at_full_scale(b->value);

		cmp = x < y ? -1 : x > y;
	}
	return cmp;
}

/* --- the input as a program --- */

typedef struct Program
{
	const uint8 *p;
	const uint8 *end;
	int64 unit;     /* all times are multiples of it */
	uint32 split;   /* how to cut pieces */
	uint32 fail_at; /* step at which a first attempt fails, 0 = none */
	uint64 random;
	Naive touch; /* is changed step by step, and emitted */
	uint32 nlabels;
	TouchLabel labels[LABELS_MAX];
	uint32 n;
	Naive touches[TOUCHES_MAX];
} Program;

static uint8
next_byte(Program *g)
{
	return g->p < g->end ? *g->p++ : 0;
}

static uint64
next_number(Program *g, int bytes)
{
	uint64 x = 0;

	while (bytes-- > 0)
		x = x << 8 | next_byte(g);
	return x;
}

/* Numerical Recipes' generator; its upper bits are good enough. */
static uint32
next_random(Program *g, uint32 below)
{
	g->random = g->random * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
	return (g->random >> 33) % below;
}

static void
set_time(Program *g, int64 time)
{
	uint64 range = (uint64) END_TIMESTAMP - (uint64) MIN_TIMESTAMP;

	if (!IS_VALID_TIMESTAMP(time))
		time = MIN_TIMESTAMP + (int64) ((uint64) time % range);
	g->touch.time = time - time % g->unit;
}

static void
set_value(Program *g, int64 mantissa, int scale)
{
	mantissa %= decimal_power[DECIMAL_DIGITS_MAX];
	while (scale > 0 && mantissa % 10 == 0)
	{
		mantissa /= 10;
		scale--;
	}
	g->touch.has_value = true;
	g->touch.value = (Decimal) {mantissa, scale};
}

static TouchLabel
label_of(const char *channel, const char *action, const char *detail)
{
	return (TouchLabel) {channel, action, detail, strlen(channel), strlen(action), strlen(detail)};
}

/* A part from the vocabulary, or short, some 127 bytes or almost 255 long, with a varied end. */
static const char *
make_part(Program *g, uint8 *len)
{
	uint8 kind = next_byte(g);
	char *part;

	if (kind < VOCABULARY_SIZE)
	{
		*len = strlen(vocabulary[kind]);
		return vocabulary[kind];
	}
	*len = kind < 240 ? kind - VOCABULARY_SIZE : kind < 248 ? kind - 240 + 124 : kind;
	part = palloc(*len);
	memset(part, 'x', *len);
	if (*len > 0)
		part[*len - 1] = next_byte(g) | 1; /* not 0 */
	return part;
}

static void
use_label(Program *g, TouchLabel label)
{
	if (g->nlabels < LABELS_MAX)
		g->labels[g->nlabels++] = label;
	g->touch.label = label;
}

static void
emit(Program *g)
{
	if (g->n < TOUCHES_MAX)
		g->touches[g->n++] = g->touch;
}

/* Many touchpoints, of which the kind says what varies, and how. */
static void
make_run(Program *g, int n, uint8 kind)
{
	int64 spread = kind & 0x01 ? 1 : kind & 0x02 ? INT64CONST(1000000) : PG_INT32_MAX;

	g->random = n * 256 + kind;
	while (n-- > 0 && g->n < TOUCHES_MAX)
	{
		set_time(g, g->touch.time + (int64) next_random(g, 3) * spread * g->unit);
		if (kind & 0x04)
		{
			char *channel = psprintf("channel %u", next_random(g, 40));
			char *action = psprintf("%u", next_random(g, kind & 0x08 ? 3 : 1000));

			const char *detail = "";

			/* those of whole sets, and others among them */
			if (kind & 0x02)
				detail = g->random & 2 ? detail_set_texts[next_random(g, DETAIL_SET_SIZE)]
									   : psprintf("%u", next_random(g, 5));
			use_label(g, label_of(channel, action, detail));
		}
		else if (g->nlabels > 0)
			g->touch.label = g->labels[next_random(g, g->nlabels)];
		if (kind & 0x10)
			g->touch.has_value = next_random(g, 2);
		if (kind & 0x20)
			set_value(g, (int64) next_random(g, 1000000) - 500000, next_random(g, 4));
		if (kind & 0x40)
			g->touch.has_ref = next_random(g, 2);
		if (kind & 0x80)
		{
			g->touch.has_ref = true;
			g->touch.ref = g->random & 1 ? g->touch.ref + next_random(g, 9) : next_random(g, 99);
		}
		emit(g);
	}
}

static void
run_program(Program *g, const uint8 *data, size_t len)
{
	static const int64 units[] = {
		1, 1000, USECS_PER_SEC, USECS_PER_MINUTE, USECS_PER_HOUR, USECS_PER_DAY, 7, 60000,
	};

	memset(g, 0, sizeof(*g));
	g->p = data;
	g->end = data + len;
	g->unit = units[next_byte(g) % lengthof(units)];
	g->split = next_byte(g);
	g->fail_at = next_byte(g);
	g->fail_at *= g->fail_at;
	use_label(g, label_of("", "", ""));
	while (g->p < g->end)
	{
		uint8 op = next_byte(g);

		switch (op & 7)
		{
			case 0:
				g->touch.label = g->labels[next_byte(g) % g->nlabels];
				break;
			case 1:
			{
				TouchLabel label;

				label.channel = make_part(g, &label.channel_len);
				label.action = make_part(g, &label.action_len);
				label.detail = "";
				label.detail_len = 0;
				if (op & 8)
					label.detail = make_part(g, &label.detail_len);
				use_label(g, label);
				break;
			}
			case 2:
				set_time(g, g->touch.time + (int8) next_byte(g) * g->unit);
				break;
			case 3:
				set_time(g, next_number(g, 8));
				break;
			case 4:
				g->touch.has_value = false;
				if (op & 8)
					set_value(g, (int8) next_byte(g), next_byte(g) % (DECIMAL_DIGITS_MAX + 1));
				break;
			case 5:
				set_value(g, next_number(g, 8), next_byte(g) % (DECIMAL_DIGITS_MAX + 1));
				break;
			case 6:
				g->touch.has_ref = op & 8;
				g->touch.ref =
					op & 0x80 ? next_number(g, 8) : (uint64) g->touch.ref + (int8) next_byte(g);
				break;
			default:
				make_run(g, next_number(g, 2) % 512, next_byte(g));
				continue;
		}
		for (int copies = op >> 4; copies >= 0; copies--)
			emit(g);
	}
}

/* --- the builder, fed in different ways --- */

static void
add_naive(JourneyBuilder *b, const Naive *naive)
{
	Touch t;

	/* what does not hold is left as it was in memory, and must not matter */
	memset(&t, 0x55, sizeof(t));
	t.time = naive->time;
	t.label = label_dict_add(b->dict, &naive->label);
	t.has_value = naive->has_value;
	if (t.has_value)
		t.value = naive->value;
	t.has_ref = naive->has_ref;
	if (t.has_ref)
		t.ref = naive->ref;
	builder_add(b, &t);
}

static struct varlena *
pack_range(LabelDict *dict, const Naive *touches, uint32 from, uint32 to)
{
	JourneyBuilder b;
	struct varlena *packed;

	builder_init(&b, dict, CurrentMemoryContext);
	for (uint32 i = from; i < to; i++)
		add_naive(&b, &touches[i]);
	packed = builder_pack(&b);
	builder_free(&b);
	return packed;
}

static void
shuffle(Program *g)
{
	for (uint32 i = g->n; i > 1; i--)
	{
		uint32 other = next_random(g, i);
		Naive swap = g->touches[i - 1];

		g->touches[i - 1] = g->touches[other];
		g->touches[other] = swap;
	}
}

/* Packed pieces of the touches, merged; some with touches that are added singly. */
static struct varlena *
pack_pieces(Program *g, LabelDict *dict)
{
	JourneyBuilder b;
	uint32 size = 1 + g->split % 64 + g->n / 32;

	builder_init(&b, dict, CurrentMemoryContext);
	for (uint32 from = 0; from < g->n; from += size)
	{
		uint32 to = Min(from + size, g->n);
		JourneyView v;

		if (from / size % 5 == 4)
			for (uint32 i = from; i < to; i++)
				add_naive(&b, &g->touches[i]);
		else
		{
			open_packed(&v, pack_range(dict, g->touches, from, to));
			builder_add_journey(&b, &v, 0, v.n);
		}
		if (from / size % 7 == 1)
			builder_pack(&b); /* which must not disturb what follows */
	}
	return builder_pack(&b);
}

typedef struct Attempt
{
	Program *program;
	LabelDict *dict;
} Attempt;

static void
attempt(void *arg)
{
	Attempt *a = arg;
	uint32 n = a->program->n;

	pack_range(a->dict, a->program->touches, 0, n / 2);
	pack_range(a->dict, a->program->touches, n / 2, n);
	pack_range(a->dict, a->program->touches, 0, n);
}

/* A dictionary that an error caught unprepared serves on. */
static void
fail_halfway(Program *g, LabelDict *dict)
{
	Attempt a = {g, dict};
	int sqlstate;

	backend_fail_at(g->fail_at);
	sqlstate = backend_run(attempt, &a);
	backend_fail_at(0);
	require(sqlstate == 0 || sqlstate == ERRCODE_OUT_OF_MEMORY ||
			sqlstate == ERRCODE_QUERY_CANCELED);
}

/* --- what was packed --- */

static void
check_header(const Naive *sorted, const JourneyView *v)
{
	uint32 nvalues = 0;
	uint32 nrefs = 0;
	int64 ref_before = 0;
	bool ascend = true;
	bool details = false;
	int unit = JOURNEY_UNITS - 1;
	int flags;

	for (uint32 i = 0; i < v->n; i++)
	{
		while (sorted[i].time % journey_unit_usecs[unit] != 0)
			unit--;
		nvalues += sorted[i].has_value;
		details |= sorted[i].label.detail_len > 0;
		if (!sorted[i].has_ref)
			continue;
		ascend &= nrefs++ == 0 || ref_before <= sorted[i].ref;
		ref_before = sorted[i].ref;
	}
	flags = unit;
	if (nvalues > 0)
		flags |= JOURNEY_VALUES | (nvalues < v->n ? JOURNEY_VALUE_NULLS : 0);
	if (nrefs > 0)
		flags |= JOURNEY_REFS | (nrefs < v->n ? JOURNEY_REF_NULLS : 0) |
				 (ascend ? JOURNEY_REFS_ASCEND : 0);
	require(v->flags == flags);
	require(v->details == details);
	require(v->first == sorted[0].time && v->last == sorted[v->n - 1].time);
	require(v->unit == journey_unit_usecs[unit]);
	require(v->label_width == (v->nlabels <= 256 ? 1 : 2));
}

static void
check_dictionary(const JourneyView *v, const TouchLabel *labels, const Touch *touches)
{
	bool *used = palloc0(v->nlabels);

	for (uint32 i = 0; i < v->n; i++)
		used[touches[i].label] = true;
	for (uint32 i = 0; i < v->nlabels; i++)
		require(used[i] && (i == 0 || touch_label_cmp(&labels[i - 1], &labels[i]) < 0));
}

static bool
same_as_naive(const Naive *naive, const Touch *t, const TouchLabel *label)
{
	Naive back = {t->time, t->has_ref, t->ref, *label, t->has_value, t->value};

	return compare_naive(naive, &back) == 0 &&
		   (!t->has_value || t->value.scale == naive->value.scale);
}

/* The whole journey and stretches of it, against the touches in order. */
static void
check_packed(Program *g, const struct varlena *packed)
{
	JourneyView v;
	JourneyCursor c;
	TouchLabel *labels;
	Touch *touches = palloc(g->n * sizeof(Touch));
	Touch beyond;

	open_packed(&v, packed);
	require(v.n == g->n);
	labels = journey_dictionary(&v);
	journey_start_at(&v, &c, 0);
	for (uint32 i = 0; i < v.n; i++)
	{
		require(journey_next(&c, &touches[i]));
		require(same_as_naive(&g->touches[i], &touches[i], &labels[touches[i].label]));
		require(journey_label_at(&v, i) == touches[i].label);
	}
	require(!journey_next(&c, &beyond));
	check_sound(packed);
	if (v.n == 0)
		return;

	check_header(g->touches, &v);
	check_dictionary(&v, labels, touches);
	check_starts(&v, touches, v.n);
	check_searches(&v, touches);
	check_seeks(&v.times);
	if (v.flags & JOURNEY_REFS_ASCEND)
		check_seeks(&v.refs);

	for (int i = 0; i < 2; i++)
	{
		LabelDict *dict = label_dict_create(CurrentMemoryContext);
		uint32 from = next_random(g, v.n + 1);
		uint32 to = from + next_random(g, v.n - from + 1);
		JourneyBuilder b;

		builder_init(&b, dict, CurrentMemoryContext);
		builder_add_journey(&b, &v, from, to);
		require(same_packed(builder_pack(&b), pack_range(dict, g->touches, from, to)));
	}
}

/* --- more labels than any input makes: numbers of four bytes, and trimming --- */

#define MANY_LABELS 65537

static struct varlena *
pack_many(LabelDict *dict, uint32 step)
{
	JourneyBuilder b;

	builder_init(&b, dict, CurrentMemoryContext);
	for (uint32 i = 0; i < MANY_LABELS; i++)
	{
		uint32 number = (uint64) i * step % MANY_LABELS;
		char channel[16];
		char action[16];
		char detail[16];
		Naive naive = {.time = number * USECS_PER_SEC};

		snprintf(channel, sizeof(channel), "c%u", number % 300);
		snprintf(action, sizeof(action), "a%u", number / 6);
		snprintf(detail, sizeof(detail), "d%u", number / 3 % 90);
		naive.label = label_of(channel, action, number % 3 == 0 ? "" : detail);
		add_naive(&b, &naive);
	}
	return builder_pack(&b);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	LabelDict *dict;
	struct varlena *packed;
	JourneyView v;
	TouchLabel *labels;

	backend_reset();
	dict = label_dict_create(CurrentMemoryContext);
	packed = pack_many(dict, 1);
	label_dict_trim(dict);
	require(dict->nlabels == 0);
	require(same_packed(packed, pack_many(dict, 40503)));
	open_packed(&v, packed);
	require(v.n == MANY_LABELS && v.nlabels == MANY_LABELS && v.label_width == 4);
	journey_check(&v, (const uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
	labels = journey_dictionary(&v);
	for (uint32 i = 0; i < MANY_LABELS; i++)
	{
		const TouchLabel *label = &labels[journey_label_at(&v, i)];
		TouchLabel made = label_of(psprintf("c%u", i % 300), psprintf("a%u", i / 6),
								   i % 3 == 0 ? "" : psprintf("d%u", i / 3 % 90));

		require(touch_label_cmp(&made, label) == 0);
	}
	return 0;
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	static Program program;
	Program *g = &program;
	LabelDict *dict;
	struct varlena *packed;

	run_program(g, data, len);
	dict = label_dict_create(CurrentMemoryContext);
	if (g->fail_at > 0)
		fail_halfway(g, dict);
	packed = pack_range(dict, g->touches, 0, g->n);
	dict->stamp = PG_UINT32_MAX - g->split % 8; /* soon to begin again */

	shuffle(g);
	require(same_packed(packed, pack_pieces(g, dict)));
	shuffle(g);
	require(same_packed(packed,
						pack_range(label_dict_create(CurrentMemoryContext), g->touches, 0, g->n)));
	require(same_packed(packed, pack_pieces(g, label_dict_create(CurrentMemoryContext))));
	qsort(g->touches, g->n, sizeof(Naive), compare_naive);
	require(same_packed(packed, pack_range(dict, g->touches, 0, g->n)));
	check_packed(g, packed);
	return true;
}
