/*
 * attribution_walk.c
 *		The conversions of a journey, and the path to each.
 *
 * What a label is, is found once a query, and kept by its number in the dictionary of the call
 * site; so a journey costs a look at each touchpoint. Times are read only where a path may be
 * longer than the lookback, or who asks needs them.
 */
#include "postgres.h"

#include "attribution/attribution_walk.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "utils/memutils.h"

void
walk_init(Walk *w, MemoryContext cxt, const char *function)
{
	memset(w, 0, sizeof(*w));
	w->function = function;
	w->cxt = cxt;
	w->dict = label_dict_create(cxt);
	w->serial = 1;
	w->part = PART_LABEL;
	w->until = DT_NOEND;
	w->range.since = DT_NOBEGIN;
	w->range.before = DT_NOEND;
}

/* What is known of labels does not hold any more. */
void
walk_forget(Walk *w)
{
	w->serial++;
	if (w->known_max > 0)
		memset(w->known, 0, w->known_max * sizeof(WalkLabel));
}

bool
program_is_one_step(const Program *p)
{
	bool single = p->least == 1;

	for (int e = 0; e < p->nedges; e++)
		single &= p->edges[e].from < 0 && !p->edges[e].from_start;
	for (int a = 0; a < p->naccepts; a++)
		single &= !p->accepts[a].to_end;
	return single;
}

static CompiledPattern *
one_step(CompiledPattern **cached, const Walk *w, const char *what, Datum pattern)
{
	CompiledPattern *c = pattern_argument(cached, w->cxt, pattern);

	if (!program_is_one_step(c->program))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s needs a pattern of one step for %s", w->function, what),
			 errdetail("Found \"%s\".", c->text),
			 errhint("Use a step such as \"web.purchase\", or several of them as in \"(ads.%% | "
					 "email.click)\".")));
	return c;
}

/* Patterns may be others than before; what is known of labels is of these. */
void
walk_patterns(Walk *w, Datum conversion, Datum touches)
{
	const CompiledPattern *patterns[2];

	patterns[0] = one_step(&w->conversion, w, "the conversion", conversion);
	patterns[1] = one_step(&w->touches, w, "touches", touches);
	for (int i = 0; i < 2; i++)
	{
		if (w->known_patterns[i] && strcmp(w->known_patterns[i], patterns[i]->text) == 0)
			continue;
		if (w->known_patterns[i])
			pfree(w->known_patterns[i]);
		w->known_patterns[i] = MemoryContextStrdup(w->cxt, patterns[i]->text);
		walk_forget(w);
	}
}

static bool
part_matches(const PartTest *test, const char *text, size_t len)
{
	return (test->prefix ? len >= test->len : len == test->len) &&
		   memcmp(test->text, text, test->len) == 0;
}

static bool
value_matches(const Step *step, bool has_value, Decimal value)
{
	for (int i = 0; i < step->nvalues; i++)
	{
		int cmp;
		bool holds;

		if (!has_value)
			return false;
		cmp = decimal_cmp(value, step->values[i].value);
		switch (step->values[i].op)
		{
			case TEST_LT:
				holds = cmp < 0;
				break;
			case TEST_LE:
				holds = cmp <= 0;
				break;
			case TEST_GT:
				holds = cmp > 0;
				break;
			case TEST_GE:
				holds = cmp >= 0;
				break;
			case TEST_EQ:
				holds = cmp == 0;
				break;
			default:
				holds = cmp != 0;
		}
		if (!holds)
			return false;
	}
	return true;
}

static bool
label_matches(const Step *step, const TouchLabel *label)
{
	return part_matches(&step->channel, label->channel, label->channel_len) &&
		   part_matches(&step->action, label->action, label->action_len) &&
		   part_matches(&step->detail, label->detail, label->detail_len);
}

/* Does a touchpoint of this label match, surely or if its value does? */
static uint8
pattern_flags(const CompiledPattern *c, const TouchLabel *label, uint8 surely, uint8 maybe)
{
	const Program *p = c->program;
	uint8 flags = 0;

	for (int q = 0; q < p->npositions; q++)
	{
		const Step *step = p->steps[p->positions[q].step];

		if (!label_matches(step, label))
			continue;
		if (step->nvalues == 0)
			return surely;
		flags = maybe;
	}
	return flags;
}

static bool
pattern_matches_value(const CompiledPattern *c, const TouchLabel *label, bool has_value,
					  Decimal value)
{
	const Program *p = c->program;

	for (int q = 0; q < p->npositions; q++)
	{
		const Step *step = p->steps[p->positions[q].step];

		if (label_matches(step, label) && value_matches(step, has_value, value))
			return true;
	}
	return false;
}

/* A label that is met for the first time. */
static pg_noinline void
learn_label(Walk *w, uint32 number)
{
	TouchLabel label = w->dict->labels[number].text;
	uint8 flags = WALK_KNOWN;
	uint32 item;

	flags |= pattern_flags(w->conversion, &label, WALK_CONVERSION, WALK_CONVERSION_VALUE);
	flags |= pattern_flags(w->touches, &label, WALK_TOUCH, WALK_TOUCH_VALUE);
	item = label_part_number(w->dict, number, w->part);
	if (Max(number, item) >= w->known_max)
	{
		uint32 max = w->dict->labels_max;

		if (w->known == NULL)
			w->known = MemoryContextAllocHuge(w->cxt, max * sizeof(WalkLabel));
		else
			w->known = repalloc_huge(w->known, max * sizeof(WalkLabel));
		memset(w->known + w->known_max, 0, (max - w->known_max) * sizeof(WalkLabel));
		w->known_max = max;
	}
	w->known[number] = (WalkLabel) {.item = item, .flags = flags};
}

uint8
walk_labels(Walk *w, const JourneyView *v)
{
	uint8 any = 0;

	if (unlikely(label_dict_is_large(w->dict)))
	{
		label_dict_trim(w->dict);
		walk_forget(w);
	}
	dictionary_check_count(v);
	if (unlikely(v->nlabels > w->labels_max))
	{
		uint32 max = Max(v->nlabels, 64);

		if (w->labels_max > 0)
		{
			w->labels_max = 0;
			pfree(w->labels);
			pfree(w->numbers);
		}
		w->labels = MemoryContextAllocHuge(w->cxt, max * sizeof(WalkLabel));
		w->numbers = MemoryContextAllocHuge(w->cxt, max * sizeof(uint32));
		w->labels_max = max;
	}
	journey_number_labels(v, w->dict, w->numbers);
	for (uint32 i = 0; i < v->nlabels; i++)
	{
		uint32 number = w->numbers[i];

		if (unlikely(number >= w->known_max || w->known[number].flags == 0))
			learn_label(w, number);
		w->labels[i] = w->known[number];
		any |= w->labels[i].flags;
	}
	return any;
}

/* Times of all touchpoints, once. */
static pg_noinline void
read_times(Walk *w)
{
	const JourneyView *v = w->v;
	EliasFanoCursor c;

	if (v->n > w->times_max)
	{
		uint32 max = Max(v->n, 256);

		if (w->times_max > 0)
		{
			w->times_max = 0;
			pfree(w->times);
		}
		w->times = MemoryContextAllocHuge(w->cxt, max * sizeof(int64));
		w->times_max = max;
	}
	ef_start(&v->times, &c);
	if (!ef_read_scaled(&v->times, &c, v->times.high + v->times.high_len, v->first, v->unit,
						w->times, v->n))
		journey_corrupt("a time lies behind the last one");
	w->has_times = true;
}

static inline int64
time_at(Walk *w, uint32 i)
{
	if (!w->has_times)
		read_times(w);
	return w->times[i];
}

/* The value of touchpoint i, which is not before those that were asked for. */
static bool
value_at(Walk *w, uint32 i, Decimal *value)
{
	const JourneyView *v = w->v;

	*value = (Decimal) {0};
	if (!(v->flags & JOURNEY_VALUES))
		return false;
	for (;; w->value_at++)
	{
		const uint8 *next = w->value;
		bool has_value = v->value_bitmap == NULL ||
						 (v->value_bitmap[w->value_at >> 3] & 1 << (w->value_at & 7)) != 0;

		if (has_value)
			next = journey_read_value(v, w->value, value);
		/* that of i may be asked for again */
		if (w->value_at == i)
		{
			if (!has_value)
				*value = (Decimal) {0};
			return has_value;
		}
		w->value = next;
	}
}

/* What a touchpoint is whose label does not tell. */
static uint8
flags_by_value(Walk *w, uint32 i, uint32 label, uint8 flags)
{
	const TouchLabel *text = &w->dict->labels[w->numbers[label]].text;
	Decimal value;
	bool has_value = value_at(w, i, &value);

	if ((flags & WALK_CONVERSION_VALUE) &&
		pattern_matches_value(w->conversion, text, has_value, value))
		flags |= WALK_CONVERSION;
	if ((flags & WALK_TOUCH_VALUE) && pattern_matches_value(w->touches, text, has_value, value))
		flags |= WALK_TOUCH;
	return flags;
}

static inline bool
in_range(const AttrRange *range, int64 time)
{
	return time >= range->since && time < range->before;
}

void
walk_journey(Walk *w, const JourneyView *v, WalkFn fn, void *arg)
{
	const WalkLabel *labels = w->labels;
	bool ranged = !TIMESTAMP_IS_NOBEGIN(w->range.since) || !TIMESTAMP_IS_NOEND(w->range.before);
	bool cuts = v->n > 1 && w->lookback < (uint64) v->last - (uint64) v->first;
	bool timed = ranged || cuts || w->needs_times;
	uint32 n = 0;     /* touches */
	uint32 from = 0;  /* the first one on the path, so far */
	uint32 after = 0; /* the first one after the last conversion */
	WalkPath path;

	if (v->n == 0 || v->last < w->range.since || v->first >= w->range.before)
		return;
	if (v->n > w->touch_max)
	{
		uint32 max = Max(v->n, 256);

		if (w->touch_max > 0)
		{
			w->touch_max = 0;
			pfree(w->touch);
			pfree(w->item);
		}
		w->touch = MemoryContextAllocHuge(w->cxt, max * sizeof(uint32));
		w->item = MemoryContextAllocHuge(w->cxt, max * sizeof(uint32));
		w->touch_max = max;
	}
	w->v = v;
	w->has_times = false;
	w->value_at = 0;
	w->value = v->values;
	for (uint32 i = 0; i < v->n; i++)
	{
		uint32 label = journey_label_at(v, i);
		uint8 flags = labels[label].flags;

		if (likely(flags == (WALK_KNOWN | WALK_TOUCH)))
		{
			w->touch[n] = i;
			w->item[n++] = labels[label].item;
			continue;
		}
		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		if (flags & (WALK_CONVERSION_VALUE | WALK_TOUCH_VALUE))
			flags = flags_by_value(w, i, label, flags);
		if (flags & WALK_CONVERSION)
		{
			path.converts = true;
			path.conversion = i;
			path.to = n;
			path.time = timed ? time_at(w, i) : 0;
			if (cuts)
				while (from < n &&
					   (uint64) path.time - (uint64) w->times[w->touch[from]] > w->lookback)
					from++;
			path.from = from;
			if (!ranged || in_range(&w->range, path.time))
			{
				path.has_value = value_at(w, i, &path.value);
				fn(arg, w, &path);
			}
			after = n;
			if (w->reset)
			{
				/* it is on no path itself */
				n = from = after = 0;
				continue;
			}
		}
		if (flags & WALK_TOUCH)
		{
			w->touch[n] = i;
			w->item[n++] = labels[label].item;
			if (flags & WALK_CONVERSION)
				after = n;
		}
	}
	if (n == after || !w->nulls)
		return;
	if (!TIMESTAMP_IS_NOEND(w->until) || ranged)
	{
		int64 last = time_at(w, w->touch[n - 1]);

		if (ranged && !in_range(&w->range, last))
			return;
		if (!TIMESTAMP_IS_NOEND(w->until) &&
			(last > w->until || (uint64) w->until - (uint64) last < w->lookback))
		{
			w->undecided++;
			return;
		}
	}
	path = (WalkPath) {.from = after, .to = n};
	fn(arg, w, &path);
}
