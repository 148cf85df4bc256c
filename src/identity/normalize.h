/*
 * normalize.h
 *		One form for what people write in many: e-mail addresses, phone numbers,
 *		tax numbers.
 *
 * This is the algorithm layer: no fmgr, no catalogs. Texts come in valid UTF-8,
 * whatever the server's encoding. Nothing is guessed: what cannot be read in
 * exactly one way is refused, for a wrong identifier joins two customers, and a
 * missing one only leaves them apart. What is returned, terminated, normalises
 * to itself.
 */
#ifndef PGJ_NORMALIZE_H
#define PGJ_NORMALIZE_H

/* RFC 5321, 4.5.3.1: the limit of a path less its angle brackets */
#define EMAIL_MAX 254
#define EMAIL_LOCAL_MAX 64

/* E.164: a plus and at most 15 digits */
#define PHONE_MAX 16

/* the longest is the CNPJ */
#define DOCUMENT_MAX 14

#define NORMAL_MAX EMAIL_MAX

/* How the numbers that share a calling code are dialled. */
typedef struct PhonePlan
{
	uint16 code;
	const char
		*trunk; /* dialled before a national number, to be dropped; alternatives apart by blanks */
	const char *prefixes;  /* dialled before a calling code, but for 00; alternatives likewise */
	const char *countries; /* ISO 3166-1 alpha-2, apart by blanks */
	uint32 lengths;        /* bit n: national numbers may have n digits */
} PhonePlan;

/* What a namespace holds. */
typedef enum IdentifierKind
{
	KIND_KEY, /* none of those below */
	KIND_EMAIL,
	KIND_PHONE,
	KIND_DOCUMENT
} IdentifierKind;

/* plain_text.c */
extern void plain_trim(const char **text, size_t *len);
extern int plain_read(const char *text, size_t len, char *buf, int size);
extern bool is_plain_blank(uint32 c);

/* email.c */
extern bool email_normalize(const char *text, size_t len, bool compose, char *email);

/* phone.c, phone_plan.c */
extern bool phone_normalize(const char *text, size_t len, const PhonePlan *home, char *phone);
extern const PhonePlan *phone_plan_of_country(const char *country, size_t len);
extern const PhonePlan *phone_plan_of_number(const char *digits, int n, int *code_len);

/* document.c */
extern bool document_normalize(const char *text, size_t len, char *document);

/* kind.c */
extern IdentifierKind kind_by_name(const char *name, size_t len);
extern IdentifierKind kind_of_namespace(const char *namespace, size_t len);

/* normalize.c, which is above this layer */
extern const char *value_normalize(IdentifierKind kind, const PhonePlan *home, const char *text,
								   size_t len, char buffer[NORMAL_MAX + 1]);
extern const PhonePlan *country_plan(Datum country);
extern IdentifierKind normalizer_kind(Datum normalizer);

/* blocked_forms.c */
extern int blocked_fold(const char *text, size_t len, bool utf8, char *to);
extern int blocked_unquote(const char **text, int len, bool utf8);
extern int blocked_unwrap(const char **text, int len, bool utf8);
extern int blocked_compact(const char *text, int len, char *to);

#endif /* PGJ_NORMALIZE_H */
