/*
 * channel_measures_read.c
 *		Reading the flat form of channel_measures; whatever it says is checked.
 */
#include "postgres.h"

#include "analytics/channel_measures.h"
#include "common/int.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/bits.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

void
measures_corrupt(const MeasuresReader *r, const char *what)
{
	if (r->received)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary representation of channel_measures"),
						errdetail_internal("%s", what)));
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("channel_measures is corrupt"),
					errdetail_internal("%s", what)));
}

const char *
measures_question_wrong(const MeasuresQuestion *q)
{
	if (q->measures == 0 || (q->measures & ~MEASURES_ALL) ||
		((q->measures & (MEASURES_TIMES | MEASURES_CUSTOMERS)) &&
		 !(q->measures & MEASURES_TRANSITIONS)))
		return "What was counted is impossible.";
	if (q->session_gap < 0 || q->handoff_within < 0)
		return "A limit is negative.";
	if ((!TIMESTAMP_NOT_FINITE(q->since) && !IS_VALID_TIMESTAMP(q->since)) ||
		(!TIMESTAMP_NOT_FINITE(q->until) && !IS_VALID_TIMESTAMP(q->until)))
		return "A limit of the range is out of range.";
	if (q->since > q->until)
		return "The range ends before it begins.";
	if (q->by_period != (q->time_zone.len > 0))
		return "Periods need a time zone, and all time has none.";
	if (q->time_zone.len > TZ_STRLEN_MAX)
		return "The name of the time zone is too long.";
	return NULL;
}

const char *
measures_mix_wrong(const int64 *mix)
{
	int64 touchpoints = mix[MIX_TOUCHPOINTS];

	for (int i = 0; i < MIX_COUNTS; i++)
		if (mix[i] < 0)
			return "A count is negative.";
	if (touchpoints == 0 || mix[MIX_CUSTOMERS] == 0)
		return "A channel has no touchpoints or no customers.";
	if (mix[MIX_CUSTOMERS] > touchpoints || mix[MIX_INBOUND] > touchpoints ||
		mix[MIX_OUTBOUND] > touchpoints - mix[MIX_INBOUND] || mix[MIX_SESSIONS] > touchpoints ||
		mix[MIX_VISITS] > touchpoints - mix[MIX_OUTBOUND] || mix[MIX_VISITS_LEFT] > mix[MIX_VISITS])
		return "A channel has more of a part than of the whole.";
	return NULL;
}

const char *
measures_transition_wrong(int64 customers, int64 handoffs)
{
	if (handoffs <= 0 || customers <= 0 || customers > handoffs)
		return "A transition's customers are not as many as its hand-offs allow.";
	return NULL;
}

const char *
measures_period_wrong(const int64 *customers, int64 handoffs)
{
	int64 cross = customers[CUSTOMERS_CROSS_CHANNEL];

	for (int i = 0; i < CUSTOMER_COUNTS; i++)
		if (customers[i] < 0 || customers[i] > customers[CUSTOMERS_ALL])
			return "A period has more of some customers than of all.";
	if (customers[CUSTOMERS_OMNICHANNEL] > cross || cross > handoffs ||
		(cross == 0 && handoffs > 0))
		return "A period's customers with hand-offs are not as many as its hand-offs allow.";
	return NULL;
}

static uint64
read_number(MeasuresReader *r)
{
	uint64 number;
	const uint8 *p = leb_read(r->p, r->end, &number);

	if (unlikely(p == NULL))
		measures_corrupt(r, "A number is cut off or too long.");
	r->p = p;
	return number;
}

static int64
read_count(MeasuresReader *r)
{
	uint64 count = read_number(r);

	if (unlikely(count > PG_INT64_MAX))
		measures_corrupt(r, "A count is out of range.");
	return count;
}

static NameText
read_name(MeasuresReader *r)
{
	NameText name;

	name.len = read_number(r);
	if (name.len > r->end - r->p)
		measures_corrupt(r, "A text is cut off.");
	name.text = (const char *) r->p;
	r->p += name.len;
	if (!pg_verify_mbstr(GetDatabaseEncoding(), name.text, name.len, true))
		measures_corrupt(r, "A text is not valid in the database's encoding.");
	return name;
}

static void
read_names(MeasuresReader *r, bool ascend, NameText **names, uint32 *n)
{
	uint64 count = read_number(r);

	if (count > r->end - r->p)
		measures_corrupt(r, "A list is longer than the value.");
	*n = count;
	*names = palloc_extended(Max(*n, 1) * sizeof(NameText), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < *n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(*names)[i] = read_name(r);
		if (ascend && i > 0 &&
			label_bytes_cmp((*names)[i - 1].text, (*names)[i - 1].len, (*names)[i].text,
							(*names)[i].len) >= 0)
			measures_corrupt(r, "The names of a list do not ascend.");
	}
}

void
measures_read_question(MeasuresReader *r)
{
	MeasuresQuestion *q = &r->question;
	const uint8 *start = r->p;
	const char *wrong;

	if (r->end - r->p < 3)
		measures_corrupt(r, "It is too short.");
	if (r->p[0] != MEASURES_VERSION)
		measures_corrupt(r, "Its version is not known.");
	if (r->p[1] > CALENDAR_UNITS)
		measures_corrupt(r, "Its unit of time is not known.");
	q->by_period = r->p[1] > 0;
	q->unit = q->by_period ? r->p[1] - 1 : 0;
	q->measures = r->p[2];
	r->p += 3;
	q->session_gap = read_count(r);
	q->handoff_within = read_count(r);
	q->since = unzigzag(read_number(r));
	q->until = unzigzag(read_number(r));
	q->time_zone = read_name(r);
	for (int i = 0; i < MEASURES_LISTS; i++)
		read_names(r, true, &q->lists[i].names, &q->lists[i].n);
	wrong = measures_question_wrong(q);
	if (wrong)
		measures_corrupt(r, wrong);
	r->asked_len = r->p - start;
}

void
measures_read(MeasuresReader *r, const struct varlena *value)
{
	bool received = r->received;

	memset(r, 0, sizeof(*r));
	r->received = received;
	r->value = value;
	r->p = (const uint8 *) VARDATA_ANY(value);
	r->end = r->p + VARSIZE_ANY_EXHDR(value);
	measures_read_question(r);
	read_names(r, !received, &r->channels, &r->nchannels);
	for (uint32 i = 0; i < r->nchannels; i++)
		if (r->channels[i].len > LABEL_PART_MAX)
			measures_corrupt(r, "The name of a channel is too long.");
	r->body = r->p;
	r->periods_left = read_number(r);
}

/* What was read of the period must fit together. */
static void
end_period(MeasuresReader *r)
{
	const char *wrong;

	Assert(r->cells_left == 0 && r->transitions_left == 0 && r->times_left == 0);
	wrong = measures_period_wrong(r->customers, r->handoffs);
	if ((r->question.measures & MEASURES_CUSTOMERS) && wrong)
		measures_corrupt(r, wrong);
}

bool
measures_next_period(MeasuresReader *r)
{
	CHECK_FOR_INTERRUPTS();
	if (r->has_period)
		end_period(r);
	if (r->periods_left == 0)
	{
		if (r->p != r->end)
			measures_corrupt(r, "It is longer than what it says.");
		return false;
	}
	r->periods_left--;
	if (!r->has_period)
		r->number = unzigzag(read_number(r));
	else
	{
		uint64 more = read_number(r);

		if (more == 0 || more > PG_UINT32_MAX || pg_add_s64_overflow(r->number, more, &r->number))
			measures_corrupt(r, "Its periods do not ascend.");
	}
	if (r->question.by_period ? r->number < PG_INT32_MIN || r->number > PG_INT32_MAX ||
									!calendar_has_date(r->question.unit, r->number)
							  : r->number != 0)
		measures_corrupt(r, "A period is impossible.");
	r->has_period = true;
	for (int i = 0; i < CUSTOMER_COUNTS; i++)
		r->customers[i] = r->question.measures & MEASURES_CUSTOMERS ? read_count(r) : 0;
	r->handoffs = 0;
	r->has_cell = r->has_transition = false;
	r->cells_left = r->question.measures & MEASURES_CHANNELS ? read_number(r) : 0;
	return true;
}

bool
measures_next_cell(MeasuresReader *r)
{
	const char *wrong;
	uint64 more;

	CHECK_FOR_INTERRUPTS();
	if (r->cells_left == 0)
	{
		r->transitions_left = r->question.measures & MEASURES_TRANSITIONS ? read_number(r) : 0;
		return false;
	}
	r->cells_left--;
	more = read_number(r);
	if (more >= r->nchannels || (r->has_cell && (more == 0 || r->cell + more >= r->nchannels)))
		measures_corrupt(r, "The channels of a period do not ascend.");
	r->cell = r->has_cell ? r->cell + more : more;
	r->has_cell = true;
	for (int i = 0; i < MIX_COUNTS; i++)
		r->mix[i] = read_count(r);
	wrong = measures_mix_wrong(r->mix);
	if (wrong)
		measures_corrupt(r, wrong);
	return true;
}

/* So many hand-offs of the transition. */
static inline void
count_handoffs(MeasuresReader *r, int64 count)
{
	if (pg_add_s64_overflow(r->transition_handoffs, count, &r->transition_handoffs) ||
		pg_add_s64_overflow(r->handoffs, count, &r->handoffs))
		measures_corrupt(r, "A count is out of range.");
}

bool
measures_next_transition(MeasuresReader *r)
{
	uint64 pairs = (uint64) r->nchannels * r->nchannels;
	uint64 more;

	CHECK_FOR_INTERRUPTS();
	if (r->has_transition)
	{
		const char *wrong =
			measures_transition_wrong(r->transition_customers, r->transition_handoffs);

		Assert(r->times_left == 0);
		if (wrong)
			measures_corrupt(r, wrong);
	}
	if (r->transitions_left == 0)
		return false;
	r->transitions_left--;
	more = read_number(r);
	if (more >= pairs || (r->has_transition && (more == 0 || more >= pairs - r->pair)))
		measures_corrupt(r, "The transitions of a period do not ascend.");
	r->pair = r->has_transition ? r->pair + more : more;
	r->has_transition = true;
	r->from = r->pair / r->nchannels;
	r->to = r->pair % r->nchannels;
	if (r->from == r->to)
		measures_corrupt(r, "A transition is from a channel to itself.");
	r->transition_customers = read_count(r);
	r->transition_handoffs = 0;
	r->times_left = 0;
	r->has_time = false;
	if (r->question.measures & MEASURES_TIMES)
		r->times_left = read_number(r);
	else
		count_handoffs(r, read_count(r));
	return true;
}

bool
measures_next_time(MeasuresReader *r)
{
	uint64 code;
	uint64 more;

	if (r->times_left == 0)
		return false;
	if (unlikely(r->times_left % 0x1000 == 0))
		CHECK_FOR_INTERRUPTS();
	r->times_left--;
	code = read_number(r);
	more = code >> 1;
	if (!r->has_time)
		r->run.time = 0;
	else if (more == 0)
		measures_corrupt(r, "The times of a transition do not ascend.");
	r->has_time = true;
	if (more > r->question.handoff_within - r->run.time)
		measures_corrupt(r, "A time is longer than the limit.");
	r->run.time += more;
	r->run.count = 1;
	if (code & 1)
	{
		r->run.count = read_count(r);
		if (r->run.count < 2)
			measures_corrupt(r, "A time is there less than twice.");
	}
	count_handoffs(r, r->run.count);
	return true;
}
