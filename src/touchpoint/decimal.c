/*
 * decimal.c
 *		Exact decimal values of at most 18 digits.
 *
 * The limit counts the digits before the point and those behind it without
 * trailing zeros, so every value is an int64 divided by a power of ten, and
 * both its whole part and its fraction in units of 10^-18 are int64 too.
 */
#include "postgres.h"

#include "compat.h"
#include "touchpoint/touch.h"

const int64 decimal_power[DECIMAL_DIGITS_MAX + 1] = {
	INT64CONST(1),
	INT64CONST(10),
	INT64CONST(100),
	INT64CONST(1000),
	INT64CONST(10000),
	INT64CONST(100000),
	INT64CONST(1000000),
	INT64CONST(10000000),
	INT64CONST(100000000),
	INT64CONST(1000000000),
	INT64CONST(10000000000),
	INT64CONST(100000000000),
	INT64CONST(1000000000000),
	INT64CONST(10000000000000),
	INT64CONST(100000000000000),
	INT64CONST(1000000000000000),
	INT64CONST(10000000000000000),
	INT64CONST(100000000000000000),
	INT64CONST(1000000000000000000),
};

void
decimal_normalise(Decimal *d)
{
	while (d->scale > 0 && d->mantissa % 10 == 0)
	{
		d->mantissa /= 10;
		d->scale--;
	}
}

int
decimal_cmp(Decimal a, Decimal b)
{
	int64 awhole = a.mantissa / decimal_power[a.scale];
	int64 bwhole = b.mantissa / decimal_power[b.scale];
	int64 apart;
	int64 bpart;

	if (awhole != bwhole)
		return awhole < bwhole ? -1 : 1;
	apart = a.mantissa % decimal_power[a.scale] * decimal_power[DECIMAL_DIGITS_MAX - a.scale];
	bpart = b.mantissa % decimal_power[b.scale] * decimal_power[DECIMAL_DIGITS_MAX - b.scale];
	return apart < bpart ? -1 : apart > bpart;
}

/*
 * Bring digits * 10^exponent into normal form: digits counts the decimal
 * digits of mantissa, which must neither begin nor end in zero. False if the
 * value has more than DECIMAL_DIGITS_MAX digits.
 */
bool
decimal_from_digits(Decimal *d, int64 mantissa, int digits, int64 exponent)
{
	if (mantissa == 0)
		exponent = 0;
	if (exponent >= 0)
	{
		if (digits + exponent > DECIMAL_DIGITS_MAX)
			return false;
		d->mantissa = mantissa * decimal_power[exponent];
		d->scale = 0;
		return true;
	}
	if (Max(digits, -exponent) > DECIMAL_DIGITS_MAX)
		return false;
	d->mantissa = mantissa;
	d->scale = -exponent;
	return true;
}

/*
 * Read [sign] digits [. digits] [e [sign] digits].
 */
bool
decimal_scan(TextScan *s, Decimal *d)
{
	const char *begin = s->p;
	const char *p = s->p;
	const char *point = NULL;
	const char *first = NULL; /* first and last digit other than zero */
	const char *last = NULL;
	bool any = false;
	int64 mantissa = 0;
	int64 exponent = 0;
	int digits = 0;

	if (p < s->end && (*p == '+' || *p == '-'))
		p++;
	for (; p < s->end; p++)
	{
		if (*p == '.' && point == NULL)
			point = p;
		else if (*p >= '0' && *p <= '9')
		{
			any = true;
			if (*p != '0')
			{
				if (first == NULL)
					first = p;
				last = p;
			}
		}
		else
			break;
	}
	if (!any)
	{
		p = begin + (begin < s->end && (*begin == '+' || *begin == '-'));
		if (s->end - p >= 3 &&
			(pg_strncasecmp(p, "nan", 3) == 0 || pg_strncasecmp(p, "inf", 3) == 0))
			return text_fail_with(s, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
								  "value of a touchpoint must be finite",
								  psprintf("Found \"%s\".", text_excerpt(begin, s->end, 40)), NULL);
		return text_fail(s, "a number");
	}
	if (point == NULL)
		point = p;
	s->p = p;

	if (p < s->end && (*p == 'e' || *p == 'E'))
	{
		bool negative = false;

		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			negative = *p++ == '-';
		if (p >= s->end || *p < '0' || *p > '9')
		{
			s->p = p;
			return text_fail(s, "an exponent");
		}
		for (; p < s->end && *p >= '0' && *p <= '9'; p++)
			if (exponent < PG_INT32_MAX)
				exponent = exponent * 10 + (*p - '0');
		if (negative)
			exponent = -exponent;
		s->p = p;
	}

	if (first != NULL)
	{
		for (p = first; p <= last; p++)
		{
			if (p == point)
				continue;
			if (++digits > DECIMAL_DIGITS_MAX)
				goto too_long;
			mantissa = mantissa * 10 + (*p - '0');
		}
		exponent += last < point ? point - last - 1 : point - last;
	}
	if (!decimal_from_digits(d, *begin == '-' ? -mantissa : mantissa, digits, exponent))
		goto too_long;
	return true;

too_long:
	return text_fail_with(s, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "value has too many digits",
						  psprintf("\"%s\" needs more than %d digits before and behind the point.",
								   text_excerpt(begin, s->p, 60), DECIMAL_DIGITS_MAX),
						  NULL);
}

void
decimal_print(StringInfo out, Decimal d)
{
	int64 power = decimal_power[d.scale];

	/* the sign apart, because -0.5 has no negative whole part */
	if (d.mantissa < 0)
	{
		appendStringInfoCharMacro(out, '-');
		d.mantissa = -d.mantissa;
	}
	text_print_int64(out, d.mantissa / power);
	if (d.scale > 0)
		appendStringInfo(out, ".%0*lld", (int) d.scale, (long long) (d.mantissa % power));
}
