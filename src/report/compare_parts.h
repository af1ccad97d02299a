/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of compare share: the sides as they were read, and the tables as plain figures, which
 * the writers (text, Markdown, JSON, page) only dress. Internal to report.
 */
#ifndef REPORT_COMPARE_PARTS_H
#define REPORT_COMPARE_PARTS_H

#include "report/compare.h"
#include "report/frames.h"
#include "report/run_json.h"
#include "report/top.h"

enum compare_file { COMPARE_CPU, COMPARE_HEAP_MID, COMPARE_HEAP_END, COMPARE_FILE_COUNT };

struct compare_run {
	char *path;
	struct run_record *record;		    /* never NULL */
	int recorded;				    /* there was a run.json */
	struct pprof *profiles[COMPARE_FILE_COUNT]; /* NULL: not there */
	struct frames *frames[COMPARE_FILE_COUNT];  /* of them */
};

struct compare_side {
	char *label, *path;
	int is_file; /* a pprof file instead of a folder */
	struct compare_run *runs;
	size_t run_count;
	size_t first; /* place of its first run in a row's figures */
};

enum compare_unit {
	UNIT_COUNT,
	UNIT_PER_SECOND,
	UNIT_SECONDS,
	UNIT_SECONDS_PER_MILLION, /* CPU-seconds per million events */
	UNIT_SHARE,		  /* per cent of the profile */
	UNIT_BYTES,
	UNIT_BYTES_PER_SECOND,
	UNIT_BYTES_PER_EVENT,
	UNIT_OBJECTS_PER_EVENT,
};

enum compare_better { BETTER_NEITHER, BETTER_HIGHER, BETTER_LOWER };

enum compare_noise {
	NOISE_NONE,    /* the baseline itself, or there is nothing to compare */
	NOISE_BEYOND,  /* the difference is larger than the noise */
	NOISE_WITHIN,  /* it is not */
	NOISE_UNKNOWN, /* one run each, and nothing that was sampled: no basis */
};

enum { BASIS_RANGES = 1, BASIS_SAMPLES = 2 }; /* what the noise was judged by */

/* One side's figure. NaN where there is none. */
struct compare_cell {
	double median, low, high; /* of its runs */
	size_t count;		  /* runs that have it */
	double samples;		  /* of all its runs; NaN: it was not sampled */
	double sample_weight;	  /* what one sample stands for, in the row's unit */
	double raw;		  /* median as the profile has it, in the profile's unit */
	double change;		  /* to the baseline: 0.1 is 10 % more; infinite: it had none */
	uint8_t noise, basis;
};

struct compare_row {
	char *name;
	const char *key;		  /* for JSON; NULL: its name */
	const char *module;		  /* "" or the object it is from; lent from a profile */
	uint8_t unit, better, kind;	  /* enum compare_unit, compare_better, frame_kind */
	double *figures, *raws, *samples; /* a run each; NaN where there is none */
	struct compare_cell *cells;	  /* a side each; compare_settle() fills them */
};

struct compare_table {
	const char *key, *title, *note; /* note: "" or a sentence */
	const char *raw_unit;		/* of a profile's figures; NULL: the table is of none */
	struct compare_row *rows;
	size_t count, row_room;
	size_t hidden;	      /* rows that top_count left out */
	int is_scalars;	      /* rows of different units, in a fixed order */
	struct table by_name; /* row + 1 */
};

enum compare_table_id {
	TABLE_THROUGHPUT,
	TABLE_PACKAGES,
	TABLE_STAGES,
	TABLE_FLAT,
	TABLE_CUMULATIVE,
	TABLE_LUA,
	TABLE_MEMORY,
	TABLE_HEAP,
	TABLE_CHURN,
	TABLE_ALLOCATED,
	TABLE_COUNT,
};

struct compare {
	const struct compare_options *options;
	struct compare_side sides[COMPARE_SIDES_MAX];
	size_t side_count, run_count;
	int per_event;				  /* CPU figures are per million events; else shares */
	struct compare_table tables[TABLE_COUNT]; /* without rows: not there */
	char **notices;				  /* sentences about what weakens the comparison */
	size_t notice_count, notice_room;
};

/* ---- compare_read.c ---- */
int compare_read(struct compare *compare, char *const *arguments, size_t count,
		 char error[static REPORT_ERROR_BYTES_MAX]);
void compare_forget(struct compare *compare);

/* ---- compare.c: rows and their cells ---- */
/* The row of this name and module (both copied or lent as struct compare_row says), made when it is new. */
struct compare_row *compare_row(const struct compare *compare, struct compare_table *table, const char *name,
				const char *module);
/* Medians, differences, noise. */
void compare_settle(const struct compare *compare, struct compare_table *table);
/* No rows any more: the table is not there. */
void compare_clear(struct compare_table *table);
[[gnu::format(printf, 2, 3)]] void compare_notice(struct compare *compare, const char *format, ...);
/* Two standard deviations: of twenty differences that are none, one is larger. */
#define COMPARE_SIGMAS 2

/* ---- compare_run.c: what a run says of itself ---- */
/* "direct", "interpreted", or the program's name; "" when it is not known. */
const char *compare_runner(const struct compare_run *run);
const char *compare_configured(const struct compare_run *run, const char *key);
/* Events that were handed on while the CPU profile was taken; NaN: not known. */
double compare_window_events(const struct compare_run *run);
void compare_figures(struct compare *compare); /* throughput, memory, churn */
void compare_notices(struct compare *compare);

/* ---- compare_functions.c: what the profiles say ---- */
/* The index of the figure that a CPU profile weighs by, and of its number of samples; -1: none. */
int compare_cpu_value(const struct pprof *profile);
int compare_samples_value(const struct pprof *profile);
/* What turns one unit of this run's CPU profile into the tables' unit; NaN: the run has none. */
double compare_cpu_factor(const struct compare *compare, const struct compare_run *run);
void compare_functions(struct compare *compare);

/* ---- compare_grid.c: tables as words ---- */
enum grid_tone { TONE_NONE, TONE_GOOD, TONE_BAD, TONE_DIM };

struct grid_cell {
	char *text; /* may be hostile; NULL: empty */
	uint8_t tone, is_left;
	uint8_t is_code;  /* a name that somebody else chose */
	uint8_t is_label; /* of a side: where it is cut, its end stays, which tells it from others */
};

struct grid {
	const char *title, *note;
	size_t hidden;
	struct grid_cell *cells; /* row by row; the first row is the head */
	size_t columns, rows;
	size_t shrinks; /* columns whose texts may be cut, counted from the left */
};

/* How much of the sides' table there is room for. */
enum grid_detail { GRID_SHORT, GRID_MEDIUM, GRID_WHOLE };
struct grid *grid_of_sides(const struct compare *compare, enum grid_detail detail);
/* The baseline and `count` sides from `first` on. */
struct grid *grid_of_table(const struct compare *compare, const struct compare_table *table, size_t first,
			   size_t count, int has_spread);
void grid_destroy(struct grid *grid);
/* A figure with its unit, blanks instead of TEXT_NBSP. */
enum { GRID_FIGURE_BYTES_MAX = 64 };
char *grid_figure(double figure, unsigned unit, char text[static GRID_FIGURE_BYTES_MAX]);
char *grid_change(const struct compare_cell *cell, char text[static GRID_FIGURE_BYTES_MAX]);
const char *grid_mark(const struct compare_cell *cell);
uint8_t grid_tone(const struct compare_row *row, const struct compare_cell *cell);
/* The row of this key (or name, where rows have no keys), or NULL. */
const struct compare_row *compare_find(const struct compare_table *table, const char *key);
extern const char grid_legend[];

/* ---- compare_flame.c ---- */
enum compare_picture { PICTURE_CPU, PICTURE_LIVE, PICTURE_ALLOCATED, PICTURE_KIND_COUNT };
const char *compare_picture_title(unsigned kind);
/* Whether a side has such a profile with anything in it. */
int compare_has_picture(const struct compare_side *side, unsigned kind);
/* <svg> elements: of all runs of a side together; and of a side with the differences to the baseline. */
void compare_write_flame(const struct compare_side *side, unsigned kind, FILE *out);
void compare_write_difference(const struct compare *compare, const struct compare_side *side, unsigned kind,
			      FILE *out);

/* ---- The writers ---- */
void compare_write_text(const struct compare *compare, FILE *out);
void compare_write_markdown(const struct compare *compare, FILE *out);
void compare_write_json(const struct compare *compare, FILE *out);
int compare_write_page(const struct compare *compare, FILE *out);

#endif
