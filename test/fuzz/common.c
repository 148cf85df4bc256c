/*
 * common.c
 *		What the fuzz harnesses do with journeys, and the entry of libFuzzer.
 */
#include "postgres.h"

#include "compat.h"
#include "fuzz.h"
#include "journey/journey_text.h"

bool fuzz_accepted;

typedef struct Input
{
	const uint8 *data;
	size_t len;
} Input;

static void
put_input(void *arg)
{
	const Input *input = arg;

	fuzz_accepted = fuzz_input(input->data, input->len);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t len)
{
	Input input = {data, len};

	backend_reset();
	fuzz_accepted = false;
	require(backend_run(put_input, &input) == 0);
	backend_reset();
	return 0;
}

void *
exact_copy(const void *data, size_t len)
{
	void *copy = palloc(len);

	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

/* --- text --- */

struct varlena *
scan_text(const char *text, size_t len)
{
	JourneyBuilder b;
	TextScan s;
	bool ok;

	builder_init(&b, label_dict_create(CurrentMemoryContext), CurrentMemoryContext);
	text_scan_init(&s, text, len);
	text_skip_space(&s);
	ok = s.p < s.end && *s.p == '{' ? journey_scan(&s, &b) : touchpoint_scan(&s, &b);
	require(s.start == text && s.end == text + len && s.p >= s.start && s.p <= s.end);
	if (ok)
		return builder_pack(&b);
	/* what went wrong must be said, and in whole texts */
	require(s.sqlerrcode != 0 && (s.message || s.detail));
	require(psprintf("%s%s%s", s.message ? s.message : "", s.detail ? s.detail : "",
					 s.hint ? s.hint : "") != NULL);
	return NULL;
}

void
print_text(StringInfo out, const JourneyView *v)
{
	appendStringInfoChar(out, '{');
	journey_print(out, v, touch_print);
	appendStringInfoChar(out, '}');
}

/* --- packed values --- */

void
open_packed(JourneyView *v, const struct varlena *packed)
{
	journey_open(v, (const uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
}

bool
same_packed(const struct varlena *a, const struct varlena *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

bool
same_touch(const Touch *a, const Touch *b)
{
	return a->label == b->label && a->time == b->time && a->has_value == b->has_value &&
		   a->has_ref == b->has_ref && (!a->has_ref || a->ref == b->ref) &&
		   (!a->has_value ||
			(a->value.mantissa == b->value.mantissa && a->value.scale == b->value.scale));
}

void
check_sound(const struct varlena *packed)
{
	JourneyView v;
	struct varlena *again;
	StringInfoData text;
	const char *unaligned;

	/* a varlena's content may begin at any address */
	unaligned = (char *) exact_copy(packed, VARSIZE(packed)) + VARHDRSZ;
	journey_open(&v, (const uint8 *) unaligned, VARSIZE(packed) - VARHDRSZ);
	journey_check(&v, (const uint8 *) unaligned, VARSIZE(packed) - VARHDRSZ);

	initStringInfo(&text);
	print_text(&text, &v);
	again = scan_text(exact_copy(text.data, text.len), text.len);
	require(again != NULL && same_packed(packed, again));
}

/* Numbers below n: all when they are few, else some from all over. */
#define FEW 32

static uint32
sample_size(uint32 n)
{
	return Min(n, FEW);
}

static uint32
sample(uint32 i, uint32 n)
{
	return n <= FEW ? i : (uint64) i * (n - 1) / (FEW - 1);
}

void
check_starts(const JourneyView *v, const Touch *touches, uint32 n)
{
	for (uint32 i = 0; i < sample_size(n); i++)
	{
		uint32 start = sample(i, n);
		JourneyCursor c;
		Touch t;

		journey_start_at(v, &c, start);
		for (uint32 k = start; k < n && k < start + FEW; k++)
			require(journey_next(&c, &t) && same_touch(&t, &touches[k]));
	}
}

/* From each number jump to each: forward, backward, and after having read on. */
void
check_seeks(const EliasFano *ef)
{
	uint64 *numbers = palloc(ef->n * sizeof(uint64));
	EliasFanoCursor c;

	ef_start(ef, &c);
	for (uint64 i = 0; i < ef->n; i++)
	{
		numbers[i] = ef_next(ef, &c);
		require(numbers[i] <= ef->span && (i == 0 || numbers[i - 1] <= numbers[i]));
	}
	for (uint32 i = 0; i < sample_size(ef->n); i++)
		for (uint32 j = 0; j < sample_size(ef->n); j++)
		{
			uint32 from = sample(i, ef->n);
			uint32 to = sample(j, ef->n);

			ef_start(ef, &c);
			ef_seek(ef, &c, from);
			if ((i + j) % 2 == 0)
				require(ef_next(ef, &c) == numbers[from]);
			ef_seek(ef, &c, to);
			require(ef_next(ef, &c) == numbers[to]);
			if (to + 1 < ef->n)
				require(ef_next(ef, &c) == numbers[to + 1]);
		}
	pfree(numbers);
}

/* Search for a time in two ways; touches are all there are, in order. */
static void
check_search(const JourneyView *v, const Touch *touches, int64 time)
{
	uint32 before = 0;
	uint32 until = 0;

	while (before < v->n && touches[before].time < time)
		before++;
	while (until < v->n && touches[until].time <= time)
		until++;
	require(journey_search_time(v, time, false) == before);
	require(journey_search_time(v, time, true) == until);
}

void
check_searches(const JourneyView *v, const Touch *touches)
{
	check_search(v, touches, PG_INT64_MIN);
	check_search(v, touches, PG_INT64_MAX);
	for (uint32 i = 0; i < sample_size(v->n); i++)
		for (int off = -1; off <= 1; off++)
			check_search(v, touches, touches[sample(i, v->n)].time + off);
}
