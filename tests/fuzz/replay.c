/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target over its corpus (files or folders named as arguments) with any compiler, each input in
 * a buffer that ends at an unmapped page. Also tries every prefix of small inputs and a few thousand
 * seeded mutations, so that a corpus file guards its neighbourhood too. Output is TAP.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { INPUT_BYTES_MAX = 1 << 22, PREFIX_BYTES_MAX = 2048, MUTATIONS = 200 };

static uint8_t *guarded; /* INPUT_BYTES_MAX bytes, then an unmapped page */
static unsigned case_count;

static void run_at_guard(const uint8_t *data, size_t bytes)
{
	uint8_t *at = guarded + INPUT_BYTES_MAX - bytes;
	memmove(at, data, bytes);
	LLVMFuzzerTestOneInput(at, bytes);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void run_mutations(const uint8_t *data, size_t bytes)
{
	uint64_t state = 0x9e3779b97f4a7c15 ^ bytes;
	uint8_t *copy = malloc(bytes + 1);
	for (int i = 0; bytes && i < MUTATIONS; i++) {
		memcpy(copy, data, bytes);
		for (uint64_t n = 1 + next_random(&state) % 4; n; n--) {
			uint64_t r = next_random(&state);
			uint8_t *at = &copy[(r >> 16) % bytes];
			uint64_t byte = (r & 256) ? r : *at ^ (UINT64_C(1) << (r & 7));
			*at = (uint8_t)byte;
		}
		run_at_guard(copy, bytes);
	}
	free(copy);
}

static void run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(1);
	}
	uint8_t *data = malloc(INPUT_BYTES_MAX);
	size_t bytes = fread(data, 1, INPUT_BYTES_MAX, file);
	fclose(file);
	run_at_guard(data, bytes);
	for (size_t prefix = 0; bytes <= PREFIX_BYTES_MAX && prefix < bytes; prefix++)
		run_at_guard(data, prefix);
	if (bytes <= 65536)
		run_mutations(data, bytes);
	free(data);
	printf("ok %u - %s\n", ++case_count, path);
}

static void run_path(const char *path)
{
	struct stat status;
	if (stat(path, &status) < 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISDIR(status.st_mode)) {
		run_file(path);
		return;
	}
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char name[4096];
		snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			run_file(name);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	guarded = mmap(NULL, INPUT_BYTES_MAX + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	mprotect(guarded + INPUT_BYTES_MAX, page, PROT_NONE);
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("1..%u\n", case_count);
	return case_count == 0;
}
