/*
 * visit_walk.c
 *		What the labels of a journey are to a walk: own, of whom, in which channel.
 *
 * Most parts of labels are words of the vocabulary, known by their number; others
 * are looked up by their text.
 */
#include "postgres.h"

#include "analytics/visit_walk.h"
#include "common/hashfn.h"
#include "compat.h"
#include "utils/memutils.h"

typedef struct TextKey
{
	const char *text;
	size_t len;
} TextKey;

typedef struct TextEntry
{
	TextKey key;
	uint32 hash;
	uint32 number;
	char status;
} TextEntry;

#define SH_PREFIX texts
#define SH_ELEMENT_TYPE TextEntry
#define SH_KEY_TYPE TextKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key)                                                                       \
	((uint32) hash_bytes_extended((const unsigned char *) (key).text, (key).len, 0))
#define SH_EQUAL(tb, a, b) ((a).len == (b).len && memcmp((a).text, (b).text, (a).len) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

#define UNKNOWN_CHANNEL PG_UINT32_MAX

/* What is known of the action of a pair, for later ones that refer to it. */
#define ACTION_NOT_OWN 1
#define ACTION_WRITTEN 2 /* as a text, so that it may be referred to */

typedef struct VisitTables
{
	MemoryContext actions_cxt; /* holds the table */
	texts_hash *not_own;
	bool not_own_words[VOCABULARY_SIZE + 1];

	MemoryContext channels_cxt; /* likewise; and the texts */
	texts_hash *channels;
	text **channel_texts;
	uint32 nchannels;
	uint32 channels_max;
	uint32 channel_words[VOCABULARY_SIZE + 1];

	uint32 labels_max; /* allocated, of all that the walk keeps of labels */
	uint8 *actions;    /* of pairs */
} VisitTables;

/* By the details that a set of 4 bits tells: none, bot, in, out. */
static const uint8 set_speakers[DETAIL_SET_SIZE] = {SPEAKER_NONE, SPEAKER_COMPANY, SPEAKER_CUSTOMER,
													SPEAKER_COMPANY};

/* Made aside, so that the tables stay sound should memory run out. */
static void
restart_channels(VisitWalk *w)
{
	VisitTables *t = w->tables;
	MemoryContext cxt = AllocSetContextCreate(w->cxt, "visit channels", ALLOCSET_SMALL_SIZES);
	texts_hash *channels = texts_create(cxt, 16, NULL);
	text **channel_texts = MemoryContextAlloc(cxt, 16 * sizeof(text *));

	if (t->channels_cxt)
		MemoryContextDelete(t->channels_cxt);
	t->channels_cxt = cxt;
	t->channels = channels;
	t->channel_texts = channel_texts;
	t->nchannels = 0;
	t->channels_max = 16;
	for (int word = 0; word <= VOCABULARY_SIZE; word++)
		t->channel_words[word] = UNKNOWN_CHANNEL;
}

VisitWalk *
visit_walk_create(MemoryContext cxt)
{
	VisitWalk *w = MemoryContextAllocZero(cxt, sizeof(VisitWalk));

	w->tables = MemoryContextAllocZero(cxt, sizeof(VisitTables));
	w->cxt = cxt;
	w->session_gap = w->handoff_within = PG_UINT64_MAX;
	restart_channels(w);
	visit_walk_set_not_own(w, NULL, NULL, 0);
	return w;
}

void
visit_walk_set_not_own(VisitWalk *w, const char *const *actions, const size_t *lens, size_t n)
{
	VisitTables *t = w->tables;
	MemoryContext cxt = AllocSetContextCreate(w->cxt, "visit actions", ALLOCSET_SMALL_SIZES);
	texts_hash *table = texts_create(cxt, n, NULL);
	bool words[VOCABULARY_SIZE + 1] = {false};
	bool found;

	for (size_t i = 0; i < n; i++)
	{
		TextKey key = {MemoryContextAlloc(cxt, lens[i] + 1), lens[i]};

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		memcpy((char *) key.text, actions[i], lens[i]);
		texts_insert(table, key, &found);
		words[vocabulary_find(actions[i], lens[i])] = true;
	}
	words[0] = false;
	if (t->actions_cxt)
		MemoryContextDelete(t->actions_cxt);
	t->actions_cxt = cxt;
	t->not_own = table;
	w->dictionary_id = 0;
	memcpy(t->not_own_words, words, sizeof(words));
}

/* Number of a channel by its text, new or known. */
static uint32
channel_by_text(VisitTables *t, const char *p, size_t len)
{
	TextKey key = {p, len};
	TextEntry *entry = texts_lookup(t->channels, key);
	text *copy;
	bool found;

	if (likely(entry != NULL))
		return entry->number;
	if (t->nchannels == t->channels_max)
	{
		t->channel_texts =
			repalloc_huge(t->channel_texts, (size_t) t->channels_max * 2 * sizeof(text *));
		t->channels_max *= 2;
	}
	copy = MemoryContextAlloc(t->channels_cxt, VARHDRSZ + len);
	SET_VARSIZE(copy, VARHDRSZ + len);
	memcpy(VARDATA(copy), p, len);
	key.text = VARDATA(copy);
	entry = texts_insert(t->channels, key, &found);
	entry->number = t->nchannels;
	t->channel_texts[t->nchannels] = copy;
	return t->nchannels++;
}

Datum
visit_walk_channel(const VisitWalk *w, uint32 channel)
{
	Assert(channel < w->tables->nchannels);
	return PointerGetDatum(w->tables->channel_texts[channel]);
}

/* Room for what is known of so many labels. */
static void
labels_room(VisitWalk *w, uint32 n)
{
	VisitTables *t = w->tables;
	size_t max = Max(n, 64);

	if (likely(n <= t->labels_max &&
			   (t->labels_max <= LABEL_INTERRUPT_EVERY || n >= t->labels_max / 4)))
		return;
	if (t->labels_max > 0)
	{
		t->labels_max = 0;
		pfree(w->labels);
		pfree(w->channels);
		pfree(t->actions);
	}
	w->labels = MemoryContextAllocHuge(w->cxt, max * sizeof(VisitLabel));
	w->channels = MemoryContextAllocHuge(w->cxt, max * sizeof(uint32));
	t->actions = MemoryContextAllocHuge(w->cxt, max);
	t->labels_max = max;
}

static inline void
set_label(VisitWalk *w, uint32 n, uint32 channel, bool not_own, uint8 speaker)
{
	VisitLabel *l = &w->labels[n];

	l->channel = channel;
	l->place = w->nchannels - 1;
	l->own = !not_own && speaker != SPEAKER_COMPANY;
	l->speaker = speaker;
	l->kind = channel << 1 | l->own;
	w->all_own &= l->own;
	w->nobody_speaks &= speaker == SPEAKER_NONE;
}

static uint8
speaker_by_text(const char *p, size_t len)
{
	uint8 bit = detail_set_bit(p, len);

	return bit == 0 ? SPEAKER_NONE : set_speakers[pg_rightmost_one_pos32(bit)];
}

/* The labels from *n on of a pair whose details are told at p; where that ends. */
static const uint8 *
list_labels(VisitWalk *w, const uint8 *p, uint32 channel, bool not_own, uint32 *n)
{
	const JourneyView *v = w->view;
	const uint8 *end = v->dictionary + v->dictionary_len;
	uint32 count;

	p = dictionary_list(p, end, v->nlabels - *n, &count);
	for (; count > 0; count--, (*n)++)
	{
		DictionaryPart part;

		if (unlikely(count % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		p = dictionary_part(p, end, *n, false, &part);
		set_label(w, *n, channel, not_own,
				  part.same ? w->labels[part.earlier].speaker
							: speaker_by_text(part.text, part.word ? strlen(part.text) : part.len));
	}
	return p;
}

/* What stands in the dictionary. */
static void
read_labels(VisitWalk *w)
{
	const JourneyView *v = w->view;
	VisitTables *t = w->tables;
	const uint8 *p = v->dictionary;
	const uint8 *end = p + v->dictionary_len;
	uint32 channel = 0;
	uint8 sets = 0;
	uint8 set = 1;
	uint32 n = 0;

	dictionary_check_count(v);
	labels_room(w, v->nlabels);
	w->nchannels = 0;
	w->all_own = w->nobody_speaks = true;
	for (uint32 pair = 0; n < v->nlabels; pair++)
	{
		DictionaryPart part;
		uint8 action;

		if (unlikely(pair % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		if (v->details)
			p = dictionary_set(p, end, pair, &sets, &set);
		p = dictionary_part(p, end, pair, true, &part);
		if (!part.same)
		{
			channel = part.word ? t->channel_words[part.word] : UNKNOWN_CHANNEL;
			if (unlikely(channel == UNKNOWN_CHANNEL))
			{
				channel = channel_by_text(t, part.text, part.word ? strlen(part.text) : part.len);
				if (part.word)
					t->channel_words[part.word] = channel;
			}
			w->channels[w->nchannels++] = channel;
		}
		p = dictionary_part(p, end, pair, false, &part);
		if (part.word)
			action = t->not_own_words[part.word] ? ACTION_NOT_OWN : 0;
		else if (!part.same)
		{
			TextKey key = {part.text, part.len};

			action = ACTION_WRITTEN | (texts_lookup(t->not_own, key) ? ACTION_NOT_OWN : 0);
		}
		else
		{
			action = t->actions[part.earlier];
			if (unlikely((action & ACTION_WRITTEN) == 0))
				journey_corrupt("a part of a label refers to no earlier one");
			action &= ~ACTION_WRITTEN;
		}
		t->actions[pair] = action;
		if (likely(set == 1))
			set_label(w, n++, channel, action & ACTION_NOT_OWN, SPEAKER_NONE);
		else if (set != 0)
			for (int i = 0; i < DETAIL_SET_SIZE; i++)
			{
				if ((set >> i & 1) == 0)
					continue;
				if (n >= v->nlabels)
					journey_corrupt("the dictionary has more labels than counted");
				set_label(w, n++, channel, action & ACTION_NOT_OWN, set_speakers[i]);
			}
		else
			p = list_labels(w, p, channel, action & ACTION_NOT_OWN, &n);
	}
	if (p != end)
		journey_corrupt("the dictionary is longer than its labels");
}

void
visit_walk_open(VisitWalk *w, const JourneyView *v)
{
	w->view = v;
	if (v->dictionary_id == 0 || v->dictionary_id != w->dictionary_id)
	{
		w->dictionary_id = 0;
		if (unlikely(w->tables->nchannels > VISIT_CHANNELS_KEEP))
		{
			restart_channels(w);
			w->generation++;
		}
		read_labels(w);
		w->channels_known = w->tables->nchannels;
		w->dictionary_id = v->dictionary_id;
	}
	w->n = w->read = w->session = w->visit = 0;
	w->time = w->before_time = w->read_time = 0;
	w->read_kind = PG_UINT32_MAX; /* of no label */
	w->own = w->has_before = false;
	ef_start(&v->times, &w->times);
}

void
visit_walk_read_ahead(VisitWalk *w)
{
	const JourneyView *v = w->view;
	uint32 n = Min(v->n - w->read, VISIT_AHEAD);
	uint64 near = Min(w->session_gap, w->handoff_within);
	uint64 offsets[VISIT_AHEAD];
	uint32 kind = w->read_kind;
	int64 time = w->read_time;
	uint64 turns = 0;
	bool wrong = false;

	CHECK_FOR_INTERRUPTS();
	ef_read(&v->times, &w->times, offsets, n);
	for (uint32 i = 0; i < n; i++)
	{
		const VisitLabel *label = &w->labels[journey_label_at(v, w->read + i)];
		int64 next = (int64) ((uint64) v->first + offsets[i] * (uint64) v->unit);

		wrong |= offsets[i] > v->times.span;
		turns |= (uint64) ((label->kind != kind) | ((uint64) next - (uint64) time > near)) << i;
		w->ahead[i] = time = next;
		kind = label->kind;
	}
	if (unlikely(wrong))
		journey_corrupt("a time lies behind the last one");
	for (uint32 i = 0; i < n && !w->nobody_speaks; i++)
	{
		uint8 speaker = w->labels[journey_label_at(v, w->read + i)].speaker;

		w->inbound[i + 1] = w->inbound[i] + (speaker == SPEAKER_CUSTOMER);
		w->outbound[i + 1] = w->outbound[i] + (speaker == SPEAKER_COMPANY);
	}
	w->read += n;
	w->read_kind = kind;
	w->read_time = time;
	w->turns = turns;
}
