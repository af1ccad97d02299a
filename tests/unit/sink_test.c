/* SPDX-License-Identifier: Apache-2.0
 *
 * sink: both formats at every split, order through a pipe with a slow reader, faults and their texts;
 * everything that writes runs with io_uring and with poll.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "message.h"
#include "sink/escape.h"
#include "sink/sink.h"
#include "test.h"

#define PATIENCE_NS (60 * NS_PER_SECOND) /* a bound against hanging */

struct fixture {
	struct arena arena;
	struct ring *ring;
	struct sink *sink;
	char path[64]; /* a scratch file, removed in the end */
	char error[SINK_ERROR_BYTES_MAX];
};

static void fixture_open(struct fixture *f, enum ring_engine engine)
{
	struct ring_options options = { .engine = engine, .operations_max = 8 };
	struct ring_report report;
	signal(SIGPIPE, SIG_IGN);
	*f = (struct fixture){ 0 };
	EQ(arena_open(&f->arena, 16 << 20), 0);
	int result = ring_open(&options, &f->arena, &f->ring, &report);
	if (result < 0 && engine == RING_ENGINE_URING)
		SKIP("%s", report.notice);
	EQ(result, 0);
	strcpy(f->path, "/tmp/akamai-prof-sink-XXXXXX");
	int fd = mkstemp(f->path);
	GE(fd, 0);
	close(fd);
}

static void fixture_finish(struct fixture *f)
{
	ring_finish(f->ring);
	sink_close(f->sink);
	unlink(f->path);
	arena_finish(&f->arena);
}

#define TABLE_TEST(name)                                                                                     \
	static void name##_with(struct fixture *f);                                                          \
	static void name##_uring(void)                                                                       \
	{                                                                                                    \
		struct fixture f;                                                                            \
		fixture_open(&f, RING_ENGINE_URING);                                                         \
		name##_with(&f);                                                                             \
		fixture_finish(&f);                                                                          \
	}                                                                                                    \
	static void name##_poll(void)                                                                        \
	{                                                                                                    \
		struct fixture f;                                                                            \
		fixture_open(&f, RING_ENGINE_POLL);                                                          \
		name##_with(&f);                                                                             \
		fixture_finish(&f);                                                                          \
	}                                                                                                    \
	static void name##_with(struct fixture *f)
#define TT(name) T(name##_uring), T(name##_poll)

static void file_sink(struct fixture *f, enum sink_format format, const char *path)
{
	struct sink_options options = { .kind = SINK_FILE, .format = format, .path = path };
	EQ(sink_open(&options, f->ring, &f->arena, &f->sink, f->error), FAULT_NONE);
}

static void descriptor_sink(struct fixture *f, enum sink_format format, int fd)
{
	struct sink_options options = { .kind = SINK_STDOUT, .format = format, .output_fd = fd };
	EQ(sink_open(&options, f->ring, &f->arena, &f->sink, f->error), FAULT_NONE);
}

/* Takes one completion. */
static void turn(struct fixture *f)
{
	struct ring_operation *operation = ring_wait(f->ring, clock_monotonic_ns() + PATIENCE_NS);
	NE((uintptr_t)operation, 0);
	EQ((uintptr_t)operation->owner, (uintptr_t)f->sink);
	EQ(sink_completed(f->sink, operation), 1);
}

/* Pushes all, waiting whenever the sink is full. Returns the last step. */
static enum step push(struct fixture *f, const void *bytes, size_t count, int last)
{
	struct cursor_in lines = { bytes, (const uint8_t *)bytes + count };
	enum step step;
	while ((step = sink_push(f->sink, &lines, last)) == STEP_FULL)
		turn(f);
	if (step == STEP_HUNGRY)
		EQ((uintptr_t)lines.next, (uintptr_t)lines.end);
	return step;
}

static void drain(struct fixture *f)
{
	sink_flush(f->sink);
	while (!sink_idle(f->sink) && sink_fault(f->sink) == FAULT_NONE)
		turn(f);
}

/* Reads a whole file into memory that the caller frees. */
static uint8_t *file_read(const char *path, size_t *ret_bytes)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	GE(fd, 0);
	EQ(fstat(fd, &status), 0);
	uint8_t *bytes = malloc((size_t)status.st_size + 1);
	size_t filled = 0;
	ssize_t got;
	while ((got = read(fd, bytes + filled, (size_t)status.st_size + 1 - filled)) > 0)
		filled += (size_t)got;
	close(fd);
	EQ(filled, status.st_size);
	*ret_bytes = filled;
	return bytes;
}

static void file_is(const struct fixture *f, const void *wanted, size_t wanted_bytes)
{
	size_t bytes;
	uint8_t *content = file_read(f->path, &bytes);
	EQ_BYTES(content, bytes, wanted, wanted_bytes);
	free(content);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void parses_names(void)
{
	struct sink_options options = { 0 };
	EQ(sink_parse("null", &options), 0);
	EQ(options.kind, SINK_NULL);
	EQ(sink_parse("stdout", &options), 0);
	EQ(options.kind, SINK_STDOUT);
	EQ(options.output_fd, 1);
	EQ(sink_parse("file:/a b:c", &options), 0);
	EQ(options.kind, SINK_FILE);
	EQ_TEXT(options.path, "/a b:c");
	EQ(sink_parse("file:", &options), -1);
	EQ(sink_parse("", &options), -1);
	EQ(sink_parse("stdout ", &options), -1);
	EQ(sink_parse("FILE:x", &options), -1);
}

/* Escapes `lines` with input pieces that end at the two cuts, and `room` bytes of output at a time. */
static size_t escape_cut(escape_run *run, const uint8_t *lines, size_t bytes, size_t first, size_t second,
			 size_t room, uint8_t *target)
{
	struct escape escape = { .run = run };
	const size_t ends[] = { first, second, bytes };
	struct cursor_out output = { target, target };
	struct cursor_in input = { lines, lines };
	for (size_t i = 0; i < 3; i++) {
		input.end = lines + ends[i];
		enum step step;
		do {
			const uint8_t *before = output.next;
			output.end = output.next + room;
			step = escape_push(&escape, &input, &output, i == 2);
			if (step == STEP_FULL)
				GT(output.next - before, 0);
		} while (step == STEP_FULL);
		EQ(step, STEP_HUNGRY);
		EQ((uintptr_t)input.next, (uintptr_t)input.end);
	}
	EQ(escape.inside, 0);
	return (size_t)(output.next - target);
}

static const char *const nasty[] = {
	"",
	"\n",
	"\r\n",
	"plain",
	"{\"a\":\"b\\\\c\"}\n",
	"first\r\nsecond\nthird\r",
	"\r\r\n\r\rx\r\n",
	"tab\tbell\a\b\f\v\x1f\x7f end\n",
	"0123456789abcdef0123456789abcdef\"0123456\\",
	"\"0123456789abcdef\\0123456789abcde\"\"0123456789abcdef\t0123456789abcdef0123456789",
	"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\n",
	"\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xf4\x90\x80\x80\xf5\xff\x80\n",
	"cut \xe2\x82\n\xf0\x9f\x98\r\n\xf0\x9f",
	"\xe2\xe2\x82\xf0\x9f\xe2\x82\xac\xc3\n\n\xc3",
};

/* Defines NAME_portable and NAME_avx512 around the body that follows. */
#define KERNEL_TEST(name)                                                                                    \
	static void name##_with(escape_run *run);                                                            \
	static void name##_portable(void)                                                                    \
	{                                                                                                    \
		name##_with(escape_run_portable);                                                            \
	}                                                                                                    \
	static void name##_avx512(void)                                                                      \
	{                                                                                                    \
		if (!escape_run_avx512())                                                                    \
			SKIP("the processor has no AVX-512 VBMI2");                                          \
		name##_with(escape_run_avx512());                                                            \
	}                                                                                                    \
	static void name##_with(escape_run *run)
#define KT(name) T(name##_portable), T(name##_avx512)

KERNEL_TEST(escapes_at_every_split)
{
	uint8_t whole[4096], cut[4096], scratch[8192];
	for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++) {
		const uint8_t *lines = (const uint8_t *)nasty[i];
		size_t bytes = strlen(nasty[i]);
		size_t whole_bytes = escape_cut(run, lines, bytes, bytes, bytes, sizeof whole / 4, whole);
		EQ(message_compare(lines, bytes, whole, whole_bytes, scratch), 0);
		for (size_t first = 0; first <= bytes; first++) {
			for (size_t second = first; second <= bytes; second++) {
				size_t room = ESCAPE_ROOM_BYTES_MIN + (first + second) % 3;
				size_t cut_bytes = escape_cut(run, lines, bytes, first, second, room, cut);
				EQ_BYTES(cut, cut_bytes, whole, whole_bytes);
			}
		}
	}
}

KERNEL_TEST(escapes_as_written_here)
{
	static const char lines[] = "a\"b\\c/\n\x01\x1f\b\f\t\rx\x7f\r\n<&>\xe2\x80\xa8\xff";
	static const char wanted[] = "{\"message\":\"a\\\"b\\\\c/\"}\n"
				     "{\"message\":\"\\u0001\\u001f\\b\\f\\t\\rx\x7f\"}\n"
				     "{\"message\":\"<&>\xe2\x80\xa8\\ufffd\"}\n";
	uint8_t output[512];
	size_t bytes = escape_cut(run, (const uint8_t *)lines, sizeof lines - 1, 0, 0, sizeof output, output);
	EQ_BYTES(output, bytes, wanted, sizeof wanted - 1);
}

/* Random bytes, with a bias for what matters, byte by byte against whole. */
KERNEL_TEST(escapes_random_lines)
{
	enum { BYTES = 600, ROOM = BYTES * 16 + 64 };
	static const uint8_t interesting[] = "\"\\\n\r\t\x80\xbf\xc3\xe2\x82\xac\xed\xa0\xf0\x9f\xf4\x90\xff";
	uint8_t lines[BYTES], *whole = malloc(ROOM), *cut = malloc(ROOM), *scratch = malloc(5 * ROOM);
	uint64_t state = 99;
	for (int round = 0; round < 500; round++) {
		for (size_t i = 0; i < BYTES; i++) {
			uint64_t random = next_random(&state);
			lines[i] = (uint8_t)(random >> 40);
			if (random % 4 < (unsigned)round % 4)
				lines[i] = interesting[(random >> 8) % (sizeof interesting - 1)];
			else if (random % 4 < 3)
				lines[i] = (uint8_t)('a' + (random >> 8) % 26);
		}
		struct escape escape = { .run = run };
		struct cursor_out output = { cut, cut + ROOM };
		for (size_t i = 0; i < BYTES; i++) {
			struct cursor_in input = { lines + i, lines + i + 1 };
			EQ(escape_push(&escape, &input, &output, i == BYTES - 1), STEP_HUNGRY);
		}
		size_t whole_bytes = escape_cut(run, lines, BYTES, 0, 0, ROOM, whole);
		EQ(message_compare(lines, BYTES, whole, whole_bytes, scratch), 0);
		EQ_BYTES(cut, output.next - cut, whole, whole_bytes);
	}
	free(whole);
	free(cut);
	free(scratch);
}

static void null_counts(void)
{
	struct arena arena;
	struct sink *sink;
	char error[SINK_ERROR_BYTES_MAX];
	struct sink_options options = { .kind = SINK_NULL };
	EQ(arena_open(&arena, 1 << 20), 0);
	EQ(sink_open(&options, NULL, &arena, &sink, error), FAULT_NONE);
	LT(arena.used_bytes, 8192); /* no buffers */
	const uint8_t *text = (const uint8_t *)"ab\ncd";
	struct cursor_in lines = { text, text + 5 };
	EQ(sink_push(sink, &lines, 0), STEP_HUNGRY);
	EQ(sink_bytes_written(sink), 5);
	EQ(sink_push(sink, &lines, 1), STEP_HUNGRY);
	EQ(sink_bytes_written(sink), 6);
	sink_flush(sink);
	EQ(sink_idle(sink), 1);
	sink_close(sink);
	arena_finish(&arena);
}

TABLE_TEST(open_names_the_cause)
{
	struct sink_options options = { .kind = SINK_FILE, .path = "/nonexistent-folder/x" };
	EQ(sink_open(&options, f->ring, &f->arena, &f->sink, f->error), FAULT_SINK_OPEN);
	EQ_TEXT(f->error, "/nonexistent-folder/x cannot be opened: No such file or directory (ENOENT)");
	options.path = "/tmp";
	EQ(sink_open(&options, f->ring, &f->arena, &f->sink, f->error), FAULT_SINK_OPEN);
	HAS_TEXT(f->error, "(EISDIR)");
	EQ((uintptr_t)f->sink, 0);
}

/* The descriptor of an open file, by its path. */
static int descriptor_of(const char *path)
{
	DIR *folder = opendir("/proc/self/fd");
	int found = -1;
	for (struct dirent *entry; (entry = readdir(folder));) {
		char target[256];
		ssize_t bytes = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
		if (bytes < 0)
			continue;
		target[bytes] = 0;
		if (strcmp(target, path) == 0)
			found = atoi(entry->d_name);
	}
	closedir(folder);
	return found;
}

TABLE_TEST(file_is_private_and_appended_to)
{
	struct stat status;
	unlink(f->path);
	mode_t mask = umask(0);
	file_sink(f, SINK_RAW, f->path);
	umask(mask);
	int fd = descriptor_of(f->path);
	EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	EQ(fcntl(fd, F_GETFL) & O_APPEND, O_APPEND);
	EQ(fstat(fd, &status), 0);
	EQ(status.st_mode & 07777, 0600);
	EQ(push(f, "one\n", 4, 0), STEP_HUNGRY);
	EQ(sink_idle(f->sink), 0);
	drain(f);
	EQ(sink_bytes_written(f->sink), 4);
	sink_close(f->sink);
	EQ(fcntl(fd, F_GETFD), -1);

	file_sink(f, SINK_MESSAGE, f->path);
	EQ(push(f, "two", 3, 1), STEP_HUNGRY);
	drain(f);
	file_is(f, "one\n{\"message\":\"two\"}\n", 22);
}

TABLE_TEST(raw_ends_the_last_line)
{
	file_sink(f, SINK_RAW, f->path);
	EQ(push(f, "a\nb", 3, 0), STEP_HUNGRY);
	EQ(push(f, "c", 1, 1), STEP_HUNGRY);
	EQ(push(f, "", 0, 1), STEP_HUNGRY); /* nothing is open: nothing is added */
	EQ(push(f, "d\r\n", 3, 1), STEP_HUNGRY);
	EQ(push(f, "e", 1, 0), STEP_HUNGRY);
	EQ(push(f, "", 0, 1), STEP_HUNGRY);
	drain(f);
	file_is(f, "a\nbc\nd\r\ne\n", 10);
}

/* The line end that is missing has to wait for a buffer when the line fills all of them exactly. */
TABLE_TEST(raw_line_fills_the_buffers)
{
	size_t bytes = (size_t)SINK_BUFFER_BYTES * SINK_BUFFER_COUNT;
	uint8_t *line = malloc(bytes + 1);
	memset(line, 'x', bytes);
	line[bytes] = '\n';
	file_sink(f, SINK_RAW, f->path);
	struct cursor_in lines = { line, line + bytes };
	EQ(sink_push(f->sink, &lines, 1), STEP_FULL);
	EQ(push(f, lines.next, (size_t)(lines.end - lines.next), 1), STEP_HUNGRY);
	drain(f);
	file_is(f, line, bytes + 1);
	free(line);
}

struct reader {
	pthread_t thread;
	int fd;
	uint8_t *bytes;
	size_t filled, capacity;
};

/* Slow now and then, in odd sizes. */
static void *reader_run(void *argument)
{
	struct reader *reader = argument;
	uint64_t state = 3;
	for (;;) {
		size_t wanted = 1 + (size_t)(next_random(&state) % 50000);
		if (wanted > reader->capacity - reader->filled)
			wanted = reader->capacity - reader->filled;
		ssize_t got = read(reader->fd, reader->bytes + reader->filled, wanted);
		if (got <= 0)
			return NULL;
		reader->filled += (size_t)got;
		if (next_random(&state) % 64 == 0)
			usleep(300);
	}
}

static void reader_start(struct reader *reader, int fd, size_t capacity)
{
	*reader = (struct reader){ .fd = fd, .capacity = capacity, .bytes = malloc(capacity) };
	EQ(pthread_create(&reader->thread, NULL, reader_run, reader), 0);
}

/* Lines of random length, with what needs escaping here and there. */
static void lines_fill(uint8_t *at, size_t bytes)
{
	uint64_t state = 11;
	for (size_t i = 0; i < bytes; i++) {
		uint64_t random = next_random(&state);
		at[i] = (uint8_t)(' ' + random % 95);
		if (random % 211 == 0)
			at[i] = '\n';
		else if (random % 503 == 1)
			at[i] = (uint8_t)(random >> 20);
	}
}

static void pipe_keeps_order(struct fixture *f, enum sink_format format)
{
	enum { TOTAL = 6000000 };
	uint8_t *lines = malloc(TOTAL), *scratch = malloc((size_t)TOTAL * 12);
	int fds[2];
	struct reader reader;
	uint64_t state = 21;
	lines_fill(lines, TOTAL);
	EQ(pipe2(fds, O_CLOEXEC), 0);
	reader_start(&reader, fds[0], (size_t)TOTAL * 2);
	descriptor_sink(f, format, fds[1]);
	for (size_t taken = 0; taken < TOTAL;) {
		size_t bytes = 1 + (size_t)(next_random(&state) % 300000);
		bytes = bytes < TOTAL - taken ? bytes : TOTAL - taken;
		EQ(push(f, lines + taken, bytes, taken + bytes == TOTAL), STEP_HUNGRY);
		taken += bytes;
		if (next_random(&state) % 4 == 0)
			sink_flush(f->sink);
	}
	drain(f);
	close(fds[1]);
	pthread_join(reader.thread, NULL);
	EQ(sink_bytes_written(f->sink), reader.filled);
	if (format == SINK_MESSAGE) {
		EQ(message_compare(lines, TOTAL, reader.bytes, reader.filled, scratch), 0);
	} else {
		GE(reader.filled, TOTAL);
		EQ_BYTES(reader.bytes, TOTAL, lines, TOTAL);
	}
	close(fds[0]);
	free(reader.bytes);
	free(lines);
	free(scratch);
}

TABLE_TEST(raw_pipe_keeps_order)
{
	pipe_keeps_order(f, SINK_RAW);
}

TABLE_TEST(message_pipe_keeps_order)
{
	pipe_keeps_order(f, SINK_MESSAGE);
}

/* A line far longer than all buffers together. */
TABLE_TEST(long_line_passes)
{
	enum { BYTES = 16 << 20 };
	uint8_t *line = malloc(BYTES), *scratch = malloc((size_t)BYTES * 4);
	memset(line, 'q', BYTES);
	line[BYTES / 2] = '"';
	line[BYTES - 1] = '\n';
	file_sink(f, SINK_MESSAGE, f->path);
	EQ(push(f, line, BYTES, 0), STEP_HUNGRY);
	drain(f);
	size_t bytes;
	uint8_t *content = file_read(f->path, &bytes);
	EQ(bytes, BYTES + 12 + 3);
	EQ(message_compare(line, BYTES, content, bytes, scratch), 0);
	free(content);
	free(line);
	free(scratch);
}

/* Nobody reads: the sink takes its buffers' worth, then says FULL and stays correct. */
TABLE_TEST(stalled_reader_makes_full)
{
	size_t bytes = (size_t)SINK_BUFFER_BYTES * (SINK_BUFFER_COUNT + 2);
	uint8_t *lines = malloc(bytes);
	int fds[2];
	struct reader reader;
	memset(lines, '\n', bytes);
	EQ(pipe2(fds, O_CLOEXEC), 0);
	descriptor_sink(f, SINK_RAW, fds[1]);
	struct cursor_in rest = { lines, lines + bytes };
	EQ(sink_push(f->sink, &rest, 1), STEP_FULL);
	EQ(rest.next - lines, SINK_BUFFER_BYTES * SINK_BUFFER_COUNT);
	EQ((uintptr_t)ring_wait(f->ring, clock_monotonic_ns() + 20 * NS_PER_MS), 0);
	EQ(sink_push(f->sink, &rest, 1), STEP_FULL);
	EQ(sink_idle(f->sink), 0);
	reader_start(&reader, fds[0], bytes + 1);
	EQ(push(f, rest.next, (size_t)(rest.end - rest.next), 1), STEP_HUNGRY);
	drain(f);
	close(fds[1]);
	pthread_join(reader.thread, NULL);
	EQ(reader.filled, bytes);
	close(fds[0]);
	free(reader.bytes);
	free(lines);
}

TABLE_TEST(reader_has_gone)
{
	int fds[2];
	EQ(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	descriptor_sink(f, SINK_RAW, fds[1]);
	EQ(push(f, "x\n", 2, 1), STEP_HUNGRY);
	drain(f);
	EQ(sink_fault(f->sink), FAULT_SINK_WRITE);
	EQ_TEXT(sink_error_text(f->sink), "standard output cannot be written: its reader has gone (EPIPE); 0 "
					  "bytes were written before");
	EQ(push(f, "x\n", 2, 1), STEP_BROKEN);
	close(fds[1]);
}

TABLE_TEST(disk_is_full)
{
	if (access("/dev/full", W_OK) != 0)
		SKIP("no /dev/full");
	file_sink(f, SINK_RAW, "/dev/full");
	EQ(push(f, "x\n", 2, 1), STEP_HUNGRY);
	drain(f);
	EQ(sink_fault(f->sink), FAULT_SINK_WRITE);
	EQ_TEXT(sink_error_text(f->sink), "/dev/full cannot be written: No space left on device (ENOSPC); "
					  "0 bytes were written before");
}

/* A limit inside the second buffer: what fits is written and counted. */
TABLE_TEST(file_reaches_its_limit)
{
	size_t bytes = 3 * (size_t)SINK_BUFFER_BYTES;
	uint8_t *lines = malloc(bytes);
	struct rlimit before, limit;
	signal(SIGXFSZ, SIG_IGN);
	EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = SINK_BUFFER_BYTES + 100000;
	memset(lines, '\n', bytes);
	file_sink(f, SINK_RAW, f->path);
	EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	enum step step = push(f, lines, bytes, 1);
	if (step == STEP_HUNGRY)
		drain(f);
	EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
	EQ(sink_fault(f->sink), FAULT_SINK_WRITE);
	EQ(sink_bytes_written(f->sink), limit.rlim_cur);
	HAS_TEXT(sink_error_text(f->sink), "(EFBIG); 362144 bytes were written before");
	file_is(f, lines, limit.rlim_cur);
	free(lines);
}

TEST_MAIN(T(parses_names), KT(escapes_at_every_split), KT(escapes_as_written_here), KT(escapes_random_lines),
	  T(null_counts), TT(open_names_the_cause), TT(file_is_private_and_appended_to),
	  TT(raw_ends_the_last_line), TT(raw_line_fills_the_buffers), TT(raw_pipe_keeps_order),
	  TT(message_pipe_keeps_order), TT(long_line_passes), TT(stalled_reader_makes_full),
	  TT(reader_has_gone), TT(disk_is_full), TT(file_reaches_its_limit))
