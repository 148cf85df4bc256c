/*
 * record.c
 *		Records of people, packed, opened and compared.
 */
#include "postgres.h"

#include "compat.h"
#include "match/record.h"
#include "miscadmin.h"

#define RECORD_MAGIC 0x6f636572

typedef struct RecordHeader
{
	uint32 magic;
	uint32 ngroups;
	int64 record;
	int64 person;
	uint16 nvalues;
	uint16 is_new;
} RecordHeader;

#define HEADER_SIZE (offsetof(RecordHeader, is_new) + sizeof(uint16))

/* A value: its level with itself, with flags, the length of its text, and what its frequency adds */
#define VALUE_THERE 0x40
#define VALUE_RATED 0x80
#define VALUE_LEVEL 0x1f /* less one */
#define VALUE_BYTES (1 + sizeof(uint32))

Size
record_size(const MatchRecord *r, int nvalues)
{
	Size size = HEADER_SIZE + r->ngroups * sizeof(int64);

	for (int i = 0; i < nvalues; i++)
		size += VALUE_BYTES + (r->values[i].rated ? sizeof(double) : 0) + r->values[i].text.len;
	return size;
}

static inline void
put(char **to, const void *data, Size size)
{
	memcpy(*to, data, size);
	*to += size;
}

void
record_write(const MatchRecord *r, int nvalues, char *data)
{
	RecordHeader header = {RECORD_MAGIC, r->ngroups, r->record, r->person, nvalues, r->is_new};

	put(&data, &header, HEADER_SIZE);
	put(&data, r->groups, r->ngroups * sizeof(int64));
	for (int i = 0; i < nvalues; i++)
	{
		const RecordValue *v = &r->values[i];
		uint8 flags = (v->self + 1) | (v->text.p != NULL ? VALUE_THERE : 0) |
					  (v->rated ? VALUE_RATED : 0);
		uint32 len = v->text.len;

		put(&data, &flags, 1);
		put(&data, &len, sizeof(len));
		if (v->rated)
			put(&data, &v->bits, sizeof(double));
	}
	for (int i = 0; i < nvalues; i++)
		if (r->values[i].text.len > 0)
			put(&data, r->values[i].text.p, r->values[i].text.len);
}

static void
corrupt(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid record of matching"),
					errdetail("It is not what match_record makes of as many values.")));
}

static inline void
take(const char **from, const char *end, void *to, Size size)
{
	if (end - *from < size)
		corrupt();
	memcpy(to, *from, size);
	*from += size;
}

/*
 * Texts stay where they are; groups are copied, into the current memory context. What is in
 * the texts, the caller has to look at.
 */
void
record_open(MatchRecord *r, const Comparison *c, const char *data, Size size)
{
	const char *end = data + size;
	RecordHeader header;

	take(&data, end, &header, HEADER_SIZE);
	if (header.magic != RECORD_MAGIC || header.nvalues != c->n ||
		(end - data) / sizeof(int64) < header.ngroups)
		corrupt();
	r->record = header.record;
	r->person = header.person;
	r->is_new = header.is_new != 0;
	r->ngroups = header.ngroups;
	r->groups = palloc(Max(header.ngroups, 1) * sizeof(int64));
	take(&data, end, r->groups, header.ngroups * sizeof(int64));
	for (int i = 0; i < c->n; i++)
	{
		RecordValue *v = &r->values[i];
		uint8 flags;
		uint32 len;

		take(&data, end, &flags, 1);
		take(&data, end, &len, sizeof(len));
		v->self = (flags & VALUE_LEVEL) - 1;
		v->rated = (flags & VALUE_RATED) != 0;
		v->bits = 0;
		if (v->rated)
			take(&data, end, &v->bits, sizeof(double));
		if (v->self > c->tops[i] || ((flags & VALUE_THERE) == 0 && (len > 0 || v->self >= 0)))
			corrupt();
		v->text = (MatchText) {(flags & VALUE_THERE) != 0 ? data : NULL, len};
	}
	for (int i = 0; i < c->n; i++)
	{
		MatchText *text = &r->values[i].text;

		if (end - data < text->len)
			corrupt();
		if (text->p != NULL)
			text->p = data;
		data += text->len;
	}
	if (data != end)
		corrupt();
}

/* Find out which of its values say something. */
void
record_know(MatchWork *w, const Comparison *c, MatchRecord *r)
{
	for (int i = 0; i < c->n; i++)
	{
		MatchText *text = &r->values[i].text;

		r->values[i].self = LEVEL_UNKNOWN;
		if (text->p != NULL)
			r->values[i].self =
				comparator_level(w, &c->comparators[i], text, text, c->nicknames, false);
	}
}

/* Is the group the first that both are in? It is one that both are in. */
bool
records_meet_first(const MatchRecord *a, const MatchRecord *b, int64 group)
{
	uint32 i = 0;
	uint32 j = 0;

	while (i < a->ngroups && j < b->ngroups)
	{
		int64 x = a->groups[i];
		int64 y = b->groups[j];

		CHECK_NOW_AND_THEN(i + j);
		if (x >= group || y >= group)
			return true;
		if (x == y)
			return false;
		i += x < y;
		j += y < x;
	}
	return true;
}

/* Levels of all comparisons, as match_levels packs them. */
uint64
records_levels(MatchWork *w, const Comparison *c, MatchRecord *a, MatchRecord *b)
{
	uint64 levels = 0;

	for (int i = 0; i < c->n; i++)
	{
		RecordValue *x = &a->values[i];
		RecordValue *y = &b->values[i];
		int level;

		if (x->self == LEVEL_UNKNOWN || y->self == LEVEL_UNKNOWN)
			continue;
		if (x->text.len == y->text.len && memcmp(x->text.p, y->text.p, x->text.len) == 0)
			level = x->self;
		else
			level = comparator_level(w, &c->comparators[i], &x->text, &y->text, c->nicknames, true);
		levels |= (uint64) (level + 1) << (i * LEVEL_BITS);
	}
	return levels;
}

/* How many weights there are: that of no knowledge, and one of each level of each comparison */
int
weights_of(const Comparison *c)
{
	int n = 1;

	for (int i = 0; i < c->n; i++)
		n += c->tops[i] + 1;
	return n;
}

/* In bits; what is added is added in the order of the comparisons, weights first. */
double
records_score(const Comparison *c, const double *weights, const MatchRecord *a,
			  const MatchRecord *b, uint64 levels)
{
	double score = *weights++;

	for (int i = 0; i < c->n; i++)
	{
		int level = (int) (levels >> (i * LEVEL_BITS) & ((1 << LEVEL_BITS) - 1)) - 1;

		if (level >= 0)
			score += weights[level];
		weights += c->tops[i] + 1;
	}
	for (int i = 0; i < c->n; i++)
	{
		const RecordValue *x = &a->values[i];
		const RecordValue *y = &b->values[i];
		int level = (int) (levels >> (i * LEVEL_BITS) & ((1 << LEVEL_BITS) - 1)) - 1;

		/* of the more frequent one of both: that is what is said of their being the same */
		if (level == c->tops[i] && x->rated && y->rated)
			score += Min(x->bits, y->bits);
	}
	return score;
}
