/*
 * document.c
 *		Tax numbers with check digits: Brazil's CPF and CNPJ, Portugal's NIF.
 *
 * Their lengths differ (11, 14 and 9), so no text is two of them.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/normalize.h"

#define CPF_LENGTH 11
#define CNPJ_LENGTH 14
#define NIF_LENGTH 9

/* The NIF that invoices of Portugal give to whoever has not told theirs */
#define NIF_OF_NOBODY "999999990"

/*
 * The check digit behind n characters: weights from 2 upwards from the right,
 * starting again behind the largest; modulo 11, where 10 becomes 0. A letter
 * counts as its code less that of '0', as the CNPJ of 2026 has it.
 */
static char
check_digit(const char *p, int n, int largest)
{
	int sum = 0;

	for (int i = n - 1, weight = 2; i >= 0; i--, weight = weight == largest ? 2 : weight + 1)
		sum += (p[i] - '0') * weight;
	return sum % 11 < 2 ? '0' : '0' + 11 - sum % 11;
}

static bool
is_nif(const char *p)
{
	/* what the first digits may be, by the kind of tax payer */
	static const char *const kinds[] = {"1",  "2",  "3",  "45", "5", "6",  "70", "71", "72", "74",
										"75", "77", "78", "79", "8", "90", "91", "98", "99"};

	if (check_digit(p, NIF_LENGTH - 1, NIF_LENGTH) != p[NIF_LENGTH - 1] ||
		strcmp(p, NIF_OF_NOBODY) == 0)
		return false;
	for (int i = 0; i < lengthof(kinds); i++)
		if (strncmp(p, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

/* CPF and CNPJ end in two check digits. */
static bool
has_two_check_digits(const char *p, int n, int largest)
{
	/* all the same pass the check, but are never given out */
	return strspn(p, (char[]) {p[0], '\0'}) < n && check_digit(p, n - 2, largest) == p[n - 2] &&
		   check_digit(p, n - 1, largest) == p[n - 1];
}

bool
document_normalize(const char *text, size_t len, char *document)
{
	char plain[64];
	int plain_len = plain_read(text, len, plain, sizeof(plain));
	int n = 0;
	int letters = 0;

	for (int i = 0; i < plain_len; i++)
	{
		char c = pg_ascii_toupper((unsigned char) plain[i]);

		if (c == ' ' || c == '.' || c == '-' || c == '/')
			continue;
		if (c >= 'A' && c <= 'Z')
			letters++;
		else if (c < '0' || c > '9')
			return false;
		if (n >= DOCUMENT_MAX)
			return false;
		document[n++] = c;
	}
	document[n] = '\0';

	/* the number for value added tax of Portugal is the NIF behind PT */
	if (n == NIF_LENGTH + 2 && letters == 2 && document[0] == 'P' && document[1] == 'T')
	{
		memmove(document, document + 2, NIF_LENGTH + 1);
		n = NIF_LENGTH;
		letters = 0;
	}
	switch (n)
	{
		case NIF_LENGTH:
			return letters == 0 && is_nif(document);
		case CPF_LENGTH:
			return letters == 0 && has_two_check_digits(document, n, n);
		case CNPJ_LENGTH:
			return has_two_check_digits(document, n, 9);
	}
	return false;
}
