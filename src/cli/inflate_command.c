/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inflate_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/flags.h"

/* As INFLATE_CHOICES names them. */
static const enum inflate_engine engines[] = {
	INFLATE_ENGINE_AUTO, INFLATE_ENGINE_OWN,	INFLATE_ENGINE_OWN_C,
	INFLATE_ENGINE_ISAL, INFLATE_ENGINE_LIBDEFLATE,
};

enum inflate_engine inflate_choice(int choice)
{
	return engines[choice];
}

struct inflate_settings {
	int check, bench, json, engine;
	int64_t rounds;
};

static const struct flag flags[] = {
	{ .name = "check",
	  .kind = FLAG_SWITCH,
	  .offset = offsetof(struct inflate_settings, check),
	  .help = "writes nothing, says for each file whether it is whole" },
	{ .name = "bench",
	  .kind = FLAG_SWITCH,
	  .offset = offsetof(struct inflate_settings, bench),
	  .help = "decodes each file from memory with every engine, and says how fast each is" },
	{ .name = "rounds",
	  .kind = FLAG_INTEGER,
	  .offset = offsetof(struct inflate_settings, rounds),
	  .argument = "N",
	  .minimum = 1,
	  .maximum = INFLATE_ROUNDS_MAX,
	  .help = "with -bench: how often; the medians are shown (7)" },
	{ .name = "inflate",
	  .kind = FLAG_CHOICE,
	  .offset = offsetof(struct inflate_settings, engine),
	  .choices = INFLATE_CHOICES,
	  .help = "the engine (auto); with -bench only this one, beside isal" },
	{ .name = "json",
	  .kind = FLAG_SWITCH,
	  .offset = offsetof(struct inflate_settings, json),
	  .help = "with -check or -bench: as JSON" },
};
enum { FLAG_COUNT = sizeof flags / sizeof *flags };

static void inflate_help(void)
{
	puts("usage: akamai-prof inflate [flags] [FILE.gz ...]\n"
	     "\n"
	     "Decodes gzip files to standard output, as gzip -dc does, with the decoder that the collector "
	     "has.\n"
	     "Without FILE, and for -, it reads standard input. Files may have several members and any "
	     "size;\n"
	     "a megabyte of memory is enough, but for libdeflate, which holds all of a file. CRC-32 and size "
	     "of\n"
	     "every member are proven. Of a damaged file what lies in front of the damage comes out; then a\n"
	     "sentence says what is wrong, where, and what to do.\n"
	     "\n"
	     "flags:");
	flags_print_help(flags, FLAG_COUNT);
	puts("\n"
	     "examples:\n"
	     "  akamai-prof inflate events.gz | jq -r .httpMessage.host\n"
	     "  curl -s https://example.org/events.gz | akamai-prof inflate -check\n"
	     "  akamai-prof inflate -bench events.gz\n"
	     "\n"
	     "exit status: 0 all files are whole, 1 one is not or cannot be read or written, 2 wrong usage");
}

/* ---- the window */

void inflate_window_open(struct inflate_window *window, struct arena *arena)
{
	window->history = arena_take(arena, INFLATE_HISTORY_BYTES + INFLATE_WINDOW_BYTES, 4096);
	inflate_window_begin(window);
}

void inflate_window_begin(struct inflate_window *window)
{
	uint8_t *room = window->history + INFLATE_HISTORY_BYTES;
	window->out = (struct cursor_out){ room, room + INFLATE_WINDOW_BYTES };
}

void inflate_window_make_room(struct inflate_window *window)
{
	if (cursor_out_bytes(&window->out) >= INFLATE_WINDOW_BYTES / 4)
		return;
	memmove(window->history, window->out.next - INFLATE_HISTORY_BYTES, INFLATE_HISTORY_BYTES);
	window->out.next = window->history + INFLATE_HISTORY_BYTES;
}

/* ---- one file */

void inflate_result_read(struct inflate_result *result, struct span gzip)
{
	for (size_t i = 0; i < gzip.bytes && result->first_count < sizeof result->first_bytes; i++)
		result->first_bytes[result->first_count++] = gzip.base[i];
	result->gzip_bytes += gzip.bytes;
}

void inflate_result_take(struct inflate_result *result, struct inflate *inflate)
{
	result->fault = inflate_end(inflate);
	result->engine = inflate_engine_name(inflate);
	result->plain_bytes = inflate_plain_bytes(inflate);
	result->members = inflate_members(inflate);
	result->offset_bytes = inflate_offset(inflate);
}

struct decoding {
	struct arena arena;
	struct inflate *inflate;
	struct inflate_window window;
	uint8_t *input;
	int output_fd;	  /* -1: nobody wants the bytes */
	int output_error; /* errno of what could not be written, or 0 */
};

static int decoding_open(struct decoding *decoding, enum inflate_engine engine, int output_fd)
{
	*decoding = (struct decoding){ .output_fd = output_fd };
	int code = arena_open(&decoding->arena, inflate_bytes_needed(engine) + INFLATE_READ_BYTES + 4096 +
							INFLATE_WINDOW_ARENA_BYTES);
	decoding->inflate = code < 0 ? NULL : inflate_create(engine, &decoding->arena);
	if (!decoding->inflate) {
		fprintf(stderr, "akamai-prof: inflate: cannot reserve memory: %s\n",
			strerror(code < 0 ? -code : ENOMEM));
		arena_finish(&decoding->arena);
		return -1;
	}
	decoding->input = arena_take(&decoding->arena, INFLATE_READ_BYTES, 4096);
	inflate_window_open(&decoding->window, &decoding->arena);
	arena_close(&decoding->arena);
	return 0;
}

static void decoding_close(struct decoding *decoding)
{
	inflate_finish(decoding->inflate);
	arena_finish(&decoding->arena);
}

/* 0, or -1 with output_error. */
static int output_write(struct decoding *decoding, const uint8_t *from, const uint8_t *end)
{
	while (from < end && decoding->output_fd >= 0) {
		ssize_t bytes = write(decoding->output_fd, from, (size_t)(end - from));
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0) {
			decoding->output_error = errno;
			return -1;
		}
		from += bytes;
	}
	return 0;
}

/* What is there; nothing at the end. 0, or -1 with `error`. */
static int input_read(int fd, struct decoding *decoding, struct inflate_result *result, struct cursor_in *in)
{
	ssize_t bytes;
	do
		bytes = read(fd, decoding->input, INFLATE_READ_BYTES);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0) {
		result->error = errno;
		return -1;
	}
	inflate_result_read(result, span_of(decoding->input, (size_t)bytes));
	*in = (struct cursor_in){ decoding->input, decoding->input + bytes };
	return 0;
}

/* All that `in` gives, to the output. 0: it is consumed; -1: damage, or the output failed. */
static int decode_piece(struct decoding *decoding, struct cursor_in *in)
{
	enum step step;
	do {
		inflate_window_make_room(&decoding->window);
		const uint8_t *from = decoding->window.out.next;
		step = inflate_push(decoding->inflate, in, decoding->window.history, &decoding->window.out);
		if (output_write(decoding, from, decoding->window.out.next) < 0 || step == STEP_BROKEN)
			return -1;
	} while (step == STEP_FULL);
	return 0;
}

static void decode(struct decoding *decoding, int fd, struct inflate_result *result)
{
	struct cursor_in in;
	inflate_begin(decoding->inflate);
	inflate_window_begin(&decoding->window);
	int going_on;
	do {
		if (input_read(fd, decoding, result, &in) < 0)
			break;
		if (cursor_in_bytes(&in) == 0)
			inflate_input_over(decoding->inflate);
		going_on = cursor_in_bytes(&in) > 0;
	} while (decode_piece(decoding, &in) == 0 && going_on);
	inflate_result_take(result, decoding->inflate);
	if (result->error || decoding->output_error)
		result->fault = FAULT_NONE; /* it has not seen all */
}

static int is_standard_input(const char *name)
{
	return strcmp(name, "-") == 0;
}

/* A descriptor, or -1 with `error`. */
static int file_open(const char *name, struct inflate_result *result)
{
	*result = (struct inflate_result){ .name = is_standard_input(name) ? "standard input" : name };
	int fd = is_standard_input(name) ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		result->error = errno;
	return fd;
}

static void file_close(int fd)
{
	if (fd > STDIN_FILENO)
		close(fd);
}

static int output_failed(int error)
{
	fprintf(stderr, "akamai-prof: inflate: standard output cannot be written: %s\n",
		error == EPIPE ? "its reader has gone (EPIPE)" : strerror(error));
	return 1;
}

/* What was printed must have arrived. */
static int output_end(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return output_failed(errno);
}

/* ---- the three jobs: each returns the exit status */

static int inflate_decode(char **names, size_t count, enum inflate_engine engine)
{
	struct decoding decoding;
	int status = 0;
	if (decoding_open(&decoding, engine, STDOUT_FILENO) < 0)
		return 1;
	for (size_t i = 0; i < count && !decoding.output_error; i++) {
		struct inflate_result result;
		int fd = file_open(names[i], &result);
		if (fd >= 0)
			decode(&decoding, fd, &result);
		file_close(fd);
		if (result.error)
			inflate_say_unreadable(&result);
		if (result.fault != FAULT_NONE) {
			fprintf(stderr, "akamai-prof: inflate: %s: ", result.name);
			inflate_fault_write(&result, stderr);
		}
		status |= result.error || result.fault != FAULT_NONE;
	}
	/* Some file systems only say now that the disk is full. */
	if (!decoding.output_error && close(STDOUT_FILENO) < 0)
		decoding.output_error = errno;
	if (decoding.output_error)
		status = output_failed(decoding.output_error);
	decoding_close(&decoding);
	return status;
}

static int inflate_check(char **names, size_t count, const struct inflate_settings *settings)
{
	struct decoding decoding;
	int status = 0;
	if (decoding_open(&decoding, inflate_choice(settings->engine), -1) < 0)
		return 1;
	struct inflate_result *results = calloc(count, sizeof *results);
	for (size_t i = 0; results && i < count; i++) {
		struct inflate_result *result = &results[i];
		int fd = file_open(names[i], result);
		if (fd >= 0)
			decode(&decoding, fd, result);
		file_close(fd);
		if (result->error)
			inflate_say_unreadable(result);
		else if (!settings->json)
			inflate_result_print(result);
		status |= result->error || result->fault != FAULT_NONE;
	}
	char *text = results && settings->json ? inflate_results_json(results, count) : NULL;
	if (text)
		puts(text);
	if (!results || (settings->json && !text)) {
		fprintf(stderr, "akamai-prof: out of memory\n");
		status = 1;
	}
	free(text);
	free(results);
	decoding_close(&decoding);
	return output_end(status);
}

/* All of a file on the heap. 0, or errno. */
static int file_load(int fd, uint8_t **ret_bytes, size_t *ret_count)
{
	size_t capacity = 0, count = 0;
	uint8_t *bytes = NULL;
	for (;;) {
		if (count == capacity) {
			if (capacity == INFLATE_BENCH_BYTES_MAX) {
				free(bytes);
				return EFBIG;
			}
			capacity = capacity ? 2 * capacity : INFLATE_READ_BYTES;
			uint8_t *more = realloc(bytes, capacity);
			if (!more) {
				free(bytes);
				return ENOMEM;
			}
			bytes = more;
		}
		ssize_t got = read(fd, bytes + count, capacity - count);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(bytes);
			return errno;
		}
		if (got == 0)
			break;
		count += (size_t)got;
	}
	*ret_bytes = bytes;
	*ret_count = count;
	return 0;
}

/* 0, or the exit status. */
static int bench_file(const char *name, const struct inflate_settings *settings, struct inflate_bench *bench)
{
	uint8_t *gzip = NULL;
	size_t gzip_bytes = 0;
	int fd = file_open(name, &bench->file);
	bench->rounds = (unsigned)settings->rounds;
	if (fd >= 0)
		bench->file.error = file_load(fd, &gzip, &gzip_bytes);
	file_close(fd);
	if (!bench->file.error) {
		int code = inflate_bench(span_of(gzip, gzip_bytes), inflate_choice(settings->engine), bench);
		bench->file.error = code > 0 ? code : 0;
	}
	free(gzip);
	if (bench->file.error == EFBIG)
		fprintf(stderr,
			"akamai-prof: inflate: %s is too large for -bench, which keeps it in memory: at most "
			"%zu "
			"bytes\n",
			bench->file.name, INFLATE_BENCH_BYTES_MAX);
	else if (bench->file.error == ENOMEM)
		fprintf(stderr,
			"akamai-prof: inflate: %s: -bench has no memory for the file and the %zu MiB of "
			"address space that libdeflate wants: raise ulimit -v, or choose an engine that "
			"streams (-inflate own)\n",
			bench->file.name, inflate_bytes_needed(INFLATE_ENGINE_LIBDEFLATE) >> 20);
	else if (bench->file.error)
		inflate_say_unreadable(&bench->file);
	if (bench->file.fault != FAULT_NONE) {
		fprintf(stderr, "akamai-prof: inflate: %s: ", bench->file.name);
		inflate_fault_write(&bench->file, stderr);
	}
	return bench->file.error || bench->file.fault != FAULT_NONE;
}

static int inflate_bench_files(char **names, size_t count, const struct inflate_settings *settings)
{
	int status = 0;
	size_t done = 0;
	struct inflate_bench *benches = calloc(count, sizeof *benches);
	for (size_t i = 0; benches && i < count; i++) {
		int failed = bench_file(names[i], settings, &benches[done]);
		status |= failed;
		if (failed)
			continue;
		if (!settings->json)
			inflate_bench_print(&benches[done]);
		done++;
	}
	char *text = benches && settings->json ? inflate_benches_json(benches, done) : NULL;
	if (text)
		puts(text);
	if (!benches || (settings->json && !text)) {
		fprintf(stderr, "akamai-prof: out of memory\n");
		status = 1;
	}
	free(text);
	free(benches);
	return output_end(status);
}

/* ---- the command line */

/* NULL, or what is wrong. */
static const char *settings_problem(const struct inflate_settings *settings, size_t count)
{
	if (settings->check && settings->bench)
		return "-check and -bench are two jobs; choose one";
	if (settings->json && !settings->check && !settings->bench)
		return "-json belongs to -check or -bench; the decoded bytes are what they are";
	if (settings->rounds && !settings->bench)
		return "-rounds belongs to -bench";
	if (count == 0 && isatty(STDIN_FILENO))
		return "which file? akamai-prof inflate FILE.gz, or gzip on standard input (-help tells "
		       "more)";
	return NULL;
}

static int inflate_run(char **names, size_t count, struct inflate_settings *settings)
{
	char standard_input[] = "-";
	char *only_input[] = { standard_input };
	if (count == 0) {
		names = only_input;
		count = 1;
	}
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of write(2) */
	if (settings->rounds == 0)
		settings->rounds = 7;
	if (settings->bench)
		return inflate_bench_files(names, count, settings);
	if (settings->check)
		return inflate_check(names, count, settings);
	return inflate_decode(names, count, inflate_choice(settings->engine));
}

int inflate_command(int argc, char **argv)
{
	struct inflate_settings settings = { 0 };
	char error[FLAG_ERROR_BYTES_MAX];
	size_t count;
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "-help") == 0 || strcmp(argv[i], "--help") == 0) {
			inflate_help();
			return 0;
		}
	}
	char **names = calloc((size_t)argc, sizeof *names);
	if (!names) {
		fprintf(stderr, "akamai-prof: out of memory\n");
		return 1;
	}
	const char *problem = NULL;
	if (flags_parse_operands(flags, FLAG_COUNT, argc, argv, &settings, names, &count, error) < 0)
		problem = error;
	else
		problem = settings_problem(&settings, count);
	if (problem)
		fprintf(stderr, "akamai-prof: inflate: %s\n", problem);
	int status = problem ? 2 : inflate_run(names, count, &settings);
	free(names);
	return status;
}
