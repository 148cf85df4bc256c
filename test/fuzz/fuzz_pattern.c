/*
 * fuzz_pattern.c
 *		Journey patterns: parser, printer, compiler and matcher.
 *
 * The input is a pattern up to its first newline or NUL, valid or not, and then
 * a journey, one byte a touchpoint or a change of time or value: see
 * make_journey. What is printed must read back as the same pattern. What the
 * matcher finds must be what the program, as program.h defines it, says when it
 * is followed naively, through all pairs of touchpoints; and its shortcuts must
 * agree with its long way. An input is accepted if it holds a pattern.
 */
#include "postgres.h"

#include "block/label_scan.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "fuzz.h"
#include "index/journey_keys.h"
#include "journey/marks.h"
#include "pattern/match.h"
#include "pattern/match_marks.h"

#define TOUCHES_MAX 40

/* The naive search looks at so many triples of an edge or link and two touchpoints. */
#define NAIVE_MAX 1000000

const char *const fuzz_tokens[] = {"->",
								   "=>",
								   " -[",
								   "]-> ",
								   " =[",
								   "]=> ",
								   "<= 1 min",
								   "> 1 s",
								   "< 1 h 30 min",
								   ">= 0 us",
								   "= 106751991 d 4 h 54.775807 s",
								   "!",
								   "!a.b",
								   " for 1 h",
								   " within 1 h",
								   "a.a",
								   "a.b",
								   "b.%",
								   "%",
								   "a%.",
								   "\"b c\".",
								   "all(",
								   "all(a.a, a.b, b.a)",
								   "(",
								   ")",
								   " | ",
								   "^",
								   "^ -> ",
								   " $",
								   "?",
								   "*",
								   "+",
								   "{2,3}",
								   "{,2}",
								   "{3,}",
								   "{30}",
								   "a.a.in",
								   "%.%.out",
								   ".\"\"",
								   ".in%",
								   "[value > 0]",
								   "[value != 1, value <> 0]",
								   "[value <= 0.5, value >= -1e2]",
								   ",",
								   "\n",
								   "aabb",
								   "a2b3a4b",
								   "Na",
								   "\xc2\xb5s",
								   "\xff",
								   NULL};

static Touch touches[TOUCHES_MAX];
static const TouchLabel labels[] = {
	{"a", "a", "", 1, 1, 0},      {"a", "b", "", 1, 1, 0},        {"b", "a", "", 1, 1, 0},
	{"b", "b", "", 1, 1, 0},      {"", "", "", 0, 0, 0},          {"ab", "a", "", 2, 1, 0},
	{"b c", "%", "", 3, 1, 0},    {"all", "within", "", 3, 6, 0}, {"a", "a", "in", 1, 1, 2},
	{"a", "a", "out", 1, 1, 3},   {"a", "b", "in", 1, 1, 2},      {"b", "b", "inner", 1, 1, 5},
	{"b c", "%", "for", 3, 1, 3}, {"b", "a", "inner", 1, 1, 5},   {"", "", "bot", 0, 0, 3},
};

/* --- the journey --- */

/*
 * A digit lets time pass, a letter from M on sets the value of what follows, from
 * A on takes it away; "<" goes to the earliest time, ">" to the last; whatever
 * else is a touchpoint. Their references keep them in this order.
 */
static JourneyView *
make_journey(const uint8 *data, size_t len)
{
	static const int64 gaps[] = {1,
								 1000,
								 USECS_PER_SEC,
								 10 * USECS_PER_SEC,
								 USECS_PER_MINUTE,
								 30 * USECS_PER_MINUTE,
								 USECS_PER_HOUR,
								 USECS_PER_DAY,
								 7 * USECS_PER_DAY,
								 1000 * 365 * USECS_PER_DAY};
	JourneyBuilder b;
	JourneyView *v = palloc(sizeof(JourneyView));
	Touch t = {.time = 826000000 * USECS_PER_SEC, .has_ref = true};

	builder_init(&b, label_dict_create(CurrentMemoryContext), CurrentMemoryContext);
	for (size_t i = 0; i < len && b.n < TOUCHES_MAX; i++)
	{
		uint8 c = data[i];

		if (c >= '0' && c <= '9')
			t.time = Min(t.time, END_TIMESTAMP - 1 - gaps[c - '0']) + gaps[c - '0'];
		else if (c == '<')
			t.time = b.n == 0 ? MIN_TIMESTAMP : t.time;
		else if (c == '>')
			t.time = END_TIMESTAMP - 1;
		else if (c >= 'A' && c <= 'Z')
		{
			t.has_value = c >= 'M';
			t.value = t.has_value ? (Decimal) {5 * (c - 'P'), 1} : (Decimal) {0};
			decimal_normalise(&t.value);
		}
		else
		{
			uint32 label = (uint8) (c - 'a') % lengthof(labels);

			t.label = label;
			t.ref = b.n;
			touches[b.n] = t;
			t.label = label_dict_add(b.dict, &labels[label]);
			builder_add(&b, &t);
		}
	}
	open_packed(v, builder_pack(&b));
	return v;
}

/* --- parsing and printing --- */

static Program *
compile(const char *text, size_t len, StringInfo printed)
{
	Pattern *pattern;
	Program *program;
	TextScan s;

	text_scan_init(&s, text, len);
	pattern = pattern_parse(&s);
	require(s.start == text && s.end == text + len && s.p >= s.start && s.p <= s.end);
	program = pattern ? program_compile(pattern, &s) : NULL;
	if (program == NULL)
	{
		/* what went wrong must be said, and in whole texts */
		require(s.sqlerrcode != 0 && (s.message || s.detail));
		require(psprintf("%s%s%s", s.message ? s.message : "", s.detail ? s.detail : "",
						 s.hint ? s.hint : "") != NULL);
		return NULL;
	}
	require(s.p == s.end);
	initStringInfo(printed);
	pattern_print(printed, pattern);
	return program;
}

static void
check_same(const Program *a, const Program *b)
{
	require(a->nsteps == b->nsteps && a->npositions == b->npositions && a->nlinks == b->nlinks);
	require(a->nedges == b->nedges && a->naccepts == b->naccepts && a->nitems == b->nitems);
	require(a->within == b->within);
	require(a->npositions > 0 && a->npositions <= PATTERN_POSITIONS_MAX && a->naccepts > 0);
	for (int i = 0; i < a->npositions; i++)
		require(a->positions[i].step == b->positions[i].step &&
				a->positions[i].item == b->positions[i].item &&
				a->positions[i].ends_item == b->positions[i].ends_item);
	for (int i = 0; i < a->nedges; i++)
		require(a->edges[i].from == b->edges[i].from && a->edges[i].to == b->edges[i].to &&
				a->edges[i].link == b->edges[i].link &&
				a->edges[i].from_start == b->edges[i].from_start);
	for (int i = 0; i < a->nlinks; i++)
		require(a->links[i].next == b->links[i].next && a->links[i].min == b->links[i].min &&
				a->links[i].max == b->links[i].max && a->links[i].nbans == b->links[i].nbans);
}

/* --- matching, naively --- */

static const Program *program;
static int ntouches;
static bool *step_matches; /* [step][touchpoint] */
static bool *link_leads;   /* [link][from][to] */

/* The latest start of a partial match of [position][touchpoint], or -1. */
static int *best;

#define matches_step(step, i) step_matches[(step) *TOUCHES_MAX + (i)]
#define leads(link, i, j) link_leads[((link) *TOUCHES_MAX + (i)) * TOUCHES_MAX + (j)]
#define best_start(q, i) best[(q) *TOUCHES_MAX + (i)]

static bool
part_matches(const PartTest *part, const char *text, size_t len)
{
	for (size_t i = 0; i < part->len; i++)
		if (i == len || part->text[i] != text[i])
			return false;
	return part->prefix || part->len == len;
}

static bool
touch_matches(const Step *step, const Touch *t)
{
	const TouchLabel *label = &labels[t->label];

	for (int i = 0; i < step->nvalues; i++)
	{
		const ValueTest *test = &step->values[i];
		__int128 have = t->value.mantissa;
		__int128 want = test->value.mantissa;

		for (int scale = t->value.scale; scale < DECIMAL_DIGITS_MAX; scale++)
			have *= 10;
		for (int scale = test->value.scale; scale < DECIMAL_DIGITS_MAX; scale++)
			want *= 10;
		if (!t->has_value || !(test->op == TEST_LT   ? have < want
							   : test->op == TEST_LE ? have <= want
							   : test->op == TEST_GT ? have > want
							   : test->op == TEST_GE ? have >= want
							   : test->op == TEST_NE ? have != want
													 : have == want))
			return false;
	}
	return part_matches(&step->channel, label->channel, label->channel_len) &&
		   part_matches(&step->action, label->action, label->action_len) &&
		   part_matches(&step->detail, label->detail, label->detail_len);
}

/* A link's limits of time between two touchpoints; spans too long for an int64 are as long as it says. */
static bool
time_allows(const ProgramLink *link, int from, int to)
{
	__int128 usecs = (__int128) touches[to].time - touches[from].time;

	usecs = Min(usecs, PG_INT64_MAX);
	return usecs >= link->min && usecs <= link->max;
}

/* Is none of the bans met between? Both ends are no touchpoint at the journey's own ends. */
static bool
bans_allow(const ProgramLink *link, int from, int to)
{
	for (int k = 0; k < link->nbans; k++)
		for (int i = from + 1; i < to; i++)
			if (matches_step(link->bans[k], i) &&
				(link->ban_usecs[k] == PATTERN_UNBOUNDED ||
				 (__int128) touches[i].time - touches[from].time <= link->ban_usecs[k]))
				return false;
	return true;
}

static bool
may_begin(const ProgramEdge *edge, int i)
{
	const ProgramLink *link;

	if (!edge->from_start)
		return true;
	if (edge->link < 0)
		return i == 0;
	link = &program->links[edge->link];
	return (!link->next || i == 0) && time_allows(link, 0, i) && bans_allow(link, -1, i);
}

static bool
may_end(int q, int i)
{
	for (int a = 0; a < program->naccepts; a++)
	{
		const ProgramAccept *accept = &program->accepts[a];
		const ProgramLink *link = accept->link < 0 ? NULL : &program->links[accept->link];

		if (accept->position != q)
			continue;
		if (!accept->to_end || (link == NULL && i == ntouches - 1))
			return true;
		if (link && (!link->next || i == ntouches - 1) && time_allows(link, i, ntouches - 1) &&
			bans_allow(link, i, ntouches))
			return true;
	}
	return false;
}

/* Fill in best for touchpoint i of a search that began at "begin"; starts other than only (-1: any) do not count. */
static void
reach(int begin, int i, int only)
{
	for (int q = 0; q < program->npositions; q++)
		best_start(q, i) = -1;
	for (int e = 0; e < program->nedges; e++)
	{
		const ProgramEdge *edge = &program->edges[e];
		int *here = &best_start(edge->to, i);

		if (!matches_step(program->positions[edge->to].step, i))
			continue;
		if (edge->from < 0 && (only < 0 || only == i) && may_begin(edge, i))
			*here = i;
		for (int j = begin; edge->from >= 0 && j < i; j++)
		{
			int start = best_start(edge->from, j);

			if (start > *here && leads(edge->link, j, i) &&
				(program->within == PATTERN_UNBOUNDED ||
				 (__int128) touches[i].time - touches[start].time <= program->within))
				*here = start;
		}
	}
}

/* The match from start to end: from the end backwards the latest that go on, and may lead on to the start. */
static void
check_touchpoints(int begin, int start, int end, int item, const Match *match)
{
	bool *current = palloc0(program->npositions);
	uint32 n = match->n;

	for (int i = begin; i <= end; i++)
		reach(begin, i, start);
	for (int q = 0; q < program->npositions; q++)
		current[q] = best_start(q, end) >= 0 && (item > 0 ? program->positions[q].ends_item &&
																program->positions[q].item == item
														  : may_end(q, end));
	require(n > 0 && match->touchpoints[--n] == end);
	while (end != start)
	{
		bool *before = palloc0(program->npositions);
		bool found = false;
		int i = end;

		while (!found)
		{
			require(--i >= start);
			for (int e = 0; e < program->nedges; e++)
			{
				const ProgramEdge *edge = &program->edges[e];

				if (edge->from >= 0 && current[edge->to] && best_start(edge->from, i) >= 0 &&
					leads(edge->link, i, end))
					before[edge->from] = found = true;
			}
		}
		end = i;
		current = before;
		require(n > 0 && match->touchpoints[--n] == end);
	}
	require(n == 0);
}

/* The next match of a search that goes on at "begin": its end, or -1. */
static int
naive_next(int begin, int *start)
{
	*start = -1;
	for (int i = begin; i < ntouches; i++)
	{
		reach(begin, i, -1);
		for (int q = 0; q < program->npositions; q++)
			if (best_start(q, i) > *start && may_end(q, i))
				*start = best_start(q, i);
		if (*start >= 0)
			return i;
	}
	return -1;
}

static void
check_matches(const Match *found, int n)
{
	int begin = 0;
	int start;
	int end;

	for (int k = 0; k < n; k++)
	{
		end = naive_next(begin, &start);
		require(end >= 0);
		check_touchpoints(begin, start, end, 0, &found[k]);
		begin = end + 1;
	}
	require(naive_next(begin, &start) < 0);
}

static void
check_progress(int item, const Match *match)
{
	int start = -1;
	int end = -1;
	int reached = 0;

	for (int i = 0; i < ntouches; i++)
	{
		reach(0, i, -1);
		for (int q = 0; q < program->npositions; q++)
		{
			const ProgramPosition *position = &program->positions[q];

			if (best_start(q, i) < 0 || !position->ends_item || position->item < reached ||
				(position->item == reached && (end < i || best_start(q, i) <= start)))
				continue;
			reached = position->item;
			start = best_start(q, i);
			end = i;
		}
	}
	require(item == reached);
	if (item > 0)
		check_touchpoints(0, start, end, item, match);
}

static void
prepare_naive(void)
{
	step_matches = palloc0(program->nsteps * TOUCHES_MAX);
	link_leads = palloc0(Max(program->nlinks, 1) * TOUCHES_MAX * TOUCHES_MAX);
	best = palloc(program->npositions * TOUCHES_MAX * sizeof(int));
	for (int step = 0; step < program->nsteps; step++)
		for (int i = 0; i < ntouches; i++)
			matches_step(step, i) = touch_matches(program->steps[step], &touches[i]);
	for (int l = 0; l < program->nlinks; l++)
		for (int i = 0; i < ntouches; i++)
			for (int j = i + 1; j < ntouches; j++)
				leads(l, i, j) = (!program->links[l].next || j == i + 1) &&
								 time_allows(&program->links[l], i, j) &&
								 bans_allow(&program->links[l], i, j);
}

/* --- the matcher --- */

static void
check_match(const Match *match, int64 after)
{
	require(match->n > 0);
	for (uint32 i = 0; i < match->n; i++)
	{
		require((int64) match->touchpoints[i] > after && match->touchpoints[i] < ntouches);
		after = match->touchpoints[i];
	}
	require(program->within == PATTERN_UNBOUNDED ||
			(__int128) touches[after].time - touches[match->touchpoints[0]].time <=
				program->within);
}

static bool
same_match(const Match *a, const Match *b)
{
	return a->n == b->n &&
		   (a->n == 0 || memcmp(a->touchpoints, b->touchpoints, a->n * sizeof(uint32)) == 0);
}

/* --- journeys that share a dictionary --- */

/* marks: or NULL */
static Matcher *
reopen(Matcher *m, const JourneyView *v, const uint8 *marks)
{
	if (marks)
		matcher_open_marked(m, v, marks);
	else
		matcher_open(m, v);
	return m;
}

/* A dictionary of the labels and as many others, of which no journey need have any. */
static JourneyView *
make_shared(int others)
{
	JourneyBuilder b;
	JourneyView *v = palloc(sizeof(JourneyView));
	Touch t = {0};

	builder_init(&b, label_dict_create(CurrentMemoryContext), CurrentMemoryContext);
	for (int i = 0; i < lengthof(labels) + others; i++)
	{
		char channel[8] = "aa";
		TouchLabel other = {.channel = channel, .action = "a", .detail = "", .action_len = 1};

		if (i >= lengthof(labels))
			snprintf(channel, sizeof(channel), "%cz%d", 'a' + i % 3, i);
		other.channel_len = strlen(channel);
		t.label = label_dict_add(b.dict, i < lengthof(labels) ? &labels[i] : &other);
		builder_add(&b, &t);
	}
	open_packed(v, builder_pack(&b));
	return v;
}

/* The journey as one of those that share a dictionary. */
static JourneyView *
share_journey(const JourneyView *v, const JourneyView *shared, uint64 id)
{
	static uint8 numbers[4 * TOUCHES_MAX];
	TouchLabel *own = journey_dictionary(v);
	TouchLabel *all = journey_dictionary(shared);
	JourneyView *s = palloc(sizeof(JourneyView));

	*s = *v;
	s->nlabels = shared->nlabels;
	s->label_width = shared->label_width;
	s->details = shared->details;
	s->dictionary = shared->dictionary;
	s->dictionary_len = shared->dictionary_len;
	s->dictionary_id = id;
	for (uint32 i = 0; i < v->n; i++)
	{
		uint32 number = 0;

		while (touch_label_cmp(&all[number], &own[journey_label_at(v, i)]) != 0)
			require(++number < shared->nlabels);
		for (int k = 0; k < s->label_width; k++)
			numbers[i * s->label_width + k] = number >> 8 * k;
	}
	s->labels = exact_copy(numbers, v->n * s->label_width);
	return s;
}

/* The marks of the touchpoints, which must allow what was found. */
static uint8 *
mark_touches(Matcher *m, const JourneyView *v, const Match *found, int n, int item)
{
	uint8 *label_marks = palloc(v->nlabels);
	uint8 *marks = palloc(v->n + MARKS_PADDING);
	MatchMarks wanted;
	bool possible;
	uint32 start;
	uint8 behind;

	matcher_open(m, v);
	matcher_marks(m, &wanted);
	possible = matcher_label_marks(m, &wanted, label_marks);
	require(possible || n == 0);
	label_scan(v, v->n, label_marks, marks);
	require(n == 0 || (marks_union(marks, v->n) & wanted.banned) == 0);
	start = marks_next(marks, 0, v->n, wanted.start);
	if (start == v->n || (wanted.first && start > 0))
	{
		require(n == 0 && item == 0);
		return marks;
	}
	behind = marks_union(marks + start + 1, v->n - start - 1);
	require(n == 0 || ((behind | marks[start]) & wanted.required) == wanted.required);
	if ((behind & wanted.follow) == 0)
	{
		require(wanted.alone < 0 || item == wanted.alone);
		for (int k = 0; k < n; k++)
			require(found[k].n == 1);
	}
	return marks;
}

/* The matcher must find the same as was found, whatever it was turned to before. */
static void
check_answers(Matcher *m, const JourneyView *v, bool marked, const Match *found, int n, int item,
			  const Match *progress)
{
	const uint8 *marks = marked ? mark_touches(m, v, found, n, item) : NULL;
	JourneyView labelled = *v; /* whose times come later */
	Match match;
	bool sure;
	bool may;
	int most;

	reopen(m, v, marks);
	for (int k = 0; k < n; k++)
	{
		/* by turns with and without its touchpoints */
		require(matcher_next(m, k % 2 == 0 ? &match : NULL));
		require(matcher_end(m) == found[k].touchpoints[found[k].n - 1]);
		require(k % 2 != 0 || same_match(&match, &found[k]));
	}
	require(!matcher_next(m, NULL));
	require(matcher_count(reopen(m, v, marks)) == n);
	require(n == 0 || matcher_possible(reopen(m, v, marks)));
	require(matcher_progress(reopen(m, v, marks), &match, false) == item && same_match(&match, progress));

	memset(&labelled.times, 0, sizeof(labelled.times));
	may = matcher_may_exist(reopen(m, &labelled, marks), &sure);
	require(may ? !sure || n > 0 : n == 0);
	labelled = *v;
	require(matcher_exists(m) == (n > 0));
	memset(&labelled.times, 0, sizeof(labelled.times));
	most = matcher_may_reach(reopen(m, &labelled, marks), &sure);
	require(sure ? most == item : most >= item);
	labelled = *v;
	require(matcher_progress(m, NULL, false) == item);
}

/* A journey that matches must be found by its keys, whatever pairs they hold. */
static void
check_keys(const JourneyView *v, bool matches)
{
	static const int64 horizons[] = {0, 1000000, INT64CONST(3600000000), PG_INT64_MAX};

	for (int h = 0; h < lengthof(horizons); h++)
	{
		PatternKeys *asked = pattern_keys(program, horizons[h]);
		char *present = palloc0(asked->nkeys + 1);
		int n;
		int64 *keys = journey_keys(v, horizons[h], &n);

		for (int i = 0; i + 1 < n; i++)
			require(keys[i] < keys[i + 1]);
		for (int k = 0; k < asked->nkeys; k++)
			for (int i = 0; i < n; i++)
				present[k] |= keys[i] == asked->keys[k];
		require(!matches || pattern_keys_allow(asked, present));
	}
}

static void
check_matcher(const JourneyView *v, bool one_sequence)
{
	bool naive;
	Matcher *m = reopen(matcher_create(program), v, NULL);
	Matcher *again = reopen(matcher_create(program), v, NULL);
	Matcher *counter = reopen(matcher_create(program), v, NULL);
	JourneyView *few = make_shared(0);
	JourneyView *many = make_shared(300);
	Match found[TOUCHES_MAX];
	int64 end = -1; /* of the match before */
	Match match;
	Match progress;
	int n = 0;
	int item;

	ntouches = v->n;
	naive = (int64) (program->nedges + program->nlinks) * v->n * v->n <= NAIVE_MAX;
	while (matcher_next(m, &found[n]))
	{
		check_match(&found[n], end);
		end = found[n].touchpoints[found[n].n - 1];
		require(matcher_end(m) == end);
		require(matcher_next(counter, NULL) && matcher_end(counter) == end);
		require(matcher_next(again, &match) && same_match(&match, &found[n]));
		n++;
	}
	require(!matcher_next(counter, NULL) && !matcher_next(again, &match));
	/* a matcher may turn to another journey at any time */
	require(matcher_exists(reopen(m, v, NULL)) == (n > 0));
	require(matcher_exists(reopen(m, v, NULL)) == (n > 0));

	item = matcher_progress(reopen(m, v, NULL), &progress, false);
	require(item >= 0 && item <= program->nitems);
	require(item == matcher_progress(reopen(m, v, NULL), NULL, false));
	if (item > 0)
		check_match(&progress, -1);
	else
		require(progress.n == 0);
	require(item == matcher_progress(reopen(m, v, NULL), &match, true) && same_match(&match, &progress));
	for (uint32 i = 0; i < match.n; i++)
		require(match.items[i].time == touches[match.touchpoints[i]].time &&
				match.items[i].item <= item &&
				(i == 0 || match.items[i].item >= match.items[i - 1].item));
	require(match.n == 0 || match.items[match.n - 1].item == item);
	if (one_sequence && !program->accepts[0].to_end && item == program->nitems)
		require(n > 0);
	check_keys(v, n > 0);
	for (int k = 0; k < 4; k++)
	{
		/* by turns of one byte a label and of two, each dictionary twice */
		JourneyView *shared = share_journey(v, k % 2 == 0 ? few : many, k % 2 + 1);
		JourneyView other = *shared;

		other.n = Min(other.n, 1);
		other.times.n = other.n;
		matcher_exists(reopen(m, &other, NULL));
		check_answers(m, shared, false, found, n, item, &progress);
		check_answers(m, v, true, found, n, item, &progress);
		check_answers(again, shared, true, found, n, item, &progress);
	}
	if (naive)
	{
		prepare_naive();
		check_matches(found, n);
		check_progress(item, &progress);
		if (program->npositions == 1 && program->nsteps == 1)
		{
			uint32 i;
			uint32 seen = 0;
			int64 time;

			reopen(m, v, NULL);
			while (matcher_next_step(m, &i, &time))
			{
				for (; seen < i; seen++)
					require(!matches_step(0, seen));
				require(seen++ == i && matches_step(0, i) && time == touches[i].time);
			}
			for (; seen < ntouches; seen++)
				require(!matches_step(0, seen));
		}
	}
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	const char *text;
	size_t text_len = 0;
	Program *other;
	StringInfoData printed;
	StringInfoData again;

	while (text_len < len && data[text_len] != '\n' && data[text_len] != '\0')
		text_len++;
	text = exact_copy(data, text_len);
	program = compile(text, text_len, &printed);
	if (program == NULL)
		return false;
	other = compile(exact_copy(printed.data, printed.len), printed.len, &again);
	require(other != NULL);
	require(printed.len == again.len && memcmp(printed.data, again.data, printed.len) == 0);
	check_same(program, other);

	data += Min(len, text_len + 1);
	len -= Min(len, text_len + 1);
	check_matcher(make_journey(data, len), memchr(text, '|', text_len) == NULL);
	return true;
}
