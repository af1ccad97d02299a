/* SPDX-License-Identifier: Apache-2.0
 *
 * What the differential tests of the room control share: random numbers that are the same each time, broken
 * lines, and running once more with each of simdjson's implementations.
 */
#ifndef DIFF_CONTROL_SCENE_H
#define DIFF_CONTROL_SCENE_H

#include <sys/wait.h>
#include <unistd.h>

#include "control/control.h"
#include "test.h"

enum { LINE_BYTES_MAX = 8192 };

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t below(uint64_t *state, size_t count)
{
	return (size_t)((next_random(state) >> 20) % count);
}

/* Bytes that JSON reacts to, put where they hurt; also cuts and doubled pieces. */
static size_t mutate(uint8_t *line, size_t bytes, uint64_t *state)
{
	static const char spice[] =
		"{}[]:,\"\\ \t\r\n0123456789.-+eEutfnrl\xc2\x80\xed\xa0\xf4\xff\x01\x7f/aA";
	for (size_t n = 1 + below(state, 3); n && bytes; n--) {
		size_t at = below(state, bytes), count = 1 + below(state, 8);
		switch (below(state, 5)) {
		case 0:
			line[at] = (uint8_t)spice[below(state, sizeof spice)]; /* its final NUL included */
			break;
		case 1:
			line[at] ^= (uint8_t)(1u << below(state, 8));
			break;
		case 2: /* delete */
			count = count < bytes - at ? count : bytes - at;
			memmove(line + at, line + at + count, bytes - at - count);
			bytes -= count;
			break;
		case 3: /* insert */
			if (bytes == LINE_BYTES_MAX)
				break;
			memmove(line + at + 1, line + at, bytes - at);
			line[at] = (uint8_t)spice[below(state, sizeof spice - 1)];
			bytes++;
			break;
		default: /* double */
			count = count < bytes - at ? count : bytes - at;
			if (bytes + count > LINE_BYTES_MAX)
				break;
			memmove(line + at + count, line + at, bytes - at);
			bytes += count;
		}
	}
	return bytes;
}

/* Runs the tests whose names contain `only` in a child for each. */
static void run_each_implementation(const char *only)
{
	struct {
		const char *name;
		int runs_here;
	} implementations[] = {
		{ "fallback", 1 },
#if defined(__x86_64__)
		{ "westmere", __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") },
		{ "haswell", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") },
		{ "icelake", __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw") },
#endif
	};
	char self[4096] = { 0 };
	GT(readlink("/proc/self/exe", self, sizeof self - 1), 0);
	for (size_t i = 0; i < sizeof implementations / sizeof *implementations; i++) {
		if (!implementations[i].runs_here)
			continue;
		fflush(stdout);
		pid_t child = fork();
		GE(child, 0);
		if (child == 0) {
			setenv("SIMDJSON_FORCE_IMPLEMENTATION", implementations[i].name, 1);
			setenv("CONTROL_DIFF_IMPLEMENTATION", implementations[i].name, 1);
			dup2(2, 1); /* its TAP is not ours */
			execl(self, self, only, (char *)NULL);
			_exit(127);
		}
		int status = 0;
		EQ(waitpid(child, &status, 0), child);
		printf("# %s: %d\n", implementations[i].name, status);
		EQ(status, 0);
	}
}

/* In those children: whether simdjson has obeyed. */
static void expect_forced_implementation(void)
{
	const char *forced = getenv("CONTROL_DIFF_IMPLEMENTATION");
	if (!forced)
		SKIP("no implementation is forced here");
	EQ_TEXT(control_implementation_name(), forced);
}

#endif
