/*
 * values.c
 *		Levels of what is more than letters: dates, phone numbers, e-mail addresses, documents.
 *
 * Each reads its texts as what they are to be, and says LEVEL_UNKNOWN where one of them is
 * no such thing: what cannot be read speaks neither for nor against.
 */
#include "postgres.h"

#include <ctype.h>

#include "compat.h"
#include "match/comparators.h"

/* --- dates --- */

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A number of digits at *p, its length in *n; 0 and 0 if there is none. */
static int
read_number(const char **p, const char *end, int *n)
{
	int number = 0;

	for (*n = 0; *p < end && is_digit(**p) && *n < 9; ++*p, ++*n)
		number = number * 10 + (**p - '0');
	return number;
}

static bool
is_day_or_month(int number)
{
	return number >= 0 && number <= 31;
}

/* As most are: 1980-03-04. */
static bool
read_iso_date(const char *text, Size len, int number[3])
{
	if (len != 10 || text[4] != '-' || text[7] != '-')
		return false;
	for (int i = 0; i < 10; i++)
		if (!is_digit(text[i]) && i != 4 && i != 7)
			return false;
	number[0] =
		(text[0] - '0') * 1000 + (text[1] - '0') * 100 + (text[2] - '0') * 10 + text[3] - '0';
	number[1] = (text[5] - '0') * 10 + text[6] - '0';
	number[2] = (text[8] - '0') * 10 + text[9] - '0';
	return true;
}

/* The number of a month at *p, by the first three letters of its name; 0 if there is none. */
static int
read_month(const char **p, const char *end)
{
	static const char *const names[] = {"jan", "ene", "feb", "fev", "mar", "mrz", "apr", "abr",
										"may", "mai", "jun", "jun", "jul", "jul", "aug", "ago",
										"sep", "set", "oct", "out", "nov", "nov", "dec", "dez"};
	const char *from = *p;

	while (*p < end && ((unsigned char) **p >= 0x80 || isalpha((unsigned char) **p)))
		++*p;
	for (int i = 0; *p - from >= 3 && i < (int) lengthof(names); i++)
		if (pg_strncasecmp(from, names[i], 3) == 0)
			return i / 2 + 1;
	return *p - from >= 3 && pg_strncasecmp(from, "dic", 3) == 0 ? 12 : 0;
}

/* With the name of the month: 4 Mar 1980, 4-mar-80, 4 de marzo de 1980, March 4, 1980. */
static bool
read_named_date(const char *p, const char *end, int number[3], bool *short_year)
{
	int numbers[2];
	int digits[2];
	int n = 0;
	int month = 0;

	while (p < end && (n < 2 || month == 0))
	{
		if (strchr("-./ ,", *p) != NULL)
			p++;
		else if (end - p > 3 && pg_strncasecmp(p, "de ", 3) == 0)
			p += 3;
		else if (is_digit(*p) && n < 2)
		{
			numbers[n] = read_number(&p, end, &digits[n]);
			n++;
		}
		else if (month != 0 || (month = read_month(&p, end)) == 0)
			return false;
	}
	if (n < 2 || month == 0)
		return false;
	if (digits[0] == 4)
	{
		number[0] = numbers[0];
		number[2] = numbers[1];
	}
	else if (digits[0] <= 2 && (digits[1] == 4 || digits[1] == 2))
	{
		*short_year = digits[1] == 2;
		number[0] = numbers[1];
		number[2] = numbers[0];
	}
	else
		return false;
	number[1] = month;
	return number[2] > 0 && (p == end || (*p == ' ' && p + 1 < end && is_digit(p[1])));
}

/* Year, month and day; false if it is none of the forms below. */
static bool
read_date_parts(const char *text, Size len, bool month_first, int number[3], bool *short_year)
{
	char plain[VALUE_MAX];
	char march[VALUE_MAX]; /* the only month with a mark */
	int plain_len = plain_read(text, len, plain, sizeof(plain));
	const char *p = plain;
	const char *end;
	int digits[3] = {0};
	int n = 0;
	char between = '\0';

	if (plain_len < 0 && len <= sizeof(march))
	{
		Size n_march = 0;

		for (Size i = 0; i < len; i++)
		{
			bool marked = i + 1 < len && text[i] == '\xc3' &&
						  (text[i + 1] == '\xa7' || text[i + 1] == '\x87');

			march[n_march++] = marked ? 'c' : text[i];
			i += marked;
		}
		plain_len = plain_read(march, n_march, plain, sizeof(plain));
	}
	end = plain + Max(plain_len, 0);
	while (n < 3)
	{
		number[n] = read_number(&p, end, &digits[n]);
		if (digits[n] == 0)
			return read_named_date(plain, end, number, short_year);
		n++;
		if (n == 3 || p == end || strchr("-./ ", *p) == NULL || p + 1 == end || !is_digit(p[1]) ||
			(between != '\0' && *p != between))
			break;
		between = *p++;
	}
	if (n == 1 && p < end && (digits[0] <= 2 || digits[0] == 4))
		return read_named_date(plain, end, number, short_year);
	if (n == 1 && digits[0] == 8)
	{
		number[2] = number[0] % 100;
		number[1] = number[0] / 100 % 100;
		number[0] /= 10000;
	}
	else if (n == 3 && digits[0] <= 2 && digits[1] <= 2 && (digits[2] == 4 || digits[2] == 2))
	{
		int year = number[2];
		bool swap =
			month_first ? number[0] <= 12 || number[1] > 12 : number[1] > 12 && number[0] <= 12;

		number[2] = swap ? number[1] : number[0];
		number[1] = swap ? number[0] : number[1];
		number[0] = year;
		*short_year = digits[2] == 2;
	}
	else if (digits[0] != 4 || digits[1] > 2 || digits[2] > 2)
		return false;
	/* only a time may stand behind, and only a whole date has one */
	return p == end || ((*p == 'T' || *p == 't' || *p == ' ') && p + 1 < end && is_digit(p[1]) &&
						n != 2 && number[2] > 0);
}

/*
 * 1980-03-04, 1980-03, 1980, 19800304, and the day first: 04/03/1980; with - . / or blanks
 * between, and a time behind; or with the name of the month. Where the third number is the
 * year, which may have two digits then, the order of the others is as asked for, unless only
 * the other can be.
 */
bool
date_read(const char *text, Size len, bool month_first, MatchDate *date)
{
	int number[3] = {0};
	bool short_year = false;

	if (!read_iso_date(text, len, number) &&
		!read_date_parts(text, len, month_first, number, &short_year))
		return false;
	if ((number[0] == 0 && !short_year) || !is_day_or_month(number[1]) || !is_day_or_month(number[2]))
		return false;
	date->year = number[0];
	date->month = number[1];
	date->day = number[1] == 0 ? 0 : number[2];
	date->short_year = short_year;
	date->written = false;
	return true;
}

static const char *
date_digits(MatchDate *date)
{
	if (!date->written)
	{
		int number = date->year * 10000 + date->month * 100 + date->day;

		for (int i = 7; i >= 0; i--, number /= 10)
			date->digits[i] = '0' + number % 10;
		date->written = true;
	}
	return date->digits;
}

/* 4: the same; 3: day and month swapped; 2: one edit; 1: the same year; 0: none of these. */
int
date_compare(MatchDate *x, MatchDate *y)
{
	MatchDate of_century[2];

	if (x->short_year || y->short_year)
	{
		/* of which century is not told */
		of_century[0] = *x;
		of_century[1] = *y;
		x = &of_century[0];
		y = &of_century[1];
		x->year %= 100;
		y->year %= 100;
		x->written = y->written = false;
	}
	if (x->day != 0 && y->day != 0)
	{
		if (x->year == y->year && x->month == y->month && x->day == y->day)
			return 4;
		if (x->year == y->year && x->month == y->day && x->day == y->month)
			return 3;
		if (within_one_edit(date_digits(x), 8, date_digits(y), 8))
			return 2;
	}
	return x->year == y->year;
}

/* --- phone numbers --- */

#define PHONE_TAIL 7
/* The last n digits of both are the same. */
static bool
same_tail(const MatchPhone *x, const MatchPhone *y, int n)
{
	return x->n >= n && y->n >= n && memcmp(x->digits + x->n - n, y->digits + y->n - n, n) == 0;
}

/*
 * The digits as they are written; what stands before the first, and from a letter behind
 * seven of them on, is no part of the number. False if there are not seven.
 */
bool
phone_read(const char *text, Size len, MatchPhone *phone)
{
	char plain[VALUE_MAX];
	int plain_len = plain_read(text, len, plain, sizeof(plain));

	phone->n = 0;
	for (int i = 0; i < plain_len; i++)
	{
		if (is_digit(plain[i]))
		{
			if (phone->n == PHONE_DIGITS_MAX)
				return false;
			phone->digits[phone->n++] = plain[i];
		}
		else if (phone->n > 0 && strchr(" -.()/+", plain[i]) == NULL)
			break;
	}
	return phone->n >= PHONE_TAIL;
}

/* Those of E.164, if it can be read so. */
static void
read_e164(const char *text, Size len, const PhonePlan *home, MatchPhone *phone)
{
	char normal[PHONE_MAX + 1];

	if (!phone_normalize(text, len, home, normal))
		return;
	phone->n = strlen(normal) - 1;
	memcpy(phone->digits, normal + 1, phone->n);
}

/* 2: the same number; 1: the last seven digits are the same; 0: not. a and b: as written. */
int
phone_compare(const MatchPhone *x, const char *a, Size na, const MatchPhone *y, const char *b,
			  Size nb, const PhonePlan *home)
{
	MatchPhone of_x;
	MatchPhone of_y;

	/* the last six are the same in E.164, wherever digits are dropped and put in */
	if (!same_tail(x, y, PHONE_TAIL - 1))
		return 0;
	of_x = *x;
	of_y = *y;
	read_e164(a, na, home, &of_x);
	read_e164(b, nb, home, &of_y);
	if (of_x.n == of_y.n && memcmp(of_x.digits, of_y.digits, of_x.n) == 0)
		return 2;
	return same_tail(&of_x, &of_y, PHONE_TAIL);
}

/* --- e-mail addresses --- */

/* Below it, one edit makes another name, not a slip of the same. */
#define LOCAL_PART_MIN 4

/*
 * What is no address may be meant as one: something, an @, and something. Of ASCII, without
 * quotes and a scheme, the normal form would be the same small letters.
 */
bool
email_read(const char *text, Size len, bool compose, MatchEmail *email)
{
	const char *at;
	bool simple = true;

	plain_trim(&text, &len);
	for (Size i = 0; i < len && i < EMAIL_MAX; i++)
	{
		email->text[i] = text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i];
		simple &= !IS_HIGHBIT_SET(text[i]) && text[i] != '"' && text[i] != ':';
	}
	if ((!simple || len > EMAIL_MAX) && email_normalize(text, len, compose, email->text))
		len = strlen(email->text);
	if (len > EMAIL_MAX)
		return false;
	email->text[len] = '\0';
	at = strrchr(email->text, '@');
	if (at == NULL || at == email->text || at + 1 == email->text + len)
		return false;
	email->local = at - email->text;
	email->domain = len - email->local - 1;
	return true;
}

static bool
within_one_letter(MatchWork *w, const char *a, Size na, const char *b, Size nb, uint32 shortest)
{
	letters_read(w, &w->a, a, na, LETTERS_AS_THEY_ARE);
	letters_read(w, &w->b, b, nb, LETTERS_AS_THEY_ARE);
	return Min(w->a.n, w->b.n) >= shortest &&
		   osa_letters(w, w->a.c, w->a.n, w->b.c, w->b.n, 1) <= 1;
}

/*
 * 4: the same; 3: one edit, in the domain, or in the local part if that is not very short;
 * 2: the same local part; 1: the same domain; 0: none of these.
 */
int
email_compare(MatchWork *w, const MatchEmail *x, const MatchEmail *y)
{
	const char *x_domain = x->text + x->local + 1;
	const char *y_domain = y->text + y->local + 1;
	bool local = x->local == y->local && memcmp(x->text, y->text, x->local) == 0;
	bool domain = x->domain == y->domain && memcmp(x_domain, y_domain, x->domain) == 0;

	if (local && domain)
		return 4;
	if (local)
		return within_one_letter(w, x_domain, x->domain, y_domain, y->domain, 1) ? 3 : 2;
	if (domain)
		return within_one_letter(w, x->text, x->local, y->text, y->local, LOCAL_PART_MIN) ? 3 : 1;
	return 0;
}

/* --- documents --- */

/* With fewer characters it is the number of none. */
#define DOCUMENT_MIN 4

/* Letters and digits alone; the NIF may stand behind PT. */
bool
document_read(const char *text, Size len, MatchDocument *document)
{
	char plain[VALUE_MAX];
	int plain_len = plain_read(text, len, plain, sizeof(plain));
	int letters = 0;

	document->n = 0;
	for (int i = 0; i < plain_len; i++)
	{
		char c = pg_ascii_toupper((unsigned char) plain[i]);

		if (is_digit(c) || (c >= 'A' && c <= 'Z'))
		{
			letters += !is_digit(c);
			document->text[document->n++] = c;
		}
		else if (strchr(" -./", c) == NULL)
			return false;
	}
	if (document->n == 11 && letters == 2 && memcmp(document->text, "PT", 2) == 0)
	{
		document->n -= 2;
		memmove(document->text, document->text + 2, document->n);
	}
	return document->n >= DOCUMENT_MIN;
}

/* Are its check digits right? */
static bool
is_right(const MatchDocument *document)
{
	char normal[DOCUMENT_MAX + 1];

	return document_normalize(document->text, document->n, normal);
}

/*
 * 3: the same, and its check digits are right; 2: the same; 1: one edit, and they are not
 * both right, for no slip makes one right number of another; 0: none of these.
 */
int
document_compare(const MatchDocument *x, const MatchDocument *y)
{
	if (x->n == y->n && memcmp(x->text, y->text, x->n) == 0)
		return is_right(x) ? 3 : 2;
	return within_one_edit(x->text, x->n, y->text, y->n) && !(is_right(x) && is_right(y));
}
