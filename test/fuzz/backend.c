/*
 * backend.c
 *		A stand-in for the server: just what the algorithm layer calls.
 *
 * It is compiled against the server's headers, of PostgreSQL 15 to 18, and
 * linked in its place, so that the layer runs in a plain program. Every chunk
 * of memory is a malloc of its own and moves when it is resized, so that
 * AddressSanitizer sees each byte too far and each pointer kept too long; new
 * memory is filled with a pattern that changes, so that what is read before it
 * is written does not stay the same. ereport(ERROR) jumps to PG_exception_stack,
 * as in the server.
 */
#include "postgres.h"

#include <sanitizer/asan_interface.h>

#include "common/hashfn.h"
#include "common/unicode_norm.h"
#include "fuzz.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* port.h puts PostgreSQL's own in their place; AddressSanitizer knows libc's */
#undef vsnprintf
#undef vsprintf
#undef fprintf

/* --- memory --- */

/* Stands before each chunk, where nobody but the functions here may look. */
typedef struct Chunk
{
	struct Chunk *next;
	struct Chunk *prev;
	struct Context *cxt;
	size_t size;
} Chunk;

typedef struct Context
{
	NodeTag type;         /* the server's contexts begin with it */
	struct Context *next; /* of all contexts */
	struct Context *parent;
	Chunk chunks; /* head of a ring */
	MemoryContextCallback *callbacks;
} Context;

#define UNCHECKED __attribute__((no_sanitize("address")))
#define chunk_of(pointer) ((Chunk *) ((char *) (pointer) - sizeof(Chunk)))

StaticAssertDecl(sizeof(Chunk) % MAXIMUM_ALIGNOF == 0, "chunks are not aligned");

MemoryContext CurrentMemoryContext = NULL;

static Context *contexts = NULL;
static size_t allocated;
static size_t peak;
static uint8 pattern;
static int steps_to_failure;

/* Is it this step, a request for memory or a check for interrupts, that fails? */
static bool
step_fails(void)
{
	return steps_to_failure > 0 && --steps_to_failure == 0;
}

static UNCHECKED void *
allocate(MemoryContext cxt, size_t size, int flags)
{
	Context *c = (Context *) cxt;
	Chunk *chunk;

	if (!(flags & MCXT_ALLOC_HUGE ? AllocHugeSizeIsValid(size) : AllocSizeIsValid(size)))
		elog(ERROR, "invalid memory alloc request size %zu", size);
	chunk = step_fails() ? NULL : malloc(sizeof(Chunk) + size);
	if (chunk == NULL)
	{
		if (flags & MCXT_ALLOC_NO_OOM)
			return NULL;
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	chunk->size = size;
	chunk->cxt = c;
	chunk->prev = &c->chunks;
	chunk->next = c->chunks.next;
	chunk->next->prev = chunk->prev->next = chunk;
	allocated += size;
	peak = Max(peak, allocated);
	memset(chunk + 1, flags & MCXT_ALLOC_ZERO ? 0 : ++pattern, size);
	ASAN_POISON_MEMORY_REGION(chunk, sizeof(Chunk));
	return chunk + 1;
}

UNCHECKED void
pfree(void *pointer)
{
	Chunk *chunk = chunk_of(pointer);

	chunk->next->prev = chunk->prev;
	chunk->prev->next = chunk->next;
	allocated -= chunk->size;
	ASAN_UNPOISON_MEMORY_REGION(chunk, sizeof(Chunk));
	free(chunk);
}

static UNCHECKED void *
resize(void *pointer, size_t size, int flags)
{
	void *moved = allocate((MemoryContext) chunk_of(pointer)->cxt, size, flags);

	memcpy(moved, pointer, Min(size, chunk_of(pointer)->size));
	pfree(pointer);
	return moved;
}

void *
palloc(Size size)
{
	return allocate(CurrentMemoryContext, size, 0);
}

void *
palloc0(Size size)
{
	return allocate(CurrentMemoryContext, size, MCXT_ALLOC_ZERO);
}

void *
palloc_extended(Size size, int flags)
{
	return allocate(CurrentMemoryContext, size, flags);
}

void *
repalloc(void *pointer, Size size)
{
	return resize(pointer, size, 0);
}

void *
repalloc_huge(void *pointer, Size size)
{
	return resize(pointer, size, MCXT_ALLOC_HUGE);
}

void *
MemoryContextAlloc(MemoryContext cxt, Size size)
{
	return allocate(cxt, size, 0);
}

void *
MemoryContextAllocHuge(MemoryContext cxt, Size size)
{
	return allocate(cxt, size, 0);
}

void *
MemoryContextAllocZero(MemoryContext cxt, Size size)
{
	return allocate(cxt, size, MCXT_ALLOC_ZERO);
}

void *
MemoryContextAllocExtended(MemoryContext cxt, Size size, int flags)
{
	return allocate(cxt, size, flags);
}

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size min_size, Size init_size,
							  Size max_size)
{
	Context *c;

	if (step_fails() || (c = malloc(sizeof(Context))) == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	c->type = T_AllocSetContext;
	c->parent = (Context *) parent;
	c->chunks.next = c->chunks.prev = &c->chunks;
	c->callbacks = NULL;
	c->next = contexts;
	contexts = c;
	return (MemoryContext) c;
}

MemoryContext
MemoryContextGetParent(MemoryContext cxt)
{
	return (MemoryContext) ((Context *) cxt)->parent;
}

void
MemoryContextDelete(MemoryContext cxt)
{
	Context **place = &contexts;

	MemoryContextReset(cxt);
	while (*place != (Context *) cxt)
		place = &(*place)->next;
	*place = (*place)->next;
	free(cxt);
}

UNCHECKED void
MemoryContextReset(MemoryContext cxt)
{
	Context *c = contexts;

	while (c != NULL)
		if (c->parent == (Context *) cxt)
		{
			MemoryContextDelete((MemoryContext) c);
			c = contexts; /* the list has changed */
		}
		else
			c = c->next;
	c = (Context *) cxt;
	while (c->callbacks != NULL)
	{
		MemoryContextCallback *callback = c->callbacks;

		c->callbacks = callback->next;
		callback->func(callback->arg);
	}
	while (c->chunks.next != &c->chunks)
		pfree(c->chunks.next + 1);
}

void
MemoryContextRegisterResetCallback(MemoryContext cxt, MemoryContextCallback *callback)
{
	callback->next = ((Context *) cxt)->callbacks;
	((Context *) cxt)->callbacks = callback;
}

/* --- errors --- */

sigjmp_buf *PG_exception_stack = NULL;
ErrorContextCallback *error_context_stack = NULL;

static int last_sqlstate;
static char last_error[1024];

bool
errstart(int elevel, const char *domain)
{
	last_sqlstate = ERRCODE_INTERNAL_ERROR;
	last_error[0] = '\0';
	return elevel >= ERROR;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	if (PG_exception_stack == NULL)
		require_failed(last_error, filename, lineno);
	siglongjmp(*PG_exception_stack, 1);
}

int
errcode(int sqlerrcode)
{
	last_sqlstate = sqlerrcode;
	return 0;
}

/* All texts of an error are formatted, one behind the other. */
#define ERROR_TEXT(name)                                                                           \
	int name(const char *format, ...)                                                              \
	{                                                                                              \
		size_t len = strlen(last_error);                                                           \
		va_list args;                                                                              \
                                                                                                   \
		va_start(args, format);                                                                    \
		vsnprintf(last_error + len, sizeof(last_error) - len, format, args);                       \
		va_end(args);                                                                              \
		return 0;                                                                                  \
	}

ERROR_TEXT(errmsg)
ERROR_TEXT(errmsg_internal)
ERROR_TEXT(errdetail)
ERROR_TEXT(errdetail_internal)
ERROR_TEXT(errhint)

#if PG_VERSION_NUM >= 160000
void
ExceptionalCondition(const char *condition, const char *file, int line)
#else
void
ExceptionalCondition(const char *condition, const char *type, const char *file, int line)
#endif
{
	require_failed(condition, file, line);
}

/* Inputs are too short to nest deeply. */
void
check_stack_depth(void)
{
}

volatile sig_atomic_t InterruptPending = true;

void
ProcessInterrupts(void)
{
	if (step_fails())
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("canceling statement")));
}

/* The server's own sort, which the compiler of patterns calls. */
#undef qsort
void
pg_qsort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	qsort(base, n, size, compare);
}

/* --- texts --- */

static char *
format_text(const char *format, va_list args)
{
	va_list again;
	char *text;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	text = palloc(len + 1);
	vsnprintf(text, len + 1, format, again);
	va_end(again);
	return text;
}

char *
psprintf(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	return text;
}

int
pg_sprintf(char *text, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsprintf(text, format, args);
	va_end(args);
	return len;
}

char *
pstrdup(const char *in)
{
	return pnstrdup(in, strlen(in));
}

char *
pnstrdup(const char *text, Size most)
{
	size_t len = strnlen(text, most);
	char *copy = palloc(len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/* A StringInfo has exactly the memory it needs, while it is short. */
void
enlargeStringInfo(StringInfo s, int needed)
{
	needed += s->len + 1;
	if (needed <= s->maxlen)
		return;
	s->maxlen = needed < 1024 ? needed : 2 * needed;
	s->data = repalloc(s->data, s->maxlen);
}

void
initStringInfo(StringInfo s)
{
	s->data = palloc(1);
	s->maxlen = 1;
	resetStringInfo(s);
}

void
resetStringInfo(StringInfo s)
{
	s->data[0] = '\0';
	s->len = s->cursor = 0;
}

#if PG_VERSION_NUM >= 160000
void
appendBinaryStringInfo(StringInfo s, const void *data, int len)
#else
void
appendBinaryStringInfo(StringInfo s, const char *data, int len)
#endif
{
	enlargeStringInfo(s, len);
	memcpy(s->data + s->len, data, len);
	s->len += len;
	s->data[s->len] = '\0';
}

void
appendStringInfoChar(StringInfo s, char c)
{
	appendBinaryStringInfo(s, &c, 1);
}

void
appendStringInfoString(StringInfo s, const char *text)
{
	appendBinaryStringInfo(s, text, strlen(text));
}

void
appendStringInfo(StringInfo s, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	appendStringInfoString(s, text);
	pfree(text);
}

int
pg_snprintf(char *text, size_t size, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, size, format, args);
	va_end(args);
	return len;
}

unsigned char
pg_ascii_tolower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

unsigned char
pg_ascii_toupper(unsigned char c)
{
	return c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
}

int
pg_utf_mblen(const unsigned char *s)
{
	return *s < 0x80             ? 1
		   : (*s & 0xe0) == 0xc0 ? 2
		   : (*s & 0xf0) == 0xe0 ? 3
		   : (*s & 0xf8) == 0xf0 ? 4
								 : 1;
}

bool
pg_utf8_islegal(const unsigned char *s, int len)
{
	uint32 c = utf8_to_unicode(s);

	for (int i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return false;
	return len == 1 ? *s < 0x80
					: c >= (len == 2   ? 0x80
							: len == 3 ? 0x800
									   : 0x10000) &&
						  c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

#if PG_VERSION_NUM < 160000 /* inline since */
pg_wchar
utf8_to_unicode(const unsigned char *s)
{
	int len = pg_utf_mblen(s);
	pg_wchar c = len == 1 ? *s : *s & (0x7f >> len);

	for (int i = 1; i < len; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c;
}

unsigned char *
unicode_to_utf8(pg_wchar c, unsigned char *s)
{
	int len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (int i = len - 1; i > 0; i--, c >>= 6)
		s[i] = 0x80 | (c & 0x3f);
	s[0] = len == 1 ? c : (0xf00 >> len & 0xff) | c;
	return s;
}
#endif

/* Without the server's tables: as if the text were normal. */
pg_wchar *
unicode_normalize(UnicodeNormalizationForm form, const pg_wchar *input)
{
	size_t len = 0;
	pg_wchar *copy;

	while (input[len++] != 0)
		;
	copy = palloc(len * sizeof(pg_wchar));
	memcpy(copy, input, len * sizeof(pg_wchar));
	return copy;
}

int
pg_strncasecmp(const char *a, const char *b, size_t n)
{
	return strncasecmp(a, b, n);
}

/* The server's, for UTF-8. It looks at len bytes at most, whatever they are. */
int
pg_mbcliplen(const char *text, int len, int limit)
{
	int clipped = 0;

	while (clipped < len && text[clipped] != '\0')
	{
		uint8 byte = text[clipped];
		int more = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf8 ? 4 : 1;

		if (clipped + more > limit)
			break;
		clipped += more;
	}
	return clipped;
}

/* --- counting bits: pointers to functions where the server chooses at run time --- */

static int
count_ones(uint64 word)
{
	int ones = 0;

	for (; word != 0; word &= word - 1)
		ones++;
	return ones;
}

static int
popcount64(uint64 word)
{
	return count_ones(word);
}

static uint64
popcount_bytes(const char *bytes, int n)
{
	uint64 ones = 0;

	for (int i = 0; i < n; i++)
		ones += count_ones((uint8) bytes[i]);
	return ones;
}

#if defined(TRY_POPCNT_FAST) || defined(TRY_POPCNT_X86_64)
int (*pg_popcount64)(uint64 word) = popcount64;
#else
int
pg_popcount64(uint64 word)
{
	return popcount64(word);
}
#endif

#if PG_VERSION_NUM < 170000
uint64
pg_popcount(const char *bytes, int n)
{
	return popcount_bytes(bytes, n);
}
#elif defined(TRY_POPCNT_FAST) || defined(TRY_POPCNT_X86_64) ||                                    \
	defined(USE_SVE_POPCNT_WITH_RUNTIME_CHECK)
uint64 (*pg_popcount_optimized)(const char *bytes, int n) = popcount_bytes;
#else
uint64
pg_popcount_optimized(const char *bytes, int n)
{
	return popcount_bytes(bytes, n);
}
#endif

#define ONES2(n) (n), (n) + 1, (n) + 1, (n) + 2
#define ONES4(n) ONES2(n), ONES2((n) + 1), ONES2((n) + 1), ONES2((n) + 2)
#define ONES6(n) ONES4(n), ONES4((n) + 1), ONES4((n) + 1), ONES4((n) + 2)

const uint8 pg_number_of_ones[256] = {ONES6(0), ONES6(1), ONES6(1), ONES6(2)};

/* The worst there is, so that nothing may rest on hashes that differ. */
uint64
hash_bytes_extended(const unsigned char *bytes, int len, uint64 seed)
{
	return seed;
}

/* --- for the harnesses --- */

void
backend_reset(void)
{
	backend_fail_at(0);
	while (contexts != NULL)
		MemoryContextDelete((MemoryContext) contexts);
	require(allocated == 0);
	peak = pattern = 0;
	CurrentMemoryContext = AllocSetContextCreate(NULL, "input", ALLOCSET_DEFAULT_SIZES);
}

int
backend_run(void (*fn)(void *), void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	sigjmp_buf *outer = PG_exception_stack;
	sigjmp_buf here;
	volatile int sqlstate = 0;

	if (sigsetjmp(here, 0) == 0)
	{
		PG_exception_stack = &here;
		fn(arg);
	}
	else
		sqlstate = last_sqlstate;
	PG_exception_stack = outer;
	CurrentMemoryContext = cxt;
	return sqlstate;
}

const char *
backend_error(void)
{
	return last_error;
}

size_t
backend_peak(void)
{
	return peak;
}

void
backend_fail_at(int n)
{
	steps_to_failure = n;
}

void
require_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, condition);
	if (last_error[0] != '\0')
		fprintf(stderr, "last error: %s\n", last_error);
	abort();
}

const char *__asan_default_options(void);

/*
 * backend_reset frees all, and does so too soon for much to be worth remembering;
 * fake stacks would make each jump out of an error cost a millisecond.
 */
const char *
__asan_default_options(void)
{
	return "detect_leaks=0:quarantine_size_mb=16:malloc_context_size=8:"
		   "detect_stack_use_after_return=0";
}
