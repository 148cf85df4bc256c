/*
 * driver.c
 *		Runs a harness without libFuzzer: DRIVER COUNT CRASH FILE...
 *
 * First the files: those called good* must be accepted and those called bad*
 * must not, so that the packed ones pin the format; good-little* are states that
 * no other machine gets, and in this byte order. Then COUNT more inputs that
 * are made of them, always the same ones: bits flipped, stretches cut, repeated
 * and taken from other files, tokens put in. The input during which the program
 * dies, or which takes longer than INPUT_SECONDS, is printed in hex and written to
 * the file CRASH; "DRIVER 0 CRASH CRASH" runs it again.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <unistd.h>

#include "compat.h"
#include "fuzz.h"

#undef printf
#undef fprintf

#define FILES_MAX 1024
#define INPUT_MAX 4096
#define INPUT_SECONDS 30

typedef struct File
{
	uint8 data[INPUT_MAX];
	size_t len;
} File;

static File files[FILES_MAX];
static int nfiles;
static File input;
static const char *crash;

/* Works also where the process is dying. */
static void
write_input(void)
{
	int fd = open(crash, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd < 0 || write(fd, input.data, input.len) != (ssize_t) input.len)
		_exit(2);
	close(fd);
	fprintf(stderr, "the input, %zu bytes, is in %s:\n", input.len, crash);
	for (size_t i = 0; i < Min(input.len, 512); i++)
		fprintf(stderr, "%02x", input.data[i]);
	fprintf(stderr, "\n");
}

static void
die_of_signal(int signal_number)
{
	if (signal_number == SIGALRM)
		fprintf(stderr, "an input takes longer than %d seconds\n", INPUT_SECONDS);
	write_input();
	_exit(1);
}

static void
run_input(void)
{
	/* in memory of exactly this size */
	uint8 *data = malloc(input.len);

	memcpy(data, input.data, input.len);
	alarm(INPUT_SECONDS);
	LLVMFuzzerTestOneInput(data, input.len);
	alarm(0);
	free(data);
}

static void
run_file(const char *name)
{
	FILE *f = fopen(name, "rb");
	const char *base = strrchr(name, '/');
	bool good;

	base = base ? base + 1 : name;
	if (f == NULL || nfiles == FILES_MAX)
	{
		perror(name);
		exit(1);
	}
	input.len = fread(input.data, 1, INPUT_MAX, f);
	fclose(f);
	files[nfiles++] = input;
	run_input();
	good = strncmp(base, "good", 4) == 0;
#ifdef WORDS_BIGENDIAN
	good = good && strncmp(base, "good-little", 11) != 0;
#endif
	if ((good && !fuzz_accepted) ||
		(strncmp(base, "bad", 3) == 0 && fuzz_accepted))
	{
		fprintf(stderr, "%s was %saccepted\n", name, fuzz_accepted ? "" : "not ");
		exit(1);
	}
}

/* --- mutations --- */

static uint64 random_state;

static size_t
below(size_t n)
{
	random_state =
		random_state * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
	return n == 0 ? 0 : (random_state >> 33) % n;
}

/* Replace cut bytes at a place by others. */
static void
replace(size_t at, size_t cut, const uint8 *bytes, size_t len)
{
	File result;

	len = Min(len, INPUT_MAX - (input.len - cut));
	memcpy(result.data, input.data, at);
	memcpy(result.data + at, bytes, len);
	memcpy(result.data + at + len, input.data + at + cut, input.len - at - cut);
	result.len = input.len - cut + len;
	input = result;
}

static void
mutate(void)
{
	size_t at = below(input.len + 1);
	size_t rest = input.len - at;
	uint8 byte = below(256);
	const File *other = &files[below(nfiles)];
	size_t from = below(other->len);
	int tokens = 0;

	while (fuzz_tokens[tokens] != NULL)
		tokens++;
	switch (below(9))
	{
		case 0:
			replace(at, 0, &byte, 1);
			break;
		case 1:
			replace(at, below(Min(rest, 8) + 1), &byte, 0);
			break;
		case 2:
			replace(at, below(rest + 1), input.data + below(at + 1), below(16));
			break;
		case 3:
			replace(at, below(2) * rest, other->data + from, below(other->len - from + 1));
			break;
		case 4:
		{
			const char *token = fuzz_tokens[below(tokens)];

			replace(at, below(Min(rest, 2) + 1), (const uint8 *) token, strlen(token));
			break;
		}
		case 5:
			if (rest > 0)
				input.data[at] += below(2) ? 1 : -1;
			break;
		case 6:
			if (rest > 0)
				input.data[at] = byte;
			break;
		default:
			if (rest > 0)
				input.data[at] ^= 1 << below(8);
	}
}

#ifndef __SANITIZE_ADDRESS__ /* SANITIZE= */
void
__sanitizer_set_death_callback(void (*callback)(void))
{
}

extern size_t __sanitizer_get_current_allocated_bytes(void);
size_t
__sanitizer_get_current_allocated_bytes(void)
{
	return 0;
}
#endif

int
main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[1]) : 0;

	if (argc < 4)
	{
		fprintf(stderr, "usage: %s COUNT CRASH FILE...\n", argv[0]);
		return 2;
	}
	crash = argv[2];
	__sanitizer_set_death_callback(write_input);
	signal(SIGABRT, die_of_signal);
	signal(SIGALRM, die_of_signal);
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 3; i < argc; i++)
		run_file(argv[i]);
	for (int i = 0; i < count; i++)
	{
		random_state = i;
		below(1);
		input = files[below(nfiles)];
		for (int steps = below(6); steps >= 0; steps--)
			mutate();
		run_input();
	}
	printf("%d\n", argc - 3 + count);
	return 0;
}
