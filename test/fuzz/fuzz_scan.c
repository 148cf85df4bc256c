/*
 * fuzz_scan.c
 *		The search for labels in a block against a look at one after the other.
 *
 * The input's first byte says how wide label numbers are, the second how many labels there
 * are, the third how many of them have marks, the fourth which. What follows are the numbers,
 * and the search must find the same marks in each stretch of them, from any address; or, if one
 * is not in the dictionary, refuse them. Accepted is what is not refused.
 */
#include "postgres.h"

#include "block/label_scan.h"
#include "compat.h"
#include "fuzz.h"

#define LABELS_MAX 700
#define TOUCHPOINTS_MAX 2000

const char *const fuzz_tokens[] = {"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", NULL};

typedef struct Scan
{
	JourneyView view;
	uint32 n;
	const uint8 *label_marks;
	uint8 *marks;
} Scan;

static void
scan(void *arg)
{
	Scan *s = arg;

	label_scan(&s->view, s->n, s->label_marks, s->marks);
}

/* The number of a label, from what a view does not check. */
static uint32
number_at(const JourneyView *v, uint32 i)
{
	uint32 number = 0;

	for (int byte = v->label_width; byte-- > 0;)
		number = number << 8 | v->labels[(size_t) i * v->label_width + byte];
	return number;
}

/* n touchpoints from this one on. */
static bool
check_stretch(const Scan *all, uint32 from, uint32 n)
{
	Scan s = *all;
	uint8 *marks = palloc(n + MARKS_PADDING);
	bool sound = true;

	s.n = n;
	s.view.labels = exact_copy(all->view.labels + (size_t) from * s.view.label_width,
							   (size_t) n * s.view.label_width);
	s.marks = marks;
	for (uint32 i = 0; i < n; i++)
		sound &= number_at(&s.view, i) < s.view.nlabels;
	if (!sound)
	{
		require(backend_run(scan, &s) == ERRCODE_DATA_CORRUPTED);
		return false;
	}
	scan(&s);
	for (uint32 i = 0; i < n; i++)
		require(marks[i] == s.label_marks[number_at(&s.view, i)]);
	for (uint32 i = 0; i < MARKS_PADDING; i++)
		require(marks[n + i] == 0);
	for (uint32 to = n; to > 0; to = to * 3 / 4)
		for (uint32 i = 0; i <= Min(to, 20); i++)
		{
			uint8 all_marks = 0;
			uint32 next = i;

			for (uint32 k = i; k < to; k++)
				all_marks |= marks[k];
			require(marks_union(marks + i, to - i) == all_marks);
			while (next < to && (marks[next] & 0x15) == 0)
				next++;
			require(marks_next(marks, i, to, 0x15) == next);
		}
	return true;
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	static const uint8 widths[] = {1, 2, 4, 1};
	Scan s = {0};
	uint8 *label_marks;
	uint32 marked;

	if (len < 4)
		return false;
	s.view.label_width = widths[data[0] & 3];
	s.view.nlabels = s.view.label_width == 1 ? data[1] + 1 : 1 + (data[0] << 8 | data[1]) % LABELS_MAX;
	label_marks = palloc0(s.view.nlabels);
	marked = data[2] % 2 ? data[2] % 20 : data[2];
	for (uint32 i = 0; i < marked; i++)
		label_marks[(i * (2 * data[3] + 1)) % s.view.nlabels] |= 1 << (i ^ data[3]) % 8;
	s.label_marks = label_marks;
	s.view.labels = data + 4;
	s.n = Min((len - 4) / s.view.label_width, TOUCHPOINTS_MAX);
	for (uint32 from = 0; from < Min(s.n, 9); from++)
		check_stretch(&s, from, s.n - from);
	for (uint32 n = s.n; n > 0; n = n * 5 / 6)
		check_stretch(&s, 0, n - 1);
	return check_stretch(&s, 0, s.n);
}
