/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of inflate_bench: data that is worth decoding (corpus.c), gzip streams made of it (input.c), who
 * decodes them (ours.c, libraries.c), measuring (main.c), and tables (table.c).
 */
#ifndef PERF_INFLATE_BENCH_H
#define PERF_INFLATE_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct rig;

enum {
	ROUNDS_MAX = 31,
	CONTENDERS_MAX = 48,
	COLUMNS_MAX = 4,
	NAME_BYTES_MAX = 64,
	ORIGIN_BYTES_MAX = 128,
	STREAM_IN_KILOBYTES = 64,  /* what decoders that stream get at a time */
	STREAM_OUT_KILOBYTES = 256 /* and the room for what comes out */
};
/* No number of line ends: the contender failed. */
#define NEWLINES_WRONG SIZE_MAX

/* ---- corpus.c */

struct corpus {
	char name[NAME_BYTES_MAX];
	char origin[ORIGIN_BYTES_MAX]; /* where the bytes come from, for people */
	uint8_t *plain;
	size_t plain_bytes;
};

enum corpus_kind { CORPUS_EVENTS_FULL, CORPUS_EVENTS_LEAN, CORPUS_TEXT, CORPUS_BINARY, CORPUS_KINDS };

/* At most so many bytes. Nothing at all when this host lacks it: plain_bytes is 0. */
void corpus_make(struct corpus *corpus, enum corpus_kind kind, size_t plain_bytes_max);
void corpus_finish(struct corpus *corpus);

/* ---- input.c */

struct stream {
	const uint8_t *gzip;
	size_t gzip_bytes;
	size_t plain_bytes;
};

/* What one run of a contender decodes: gzip streams of one member each, which know nothing of each other. */
struct input {
	struct stream *streams;
	size_t stream_count;
	uint8_t *memory;
	size_t gzip_bytes, plain_bytes, newlines;
};

/* Streams of `stream_bytes` plain bytes each, the last one shorter, compressed by zlib. */
void input_make(struct input *input, const struct corpus *corpus, size_t stream_bytes, int level);
void input_finish(struct input *input);

/* ---- ours.c, libraries.c: everybody finds the line ends of what comes out, as that is done next */

struct contender {
	char name[NAME_BYTES_MAX];
	/* The line ends of the whole input. */
	size_t (*run)(struct rig *rig, const struct contender *contender, const struct input *input);
	/* A library's: the line ends of one stream. */
	size_t (*decode)(struct rig *rig, const struct stream *stream);
	size_t engine;	     /* row of ours.c's table */
	size_t stream_count; /* so many are worked on at once */
	size_t in_bytes, out_bytes;
	int fill; /* the output window is used until it is full, not emptied after each call */
	double seconds[ROUNDS_MAX];
};

/* Everything that contenders work with, made once. `plain_bytes_max` is the longest stream's. */
struct rig *rig_open(size_t plain_bytes_max);
void rig_close(struct rig *rig);
size_t rig_newlines(struct rig *rig, const uint8_t *from, const uint8_t *end);
/* The output, INFLATE_HISTORY_BYTES of history in front: the first one has room for the longest stream. */
uint8_t *rig_window(struct rig *rig, size_t number);

struct engines;
struct engines *engines_open(void);
void engines_close(struct engines *engines);
struct engines *rig_engines(struct rig *rig);
/* Appends our engines. Returns the new count. */
size_t ours_list(const struct engines *engines, struct contender *contenders, size_t count);
/* Instead, each engine with windows and pieces of several sizes. */
size_t ours_list_sizes(const struct engines *engines, struct contender *contenders, size_t count);

struct zlib_ng;
struct zlib_ng *zlib_ng_open(void);
void zlib_ng_close(struct zlib_ng *zlib_ng);
struct zlib_ng *rig_zlib_ng(struct rig *rig);
size_t zlib_ng_stream(struct rig *rig, const struct stream *stream);

/* The first of all: what the others' ratios refer to. */
size_t isal_list(struct contender *contenders, size_t count);
size_t libraries_list(struct contender *contenders, size_t count);

/* ---- table.c */

struct figures {
	double megabytes_per_second;
	double ratio; /* median of the rounds' ratios to the first contender */
	double cycles_per_byte;
};

struct column {
	char name[NAME_BYTES_MAX];
	double compression;
	struct figures figures[CONTENDERS_MAX];
};

struct table {
	char name[2 * NAME_BYTES_MAX];
	char origin[ORIGIN_BYTES_MAX];
	uint32_t checksum; /* of the corpus: whether two hosts had the same bytes */
	size_t plain_bytes, rounds;
	const struct contender *contenders;
	size_t contender_count;
	struct column columns[COLUMNS_MAX];
	size_t column_count;
};

void table_text(const struct table *table, FILE *file);
void table_json(const struct table *table, FILE *file); /* an object a line */
void table_markdown(const struct table *table, FILE *file);

#endif
