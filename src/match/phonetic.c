/*
 * phonetic.c
 *		What words sound like in Portuguese and Spanish.
 *
 * In the manner of L. Philips, "Hanging on the Metaphone", Computer Language 7 (1990), of
 * the Portuguese Metaphone of C. C. Jordão and the Spanish one of A. Mosquera (2011); the
 * rules are our own and told in the manual. Letters come folded, c with a cedilla and n
 * with a tilde being themselves. Vowels count only at the beginning; what is not a letter
 * of the Latin alphabet is left out.
 *
 * Codes are those of consonants, but for 1: lh, 2: strong r, 3: nh or ñ, X: ch.
 */
#include "postgres.h"

#include "compat.h"
#include "match/comparators.h"
#include "miscadmin.h"

#define C_CEDILLA 0xe7
#define N_TILDE 0xf1

/* A word being read: letters before and behind it are 0. */
typedef struct Word
{
	const uint32 *c;
	uint32 n;
	uint32 at;
} Word;

static inline uint32
letter(const Word *w, int off)
{
	int64 at = (int64) w->at + off;

	return at >= 0 && at < w->n ? w->c[at] : 0;
}

static inline bool
is_vowel(uint32 c)
{
	return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

/* c and g sound differently before them. */
static inline bool
is_front(uint32 c)
{
	return c == 'e' || c == 'i' || c == 'y';
}

static inline bool
is_consonant(uint32 c)
{
	return ((c >= 'a' && c <= 'z') || c == C_CEDILLA || c == N_TILDE) && !is_vowel(c);
}

/*
 * The code of the letter at w->at, "" if it has none; *used becomes 2 or 3 if the next
 * ones are told with it.
 */
static const char *
portuguese(const Word *w, uint32 *used)
{
	uint32 next = letter(w, 1);
	uint32 before = letter(w, -1);

	switch (letter(w, 0))
	{
		case 'b':
			return "B";
		case 'c':
			if (next == 'h')
			{
				*used = 2;
				return is_consonant(letter(w, 2)) ? "K" : "X"; /* Christina, Chaves */
			}
			if (next == 'k' || next == 'q')
				return "";
			return is_front(next) ? "S" : "K";
		case C_CEDILLA:
			return "S";
		case 'd':
			return "D";
		case 'f':
			return "F";
		case 'g':
			return is_front(next) ? "J" : "G";
		case 'j':
			return "J";
		case 'k':
		case 'q':
			return "K";
		case 'l':
			if (next != 'h')
				return "L";
			*used = 2;
			return "1";
		case 'm':
			return "M";
		case 'n':
			if (next == 'h')
			{
				*used = 2;
				return "3";
			}
			/* at the end and before a consonant it makes the vowel nasal, as m does */
			return next != 'n' && (next == 0 || is_consonant(next)) ? "M" : "N";
		case N_TILDE:
			return "3";
		case 'p':
			if (next != 'h')
				return "P";
			*used = 2;
			return "F";
		case 'r':
			if (next == 'r')
				*used = 2;
			return before == 0 || next == 'r' ? "2" : "R";
		case 's':
			if (next == 'c' && letter(w, 2) == 'h')
			{
				*used = 3;
				return "X";
			}
			if (next == 'h')
			{
				*used = 2;
				return "X";
			}
			if (next == 's' || (next == 'c' && is_front(letter(w, 2))) || next == C_CEDILLA)
			{
				*used = 2;
				return "S";
			}
			return is_vowel(before) && is_vowel(next) ? "Z" : "S"; /* Sousa, Souza */
		case 't':
			return "T";
		case 'v':
		case 'w':
			return "V";
		case 'x':
			if (next == 'c' && is_front(letter(w, 2)))
			{
				*used = 2;
				return "S";
			}
			if (w->at == 1 && before == 'e' && is_vowel(next))
				return "Z";
			return next == 0 ? "KS" : "X";
		case 'z':
			return next == 0 ? "S" : "Z"; /* Luiz, Luis */
	}
	return "";
}

static const char *
spanish(const Word *w, uint32 *used)
{
	uint32 next = letter(w, 1);
	uint32 before = letter(w, -1);

	switch (letter(w, 0))
	{
		case 'b':
		case 'v':
		case 'w':
			return "B";
		case 'c':
			if (next == 'h')
			{
				*used = 2;
				return is_consonant(letter(w, 2)) ? "K" : "X";
			}
			if (next == 'k' || next == 'q')
				return "";
			return is_front(next) ? "S" : "K";
		case C_CEDILLA:
		case 'z':
			return "S";
		case 'd':
			return "D";
		case 'f':
			return "F";
		case 'g':
			return is_front(next) ? "J" : "G";
		case 'j':
			return "J";
		case 'k':
		case 'q':
			return "K";
		case 'l':
			if (next != 'l')
				return "L";
			*used = 2;
			return "Y";
		case 'm':
			return "M";
		case 'n':
			if (next == 'y' && is_vowel(letter(w, 2))) /* Catalan */
			{
				*used = 2;
				return "3";
			}
			return next == 'b' || next == 'v' || next == 'p' ? "M" : "N";
		case N_TILDE:
			return "3";
		case 'p':
			if (next == 'h')
			{
				*used = 2;
				return "F";
			}
			return before == 0 && next == 's' ? "" : "P";
		case 'r':
			return "R";
		case 's':
			if (next == 'h')
			{
				*used = 2;
				return "X";
			}
			if ((next == 'c' && is_front(letter(w, 2))) || next == 'z')
				*used = 2;
			return "S";
		case 't':
			return "T";
		case 'x':
			if (next == 'c' && is_front(letter(w, 2)))
			{
				*used = 2;
				return "S";
			}
			return before == 0 ? "J" : "KS"; /* Ximena, Jimena */
		case 'y':
			return is_vowel(next) ? "Y" : "";
	}
	return "";
}

/* Write the code of a word, of SOUND_MAX characters a letter at most; its length. */
uint32
sound_of_word(SoundLanguage language, const uint32 *word, uint32 n, char *code)
{
	Word w = {word, n, 0};
	uint32 len = 0;
	char last = '\0';

	/* silent at the beginning, where a vowel may stand behind it */
	if (n > 1 && word[0] == 'h')
	{
		w.c++;
		w.n--;
	}
	while (w.at < w.n)
	{
		uint32 used = 1;
		uint32 c = letter(&w, 0);
		const char *sound;

		CHECK_NOW_AND_THEN(w.at);
		if (w.at == 0 && is_vowel(c) &&
			!(c == 'y' && language == SOUND_SPANISH && is_vowel(letter(&w, 1))))
		{
			code[len++] = c == 'y' ? 'I' : c - 'a' + 'A';
			w.at++;
			continue;
		}
		sound = language == SOUND_SPANISH ? spanish(&w, &used) : portuguese(&w, &used);
		/* a letter that is written twice sounds once */
		if (*sound != '\0' && !(*sound == last && w.at > 0 && letter(&w, -1) == c))
			while (*sound != '\0')
				code[len++] = last = *sound++;
		else if (*sound == '\0' && is_vowel(c))
			last = '\0';
		w.at += used;
	}
	return len;
}

/* The same of all words of a text, with a blank between two codes. */
Size
sound_of_text(SoundLanguage language, const uint32 *text, uint32 n, char *code)
{
	Size len = 0;

	for (uint32 i = 0; i < n;)
	{
		uint32 begin = i;
		uint32 more;

		while (i < n && is_word_letter(text[i]))
		{
			CHECK_NOW_AND_THEN(i);
			i++;
		}
		/* room for the blank is that of what stands between */
		more = sound_of_word(language, text + begin, i - begin, code + len + (len > 0));
		if (more > 0)
		{
			if (len > 0)
				code[len++] = ' ';
			len += more;
		}
		CHECK_NOW_AND_THEN(i);
		i++;
	}
	return len;
}
