/*
 * letters.h
 *		Texts as code points, and what comparing them needs: room, and a map of letters.
 *
 * This is the algorithm layer: no fmgr, no catalogs. Texts come in UTF-8; a byte that
 * breaks it, as a database without an encoding may hold, is a letter of its own.
 *
 * All room is in a MatchWork, which a call site keeps from call to call, so that in the
 * steady state nothing is allocated. It grows linearly with the longest text, and what has
 * become large is given back after the call.
 */
#ifndef PGJ_LETTERS_H
#define PGJ_LETTERS_H

/* A byte that is no part of a letter in UTF-8 */
#define LETTER_OF_BYTE(byte) (0x110000 | (byte))
#define LETTER_END 0x110100

/* How letters are read. */
typedef enum LetterForm
{
	LETTERS_AS_THEY_ARE,
	LETTERS_UNACCENTED,
	LETTERS_FOLDED, /* without accents, and small */
	LETTERS_SOUNDS  /* the same, but for the c with a cedilla and the n with a tilde */
} LetterForm;

typedef struct Letters
{
	uint32 *c;
	uint32 n;
	Size room;
} Letters;

/* What is known of each letter, 64 bits that are 0 at first: pages of 256 letters, the first one here. */
typedef struct LetterMap
{
	uint64 latin[256];
	uint16 index[LETTER_END >> 8]; /* 0: no letter of that page has anything */
	uint64 (*pages)[256];          /* the first stays empty */
	uint32 npages;
	uint32 room;
	bool in_use;
} LetterMap;

/* Rooms for what the comparators keep beside the letters. */
#define WORK_ROOMS 2

typedef struct MatchWork
{
	MemoryContext cxt;
	Letters a;
	Letters b;
	Letters a_sounds;
	Letters b_sounds;
	LetterMap map;
	void *room[WORK_ROOMS];
	Size room_size[WORK_ROOMS];
	Size size; /* of all together, but for the map's first pages */
} MatchWork;

extern void work_init(MatchWork *w, MemoryContext cxt);
extern void *work_room(MatchWork *w, int which, Size size);
extern void work_free(MatchWork *w);

/* More is given back after a call. */
#define WORK_SIZE_KEPT (256 * 1024)

static inline void
work_end(MatchWork *w)
{
	if (w->size > WORK_SIZE_KEPT)
		work_free(w);
}

extern void letters_read(MatchWork *w, Letters *letters, const char *text, Size len,
						 LetterForm form);
extern Size letters_write(const uint32 *c, uint32 n, char *text);
extern bool is_word_letter(uint32 c);

/* --- the map --- */

extern void map_begin(LetterMap *map);
extern uint64 *map_new_page(MatchWork *w, uint32 c);

static inline uint64
map_get(const LetterMap *map, uint32 c)
{
	return c < 256 ? map->latin[c] : map->pages[map->index[c >> 8]][c & 0xff];
}

/* Where to put what is known of a letter. */
static inline uint64 *
map_place(MatchWork *w, uint32 c)
{
	LetterMap *map = &w->map;

	if (c < 256)
		return &map->latin[c];
	if (map->index[c >> 8] == 0)
		return map_new_page(w, c);
	return &map->pages[map->index[c >> 8]][c & 0xff];
}

/* Empty the map of these, which are all that is in it. */
static inline void
map_end(LetterMap *map, const uint32 *c, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
		if (c[i] < 256)
			map->latin[c[i]] = 0;
		else if (map->index[c[i] >> 8] != 0)
			map->pages[map->index[c[i] >> 8]][c[i] & 0xff] = 0;
	map->in_use = false;
}

/* What takes long can be cancelled. */
#define CHECK_NOW_AND_THEN(i)                                                                      \
	do                                                                                             \
	{                                                                                              \
		if (((i) &0xfff) == 0xfff)                                                                 \
			CHECK_FOR_INTERRUPTS();                                                                \
	} while (0)

#endif /* PGJ_LETTERS_H */
