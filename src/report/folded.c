/* SPDX-License-Identifier: Apache-2.0
 *
 * Folded stacks: one line a stack, "root;...;leaf value". What flamegraph.pl, inferno and speedscope read.
 */
#include "report/frames.h"
#include "report/report.h"

/* The format has no escapes: ';' parts frames and the last blank parts the value, so a name may keep its
 * blanks but neither semicolons nor line ends. */
static void write_name(FILE *out, const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;
		fputc(c == ';' ? ':' : c < 0x20 || c == 0x7f ? '_' : c, out);
	}
}

int folded_write(const struct pprof *profile, int value_index, FILE *out)
{
	struct frames *frames = frames_create(profile);
	uint32_t numbers[FRAMES_DEPTH_MAX];
	for (size_t i = 0; value_index >= 0 && i < profile->sample_count; i++) {
		const struct pprof_sample *sample = &profile->samples[i];
		if (sample->values[value_index] <= 0)
			continue;
		size_t count = frames_of_sample(frames, sample, numbers);
		for (size_t k = 0; k < count; k++) {
			if (k)
				fputc(';', out);
			write_name(out, frames->frames[numbers[k]].name);
		}
		if (!count)
			fputs("(no stack)", out);
		fprintf(out, " %lld\n", (long long)sample->values[value_index]);
	}
	frames_destroy(frames);
	return ferror(out) ? -1 : 0;
}
