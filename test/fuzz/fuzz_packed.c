/*
 * fuzz_packed.c
 *		The packed format read from bytes that may be anything.
 *
 * The input is the content of a varlena. Every reader must either raise
 * ERRCODE_DATA_CORRUPTED or answer, must not read outside of the value, must
 * need memory in proportion to it, and whatever is read in two ways must be the
 * same. An input is accepted if journey_check accepts it; then its touchpoints
 * must pack to the same bytes again.
 *
 * Few mutations leave a value the length that its header demands, so the bytes
 * are put to the test a second time with the streams cut or repeated to fit; or,
 * where that would be long, as the head of a value of which no more is fetched.
 */
#include "postgres.h"

#include "analytics/visit_walk.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "fuzz.h"
#include "utils/memutils.h"

const char *const fuzz_tokens[] = {"\x7f",     "\x80\x01",  "\xff\xff\xff\xff\x07",
								   "\xff\x80", "\x81x",     "\x81y\x81z",
								   "web",      "\x85visit", "\x21",
								   "\x0e",     "\x80",      "\x02\x80\x82in",
								   NULL};

/* --- the length that a header demands, read as format.h describes it --- */

typedef struct HeaderReader
{
	const uint8 *p;
	const uint8 *end;
	bool ok;
} HeaderReader;

static uint64
header_byte(HeaderReader *r)
{
	if (r->p < r->end)
		return *r->p++;
	r->ok = false;
	return 0;
}

static uint64
header_number(HeaderReader *r)
{
	uint64 x = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		uint64 byte = header_byte(r);

		x |= (byte & 0x7f) << shift;
		if (byte < 0x80)
			return x;
	}
	r->ok = false;
	return 0;
}

static double
elias_fano_bytes(uint64 n, uint64 span)
{
	int bits = 0;

	if (n <= 2)
		return 0;
	while (span / n >> bits > 1)
		bits++;
	return ((n - 2) * bits + 7) / 8 + ((n - 2) + (span >> bits) + 7) / 8;
}

/*
 * The whole length, and that of the header; 0 if it is no sound header. Doubles
 * are exact for all that matter, and do not overflow.
 */
static double
demanded_length(const uint8 *data, size_t len, size_t *header)
{
	HeaderReader r = {data, data + len, true};
	uint64 version = header_byte(&r);
	uint64 flags = header_byte(&r);
	uint64 n = header_number(&r);
	uint64 nrefs = n;
	uint64 labels;
	uint64 span;
	double total = 0;

	if (n > 0 && n <= PG_INT32_MAX)
	{
		header_number(&r);
		span = header_number(&r);
		labels = header_number(&r);
		total += header_number(&r);
		total += (double) n * (labels <= 256 ? 1 : labels <= 65536 ? 2 : 4);
		total += elias_fano_bytes(n, span);
		if (flags & JOURNEY_VALUES)
		{
			header_byte(&r);
			total += header_number(&r);
			if (flags & JOURNEY_VALUE_NULLS)
				total += (n + 7) / 8;
		}
		if (flags & JOURNEY_REFS)
		{
			if (flags & JOURNEY_REF_NULLS)
			{
				nrefs = header_number(&r);
				total += (n + 7) / 8;
			}
			header_number(&r);
			span = header_number(&r);
			if (nrefs > PG_INT32_MAX)
				r.ok = false;
			else if (flags & JOURNEY_REFS_ASCEND)
				total += elias_fano_bytes(nrefs, span);
			else
			{
				int bits = 0;

				while (bits < 64 && span >> bits != 0)
					bits++;
				total += (nrefs * bits + 7) / 8;
			}
		}
	}
	*header = r.p - data;
	return r.ok && (version & 0x7f) == 1 ? total + *header : 0;
}

/* --- the readers --- */

/* What a reader gets, and where the results go. */
typedef struct Probe
{
	const uint8 *data;
	size_t len;
	size_t have;  /* of open_head */
	uint32 start; /* of start_at */
	JourneyView view;
	TouchLabel *labels;
	Touch *touches; /* read one after the other ... */
	uint32 nread;   /* ... as far as that went */
	VisitWalk *walk;
} Probe;

/* Call a reader; did it answer? */
static bool
answers(void (*reader)(void *), Probe *probe)
{
	int sqlstate = backend_run(reader, probe);

	require(sqlstate == 0 || sqlstate == ERRCODE_DATA_CORRUPTED);
	return sqlstate == 0;
}

static void
open_whole(void *arg)
{
	Probe *probe = arg;

	journey_open(&probe->view, probe->data, probe->len);
}

static void
open_head(void *arg)
{
	Probe *probe = arg;

	journey_open_head(&probe->view, probe->data, probe->have, probe->len);
}

static void
read_dictionary(void *arg)
{
	Probe *probe = arg;
	StringInfoData out;

	probe->labels = journey_dictionary(&probe->view);
	initStringInfo(&out);
	for (uint32 i = 0; i < probe->view.nlabels; i++)
		touch_label_print(&out, &probe->labels[i]);
	pfree(out.data);
}

static void
read_touches(void *arg)
{
	Probe *probe = arg;
	JourneyCursor c;
	Touch t;

	journey_start_at(&probe->view, &c, 0);
	while (journey_next(&c, &t))
		probe->touches[probe->nread++] = t;
	require(c.i == probe->view.n);
}

static void
read_labels(void *arg)
{
	Probe *probe = arg;

	for (uint32 i = 0; i < probe->view.n; i++)
	{
		uint32 label = journey_label_at(&probe->view, i);

		require(i >= probe->nread || label == probe->touches[i].label);
	}
}

static void
read_values(void *arg)
{
	Probe *probe = arg;
	const uint8 *p = probe->view.values;
	Decimal d;

	while (p < probe->view.values_end)
		p = journey_read_value(&probe->view, p, &d);
	require(p == probe->view.values_end);
}

static void
start_anywhere(void *arg)
{
	Probe *probe = arg;

	check_starts(&probe->view, probe->touches, probe->nread);
}

/* Where a cursor cannot start, it says so; each start on its own. */
static void
start_at(void *arg)
{
	Probe *probe = arg;
	JourneyCursor c;
	Touch t;

	journey_start_at(&probe->view, &c, probe->start);
	while (journey_next(&c, &t))
		;
}

static void
search(void *arg)
{
	Probe *probe = arg;
	const JourneyView *v = &probe->view;
	int64 times[] = {
		PG_INT64_MIN, v->first - 1, v->first,    v->first + 1, v->first / 2 + v->last / 2,
		v->last - 1,  v->last,      v->last + 1, PG_INT64_MAX};

	for (int i = 0; i < lengthof(times); i++)
		for (int after = 0; after < 2; after++)
			require(journey_search_time(v, times[i], after) <= v->n);
}

/* Actions that are nobody's own: one of the vocabulary, and others. */
static const char *const not_own[] = {"view", "visit", ""};

static void
walk(void *arg)
{
	Probe *probe = arg;
	VisitWalk *w = visit_walk_create(CurrentMemoryContext);
	size_t lens[lengthof(not_own)];

	for (int i = 0; i < lengthof(not_own); i++)
		lens[i] = strlen(not_own[i]);
	visit_walk_set_not_own(w, not_own, lens, lengthof(not_own));
	w->session_gap = 1000000;
	w->handoff_within = PG_UINT64_MAX / 2;
	visit_walk_open(w, &probe->view);
	probe->walk = w;
	while (visit_walk_next(w))
	{
		const Touch *t = &probe->touches[w->n - 1];

		require(w->n > probe->nread || (w->label == t->label && w->time == t->time));
		require(w->n > probe->nread || w->n == 1 ||
				w->since_previous == (uint64) t->time - (uint64) t[-1].time);
		require(w->session <= w->n && w->visit <= w->n);
		require(!w->is_handoff || (w->begins_visit && w->channel != w->before_channel));
		require(!w->begins_visit || w->own);
	}
	require(w->n == probe->view.n);
}

/* What a walk knows of labels is what the dictionary says. */
static void
check_walk_labels(const Probe *probe)
{
	const VisitWalk *w = probe->walk;
	bool all_own = true;

	for (uint32 i = 0; i < probe->view.nlabels; i++)
	{
		const TouchLabel *label = &probe->labels[i];
		const VisitLabel *known = &w->labels[i];
		text *channel = (text *) DatumGetPointer(visit_walk_channel(w, known->channel));
		bool in = label->detail_len == 2 && memcmp(label->detail, "in", 2) == 0;
		bool out = label->detail_len == 3 &&
				   (memcmp(label->detail, "out", 3) == 0 || memcmp(label->detail, "bot", 3) == 0);
		bool own = !out;

		for (int k = 0; k < lengthof(not_own); k++)
			own &= strlen(not_own[k]) != label->action_len ||
				   memcmp(not_own[k], label->action, label->action_len) != 0;
		all_own &= own;
		require(known->own == own);
		require(known->speaker == (in ? SPEAKER_CUSTOMER : out ? SPEAKER_COMPANY : SPEAKER_NONE));
		require(known->place < w->nchannels && w->channels[known->place] == known->channel);
		require(VARSIZE(channel) - VARHDRSZ == label->channel_len &&
				memcmp(VARDATA(channel), label->channel, label->channel_len) == 0);
	}
	require(w->all_own == all_own);
}

static void
check(void *arg)
{
	Probe *probe = arg;

	journey_check(&probe->view, probe->data, probe->len);
}

/* A stretch of the value: the same in a slice as in the whole. */
static bool
same_stretch(const Probe *a, const uint8 *pa, const Probe *b, const uint8 *pb)
{
	return (pa == NULL && pb == NULL) || pa - a->data == pb - b->data;
}

/* Slices of the value's head open like the whole, or not at all. */
static void
check_heads(const Probe *whole, bool opened)
{
	size_t most = opened ? whole->view.labels - whole->data : JOURNEY_HEADER_MAX;

	for (size_t have = 0; have <= Min(most, whole->len); have++)
	{
		Probe head = {.data = exact_copy(whole->data, have), .len = whole->len, .have = have};

		if (answers(open_head, &head))
		{
			const JourneyView *h = &head.view;
			const JourneyView *w = &whole->view;

			require(opened);
			require(h->n == w->n && h->nlabels == w->nlabels && h->flags == w->flags &&
					h->details == w->details && h->label_width == w->label_width &&
					h->scale == w->scale && h->unit == w->unit && h->first == w->first &&
					h->last == w->last && h->nrefs == w->nrefs && h->ref_min == w->ref_min &&
					h->ref_span == w->ref_span && h->dictionary_len == w->dictionary_len);
			require(same_stretch(&head, h->dictionary, whole, w->dictionary) &&
					same_stretch(&head, h->labels, whole, w->labels) &&
					same_stretch(&head, h->times.low, whole, w->times.low) &&
					same_stretch(&head, h->times.high, whole, w->times.high) &&
					same_stretch(&head, h->values, whole, w->values) &&
					same_stretch(&head, h->values_end, whole, w->values_end) &&
					same_stretch(&head, h->refs.low, whole, w->refs.low) &&
					same_stretch(&head, h->refs.high, whole, w->refs.high));
			/* the dictionary may be read from a slice that holds it */
			if (have >= h->labels - head.data)
			{
				if (answers(read_dictionary, &head))
					pfree(head.labels);
			}
		}
		else
			require(!opened || have < whole->view.dictionary - whole->data);
		pfree((void *) head.data);
	}
}

/* A slice of a long value, of which nothing but its dictionary may be read. */
static void
check_long_head(const uint8 *data, size_t have, size_t total)
{
	Probe head = {.data = exact_copy(data, have), .len = total, .have = have};

	if (answers(open_head, &head) && have >= head.view.labels - head.data)
		answers(read_dictionary, &head);
}

/* --- the dictionary of a sound value, read as format.h describes it --- */

static uint64
naive_number(const uint8 **p)
{
	uint64 x = 0;
	int shift = 0;

	do
		x |= (uint64) (**p & 0x7f) << shift;
	while (shift += 7, *(*p)++ >= 0x80);
	return x;
}

/* A part; 0: what follows says where it stands. */
static const char *
naive_part(const uint8 **p, size_t *len)
{
	uint8 byte = *(*p)++;

	if (byte == 0)
		return NULL;
	if (byte < 128)
	{
		*len = strlen(vocabulary[byte - 1]);
		return vocabulary[byte - 1];
	}
	*len = byte < 255 ? byte - 128 : 127 + *(*p)++;
	*p += *len;
	return (const char *) *p - *len;
}

static bool
same_part(const char *a, size_t alen, const char *b, size_t blen)
{
	return alen == blen && memcmp(a, b, alen) == 0;
}

static void
check_dictionary(const JourneyView *v, const TouchLabel *labels)
{
	static const char *const told[] = {"", "bot", "in", "out"};
	const uint8 *p = v->dictionary;
	const uint8 *sets = NULL;
	uint32 *first = palloc(Max(v->nlabels, 1) * sizeof(uint32)); /* label of each pair */
	uint32 n = 0;

	for (uint32 pair = 0; n < v->nlabels; pair++)
	{
		const char *channel;
		const char *action;
		size_t channel_len;
		size_t action_len;
		uint32 count = 1;
		int set = 1;

		if (v->details && pair % 2 == 0)
			sets = p++;
		if (v->details)
			set = *sets >> pair % 2 * 4 & 0xf;
		first[pair] = n;
		channel = naive_part(&p, &channel_len);
		if (channel == NULL)
		{
			channel = labels[n - 1].channel;
			channel_len = labels[n - 1].channel_len;
		}
		action = naive_part(&p, &action_len);
		if (action == NULL)
		{
			const TouchLabel *earlier = &labels[first[naive_number(&p)]];

			action = earlier->action;
			action_len = earlier->action_len;
		}
		if (set == 0)
			count = naive_number(&p);
		else
			count = pg_popcount64(set);
		for (uint32 i = 0; i < count; i++, n++)
		{
			const char *detail;
			size_t detail_len;

			if (set == 0)
			{
				detail = naive_part(&p, &detail_len);
				if (detail == NULL)
				{
					uint64 earlier = naive_number(&p);

					detail = labels[earlier].detail;
					detail_len = labels[earlier].detail_len;
				}
			}
			else
			{
				detail = told[pg_rightmost_one_pos64(set)];
				detail_len = strlen(detail);
				set &= set - 1;
			}
			require(n < v->nlabels);
			require(same_part(channel, channel_len, labels[n].channel, labels[n].channel_len));
			require(same_part(action, action_len, labels[n].action, labels[n].action_len));
			require(same_part(detail, detail_len, labels[n].detail, labels[n].detail_len));
		}
	}
	require(p == v->dictionary + v->dictionary_len);
	pfree(first);
}

/* A value that journey_check accepts, unpacked and packed again by other means. */
static void
check_again(Probe *probe)
{
	LabelDict *dict = label_dict_create(CurrentMemoryContext);
	JourneyBuilder b;
	struct varlena *packed;

	builder_init(&b, dict, CurrentMemoryContext);
	require(probe->labels != NULL && probe->nread == probe->view.n);
	check_dictionary(&probe->view, probe->labels);
	for (uint32 i = probe->nread; i-- > 0;)
	{
		Touch t = probe->touches[i];

		t.label = label_dict_add(dict, &probe->labels[t.label]);
		builder_add(&b, &t);
	}
	packed = builder_pack(&b);
	require(VARSIZE(packed) - VARHDRSZ == probe->len &&
			memcmp(VARDATA(packed), probe->data, probe->len) == 0);
	check_sound(packed);
	check_searches(&probe->view, probe->touches);
	if (probe->view.n > 0)
		check_seeks(&probe->view.times);
	if (probe->view.flags & JOURNEY_REFS_ASCEND)
		check_seeks(&probe->view.refs);
}

static bool
check_image(const uint8 *data, size_t len)
{
	Probe probe = {.data = exact_copy(data, len), .len = len};
	JourneyView *v = &probe.view;
	bool opened = answers(open_whole, &probe);
	size_t header;

	check_heads(&probe, opened);
	if (!opened)
		return false;
	require(demanded_length(data, len, &header) == len);
	require(v->n <= len && v->nlabels <= v->n && v->nrefs <= v->n);
	require(IS_VALID_TIMESTAMP(v->first) && IS_VALID_TIMESTAMP(v->last) && v->first <= v->last);
	require((int64) ((uint64) v->ref_min + v->ref_span) >= v->ref_min);
	answers(read_dictionary, &probe);
	probe.touches = palloc(v->n * sizeof(Touch));
	answers(read_touches, &probe);
	answers(read_labels, &probe);
	answers(walk, &probe);
	require((probe.labels != NULL) == (probe.walk != NULL));
	if (probe.walk != NULL)
		check_walk_labels(&probe);
	answers(read_values, &probe);
	for (probe.start = 0; probe.start < Min(v->n, 64); probe.start++)
		answers(start_at, &probe);
	if (probe.nread == v->n)
		require(answers(start_anywhere, &probe));
	answers(search, &probe);
	if (!answers(check, &probe))
		return false;
	check_again(&probe);
	return true;
}

#define FITTED_MAX 16384

bool
fuzz_input(const uint8 *data, size_t len)
{
	size_t header;
	double demanded = demanded_length(data, len, &header);
	bool accepted = check_image(data, len);

	if (demanded > FITTED_MAX)
	{
		if (demanded <= MaxAllocSize)
			check_long_head(data, len, demanded);
	}
	else if (demanded > 0 && demanded != len)
	{
		size_t total = demanded;
		uint8 *fitted = palloc(total);

		memcpy(fitted, data, header);
		for (size_t i = header; i < total; i++)
			fitted[i] = len > header ? data[header + (i - header) % (len - header)] : 0;
		check_image(fitted, total);
	}
	require(backend_peak() <= 1024 * 1024 + 1024 * Max(len, FITTED_MAX));
	return accepted;
}
