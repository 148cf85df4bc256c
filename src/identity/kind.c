/*
 * kind.c
 *		What kind of value a namespace holds, as far as its name tells.
 *
 * What is junk depends on it: 1111 is no phone number and no tax number, but it may
 * well be the number of a contact. So only a name that says what it holds has a
 * kind: its last word, or its last two together, as in home_phone, e-mail, taxId
 * and WhatsApp. A phone_id is a key, and so is the user of a mobile_app_user.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/identifier.h"
#include "identity/normalize.h"

static const char *const kind_names[] = {
	[KIND_KEY] = "",
	[KIND_EMAIL] = "email",
	[KIND_PHONE] = "phone",
	[KIND_DOCUMENT] = "document",
};

/* in small letters, each with a blank before and behind it */
static const char *const kind_words[] = {
	[KIND_KEY] = "",
	[KIND_EMAIL] = " email emails mail mailbox correo correio courriel ",
	[KIND_PHONE] = " phone phones telephone tel mobile cell cellphone cellular celular handy gsm "
				   "telefone telefono tel\303\251fono fone telemovel telem\303\263vel movil "
				   "m\303\263vil msisdn fax sms whatsapp whatsappid waid callerid ",
	[KIND_DOCUMENT] = " document documento cpf cnpj nif nipc rg taxid tin vat vatin vatid ssn sin "
					  "nino dni nie cif rut rfc curp cuit cuil fiscalid nationalid passport "
					  "passaporte pasaporte aadhaar ",
};

/* words that may stand behind the one that says it */
static const char *const qualifiers =
	" number no nr num address home work main primary private personal business raw normalized ";

static bool
is_word_of(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; len > 0 && (p = strstr(p, word)) != NULL; p++)
		if (p > words && p[-1] == ' ' && p[len] == ' ')
			return true;
	return false;
}

static IdentifierKind
kind_of_word(const char *word)
{
	for (int kind = KIND_KEY + 1; kind < lengthof(kind_words); kind++)
		if (is_word_of(kind_words[kind], word))
			return kind;
	return KIND_KEY;
}

/* The kind that goes by this name; a normaliser is called as what it normalises. */
IdentifierKind
kind_by_name(const char *name, size_t len)
{
	for (int kind = KIND_KEY + 1; kind < lengthof(kind_names); kind++)
		if (strlen(kind_names[kind]) == len && pg_strncasecmp(kind_names[kind], name, len) == 0)
			return kind;
	return KIND_KEY;
}

static inline bool
parts_words(char c)
{
	/* digits tell one of several: phone2 */
	return c == '_' || c == '-' || c == '.' || (c >= '0' && c <= '9');
}

IdentifierKind
kind_of_namespace(const char *namespace, size_t len)
{
	char word[IDENTIFIER_NAMESPACE_MAX + 1];
	char last[IDENTIFIER_NAMESPACE_MAX + 1] = "";
	int begin = Min(len, IDENTIFIER_NAMESPACE_MAX);

	for (;;)
	{
		int end = begin;
		IdentifierKind kind;

		while (end > 0 && parts_words(namespace[end - 1]))
			end--;
		if (end == 0)
			return KIND_KEY;
		begin = end - 1;
		/* a capital behind a small letter begins a word, too: homePhone */
		while (begin > 0 && !parts_words(namespace[begin - 1]) &&
			   !(namespace[begin] >= 'A' && namespace[begin] <= 'Z' &&
				 namespace[begin - 1] >= 'a' && namespace[begin - 1] <= 'z'))
			begin--;
		for (int i = begin; i < end; i++)
			word[i - begin] = pg_ascii_tolower((unsigned char) namespace[i]);
		word[end - begin] = '\0';
		if (last[0] != '\0')
		{
			strcat(word, last); /* parts of one namespace, so they fit */
			return kind_of_word(word);
		}
		if (is_word_of(qualifiers, word))
			continue;
		kind = kind_of_word(word);
		if (kind != KIND_KEY)
			return kind;
		strcpy(last, word);
	}
}
