/*
 * fuzz.h
 *		What the fuzz harnesses share.
 *
 * A harness is one of fuzz_*.c. It is linked with the algorithm layer of src/,
 * with backend.c, which stands in for the server, with common.c, and with
 * either libFuzzer or driver.c, which bring main(). The Makefile says how.
 */
#ifndef PGJ_FUZZ_H
#define PGJ_FUZZ_H

#include "journey/builder.h"

/* --- the harness --- */

/*
 * Put one input to the test. True if it made a sound journey: what that means
 * depends on the harness. An error it lets through is a failure.
 */
extern bool fuzz_input(const uint8 *data, size_t len);

/* Pieces of text that driver.c puts into inputs now and then; NULL at the end. */
extern const char *const fuzz_tokens[];

/* What fuzz_input said of the last input. */
extern bool fuzz_accepted;

/* libFuzzer's names. A harness may have the second, to be called once at the start. */
extern int LLVMFuzzerTestOneInput(const uint8 *data, size_t len);
extern int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

#define require(condition)                                                                         \
	do                                                                                             \
	{                                                                                              \
		if (!(condition))                                                                          \
			require_failed(#condition, __FILE__, __LINE__);                                        \
	} while (0)

extern void require_failed(const char *condition, const char *file, int line)
	__attribute__((noreturn));

/* --- backend.c --- */

/* Forget all memory and settings of the input before. */
extern void backend_reset(void);

/* Call fn(arg). 0, or the SQLSTATE of the error it raised. */
extern int backend_run(void (*fn)(void *), void *arg);

/* Text of the last error. */
extern const char *backend_error(void);

/* Most bytes that were allocated at one time since the last reset. */
extern size_t backend_peak(void);

/* Let the n-th request for memory or check for interrupts raise; 0 = none. */
extern void backend_fail_at(int n);

/* --- common.c --- */

/* A copy of exactly this size, so that a read behind its end is found. */
extern void *exact_copy(const void *data, size_t len);

/* As in journey_in and touchpoint_in; the packed value, NULL if it is no such text. */
extern struct varlena *scan_text(const char *text, size_t len);

extern void print_text(StringInfo out, const JourneyView *v);

/* Open a packed value. */
extern void open_packed(JourneyView *v, const struct varlena *packed);
extern bool same_packed(const struct varlena *a, const struct varlena *b);
extern bool same_touch(const Touch *a, const Touch *b);

/* A journey that is sound must survive all these. */
extern void check_sound(const struct varlena *packed);

/*
 * Compare what starts at and jumps to any touchpoint yields with all touches,
 * of which the first n were read one after the other.
 */
extern void check_starts(const JourneyView *v, const Touch *touches, uint32 n);
extern void check_seeks(const EliasFano *ef);
extern void check_searches(const JourneyView *v, const Touch *touches);

#endif /* PGJ_FUZZ_H */
