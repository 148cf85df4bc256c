/*
 * numeric_value.c
 *		Between numeric and the exact decimals of a touchpoint.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "utils/fmgrprotos.h"

static void
value_out_of_range(Datum numeric)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("value has too many digits"),
			 errdetail("%s needs more than %d digits before and behind the point.",
					   DatumGetCString(DirectFunctionCall1(numeric_out, numeric)),
					   DECIMAL_DIGITS_MAX)));
}

/*
 * Reads numeric's stored form, since an aggregate does this a row: digits of
 * base 10000, most significant first and neither first nor last zero, behind a
 * 16-bit header (two top bits 10) that holds sign, scale and weight, or behind
 * one (00 or 01, the sign) with the weight in 16 bits more. 11 is not finite.
 */
void
decimal_from_numeric(Decimal *d, Datum numeric)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(numeric);
	const char *p = VARDATA_ANY(packed);
	int len = VARSIZE_ANY_EXHDR(packed);
	uint16 header;
	int16 weight;
	uint16 digit = 0;
	int64 mantissa = 0;
	int ndigits;
	int digits = 0; /* decimal digits of mantissa */
	int zeros = 0;  /* at the end of the last one */
	bool negative;

	memcpy(&header, p, 2);
	if ((header & 0xC000) == 0xC000)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("value of a touchpoint must be finite"),
						errdetail("Found %s.",
								  DatumGetCString(DirectFunctionCall1(numeric_out, numeric)))));
	if (header & 0x8000)
	{
		negative = header & 0x2000;
		weight = (header & 0x3F) - (header & 0x40);
		p += 2;
		ndigits = (len - 2) / 2;
	}
	else
	{
		negative = header & 0x4000;
		memcpy(&weight, p + 2, 2);
		p += 4;
		ndigits = (len - 4) / 2;
	}
	if (ndigits == 0)
	{
		d->mantissa = 0;
		d->scale = 0;
		goto done;
	}

	/* 18 digits may straddle six of base 10000, but no more */
	if (ndigits > 6)
		value_out_of_range(numeric);
	for (int i = 0; i < ndigits; i++)
	{
		int wanted = 4; /* decimal digits of this one */

		memcpy(&digit, p + 2 * i, 2);
		if (i == ndigits - 1)
			for (; digit % 10 == 0 && wanted > 1; digit /= 10)
			{
				wanted--;
				zeros++;
			}
		if (i == 0)
			digits = digit >= 1000 ? 4 : digit >= 100 ? 3 : digit >= 10 ? 2 : 1;
		else
			digits += wanted;
		if (digits > DECIMAL_DIGITS_MAX)
			value_out_of_range(numeric);
		mantissa = mantissa * decimal_power[i == 0 ? 0 : wanted] + digit;
	}
	if (!decimal_from_digits(d, negative ? -mantissa : mantissa, digits,
							 4 * ((int) weight - (ndigits - 1)) + zeros))
		value_out_of_range(numeric);

done:
	if ((Pointer) packed != DatumGetPointer(numeric))
		pfree(packed);
}

Datum
decimal_to_numeric(Decimal d)
{
	return NumericGetDatum(int64_div_fast_to_numeric(d.mantissa, d.scale));
}
