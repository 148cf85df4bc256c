/*
 * union_find: the benchmark's peer in plain C. Reads the binary COPY of a table
 * of edges (a bigint, b bigint) and prints the number of components, of nodes,
 * and the milliseconds that it took, reading not counted.
 *
 * What one writes by hand for it: union by size, path halving, a hash table from
 * ids to numbers made large enough at once, edges one by one; then every node's
 * component, by the smallest id in it, unsorted.
 */
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct
{
	int64_t id;
	uint32_t number;
} Slot;

static Slot *slots;
static uint64_t mask;
static uint32_t *parents, *sizes, n;
static int64_t *ids;

static void *
allocate(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p == NULL)
	{
		perror("union_find");
		exit(1);
	}
	return p;
}

static uint32_t
intern(int64_t id)
{
	uint64_t h = (uint64_t) id;

	h = (h ^ h >> 33) * 0xff51afd7ed558ccdULL;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	while (slots[h & mask].number != 0 && slots[h & mask].id != id)
		h++;
	if (slots[h & mask].number == 0)
	{
		slots[h & mask] = (Slot) {id, ++n};
		ids[n] = id;
		parents[n] = n;
		sizes[n] = 1;
	}
	return slots[h & mask].number;
}

static uint32_t
root_of(uint32_t x)
{
	while (parents[x] != x)
		x = parents[x] = parents[parents[x]];
	return x;
}

int
main(int argc, char **argv)
{
	FILE *f = argc > 2 ? fopen(argv[1], "rb") : NULL;
	size_t room = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	size_t edges = 0;
	int64_t *edge = allocate(2 * room + 1, sizeof(int64_t));
	int64_t *smallest;
	uint32_t components = 0;
	uint64_t check = 0;
	struct timespec began, ended;
	char head[19];
	struct
	{
		int16_t fields;
		int32_t a_length;
		int64_t a;
		int32_t b_length;
		int64_t b;
	} __attribute__((packed)) row;

	if (f == NULL || fread(head, sizeof(head), 1, f) != 1 || memcmp(head, "PGCOPY\n", 7) != 0)
	{
		fprintf(stderr, "usage: union_find file-of-binary-copy number-of-edges\n");
		return 1;
	}
	for (; edges < room && fread(&row, sizeof(row), 1, f) == 1; edges++)
	{
		edge[2 * edges] = be64toh(row.a);
		edge[2 * edges + 1] = be64toh(row.b);
	}

	clock_gettime(CLOCK_MONOTONIC, &began);
	for (mask = 1; mask < 2 * edges; mask *= 2)
		;
	slots = allocate(mask--, sizeof(Slot));
	ids = allocate(2 * edges + 1, sizeof(int64_t));
	parents = allocate(2 * edges + 1, sizeof(uint32_t));
	sizes = allocate(2 * edges + 1, sizeof(uint32_t));
	for (size_t i = 0; i < edges; i++)
	{
		uint32_t a = root_of(intern(edge[2 * i]));
		uint32_t b = root_of(intern(edge[2 * i + 1]));

		if (a == b)
			continue;
		if (sizes[a] < sizes[b])
		{
			parents[a] = b;
			sizes[b] += sizes[a];
		}
		else
		{
			parents[b] = a;
			sizes[a] += sizes[b];
		}
	}
	smallest = allocate(n + 1, sizeof(int64_t));
	for (uint32_t i = 1; i <= n; i++)
		smallest[i] = INT64_MAX;
	for (uint32_t i = 1; i <= n; i++)
		if (ids[i] < smallest[root_of(i)])
			smallest[root_of(i)] = ids[i];
	for (uint32_t i = 1; i <= n; i++)
	{
		components += parents[i] == i;
		check += smallest[root_of(i)];
	}
	clock_gettime(CLOCK_MONOTONIC, &ended);
	printf("%u %u %lld %.0f\n", components, n, (long long) check,
		   (ended.tv_sec - began.tv_sec) * 1e3 + (ended.tv_nsec - began.tv_nsec) / 1e6);
	return 0;
}
