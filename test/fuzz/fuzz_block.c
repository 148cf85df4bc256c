/*
 * fuzz_block.c
 *		Journey blocks: images, which may be any bytes, and texts.
 *
 * The input is the content of a varlena where it begins with the format's version, else a text
 * up to its first NUL. Every reader of an image must either raise ERRCODE_DATA_CORRUPTED or
 * answer, must not read outside of the value, or of the slice that its part needs, must need
 * memory in proportion, and must see the same journey however it came there. An input is
 * accepted if it is a text of a block, or an image that block_check accepts: then its journeys
 * make the same block again, in whatever order and pieces.
 *
 * Few mutations leave a value the length that its header demands, so an image is put to the
 * test a second time with its sections cut or repeated to fit.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "fuzz.h"
#include "utils/memutils.h"

const char *const fuzz_tokens[] = {"{",    "}",        ",",    "7: {",
								   "}, ",  "web.view", ".bot", "@2026-03-01T10:00:00Z",
								   "=1.5", "#42",      ":",    "-9223372036854775808",
								   "\x80", "\x7f",     "\xff", "\xff\xff\xff\xff\x07",
								   NULL};

/* --- the length that a header demands, read as block.h describes it --- */

static bool
number(const uint8 **p, const uint8 *end, uint64 *x)
{
	*x = 0;
	for (int shift = 0; *p < end && shift < 64; shift += 7)
	{
		uint64 byte = *(*p)++;

		*x |= (byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

/* Doubles are exact for all that matter, and do not overflow. */
static double
elias_fano_bytes(uint64 n, uint64 span)
{
	int bits = 0;

	if (n <= 2)
		return 0;
	for (uint64 x = span / n; x > 1; x /= 2)
		bits++;
	return (double) (((n - 2) * bits + 7) / 8) + (double) ((n - 2 + (span >> bits) + 7) / 8);
}

/* 0 if it is no header. */
static double
demanded_length(const uint8 *data, size_t len, size_t *header)
{
	const uint8 *end = data + len;
	const uint8 *p = data + 2;
	int fields = len > 1 && (data[1] & BLOCK_EXTRAS) ? 9 : 8;
	uint64 x[9] = {0}; /* n, touchpoints, first, span, labels, dictionary, base, times, extras */
	double total;

	if (len < 3)
		return 0;
	for (int i = 0; i < fields; i++)
	{
		if (!number(&p, end, &x[i]) || x[0] > PG_INT32_MAX)
			return 0;
		if (x[0] == 0)
			break;
	}
	*header = p - data;
	total = *header;
	if (x[0] == 0)
		return total;
	total += elias_fano_bytes(x[0], x[3]) + elias_fano_bytes(x[0] + 1, x[1]);
	total += (double) x[5] + (double) x[1] * (x[4] <= 256 ? 1 : x[4] <= 65536 ? 2 : 4);
	total += elias_fano_bytes(x[0] + 1, x[7]) + (double) x[7];
	if (fields == 9)
		total += elias_fano_bytes(x[0] + 1, x[8]) + (double) x[8];
	return total;
}

/* --- the readers --- */

typedef struct Probe
{
	const uint8 *data;
	size_t have;
	size_t len;
	BlockView view;
	BlockPart part;
	uint32 step; /* open each so-manieth journey */
	uint64 sum;  /* of what was seen */
	int64 seen;  /* journeys of which that is */
	struct varlena *packed;
	LabelDict *dict;
	struct varlena **journeys;
	int64 *customers;
} Probe;

static bool
answers(void (*reader)(void *), Probe *probe)
{
	int sqlstate = backend_run(reader, probe);

	require(sqlstate == 0 || sqlstate == ERRCODE_DATA_CORRUPTED);
	return sqlstate == 0;
}

static void
open_head(void *arg)
{
	Probe *probe = arg;

	block_open_head(&probe->view, probe->data, probe->have, probe->len);
}

static uint64
sum_of(uint64 sum, uint64 x)
{
	return (sum ^ x) * UINT64CONST(0x9E3779B97F4A7C15);
}

/* Read each step-th journey, as far as the part goes; the sum is the same for each such one. */
static void
go_through(void *arg)
{
	Probe *probe = arg;
	uint32 total = 0;
	BlockCursor c;

	block_start(&probe->view, &c, probe->part);
	while (block_next(&c))
	{
		JourneyView v;

		require(c.first == total);
		total += c.n;
		if ((c.i - 1) % probe->step != 0)
			continue;
		probe->seen = c.i;
		probe->sum = sum_of(sum_of(probe->sum, c.i), (uint64) block_customer(&c));
		require(block_customer(&c) == block_customer(&c));
		block_journey(&c, &v);
		require(v.n == c.n && v.dictionary_id == probe->view.shared.dictionary_id &&
				v.dictionary_id != 0 && v.nlabels == probe->view.shared.nlabels);
		for (uint32 i = 0; i < v.n; i++)
			probe->sum = sum_of(probe->sum, journey_label_at(&v, i));
		if (probe->part >= BLOCK_TIMES)
		{
			JourneyCursor touches;
			Touch t;
			uint32 n = 0;
			int64 last = v.first;
			bool falls = false;
			uint64 gap = v.n > 1 ? v.times.span / v.n : 0;
			uint64 far = 0;
			uint64 gaps;
			bool counted = ef_count_gaps(&v.times, probe->view.times + probe->view.times_len, gap, &gaps);

			require(v.n == 0 || v.first >= probe->view.base);
			journey_start_at(&v, &touches, 0);
			while (journey_next(&touches, &t))
			{
				probe->sum = sum_of(probe->sum, t.time);
				far += t.time >= last && (uint64) (t.time - last) > gap * v.unit;
				falls |= t.time < last;
				last = t.time;
				n++;
			}
			require(n == v.n);
			require(falls || (counted && gaps == far));
			if (v.n > 0)
				journey_search_time(&v, v.first / 2 + v.last / 2, true);
		}
	}
	require(total == probe->view.touchpoints);
	require(!block_next(&c));
}

static void
print(void *arg)
{
	Probe *probe = arg;
	StringInfoData out;

	initStringInfo(&out);
	block_print(&out, &probe->view, &block_as_text);
	pfree(out.data);
}

static void
check(void *arg)
{
	Probe *probe = arg;

	block_check(&probe->view, probe->data, probe->len);
}

/* Take all journeys out, as values of their own. */
static void
take_out(void *arg)
{
	Probe *probe = arg;
	BlockWalk walk;
	BlockRow row;
	uint32 n = 0;

	block_walk_init(&walk, &probe->view, probe->dict);
	walk.source.begin(&walk.source);
	while (walk.source.next(&walk.source, &row))
	{
		probe->customers[n] = row.customer;
		probe->journeys[n++] = view_pack(&row.view, probe->dict, row.numbers);
	}
	require(n == probe->view.n);
}

/* Of a sound block: what its journeys make again, in the other order and of pieces. */
static void
check_again(Probe *probe)
{
	LabelDict *dict = label_dict_create(CurrentMemoryContext);
	BlockPile pile;
	BlockPile other;
	struct varlena *again;
	struct varlena *bytes;
	BlockWalk walk;

	pile_init(&pile, CurrentMemoryContext);
	pile_init(&other, CurrentMemoryContext);
	for (uint32 i = probe->view.n; i-- > 0;)
	{
		struct varlena *journey = probe->journeys[i];
		BlockPile *to = i % 3 == 0 ? &other : &pile;

		check_sound(journey);
		pile_add(to, probe->customers[i], (uint8 *) VARDATA(journey), VARSIZE(journey) - VARHDRSZ);
	}
	bytes = pile_serialize(&other);
	pile_add_serialized(&pile, VARDATA(bytes), (char *) bytes + VARSIZE(bytes));
	again = pile_pack(&pile, dict);
	require(VARSIZE(again) - VARHDRSZ == probe->len &&
			memcmp(VARDATA(again), probe->data, probe->len) == 0);

	/* the first half of it, as a block, is sound */
	block_walk_init(&walk, &probe->view, dict);
	walk.to = probe->view.n / 2;
	again = block_pack(&walk.source, dict);
	{
		BlockView half;

		block_open(&half, (uint8 *) VARDATA(again), VARSIZE(again) - VARHDRSZ);
		require(half.n == walk.to);
		block_check(&half, (uint8 *) VARDATA(again), VARSIZE(again) - VARHDRSZ);
	}
}

static bool
check_image(const uint8 *data, size_t len)
{
	Probe whole = {.data = exact_copy(data, len), .have = len, .len = len};
	bool opened = answers(open_head, &whole);
	size_t header;

	for (size_t have = 0; have < Min(len, BLOCK_HEADER_MAX); have++)
	{
		Probe head = {.data = exact_copy(data, have), .have = have, .len = len};

		if (answers(open_head, &head))
			require(opened && head.view.n == whole.view.n &&
					head.view.touchpoints == whole.view.touchpoints);
		pfree((void *) head.data);
	}
	if (!opened)
		return false;
	require(demanded_length(data, len, &header) == len);
	require(whole.view.n <= 8 * len && whole.view.touchpoints <= len);

	for (int part = BLOCK_LABELS; part <= BLOCK_ALL; part++)
	{
		size_t have = block_part_bytes(&whole.view, part, whole.data, len);
		Probe slice = {.data = exact_copy(data, have), .have = have, .len = len};

		require(have <= len && answers(open_head, &slice));
		whole.part = slice.part = part;
		for (uint32 step = 1; step <= 3; step++)
		{
			whole.step = slice.step = step;
			whole.sum = slice.sum = 0;
			require(answers(go_through, &slice) == answers(go_through, &whole));
			require(slice.sum == whole.sum && slice.seen == whole.seen);
		}
		pfree((void *) slice.data);
	}
	answers(print, &whole);
	whole.dict = label_dict_create(CurrentMemoryContext);
	whole.journeys = palloc(Max(whole.view.n, 1) * sizeof(struct varlena *));
	whole.customers = palloc(Max(whole.view.n, 1) * sizeof(int64));
	if (!answers(take_out, &whole))
		require(!answers(check, &whole));
	else if (answers(check, &whole))
	{
		check_again(&whole);
		return true;
	}
	return false;
}

static bool
check_text(const char *text, size_t len)
{
	LabelDict *dict = label_dict_create(CurrentMemoryContext);
	BlockPile pile;
	BlockView view;
	TextScan s;
	struct varlena *packed;
	struct varlena *again;
	StringInfoData out;

	pile_init(&pile, CurrentMemoryContext);
	text_scan_init(&s, text, len);
	if (!block_scan(&s, &pile, dict))
	{
		require(s.sqlerrcode != 0 && (s.message || s.detail));
		return false;
	}
	require(s.p == s.end);
	packed = pile_pack(&pile, dict);
	require(check_image((uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ));
	block_open(&view, (uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
	initStringInfo(&out);
	block_print(&out, &view, &block_as_text);
	pile_init(&pile, CurrentMemoryContext);
	text_scan_init(&s, exact_copy(out.data, out.len), out.len);
	require(block_scan(&s, &pile, dict));
	again = pile_pack(&pile, dict);
	require(same_packed(packed, again));
	return true;
}

#define FITTED_MAX 16384

bool
fuzz_input(const uint8 *data, size_t len)
{
	size_t header;
	double demanded;
	bool accepted;

	if (len == 0 || (data[0] & 0x7f) != BLOCK_VERSION)
	{
		len = strnlen((const char *) data, len);
		return check_text(exact_copy(data, len), len);
	}
	accepted = check_image(data, len);
	demanded = demanded_length(data, len, &header);
	if (demanded > 0 && demanded <= FITTED_MAX && demanded != len)
	{
		size_t total = demanded;
		uint8 *fitted = palloc(total);

		memcpy(fitted, data, Min(header, total));
		for (size_t i = header; i < total; i++)
			fitted[i] = len > header ? data[header + (i - header) % (len - header)] : 0;
		check_image(fitted, total);
	}
	require(backend_peak() <= 1024 * 1024 + 2048 * Max(len, FITTED_MAX));
	return accepted;
}
