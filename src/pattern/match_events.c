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

static bool
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

/* Words of label_steps beyond which the array does not wait for another long dictionary. */
#define LABELS_KEEP 65536

/* Of label n the steps, of which its parts match these; later ones may have the same detail. */
static pg_attribute_always_inline void
match_label(Matcher *m, int words, bool details, uint32 n, const uint64 *channel,
			const uint64 *action, const uint64 *detail)
{
	uint64 *steps = &m->label_steps[(size_t) n * words];
	uint64 *own_detail = &m->label_details[(size_t) n * words];

	for (int w = 0; w < words; w++)
	{
		if (details && m->tests_details)
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
		else
			steps_by_text(m, offsetof(Step, detail), part.text,
						  part.word ? strlen(part.text) : part.len, own_detail);
		match_label(m, words, true, *n, channel, action, detail);
	}
	return p;
}

/*
 * Match labels without details from the dictionary's first on, as long as their parts are
 * words of the vocabulary; sets of steps being of one word. How many; *p is behind them,
 * and the channel at hand is in m->channel_steps[0]. There is a first channel.
 */
static uint32
match_vocabulary(Matcher *m, const uint8 **p, const uint8 *end)
{
	const uint8 *at = *p;
	uint64 *channel_steps = m->channel_steps;
	uint64 channel = 0;
	uint64 have = 0;
	uint32 most = Min(Min(m->v->nlabels, (end - at) / 2), VOCABULARY_SIZE * VOCABULARY_SIZE);
	uint32 n;

	for (n = 0; n < most && at[0] <= VOCABULARY_SIZE && at[1] <= VOCABULARY_SIZE && at[1] != 0;
		 n++, at += 2)
	{
		uint64 own = channel_steps[at[0]];
		uint64 action = m->action_steps[at[1]];

		channel = at[0] != 0 ? own : channel;
		m->label_actions[n] = action;
		m->label_steps[n] = channel & action & m->detail_steps[0];
		have |= m->label_steps[n];
	}
	channel_steps[0] = channel;
	m->have[0] = have;
	*p = at;
	return n;
}

/* Match the dictionary's labels; words and details are m->step_words and those of the view. */
static pg_attribute_always_inline void
match_dictionary(Matcher *m, int words, bool details)
{
	const JourneyView *v = m->v;
	const uint8 *p = v->dictionary;
	const uint8 *end = p + v->dictionary_len;
	uint64 *channel = NULL;
	uint8 sets = 0;
	uint8 set = detail_set_bit("", 0);
	uint32 n = 0;

	if (words == 1 && !details && p < end && *p != 0)
	{
		n = match_vocabulary(m, &p, end);
		channel = m->channel_steps; /* word 0: scratch */
	}
	for (uint32 pair = n; n < v->nlabels; pair++)
	{
		uint64 *own_action = &m->label_actions[(size_t) pair * words];
		const uint64 *action = own_action;
		DictionaryPart part;

		if (unlikely(pair % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		if (details)
			p = dictionary_set(p, end, pair, &sets, &set);
		p = dictionary_part(p, end, pair, true, &part);
		if (part.word)
			channel = &m->channel_steps[part.word * words];
		else if (!part.same)
		{
			channel = m->channel_steps; /* word 0: scratch */
			steps_by_text(m, offsetof(Step, channel), part.text, part.len, channel);
		}
		p = dictionary_part(p, end, pair, false, &part);
		if (part.word)
			action = &m->action_steps[part.word * words];
		else if (part.same)
			action = &m->label_actions[(size_t) part.earlier * words];
		else
			steps_by_text(m, offsetof(Step, action), part.text, part.len, own_action);
		for (int w = 0; w < words; w++)
			own_action[w] = action[w];
		if (likely(set == 1))
			match_label(m, words, details, n++, channel, action, m->detail_steps);
		else if (set != 0)
			for (int i = 0; i < DETAIL_SET_SIZE; i++)
			{
				if ((set >> i & 1) == 0)
					continue;
				if (n >= v->nlabels)
					journey_corrupt("the dictionary has more labels than counted");
				match_label(m, words, details, n++, channel, action, &m->detail_steps[i * words]);
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
	uint32 known;

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
	for (int w = 0; w < m->step_words; w++)
		m->have[w] = 0;
	if (m->step_words == 1 && !v->details)
		match_dictionary(m, 1, false);
	else
		match_dictionary(m, m->step_words, v->details);
	if (m->step_words == 1)
	{
		/* mostly a few will do, in a loop of fixed length */
		for (uint32 label = v->nlabels; label < v->nlabels + LABELS_BEHIND; label++)
			m->label_steps[label] = NO_LABEL;
		for (uint32 label = v->nlabels + LABELS_BEHIND; unlikely(label < known); label++)
			m->label_steps[label] = NO_LABEL;
	}
	m->labels_known = Min(v->nlabels, BYTE_LABELS);
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

/* Labels that match one of the steps. */
static LabelSet
labels_of(const Matcher *m, const uint64 *steps)
{
	uint32 nlabels = m->v->nlabels;
	LabelSet set = {.labels = palloc_extended(Max(nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE)};

	for (uint32 label = 0; label < nlabels; label++)
	{
		const uint64 *own = &m->label_steps[(size_t) label * m->step_words];
		uint64 any = 0;

		if (unlikely(label % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		for (int w = 0; w < m->step_words; w++)
			any |= own[w] & steps[w];
		if (any != 0)
			set.labels[set.n++] = label;
	}
	return set;
}

void
matcher_needs(Matcher *m, LabelNeeds *needs)
{
	const Program *p = m->program;
	uint64 *steps = palloc0(m->step_words * sizeof(uint64));

	match_labels(m);
	for (int e = 0; e < p->nedges; e++)
		if (p->edges[e].from < 0)
			bit_set(steps, p->positions[p->edges[e].to].step);
	needs->start = labels_of(m, steps);
	for (int q = 0; q < p->npositions; q++)
		bit_set(steps, p->positions[q].step);
	needs->any = labels_of(m, steps);
	needs->least = p->least;
	needs->nrequired = 0;
	needs->required = palloc(p->nsteps * sizeof(LabelSet));
	for (int step = 0; step < p->nsteps; step++)
		if (bit_get(m->required, step))
		{
			memset(steps, 0, m->step_words * sizeof(uint64));
			bit_set(steps, step);
			needs->required[needs->nrequired++] = labels_of(m, steps);
		}
	pfree(steps);
}

void
place_start(const Matcher *m, Place *place)
{
	memset(place, 0, sizeof(*place));
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
		if (!step_matches_value(m->program->steps[word * WORD_BITS + pg_rightmost_one_pos64(test)], t))
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
		i = place->i++;
		label = journey_label_at(v, i);
		if (i % MATCH_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (!any_step(m, label))
			continue;
		ef_seek(&v->times, &place->times, i);
		event->i = i;
		event->time = journey_time_from_offset(v, ef_next(&v->times, &place->times));
		event->steps = &m->label_steps[(size_t) label * m->step_words];
		return true;
	}
	return false;
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

		if (!next_event(m, &ahead->place, m->ahead_steps, &event))
		{
			ahead->found = false;
			return ahead;
		}
		if (event.i > i && bit_get(event.steps, step))
		{
			ahead->i = event.i;
			ahead->time = event.time;
			return ahead;
		}
	}
}
