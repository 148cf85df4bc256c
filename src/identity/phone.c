/*
 * phone.c
 *		Phone numbers to E.164.
 *
 * A number is read with the eyes of a country, its home, if one is given, and
 * else only if it tells its calling code. Where two readings are right the
 * number is refused. So is one with an extension: what is left without it is a
 * switchboard, which would make one customer of all who sit behind it.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/normalize.h"

/* a carrier's code and everything else that may be dialled before a number */
#define DIALLED_MAX 32

/*
 * A slash may end the area code, as in Germany, but what stands behind a later
 * one is another number, or the end of one.
 */
#define SLASH_BEFORE_MAX 6
#define SLASH_BEHIND_MIN 5

#define CODE_ARGENTINA 54
#define CODE_BENIN 229
#define CODE_BRAZIL 55
#define CODE_ITALY 39
#define CODE_MEXICO 52
#define CODE_NORTH_AMERICA 1

/* A national number being read. */
typedef struct Digits
{
	char d[DIALLED_MAX];
	int n;
} Digits;

static void
digits_remove(Digits *x, int at, int n)
{
	memmove(x->d + at, x->d + at + n, x->n - at - n);
	x->n -= n;
}

static void
digits_insert(Digits *x, int at, const char *what)
{
	int n = strlen(what);

	if (x->n + n > DIALLED_MAX)
		return; /* too long in any case */
	memmove(x->d + at + n, x->d + at, x->n - at);
	memcpy(x->d + at, what, n);
	x->n += n;
}

static bool
digits_begin(const Digits *x, int at, const char *what, int n)
{
	return x->n >= at + n && memcmp(x->d + at, what, n) == 0;
}

static bool
is_length(const PhonePlan *plan, int n)
{
	return n < 32 && (plan->lengths >> n & 1) != 0;
}

/* The next of alternatives apart by blanks, its length in *n; NULL at the end. */
static const char *
next_alternative(const char *p, int *n)
{
	p += *n;
	p += *p == ' ';
	*n = strcspn(p, " ");
	return *n > 0 ? p : NULL;
}

/*
 * Drop the trunk prefix. No number begins with a 0 or 1 that is one, but some
 * begin with such an 8, as in Russia: there the length decides.
 */
static bool
drop_trunk(const PhonePlan *plan, Digits *x)
{
	int n = 0;

	for (const char *p = plan->trunk; (p = next_alternative(p, &n)) != NULL;)
		if (digits_begin(x, 0, p, n) && (*p <= '1' || !is_length(plan, x->n)))
		{
			digits_remove(x, 0, n);
			return true;
		}
	return false;
}

/*
 * Area code, then 15 for mobiles within the country, 9 before the area code from
 * abroad. Area codes are 11, or of three or four digits beginning with 2 or 3;
 * with their subscriber's number they make ten digits.
 */
static bool
argentina(Digits *x)
{
	bool nine = x->n > 10 && x->d[0] == '9';
	int at;

	if (nine)
		digits_remove(x, 0, 1);
	if (x->n == 12)
	{
		if (digits_begin(x, 0, "11", 2))
			at = 2;
		else
			at = digits_begin(x, 3, "15", 2) ? 3 : 4;
		if (!digits_begin(x, at, "15", 2) || (at > 2 && x->d[0] != '2' && x->d[0] != '3'))
			return false;
		digits_remove(x, at, 2);
		nine = true;
	}
	if (nine)
	{
		if (x->n != 10)
			return false;
		digits_insert(x, 0, "9");
		return true;
	}
	/* 15 without an area code; and eleven digits are for 0800 numbers */
	return !(x->d[0] == '1' && x->d[1] != '1') && (x->n == 10 || x->d[0] == '8');
}

static bool
is_area_of_brazil(const char *d)
{
	static const char *const areas =
		"11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 "
		"41 42 43 44 45 46 47 48 49 51 53 54 55 61 62 63 64 65 66 67 68 69 "
		"71 73 74 75 77 79 81 82 83 84 85 86 87 88 89 91 92 93 94 95 96 97 98 99";

	for (const char *p = areas; *p != '\0'; p += p[2] == ' ' ? 3 : 2)
		if (p[0] == d[0] && p[1] == d[1])
			return true;
	return false;
}

/*
 * Behind the trunk prefix may stand a carrier's two digits. Mobiles have had a
 * ninth digit, 9, since 2012 to 2016; without it they began with 6 to 9.
 */
static bool
brazil(Digits *x, bool trunk)
{
	if (trunk && x->n >= 12)
		digits_remove(x, 0, 2);
	if (!is_area_of_brazil(x->d))
		return x->n == 10 && x->d[0] != '0' && x->d[1] == '0'; /* 0800 and the like */
	if (x->n == 11)
		return x->d[2] == '9';
	if (x->n == 10 && x->d[2] >= '6')
		digits_insert(x, 2, "9");
	return true;
}

/* Write the number of digits d, dialled within a plan, with its calling code; false if it is none. */
static bool
national(const PhonePlan *plan, const char *d, int n, char *phone)
{
	Digits x;
	bool trunk;

	x.n = n;
	memcpy(x.d, d, n);
	trunk = drop_trunk(plan, &x);
	if (x.n < 4)
		return false;
	switch (plan->code)
	{
		case CODE_ARGENTINA:
			if (!argentina(&x))
				return false;
			break;
		case CODE_BENIN: /* 01 before every number since November 2024 */
			if (x.n == 8)
				digits_insert(&x, 0, "01");
			break;
		case CODE_BRAZIL:
			if (!brazil(&x, trunk))
				return false;
			break;
		case CODE_ITALY: /* mobiles begin with 3, and are longer than some others */
			if (x.d[0] == '3' && x.n < 9)
				return false;
			break;
		case CODE_MEXICO: /* 1 before mobiles from abroad, until 2019 */
			if (x.n == 11 && x.d[0] == '1')
				digits_remove(&x, 0, 1);
			break;
		case CODE_NORTH_AMERICA: /* neither area codes nor exchanges begin with 0 or 1 */
			if (x.d[0] < '2' || x.d[3] < '2')
				return false;
			break;
	}
	if (!is_length(plan, x.n) || (plan->trunk[0] == '0' && x.d[0] == '0'))
		return false;
	snprintf(phone, PHONE_MAX + 1, "+%d%.*s", plan->code, x.n, x.d);
	return true;
}

/* The same with the calling code before it. */
static bool
international(const char *d, int n, char *phone)
{
	int code_len;
	const PhonePlan *plan = phone_plan_of_number(d, n, &code_len);

	/* no one dials a trunk prefix of 1 behind a calling code; it would make 0011 ambiguous */
	if (plan == NULL || (*plan->trunk == '1' && n > code_len && d[code_len] == '1'))
		return false;
	return national(plan, d + code_len, n - code_len, phone);
}

/* home is the plan of the country from which the number is seen, or NULL. */
bool
phone_normalize(const char *text, size_t len, const PhonePlan *home, char *phone)
{
	char plain[64];
	char d[DIALLED_MAX];
	char other[PHONE_MAX + 1];
	int plain_len = plain_read(text, len, plain, sizeof(plain));
	int code_len;
	int at = 0;
	int n = 0;
	int slash = 0;
	bool plus = false;
	bool found = false;
	bool own;

	if (plain_len > 4 && pg_strncasecmp(plain, "tel:", 4) == 0)
		at = 4;
	for (; at < plain_len; at++)
	{
		char c = plain[at];

		if (c >= '0' && c <= '9' && n < DIALLED_MAX)
			d[n++] = c;
		else if (c == '+' && n == 0 && !plus)
			plus = true;
		else if (c == '/' && slash == 0 && n > 0 && n <= SLASH_BEFORE_MAX)
			slash = n;
		else if (strchr(" -.()", c) == NULL)
			return false;
	}
	if (slash > 0 && n - slash < SLASH_BEHIND_MIN)
		return false;
	if (plus)
		return international(d, n, phone);

	/* every prefix for abroad that fits, for one may begin another */
	for (int pass = 0; pass < 2; pass++)
	{
		int prefix_len = 0;

		for (const char *p = pass   ? "00"
							 : home ? home->prefixes
									: "";
			 (p = next_alternative(p, &prefix_len)) != NULL;)
		{
			if (n <= prefix_len || memcmp(d, p, prefix_len) != 0 ||
				!international(d + prefix_len, n - prefix_len, found ? other : phone))
				continue;
			if (found && strcmp(other, phone) != 0)
				return false;
			found = true;
		}
	}
	if (found)
		return true;
	if (home == NULL || n < 4 || (d[0] == '0' && d[1] == '0'))
		return false;

	/* its own calling code may stand there without a plus */
	own = phone_plan_of_number(d, n, &code_len) == home &&
		  national(home, d + code_len, n - code_len, other);
	if (national(home, d, n, phone))
		return !own || strcmp(other, phone) == 0;
	if (own)
		strcpy(phone, other);
	return own;
}
