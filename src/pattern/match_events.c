/*
 * match_events.c
 *		Reading a journey for the matcher: which touchpoints which steps match.
 *
 * Labels are tested once, in the dictionary; touchpoints whose label no step
 * matches are passed over without decoding their times.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"

static bool
part_matches(const PartTest *test, const char *text, size_t len)
{
	return (test->prefix ? len >= test->len : len == test->len) &&
		   memcmp(test->text, text, test->len) == 0;
}

bool
step_matches_value(const Step *step, const Touch *t)
{
	for (int i = 0; i < step->nvalues; i++)
	{
		int cmp;

		if (!t->has_value)
			return false;
		cmp = decimal_cmp(t->value, step->values[i].value);
		switch (step->values[i].op)
		{
			case TEST_LT:
				if (cmp >= 0)
					return false;
				break;
			case TEST_LE:
				if (cmp > 0)
					return false;
				break;
			case TEST_GT:
				if (cmp <= 0)
					return false;
				break;
			case TEST_GE:
				if (cmp < 0)
					return false;
				break;
			case TEST_EQ:
				if (cmp != 0)
					return false;
				break;
			case TEST_NE:
				if (cmp == 0)
					return false;
				break;
		}
	}
	return true;
}

bool
step_matches_label(const Step *step, const TouchLabel *label)
{
	return part_matches(&step->channel, label->channel, label->channel_len) &&
		   part_matches(&step->action, label->action, label->action_len) &&
		   part_matches(&step->detail, label->detail, label->detail_len);
}

/* Of the steps, those whose part at this offset accepts this text. */
static void
steps_by_text(const Matcher *m, size_t part, const char *text, size_t len, uint64 *steps)
{
	memset(steps, 0, m->step_words * sizeof(uint64));
	for (int step = 0; step < m->program->nsteps; step++)
		if (part_matches((const PartTest *) ((const char *) m->program->steps[step] + part), text,
						 len))
			bit_set(steps, step);
}

void
prepare_labels(Matcher *m)
{
	const Program *p = m->program;
	size_t words = (VOCABULARY_SIZE + 1) * (size_t) m->step_words;

	m->channel_steps = palloc0(words * sizeof(uint64));
	m->action_steps = palloc0(words * sizeof(uint64));
	for (int word = 1; word <= VOCABULARY_SIZE; word++)
	{
		const char *text = vocabulary[word - 1];

		steps_by_text(m, offsetof(Step, channel), text, strlen(text),
					  &m->channel_steps[word * m->step_words]);
		steps_by_text(m, offsetof(Step, action), text, strlen(text),
					  &m->action_steps[word * m->step_words]);
	}
	for (int step = 0; step < p->nsteps; step++)
		m->tests_details |= !part_is_any(&p->steps[step]->detail);
	m->detail_steps = palloc(DETAIL_SET_SIZE * m->step_words * sizeof(uint64));
	for (int i = 0; i < DETAIL_SET_SIZE; i++)
		steps_by_text(m, offsetof(Step, detail), detail_set_texts[i], strlen(detail_set_texts[i]),
					  &m->detail_steps[i * m->step_words]);
	m->have = palloc(m->step_words * sizeof(uint64));
	m->required = palloc0(m->step_words * sizeof(uint64));
	m->live = palloc(p->npositions * sizeof(bool));
	/* without one of them, what is left does not suffice; a check for ordinary patterns */
	for (int step = 0; step < p->nsteps && p->nsteps <= WORD_BITS; step++)
	{
		m->have[0] = ~(UINT64CONST(1) << step);
		if (!labels_suffice(m))
			bit_set(m->required, step);
	}
}

/*
 * A text that was met before, if it is short: there are few, in many dictionaries. The last
 * one of each hash is kept.
 */
typedef struct KnownText
{
	uint64 text[2];
	uint16 len;
	uint16 part; /* which of a label's, by its offset in Step, + 1 */
} KnownText;

#define KNOWN_TEXTS 256

/* Bits of the first n bytes of a word, without a branch. */
static inline uint64
bytes_mask(int n)
{
	static const uint64 masks[] = {0,
								   0,
								   0,
								   0,
								   0,
								   0,
								   0,
								   0,
								   0,
								   UINT64CONST(0xff),
								   UINT64CONST(0xffff),
								   UINT64CONST(0xffffff),
								   UINT64CONST(0xffffffff),
								   UINT64CONST(0xffffffffff),
								   UINT64CONST(0xffffffffffff),
								   UINT64CONST(0xffffffffffffff),
								   ~UINT64CONST(0)};

	return masks[8 + Min(n, 8)];
}

/* As steps_by_text, of a text that stands in a dictionary which ends at "end". */
static void
steps_by_part(Matcher *m, size_t part, const DictionaryPart *text, const uint8 *end, uint64 *steps)
{
	size_t words = m->step_words;
	const uint8 *p = (const uint8 *) text->text;
	KnownText here = {.len = text->len, .part = part + 1};
	KnownText *known;
	uint64 *known_steps;
	uint64 hash;

	if (text->len > sizeof(here.text))
	{
		steps_by_text(m, part, text->text, text->len, steps);
		return;
	}
	here.text[0] = load64(p, end - p, 0) & bytes_mask(text->len);
	here.text[1] = load64(p, end - p, 8) & bytes_mask((int) text->len - 8);
	hash = (here.text[0] ^ (here.text[1] << 7 | here.text[1] >> 57) ^ here.part) *
		   UINT64CONST(0x9e3779b97f4a7c15);
	if (m->known_texts == NULL)
	{
		m->known_steps = MemoryContextAlloc(m->cxt, KNOWN_TEXTS * words * sizeof(uint64));
		m->known_texts = MemoryContextAllocZero(m->cxt, KNOWN_TEXTS * sizeof(KnownText));
	}
	known = &m->known_texts[hash >> 56];
	known_steps = &m->known_steps[(hash >> 56) * words];
	if (known->part != here.part || known->len != here.len || known->text[0] != here.text[0] ||
		known->text[1] != here.text[1])
	{
		steps_by_text(m, part, text->text, text->len, known_steps);
		*known = here;
	}
	for (size_t w = 0; w < words; w++)
		steps[w] = known_steps[w];
}

/* Words of label_steps beyond which the array does not wait for another long dictionary. */
#define LABELS_KEEP 65536

/* Of label n the steps, of which its parts match these; later ones may have the same detail. */
static inline void
match_label(Matcher *m, uint32 n, const uint64 *channel, const uint64 *action, const uint64 *detail)
{
	int words = m->step_words;
	uint64 *steps = &m->label_steps[(size_t) n * words];
	uint64 *own_detail = &m->label_details[(size_t) n * words];

	for (int w = 0; w < words; w++)
	{
		if (m->tests_details)
			own_detail[w] = detail[w];
		steps[w] = channel[w] & action[w] & detail[w];
		m->have[w] |= steps[w];
	}
}

/* The same of the labels from *n on of a pair whose details are told at p; where that ends. */
static const uint8 *
match_list(Matcher *m, const uint8 *p, const uint64 *channel, const uint64 *action, uint32 *n)
{
	const uint8 *end = m->v->dictionary + m->v->dictionary_len;
	int words = m->step_words;
	uint32 count;

	p = dictionary_list(p, end, m->v->nlabels - *n, &count);
	for (; count > 0; count--, (*n)++)
	{
		uint64 *own_detail = &m->label_details[(size_t) *n * words];
		const uint64 *detail = own_detail;
		DictionaryPart part;

		if (unlikely(count % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		p = dictionary_part(p, end, *n, false, &part);
		if (!m->tests_details)
			detail = m->detail_steps; /* all steps */
		else if (part.same)
			detail = &m->label_details[(size_t) part.earlier * words];
		else if (part.word)
			steps_by_text(m, offsetof(Step, detail), part.text, strlen(part.text), own_detail);
		else
			steps_by_part(m, offsetof(Step, detail), &part, end, own_detail);
		match_label(m, *n, channel, action, detail);
	}
	return p;
}

/*
 * Match labels without details from the dictionary's first on, as long as their parts are
 * words of the vocabulary; sets of steps being of one word. How many; *p is behind them,
 * and the channel at hand is in m->channel_steps[0].
 */
static inline uint32
match_vocabulary(Matcher *m, const uint8 **p)
{
	const JourneyView *v = m->v;
	const uint8 *at = v->dictionary;
	uint64 *channel_steps = m->channel_steps;
	const uint64 *action_steps = m->action_steps;
	uint64 *label_actions = m->label_actions;
	uint64 *label_steps = m->label_steps;
	uint64 detail = m->detail_steps[0];
	uint64 channel = 0;
	uint64 have = 0;
	uint32 most = Min(Min(v->nlabels, v->dictionary_len / 2), VOCABULARY_SIZE * VOCABULARY_SIZE);
	uint32 n = 0;

	if (most > 0 && at[0] == 0)
		most = 0; /* it has no channel */

	for (; n < most && at[0] <= VOCABULARY_SIZE && at[1] <= VOCABULARY_SIZE && at[1] != 0;
		 n++, at += 2)
	{
		uint64 own = channel_steps[at[0]];
		uint64 action = action_steps[at[1]];

		channel = at[0] != 0 ? own : channel;
		label_actions[n] = action;
		own = channel & action & detail;
		label_steps[n] = own;
		have |= own;
	}
	channel_steps[0] = channel;
	m->have[0] = have;
	*p = at;
	return n;
}

/* Match the dictionary's labels from p on, which number n begins; the channel at hand is scratch. */
static pg_noinline void
match_dictionary(Matcher *m, const uint8 *p, uint32 n)
{
	const JourneyView *v = m->v;
	const uint8 *end = v->dictionary + v->dictionary_len;
	int words = m->step_words;
	uint64 *channel = m->channel_steps; /* word 0: scratch */
	uint8 sets = 0;
	uint8 set = detail_set_bit("", 0);

	for (uint32 pair = n; n < v->nlabels; pair++)
	{
		uint64 *own_action = &m->label_actions[(size_t) pair * words];
		const uint64 *action = own_action;
		DictionaryPart part;

		if (unlikely(pair % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		if (v->details)
			p = dictionary_set(p, end, pair, &sets, &set);
		p = dictionary_part(p, end, pair, true, &part);
		if (part.word)
			channel = &m->channel_steps[part.word * words];
		else if (!part.same)
		{
			channel = m->channel_steps;
			steps_by_part(m, offsetof(Step, channel), &part, end, channel);
		}
		p = dictionary_part(p, end, pair, false, &part);
		if (part.word)
			action = &m->action_steps[part.word * words];
		else if (part.same)
			action = &m->label_actions[(size_t) part.earlier * words];
		else
			steps_by_part(m, offsetof(Step, action), &part, end, own_action);
		for (int w = 0; w < words; w++)
			own_action[w] = action[w];
		if (likely(set == 1))
			match_label(m, n++, channel, action, m->detail_steps);
		else if (set != 0)
			for (int i = 0; i < DETAIL_SET_SIZE; i++)
			{
				if ((set >> i & 1) == 0)
					continue;
				if (n >= v->nlabels)
					journey_corrupt("the dictionary has more labels than counted");
				match_label(m, n++, channel, action, &m->detail_steps[i * words]);
			}
		else
			p = match_list(m, p, channel, action, &n);
	}
}

#define LABELS_BEHIND 8

/* Make room for the labels of the journey, and for all that one byte can tell. */
static void
reserve_labels(Matcher *m)
{
	int words = m->step_words;
	uint32 n = Max(m->v->nlabels, BYTE_LABELS);
	size_t steps = ((size_t) n * words + LABELS_BEHIND) * sizeof(uint64);

	if (m->labels_max > 0)
	{
		m->labels_max = 0;
		pfree(m->label_steps);
		pfree(m->label_actions);
		pfree(m->label_details);
	}
	m->label_steps = MemoryContextAllocHuge(m->cxt, steps);
	m->label_actions = MemoryContextAllocHuge(m->cxt, steps);
	m->label_details = MemoryContextAllocHuge(m->cxt, steps);
	m->labels_max = n;
	m->labels_known = BYTE_LABELS;
}

void
match_labels(Matcher *m)
{
	const JourneyView *v = m->v;
	const uint8 *p;
	uint32 known;
	uint32 n;

	if (m->labelled)
		return;
	m->labelled = true;
	if (v->dictionary_id != 0 && v->dictionary_id == m->dictionary_id)
		return;
	m->dictionary_id = 0; /* an error may come */
	m->suffice = -1;
	dictionary_check_count(v);
	if (m->labels_max == 0 || v->nlabels > m->labels_max ||
		((size_t) m->labels_max * m->step_words > LABELS_KEEP && v->nlabels < m->labels_max / 4))
		reserve_labels(m);
	known = m->labels_known;
	m->labels_known = BYTE_LABELS;
	p = v->dictionary;
	n = 0;
	if (likely(m->step_words == 1 && !v->details))
		n = match_vocabulary(m, &p);
	else
		memset(m->have, 0, m->step_words * sizeof(uint64));
	if (n < v->nlabels)
		match_dictionary(m, p, n);
	n = v->nlabels;
	if (m->step_words == 1)
	{
		uint64 *behind = m->label_steps + n;

		/* mostly a few will do, in a loop of fixed length */
		for (int i = 0; i < LABELS_BEHIND; i++)
			behind[i] = NO_LABEL;
		if (unlikely(known > n + LABELS_BEHIND))
			for (uint32 label = n + LABELS_BEHIND; label < known; label++)
				m->label_steps[label] = NO_LABEL;
	}
	m->labels_known = Min(n, BYTE_LABELS);
	m->dictionary_id = v->dictionary_id;
}

/* Has every match what it needs at least? A quick check. */
bool
labels_required(const Matcher *m)
{
	for (int w = 0; w < m->step_words; w++)
		if ((m->required[w] & ~m->have[w]) != 0)
			return false;
	return true;
}

/*
 * Could the labels, in whatever order, lead from a start to an accept? Mostly
 * they cannot, and nothing else is read then.
 */
bool
labels_suffice(const Matcher *m)
{
	return labels_required(m) && program_connected(m->program, m->have, NULL, m->live);
}

void
place_start(const Matcher *m, Place *place)
{
	place->i = 0;
	if (m->rows)
		return;
	if (m->tests_values)
		journey_start_at(m->v, &place->cursor, 0);
	else
		ef_start(&m->v->times, &place->times);
}

/* Go on to before touchpoint i. */
void
place_forward(const Matcher *m, Place *place, uint32 i)
{
	Touch t;

	place->i = i;
	if (!m->tests_values)
	{
		/* now, as who copies the place would seek from where it was each time */
		ef_seek(&m->v->times, &place->times, i);
		return;
	}
	while (place->cursor.i < i && journey_next(&place->cursor, &t))
		if (unlikely(place->cursor.i % MATCH_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
}

uint32
skip_labels(const uint8 *labels, uint32 i, uint32 end, const uint64 *label_steps, uint64 steps)
{
	const uint8 *at = labels + i;
	const uint8 *stop = labels + end;

	for (; stop - at >= 4; at += 4)
		if (((label_steps[at[0]] | label_steps[at[1]] | label_steps[at[2]] | label_steps[at[3]]) &
			 steps) != 0)
			break;
	while (at < stop && (label_steps[*at] & steps) == 0)
		at++;
	return at - labels;
}

uint64
steps_with_value(const Matcher *m, int word, uint64 steps, const Touch *t)
{
	for (uint64 test = steps & m->value_steps[word]; test != 0; test &= test - 1)
		if (!step_matches_value(m->program->steps[word * WORD_BITS + pg_rightmost_one_pos64(test)],
								t))
			steps &= ~(test & -test);
	return steps;
}

/* Does some step match the label? */
static inline bool
any_step(const Matcher *m, uint32 label)
{
	const uint64 *steps = &m->label_steps[(size_t) label * m->step_words];
	uint64 any = steps[0];

	for (int w = 1; w < m->step_words; w++)
		any |= steps[w];
	return any != 0;
}

/* The next touchpoint of which the label is for some step, but for its time. */
static pg_attribute_always_inline bool
next_label(const Matcher *m, Place *place, Event *event)
{
	const JourneyView *v = m->v;

	while (place->i < v->n)
	{
		uint32 i;
		uint32 label;

		if (m->marks)
		{
			place->i = marks_next(m->marks, place->i, v->n, ~0);
			if (place->i == v->n)
				break;
		}
		else if (likely(v->label_width == 1 && m->step_words == 1))
		{
			uint32 end = place->i + Min(v->n - place->i, MATCH_INTERRUPT_EVERY);

			place->i = skip_labels(v->labels, place->i, end, m->label_steps, ~UINT64CONST(0));
			if (place->i == end)
			{
				CHECK_FOR_INTERRUPTS();
				continue;
			}
		}
		i = place->i++;
		label = journey_label_at(v, i);
		if (i % MATCH_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (!any_step(m, label))
			continue;
		event->i = i;
		event->steps = &m->label_steps[(size_t) label * m->step_words];
		return true;
	}
	return false;
}

bool
next_event(Matcher *m, Place *place, uint64 *scratch, Event *event)
{
	const JourneyView *v = m->v;

	if (m->rows)
		return next_row(m, place, scratch, event);
	if (m->tests_values)
	{
		Touch t;

		while (journey_next(&place->cursor, &t))
		{
			const uint64 *label = &m->label_steps[(size_t) t.label * m->step_words];
			uint64 any = 0;

			place->i = place->cursor.i;
			if (place->i % MATCH_INTERRUPT_EVERY == 0)
				CHECK_FOR_INTERRUPTS();
			for (int w = 0; w < m->step_words; w++)
			{
				scratch[w] = steps_with_value(m, w, label[w], &t);
				any |= scratch[w];
			}
			if (any == 0)
				continue;
			event->i = place->i - 1;
			event->time = t.time;
			event->steps = scratch;
			return true;
		}
		return false;
	}

	if (!next_label(m, place, event))
		return false;
	ef_seek(&v->times, &place->times, event->i);
	event->time = journey_time_from_offset(v, ef_next(&v->times, &place->times));
	return true;
}

bool
next_of_all_events(Matcher *m, Event *event)
{
	const JourneyView *v = m->v;
	Place *place = &m->place;

	if (m->rows || m->tests_values)
		return next_event(m, place, m->event_steps, event);
	if (!next_label(m, place, event))
		return false;
	if (event->i >= place->times.i)
	{
		uint32 n = Min(TIMES_AHEAD, v->n - event->i);

		if (place->times.i != event->i)
			ef_seek(&v->times, &place->times, event->i);
		ef_read(&v->times, &place->times, m->times, n);
		m->times_from = event->i;
	}
	event->time = journey_time_from_offset(v, m->times[event->i - m->times_from]);
	return true;
}

const Ahead *
look_ahead(Matcher *m, int step, uint32 i)
{
	Ahead *ahead = &m->ahead[step];

	if (!ahead->started)
	{
		place_start(m, &ahead->place);
		ahead->started = true;
		ahead->found = true;
		ahead->i = 0;
	}
	else if (!ahead->found || ahead->i > i)
		return ahead;
	for (;;)
	{
		Event event;

		if (m->timeless ? !next_label(m, &ahead->place, &event)
						: !next_event(m, &ahead->place, m->ahead_steps, &event))
		{
			ahead->found = false;
			return ahead;
		}
		if (event.i > i && bit_get(event.steps, step))
		{
			ahead->i = event.i;
			if (!m->timeless)
				ahead->time = event.time;
			return ahead;
		}
	}
}
