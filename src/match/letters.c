/*
 * letters.c
 *		Texts as code points, without accents, in small letters.
 *
 * What is left of a letter is read from letter_table.h in two steps, page and letter.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/normalize.h"
#include "match/letters.h"
#include "match/letter_table.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MAP_ROOM_KEPT 16

/* --- room --- */

void
work_init(MatchWork *w, MemoryContext cxt)
{
	memset(w, 0, sizeof(MatchWork));
	w->cxt = cxt;
	w->map.room = MAP_ROOM_KEPT;
	w->map.npages = 1;
	w->map.pages = MemoryContextAllocZero(cxt, w->map.room * sizeof(*w->map.pages));
}

static void *
work_grow(MatchWork *w, void *room, Size *old_size, Size size)
{
	Size larger = Max(size, 512);

	/* half as much again, so that slowly growing texts don't move it each time */
	if (*old_size > 0)
		larger = Max(larger, *old_size + *old_size / 2);
	larger = Min(larger, Max(size, MaxAllocHugeSize));
	if (room != NULL)
		pfree(room);
	w->size -= *old_size;
	*old_size = 0;
	room = MemoryContextAllocHuge(w->cxt, larger);
	w->size += *old_size = larger;
	return room;
}

/* Room of a size; what was in it is lost. */
void *
work_room(MatchWork *w, int which, Size size)
{
	if (size > w->room_size[which])
	{
		void *room = w->room[which];

		w->room[which] = NULL; /* in case there is no memory */
		w->room[which] = work_grow(w, room, &w->room_size[which], size);
	}
	return w->room[which];
}

static void
letters_room(MatchWork *w, Letters *letters, Size n)
{
	if (n * sizeof(uint32) > letters->room)
	{
		void *room = letters->c;

		letters->c = NULL;
		letters->c = work_grow(w, room, &letters->room, n * sizeof(uint32));
	}
}

static void
letters_free(Letters *letters)
{
	if (letters->c != NULL)
		pfree(letters->c);
	memset(letters, 0, sizeof(Letters));
}

/* Give back all that has grown. */
void
work_free(MatchWork *w)
{
	letters_free(&w->a);
	letters_free(&w->b);
	letters_free(&w->a_sounds);
	letters_free(&w->b_sounds);
	for (int i = 0; i < WORK_ROOMS; i++)
	{
		if (w->room[i] != NULL)
			pfree(w->room[i]);
		w->room[i] = NULL;
		w->room_size[i] = 0;
	}
	if (w->map.room > MAP_ROOM_KEPT)
	{
		void *pages = w->map.pages;

		w->map.pages = MemoryContextAllocZero(w->cxt, MAP_ROOM_KEPT * sizeof(*w->map.pages));
		w->map.room = MAP_ROOM_KEPT;
		w->map.npages = 1;
		memset(w->map.index, 0, sizeof(w->map.index));
		pfree(pages);
	}
	w->size = 0;
}

/* --- the map --- */

void
map_begin(LetterMap *map)
{
	/* an error came between, and was caught */
	if (unlikely(map->in_use))
	{
		memset(map->latin, 0, sizeof(map->latin));
		memset(map->pages, 0, map->npages * sizeof(*map->pages));
	}
	map->in_use = true;
}

uint64 *
map_new_page(MatchWork *w, uint32 c)
{
	LetterMap *map = &w->map;

	if (map->npages == map->room)
	{
		map->pages = repalloc_huge(map->pages, 2 * map->room * sizeof(*map->pages));
		w->size += map->room * sizeof(*map->pages);
		map->room *= 2;
	}
	memset(map->pages[map->npages], 0, sizeof(*map->pages));
	map->index[c >> 8] = map->npages++;
	return &map->pages[map->index[c >> 8]][c & 0xff];
}

/* --- reading --- */

/* The letter at *p, before end, and on to the next. */
static inline uint32
next_letter(const uint8 **p, const uint8 *end)
{
	const uint8 *s = *p;
	uint32 c = *s;

	if (c < 0x80)
	{
		*p = s + 1;
		return c;
	}
	if (c >= 0xc2 && c < 0xe0 && end - s >= 2 && (s[1] & 0xc0) == 0x80)
	{
		*p = s + 2;
		return (c & 0x1f) << 6 | (s[1] & 0x3f);
	}
	if (c >= 0xe0 && c < 0xf0 && end - s >= 3 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80)
	{
		uint32 letter = (c & 0x0f) << 12 | (s[1] & 0x3f) << 6 | (s[2] & 0x3f);

		if (letter >= 0x800 && (letter < 0xd800 || letter > 0xdfff))
		{
			*p = s + 3;
			return letter;
		}
	}
	else if (c >= 0xf0 && c < 0xf5 && end - s >= 4 && (s[1] & 0xc0) == 0x80 &&
			 (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80)
	{
		uint32 letter = (c & 0x07) << 18 | (s[1] & 0x3f) << 12 | (s[2] & 0x3f) << 6 | (s[3] & 0x3f);

		if (letter >= 0x10000 && letter < 0x110000)
		{
			*p = s + 4;
			return letter;
		}
	}
	*p = s + 1;
	return LETTER_OF_BYTE(c);
}

/* Put what is left of a letter behind to; where it ends. */
static uint32 *
put_plain(uint32 *to, const uint32 *begin, uint32 c, LetterForm form)
{
	const uint8 *index = form == LETTERS_UNACCENTED ? unaccented_index : folded_index;
	uint32 code;

	if (form == LETTERS_SOUNDS)
	{
		if (c == 0xc7 || c == 0xe7)
			c = 0xe7;
		else if (c == 0xd1 || c == 0xf1)
			c = 0xf1;
		else if (c == 0x327 && to > begin && to[-1] == 'c')
			to[-1] = 0xe7;
		else if (c == 0x303 && to > begin && to[-1] == 'n')
			to[-1] = 0xf1;
		if (c == 0xe7 || c == 0xf1)
		{
			*to++ = c;
			return to;
		}
	}
	code = c < LETTER_TABLE_END ? letter_pages[index[c >> 6]][c & 0x3f] : 0;
	if (code == 0)
		*to++ = c;
	else if (code >= LETTER_STRINGS && code < LETTER_STRINGS_END)
		for (uint32 i = 1; i <= letter_strings[code - LETTER_STRINGS]; i++)
			*to++ = letter_strings[code - LETTER_STRINGS + i];
	else if (code != LETTER_DROPPED)
		*to++ = code;
	return to;
}

void
letters_read(MatchWork *w, Letters *letters, const char *text, Size len, LetterForm form)
{
	const uint8 *p = (const uint8 *) text;
	const uint8 *end = p + len;
	uint32 *to;

	letters_room(w, letters, len);
	to = letters->c;
	while (p < end)
	{
		const uint8 *stop = end - p > 65536 ? p + 65536 : end;

		CHECK_FOR_INTERRUPTS();
		while (p < stop)
		{
			if (*p < 0x80)
			{
				uint32 c = *p++;

				if (form >= LETTERS_FOLDED && c >= 'A' && c <= 'Z')
					c += 'a' - 'A';
				*to++ = c;
			}
			else
			{
				uint32 c = next_letter(&p, end);

				if (form == LETTERS_AS_THEY_ARE)
					*to++ = c;
				else
					to = put_plain(to, letters->c, c, form);
			}
		}
	}
	letters->n = to - letters->c;
}

/* Write letters in UTF-8, at most four bytes each; how many. */
Size
letters_write(const uint32 *c, uint32 n, char *text)
{
	char *to = text;

	for (uint32 i = 0; i < n; i++)
	{
		uint32 x = c[i];

		CHECK_NOW_AND_THEN(i);
		if (x < 0x80 || x >= 0x110000)
			*to++ = x & 0xff;
		else if (x < 0x800)
		{
			*to++ = 0xc0 | x >> 6;
			*to++ = 0x80 | (x & 0x3f);
		}
		else if (x < 0x10000)
		{
			*to++ = 0xe0 | x >> 12;
			*to++ = 0x80 | (x >> 6 & 0x3f);
			*to++ = 0x80 | (x & 0x3f);
		}
		else
		{
			*to++ = 0xf0 | x >> 18;
			*to++ = 0x80 | (x >> 12 & 0x3f);
			*to++ = 0x80 | (x >> 6 & 0x3f);
			*to++ = 0x80 | (x & 0x3f);
		}
	}
	return to - text;
}

/* Letters and digits of words: all outside ASCII but for blanks and what is punctuation in most scripts. */
bool
is_word_letter(uint32 c)
{
	if (c < 0x80)
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
	return !is_plain_blank(c) && !(c < 0xc0 && c != 0xaa && c != 0xb5 && c != 0xba) && c != 0xd7 &&
		   c != 0xf7 && !(c >= 0x2000 && c < 0x2070) && !(c >= 0x3000 && c < 0x3004) &&
		   !(c >= 0x3008 && c < 0x3020);
}
