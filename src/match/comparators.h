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
extern int date_level(const char *a, Size na, const char *b, Size nb, bool month_first);
extern int phone_level(const char *a, Size na, const char *b, Size nb, const PhonePlan *home);
extern int email_level(MatchWork *w, const char *a, Size na, const char *b, Size nb, bool compose);
extern int document_level(const char *a, Size na, const char *b, Size nb);

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
extern bool name_is_one(Letters *letters, uint32 *n);
extern int name_level(MatchWork *w, const char *a, Size na, const char *b, Size nb,
					  SoundLanguage language, const Nicknames *nicknames);

#endif /* PGJ_COMPARATORS_H */
