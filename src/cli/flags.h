/* SPDX-License-Identifier: Apache-2.0
 *
 * Command-line flags in Go's manner: one or two dashes, "-name value" or "-name=value"; a table says what
 * there is, and is the source of --help, of the completion and of "did you mean".
 */
#ifndef CLI_FLAGS_H
#define CLI_FLAGS_H

#include <stddef.h>
#include <stdint.h>

enum flag_kind {
	FLAG_TEXT,     /* const char *: lent from argv */
	FLAG_SWITCH,   /* int: 1 when given; -name=false clears it */
	FLAG_DURATION, /* int64_t nanoseconds */
	FLAG_INTEGER,  /* int64_t */
	FLAG_CHOICE,   /* int: index into `choices` */
	FLAG_SECTION,  /* a heading in --help */
};

struct flag {
	const char *name;
	enum flag_kind kind;
	size_t offset;	      /* of the value in the target struct */
	const char *argument; /* its name in --help: "FILE" */
	const char *help;
	const char *choices;	  /* "auto|uring|poll" */
	int64_t minimum, maximum; /* INTEGER, DURATION (inclusive); both 0: any */
};

#define FLAG_ERROR_BYTES_MAX 512

/* Fills `target` from argv[1..]. Returns 0, or -1 with a sentence. `given` (one int per row, or NULL) tells
 * which were on the command line. An argument that is no flag is an error. */
int flags_parse(const struct flag *flags, size_t flag_count, int argc, char **argv, void *target, int *given,
		char error[static FLAG_ERROR_BYTES_MAX]);
/* The same with operands before, between and behind the flags, and behind "--" whatever they look like; "-"
 * is one. `operands` has room for argc. */
int flags_parse_operands(const struct flag *flags, size_t flag_count, int argc, char **argv, void *target,
			 char **operands, size_t *ret_operand_count, char error[static FLAG_ERROR_BYTES_MAX]);
/* Sets one flag from text, as if it came from the command line; `origin` names it in the error ("-limit",
 * "YAEGI_HTTP_LIMIT"). */
int flag_set(const struct flag *flag, const char *text, void *target, const char *origin,
	     char error[static FLAG_ERROR_BYTES_MAX]);
void flags_print_help(const struct flag *flags, size_t flag_count);
/* The nearest of `count` names, or NULL when none is near. Names are reached with `stride` bytes between. */
const char *nearest_name(const char *name, const char *const *names, size_t count);

#endif
