/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate: decodes gzip files with the collector's own decoder: to standard output (inflate_command.c), only
 * to see whether they are whole (-check), or from memory again and again with every engine (-bench,
 * inflate_bench.c). What its files share is internal to cli.
 */
#ifndef CLI_INFLATE_COMMAND_H
#define CLI_INFLATE_COMMAND_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "inflate/inflate.h"

/* Returns the exit status: 0 all files are whole, 1 one is not, or cannot be read or written, 2 wrong usage.
 */
int inflate_command(int argc, char **argv);

/* ---- -inflate, here and for a run */

#define INFLATE_CHOICES "auto|own|own-c|isal|libdeflate"
enum inflate_engine inflate_choice(int choice);

/* ---- what became of one file */

struct inflate_result {
	const char *name;	/* as given, or "standard input" */
	const char *engine;	/* its name */
	int error;		/* errno of what could not be read, or 0 */
	enum fault fault;	/* FAULT_NONE: whole and proven */
	uint64_t gzip_bytes;	/* read; after a fault maybe not all there are */
	uint64_t plain_bytes;	/* that came out */
	uint64_t members;	/* that were whole */
	uint64_t offset_bytes;	/* with a fault: where */
	uint8_t first_bytes[6]; /* of the file, and how many there are */
	size_t first_count;
};

/* These bytes of it are the next ones. */
void inflate_result_read(struct inflate_result *result, struct span gzip);
/* At the end: what a decoder says of it. */
void inflate_result_take(struct inflate_result *result, struct inflate *inflate);

/* ---- decoding in pieces, as the collector does it */

/* Room for plain bytes, behind the history that a decoder copies from. */
#define INFLATE_WINDOW_BYTES ((size_t)262144)
/* As much as a worker has at a time. */
#define INFLATE_READ_BYTES ((size_t)65536)

struct inflate_window {
	uint8_t *history; /* INFLATE_HISTORY_BYTES, then the room */
	struct cursor_out out;
};

/* Address space that inflate_window_open() takes, with what alignment may cost. */
#define INFLATE_WINDOW_ARENA_BYTES (INFLATE_HISTORY_BYTES + INFLATE_WINDOW_BYTES + 4096)
void inflate_window_open(struct inflate_window *window, struct arena *arena);
/* For a new stream. */
void inflate_window_begin(struct inflate_window *window);
/* When little room is left: moves the history to the front. What is in the room must have been read by then.
 */
void inflate_window_make_room(struct inflate_window *window);

/* ---- -bench: inflate_bench.c */

#define INFLATE_ROUNDS_MAX 99 /* more would not change a median that noise has not changed by then */
/* Seven times as many events as the largest page; a larger file would measure the same, only longer. */
#define INFLATE_BENCH_BYTES_MAX ((size_t)1 << 30)
#define INFLATE_CONTENDERS_MAX 8 /* engines, each with one stream or two */

struct inflate_contender {
	const char *engine;
	unsigned streams; /* in one loop */
	double megabytes_per_second, low,
		high;		/* of plain bytes: the median of the rounds, and their range */
	double ratio;		/* to isal: the median of the rounds' ratios */
	double cycles_per_byte; /* 0: not known */
};

struct inflate_bench {
	struct inflate_result file;
	unsigned rounds;
	int is_too_large; /* for libdeflate, which holds all of a file */
	size_t count;
	struct inflate_contender contenders[INFLATE_CONTENDERS_MAX];
};

/* Decodes `gzip` with every engine, or only with `choice` and isal, and fills `bench` (`file.name` and
 * `rounds` are given). 0; -1 when it is not whole, which `file` says, or errno when there is no memory. */
int inflate_bench(struct span gzip, enum inflate_engine choice, struct inflate_bench *bench);

/* ---- inflate_text.c */

/* What a person can do about the fault. */
const char *inflate_advice(const struct inflate_result *result);
void inflate_say_unreadable(const struct inflate_result *result);
/* The sentence about damage, without the file's name. */
void inflate_fault_write(const struct inflate_result *result, FILE *out);
/* The line of -check. */
void inflate_result_print(const struct inflate_result *result);
void inflate_bench_print(const struct inflate_bench *bench);

/* ---- inflate_json.c: documents on the heap */

char *inflate_results_json(const struct inflate_result *results, size_t count);
char *inflate_benches_json(const struct inflate_bench *benches, size_t count);

#endif
