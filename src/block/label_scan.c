/*
 * label_scan.c
 *		A block's label numbers, looked at many at a time.
 *
 * The loops over LANES bytes are written so that compilers make a few instructions on vectors
 * of them with no more than -O2 and for any processor of the family: the trip count is known
 * and divides into vectors, nothing overlaps, nothing is conditional. That they do is
 * checked by test/bench/vectorised.sh.
 */
#include "postgres.h"

#include "block/label_scan.h"
#include "compat.h"
#include "miscadmin.h"

#define LANES 16 /* bytes in a vector of the smallest kind */
#define CHUNK 64
#define INTERRUPT_CHUNKS 0x4000

/* Two labels and their marks, in each byte of a vector. */
typedef struct LabelPair
{
	uint8 label[2][LANES];
	uint8 marks[2][LANES];
} LabelPair;

static pg_attribute_always_inline void
mark(uint8 *restrict marks, const uint8 *restrict labels, const LabelPair *restrict pair)
{
	for (int i = 0; i < LANES; i++)
		marks[i] |= ((uint8) -(labels[i] == pair->label[0][i]) & pair->marks[0][i]) |
					((uint8) -(labels[i] == pair->label[1][i]) & pair->marks[1][i]);
}

static pg_attribute_always_inline void
keep_largest(uint8 *restrict largest, const uint8 *restrict labels)
{
	for (int i = 0; i < LANES; i++)
		largest[i] = Max(largest[i], labels[i]);
}

static void
search(const uint8 *restrict labels, size_t chunks, const LabelPair *pairs, int npairs,
	   uint8 *restrict marks)
{
	for (size_t chunk = 0; chunk < chunks; chunk++, labels += CHUNK, marks += CHUNK)
	{
		uint8 here[CHUNK] = {0}; /* stays in registers, which memory might not */

		for (int k = 0; k < npairs; k++)
		{
			mark(here, labels, &pairs[k]);
			mark(here + LANES, labels + LANES, &pairs[k]);
			mark(here + 2 * LANES, labels + 2 * LANES, &pairs[k]);
			mark(here + 3 * LANES, labels + 3 * LANES, &pairs[k]);
		}
		memcpy(marks, here, CHUNK);
		if (unlikely(chunk % INTERRUPT_CHUNKS == INTERRUPT_CHUNKS - 1))
			CHECK_FOR_INTERRUPTS();
	}
}

/* Is every label of these chunks in a dictionary of so many? */
static void
check(const uint8 *labels, size_t chunks, uint32 nlabels)
{
	uint8 largest[LANES] = {0};

	for (size_t chunk = 0; chunk < chunks; chunk++, labels += CHUNK)
		for (int i = 0; i < CHUNK; i += LANES)
			keep_largest(largest, labels + i);
	for (int i = 0; i < LANES; i++)
		if (largest[i] >= nlabels)
			journey_corrupt("a touchpoint's label is not in the dictionary");
}

/* The marks of touchpoints from i up to n, by their labels' numbers. */
static void
look_up(const JourneyView *v, uint32 i, uint32 n, const uint8 *label_marks, uint8 *marks)
{
	for (; i < n; i++)
	{
		marks[i] = label_marks[journey_label_at(v, i)];
		if (unlikely(i % (INTERRUPT_CHUNKS * CHUNK) == 0))
			CHECK_FOR_INTERRUPTS();
	}
}

/* The same of whole chunks of labels that are all in the dictionary and take a byte. */
static void
look_up_chunks(const uint8 *restrict labels, size_t chunks, const uint8 *restrict label_marks,
			   uint8 *restrict marks)
{
	for (size_t chunk = 0; chunk < chunks; chunk++)
	{
		for (int i = 0; i < CHUNK; i += 8, labels += 8, marks += 8)
		{
			marks[0] = label_marks[labels[0]];
			marks[1] = label_marks[labels[1]];
			marks[2] = label_marks[labels[2]];
			marks[3] = label_marks[labels[3]];
			marks[4] = label_marks[labels[4]];
			marks[5] = label_marks[labels[5]];
			marks[6] = label_marks[labels[6]];
			marks[7] = label_marks[labels[7]];
		}
		if (unlikely(chunk % INTERRUPT_CHUNKS == INTERRUPT_CHUNKS - 1))
			CHECK_FOR_INTERRUPTS();
	}
}

void
label_scan(const JourneyView *v, uint32 n, const uint8 *label_marks, uint8 *marks)
{
	size_t chunks = v->label_width == 1 ? n / CHUNK : 0;
	LabelPair pairs[LABEL_SCAN_FEW / 2];
	int few = 0;

	if (chunks > 0)
	{
		memset(pairs, 0, sizeof(pairs)); /* a label without marks changes nothing */
		for (uint32 label = 0; label < v->nlabels && few <= LABEL_SCAN_FEW; label++)
		{
			if (label_marks[label] == 0)
				continue;
			if (few < LABEL_SCAN_FEW)
			{
				memset(pairs[few / 2].label[few % 2], label, LANES);
				memset(pairs[few / 2].marks[few % 2], label_marks[label], LANES);
			}
			few++;
		}
		check(v->labels, chunks, v->nlabels);
		if (few <= LABEL_SCAN_FEW)
			search(v->labels, chunks, pairs, (few + 1) / 2, marks);
		else
			look_up_chunks(v->labels, chunks, label_marks, marks);
	}
	look_up(v, chunks * CHUNK, n, label_marks, marks);
	memset(marks + n, 0, MARKS_PADDING);
}
