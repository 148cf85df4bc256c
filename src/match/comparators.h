/*
 * comparators.h
 *		How alike two texts are, one comparator for each kind of text.
 *
 * The algorithm layer, as letters.h. Each answers the same whichever of the two comes
 * first.
 */
#ifndef PGJ_COMPARATORS_H
#define PGJ_COMPARATORS_H

#include "identity/normalize.h"
#include "match/letters.h"

/* A text that says nothing of what a comparator looks for */
#define LEVEL_UNKNOWN (-1)

/* jaro.c */
extern double jaro_winkler_letters(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b,
								   uint32 nb);
extern double jaro_long(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb);
extern double jaro_short(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb);

/* osa.c */
#define OSA_NO_LIMIT PG_UINT32_MAX
extern uint32 osa_letters(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb,
						  uint32 limit);
extern bool within_one_edit(const char *a, int na, const char *b, int nb);

/* trigram.c */
extern double trigram_letters(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb);

/* phonetic.c */
typedef enum SoundLanguage
{
	SOUND_NONE,
	SOUND_PORTUGUESE,
	SOUND_SPANISH
} SoundLanguage;

/* A letter has at most so many characters in its code. */
#define SOUND_MAX 2
extern uint32 sound_of_word(SoundLanguage language, const uint32 *word, uint32 n, char *code);
extern Size sound_of_text(SoundLanguage language, const uint32 *text, uint32 n, char *code);

/* values.c; the highest level of each says: the same */
#define DATE_LEVELS 4
#define PHONE_LEVELS 2
#define EMAIL_LEVELS 4
#define DOCUMENT_LEVELS 3
#define SOUND_LEVELS 2
#define NAME_LEVELS 6

/* Longer ones are none; as normalize.h's readers have it. */
#define VALUE_MAX 64

/* What is not told is 0. Days and months are up to 31, for they may have been swapped. */
typedef struct MatchDate
{
	int year;
	int month;
	int day;
	bool short_year; /* of two digits */
	bool written;
	char digits[8];
} MatchDate;

#define PHONE_DIGITS_MAX 32

typedef struct MatchPhone
{
	int n;
	char digits[PHONE_DIGITS_MAX]; /* as they are written */
} MatchPhone;

typedef struct MatchEmail
{
	Size local; /* lengths */
	Size domain;
	char text[EMAIL_MAX + 1];
} MatchEmail;

typedef struct MatchDocument
{
	int n;
	char text[VALUE_MAX];
} MatchDocument;

extern bool date_read(const char *text, Size len, bool month_first, MatchDate *date);
extern int date_compare(MatchDate *x, MatchDate *y);
extern bool phone_read(const char *text, Size len, MatchPhone *phone);
extern int phone_compare(const MatchPhone *x, const char *a, Size na, const MatchPhone *y,
						 const char *b, Size nb, const PhonePlan *home);
extern bool email_read(const char *text, Size len, bool compose, MatchEmail *email);
extern int email_compare(MatchWork *w, const MatchEmail *x, const MatchEmail *y);
extern bool document_read(const char *text, Size len, MatchDocument *document);
extern int document_compare(const MatchDocument *x, const MatchDocument *y);

/* nicknames.c */
typedef struct Nicknames
{
	const char *data;
	uint32 size;
} Nicknames;

extern void nicknames_open(Nicknames *n, const char *data, Size size);
extern const char *nicknames_of(const Nicknames *n, const uint32 *name, uint32 len);
extern bool nicknames_meet(const char *a, const char *b);

/* A name, and a group it is in. */
typedef struct NicknamePair
{
	const uint32 *name;
	uint32 len;
	uint32 group;
} NicknamePair;

extern Size nicknames_size(const NicknamePair *pairs, uint32 n);
extern void nicknames_build(NicknamePair *pairs, uint32 n, char *data, Size size);

/* person_name.c */
struct Person;
extern bool name_is_one(Letters *letters, uint32 *n);
extern int name_level(MatchWork *w, const char *a, Size na, const char *b, Size nb,
					  SoundLanguage language, const Nicknames *nicknames);
extern struct Person *name_read(MatchWork *w, const char *text, Size len);
extern int name_compare(MatchWork *w, struct Person *x, struct Person *y, SoundLanguage language,
						const Nicknames *nicknames);

/* comparators.c */
extern text *text_of_utf8(const char *utf8, Size len);

/* --- comparator.c: any of them, by its name --- */

/* With the levels below and above them they make 15: four bits with the unknown. */
#define THRESHOLDS_MAX 13
#define LEVEL_MAX (THRESHOLDS_MAX + 1)
#define LEVEL_BITS 4
#define LEVELS_MAX (64 / LEVEL_BITS)

typedef enum ComparatorKind
{
	COMPARE_EXACT,
	COMPARE_JARO_WINKLER,
	COMPARE_OSA,
	COMPARE_TRIGRAM,
	COMPARE_DATE,
	COMPARE_PHONE,
	COMPARE_EMAIL,
	COMPARE_DOCUMENT,
	COMPARE_NAME,
	COMPARE_SOUND
} ComparatorKind;

/* What thresholds are. */
typedef enum ThresholdKind
{
	THRESHOLD_NONE,
	THRESHOLD_SIMILARITY,
	THRESHOLD_DISTANCE,
	THRESHOLD_LEVEL
} ThresholdKind;

typedef struct ComparatorName
{
	const char *name;
	ComparatorKind kind;
	SoundLanguage language;
	ThresholdKind thresholds;
	int levels; /* the highest of its own */
} ComparatorName;

typedef struct Comparator
{
	const ComparatorName *name;
	SoundLanguage language;
	const PhonePlan *home;
	bool month_first;
	bool compose; /* e-mail addresses may be more than ASCII */
	int n;
	double thresholds[THRESHOLDS_MAX];
	double least; /* of the thresholds */
	double most;
} Comparator;

typedef struct MatchText
{
	const char *p;
	Size len;
	bool readable; /* it is UTF-8, which readers of values take only */
	void *read;    /* what its comparator has read of it and keeps; NULL: nothing */
} MatchText;

extern void comparator_parse(Comparator *c, const char *given, Size given_len);
extern void comparator_thresholds(Comparator *c, const double *thresholds, int n);
extern int comparator_top(const Comparator *c);
extern int comparator_level(MatchWork *w, const Comparator *c, MatchText *a, MatchText *b,
							const Nicknames *nicknames, bool keep);

#endif /* PGJ_COMPARATORS_H */
