/* SPDX-License-Identifier: Apache-2.0
 *
 * The turn of several sinks, each on a thread of its own with its own ring, at one output: every line is
 * whole and each thread's are in order, through a pipe with a slow reader and into a file, with lines of
 * every length, also longer than a sink's buffer; a break is everybody's; and who waits first is first.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "sink/sink.h"
#include "sink/turn.h"
#include "test.h"

#define PATIENCE_NS (60 * NS_PER_SECOND) /* a bound against hanging */
#define MEMBERS 5

struct scene {
	struct arena arena; /* of what is shared */
	struct sink_turn *turn;
	enum ring_engine engine;
	int fd;
	int line_bytes_max;
	unsigned line_count; /* of each member */
};

struct member {
	struct scene *scene;
	unsigned number;
	int wake_fd;
	struct arena arena;
	struct ring *ring;
	struct sink *sink;
	struct ring_operation waking;
	pthread_t thread;
	uint64_t bytes;
	enum fault fault;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void member_open(struct scene *scene, struct member *member, unsigned number)
{
	struct ring_options ring = { .engine = scene->engine, .operations_max = 8, .handed_over = 1 };
	struct ring_report report;
	char error[SINK_ERROR_BYTES_MAX];
	*member = (struct member){ .scene = scene, .number = number };
	EQ(arena_open(&member->arena, 16 << 20), 0);
	if (ring_open(&ring, &member->arena, &member->ring, &report) < 0)
		SKIP("%s", report.notice);
	member->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	GE(member->wake_fd, 0);
	struct sink_options options = {
		.kind = SINK_STDOUT,
		.output_fd = scene->fd,
		.turn = scene->turn,
		.wake_fd = member->wake_fd,
	};
	EQ(sink_open(&options, member->ring, &member->arena, &member->sink, error), FAULT_NONE);
}

static void member_close(struct member *member)
{
	sink_close(member->sink);
	close(member->wake_fd);
	arena_finish(&member->arena);
}

/* One completion, the sink's own or the word of another. */
static void member_wait(struct member *member)
{
	uint64_t count;
	if (!member->waking.pending)
		ring_wake(member->ring, &member->waking, member->wake_fd);
	struct ring_operation *operation = ring_wait(member->ring, clock_monotonic_ns() + PATIENCE_NS);
	NE((uintptr_t)operation, 0);
	if (operation != &member->waking) {
		EQ(sink_completed(member->sink, operation), 1);
		return;
	}
	EQ(read(member->wake_fd, &count, sizeof count), sizeof count);
	sink_woken(member->sink);
}

/* "<number>:<index>:" and letters. */
static size_t line_make(const struct member *member, unsigned index, uint64_t *random, char *line)
{
	size_t most = (size_t)member->scene->line_bytes_max;
	size_t bytes = (size_t)(next_random(random) % most);
	if (next_random(random) % 4)
		bytes %= 300;
	int head = sprintf(line, "%u:%u:", member->number, index);
	memset(line + head, 'a' + (int)member->number, bytes);
	line[head + (int)bytes] = '\n';
	return (size_t)head + bytes + 1;
}

static void *member_main(void *argument)
{
	struct member *member = argument;
	uint64_t random = 88172645463325252ULL + member->number;
	char *line = malloc((size_t)member->scene->line_bytes_max + 64);
	EQ(ring_take_over(member->ring), 0);
	for (unsigned i = 0; i < member->scene->line_count && member->fault == FAULT_NONE; i++) {
		struct cursor_in in = { (uint8_t *)line, (uint8_t *)line };
		in.end += line_make(member, i, &random, line);
		enum step step;
		while ((step = sink_push(member->sink, &in, 1)) == STEP_FULL)
			member_wait(member);
		if (step == STEP_BROKEN)
			member->fault = sink_fault(member->sink);
		if (next_random(&random) % 16 == 0)
			sink_flush(member->sink);
	}
	sink_flush(member->sink);
	while (!sink_idle(member->sink) && sink_fault(member->sink) == FAULT_NONE)
		member_wait(member);
	member->fault = sink_fault(member->sink);
	member->bytes = sink_bytes_written(member->sink);
	EQ(member->fault != FAULT_NONE || sink_bytes_accepted(member->sink) == member->bytes, 1);
	ring_finish(member->ring);
	free(line);
	return NULL;
}

struct output {
	uint8_t *bytes;
	size_t count, capacity;
};

/* Reads to the end, in pieces of odd sizes. */
static void read_all(int fd, struct output *output)
{
	ssize_t got;
	do {
		if (output->capacity - output->count < 70001) {
			output->capacity = output->capacity * 2 + 140002;
			output->bytes = realloc(output->bytes, output->capacity);
		}
		got = read(fd, output->bytes + output->count, 70001);
		output->count += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	EQ(got, 0);
}

/* Every line is one member's, whole, and the next of that member's. */
static void output_check(const struct output *output, const struct scene *scene)
{
	unsigned next[MEMBERS] = { 0 };
	const char *at = (const char *)output->bytes, *end = at + output->count;
	while (at < end) {
		char *colon; /* (sscanf(3) would look for the end of all the output each time) */
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		NE((uintptr_t)line_end, 0);
		unsigned long number = strtoul(at, &colon, 10);
		EQ(*colon, ':');
		unsigned long index = strtoul(colon + 1, &colon, 10);
		EQ(*colon, ':');
		LT(number, MEMBERS);
		EQ(index, next[number]);
		next[number]++;
		for (const char *c = colon + 1; c < line_end; c++)
			if (*c != 'a' + (int)number)
				FAIL("line %lu of member %lu has a '%c' in it", index, number, *c);
		at = line_end + 1;
	}
	for (unsigned i = 0; i < MEMBERS; i++)
		EQ(next[i], scene->line_count);
}

static void scene_open(struct scene *scene, enum ring_engine engine, int fd, int line_bytes_max)
{
	signal(SIGPIPE, SIG_IGN);
	*scene = (struct scene){
		.engine = engine,
		.fd = fd,
		.line_bytes_max = line_bytes_max,
		.line_count = line_bytes_max > 100000 ? 60 : 2000,
	};
	EQ(arena_open(&scene->arena, 1 << 20), 0);
	scene->turn = sink_turn_create(&scene->arena);
}

static void members_start(struct scene *scene, struct member *members)
{
	for (unsigned i = 0; i < MEMBERS; i++)
		member_open(scene, &members[i], i);
	for (unsigned i = 0; i < MEMBERS; i++)
		EQ(pthread_create(&members[i].thread, NULL, member_main, &members[i]), 0);
}

static void members_join(struct member *members)
{
	for (unsigned i = 0; i < MEMBERS; i++)
		EQ(pthread_join(members[i].thread, NULL), 0);
}

/* Returns what all have written. */
static uint64_t scene_close(struct scene *scene, struct member *members)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < MEMBERS; i++) {
		bytes += members[i].bytes;
		member_close(&members[i]);
	}
	EQ(sink_turn_count(scene->turn, 0), bytes);
	arena_finish(&scene->arena);
	return bytes;
}

static void *close_later(void *argument)
{
	struct member *members = argument;
	members_join(members);
	close(members[0].scene->fd);
	return NULL;
}

static void pipe_is_shared(enum ring_engine engine, int line_bytes_max)
{
	int fds[2];
	struct scene scene;
	struct member members[MEMBERS];
	struct output output = { 0 };
	pthread_t closer;
	EQ(pipe2(fds, O_CLOEXEC), 0);
	scene_open(&scene, engine, fds[1], line_bytes_max);
	members_start(&scene, members);
	EQ(pthread_create(&closer, NULL, close_later, members), 0);
	read_all(fds[0], &output);
	EQ(pthread_join(closer, NULL), 0);
	output_check(&output, &scene);
	for (unsigned i = 0; i < MEMBERS; i++)
		EQ(members[i].fault, FAULT_NONE);
	EQ(scene_close(&scene, members), output.count);
	free(output.bytes);
	close(fds[0]);
}

static void short_lines_uring(void)
{
	pipe_is_shared(RING_ENGINE_URING, 9000);
}

static void short_lines_poll(void)
{
	pipe_is_shared(RING_ENGINE_POLL, 9000);
}

static void long_lines_uring(void)
{
	pipe_is_shared(RING_ENGINE_URING, 900000);
}

static void long_lines_poll(void)
{
	pipe_is_shared(RING_ENGINE_POLL, 900000);
}

static void a_file_is_shared(void)
{
	char path[] = "/tmp/akamai-prof-turn-XXXXXX";
	struct scene scene;
	struct member members[MEMBERS];
	struct output output = { 0 };
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	GE(fd, 0);
	unlink(path);
	scene_open(&scene, RING_ENGINE_AUTO, fd, 30000);
	members_start(&scene, members);
	members_join(members);
	EQ(lseek(fd, 0, SEEK_SET), 0);
	read_all(fd, &output);
	output_check(&output, &scene);
	EQ(scene_close(&scene, members), output.count);
	free(output.bytes);
	close(fd);
}

/* One of them finds that the reader has gone; all end, with the same words. */
static void a_break_is_everybodys(void)
{
	int fds[2];
	char byte;
	struct scene scene;
	struct member members[MEMBERS];
	EQ(pipe2(fds, O_CLOEXEC), 0);
	scene_open(&scene, RING_ENGINE_AUTO, fds[1], 900000);
	members_start(&scene, members);
	EQ(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	char text[SINK_ERROR_BYTES_MAX] = "";
	members_join(members);
	EQ(sink_turn_fault(scene.turn, text), FAULT_SINK_WRITE);
	for (unsigned i = 0; i < MEMBERS; i++) {
		EQ(members[i].fault, FAULT_SINK_WRITE);
		EQ_TEXT(sink_error_text(members[i].sink), text);
	}
	scene_close(&scene, members);
	close(fds[1]);
}

/* One of the two has pushed whole lines and says nothing more: the other is not held up, whatever is left in
 * the first one's buffer. */
static void whoever_pauses_holds_nobody_up(size_t line_bytes, unsigned lines)
{
	int fds[2];
	struct scene scene;
	struct member pausing, other;
	struct output output = { 0 };
	char *line = malloc(line_bytes);
	memset(line, 'x', line_bytes);
	line[line_bytes - 1] = '\n';
	EQ(pipe2(fds, O_CLOEXEC), 0);
	GE(fcntl(fds[1], F_SETPIPE_SZ, 1 << 20), 1);
	scene_open(&scene, RING_ENGINE_AUTO, fds[1], 0);
	member_open(&scene, &pausing, 0);
	member_open(&scene, &other, 1);
	EQ(ring_take_over(pausing.ring), 0);
	EQ(ring_take_over(other.ring), 0);
	for (unsigned i = 0; i < lines; i++) {
		struct cursor_in in = { (uint8_t *)line, (uint8_t *)line + line_bytes };
		EQ(sink_push(pausing.sink, &in, 0), STEP_HUNGRY);
	}
	struct cursor_in in = { (const uint8_t *)"b\n", (const uint8_t *)"b\n" + 2 };
	EQ(sink_push(other.sink, &in, 1), STEP_HUNGRY);
	sink_flush(other.sink);
	EQ(sink_bytes_written(other.sink), 0);
	while (lines > 1 && sink_bytes_written(pausing.sink) < SINK_BUFFER_BYTES - line_bytes)
		member_wait(&pausing);
	if (lines == 1) /* the rest of the one long line */
		while (!sink_idle(pausing.sink))
			member_wait(&pausing);
	while (!sink_idle(other.sink))
		member_wait(&other);
	EQ(sink_bytes_written(other.sink), 2);
	sink_flush(pausing.sink);
	while (!sink_idle(pausing.sink))
		member_wait(&pausing);
	EQ(sink_bytes_written(pausing.sink), line_bytes * lines);
	ring_finish(pausing.ring);
	ring_finish(other.ring);
	close(fds[1]);
	read_all(fds[0], &output);
	EQ(output.count, line_bytes * lines + 2);
	free(output.bytes);
	free(line);
	close(fds[0]);
	member_close(&pausing);
	member_close(&other);
	arena_finish(&scene.arena);
}

static void a_pause_between_lines(void)
{
	whoever_pauses_holds_nobody_up(1000, SINK_BUFFER_BYTES / 1000 + 1);
}

static void a_pause_behind_a_long_line(void)
{
	whoever_pauses_holds_nobody_up(SINK_BUFFER_BYTES + 5000, 1);
}

static int was_woken(int fd)
{
	uint64_t count;
	return read(fd, &count, sizeof count) == sizeof count;
}

static void first_come_first_served(void)
{
	struct arena arena;
	int fds[3];
	EQ(arena_open(&arena, 1 << 20), 0);
	struct sink_turn *turn = sink_turn_create(&arena);
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		EQ(sink_turn_join(turn, fds[i]), i);
	}
	EQ(sink_turn_take(turn, 1), 1);
	EQ(sink_turn_take(turn, 1), 1); /* it has it already */
	EQ(sink_turn_take(turn, 2), 0);
	EQ(sink_turn_take(turn, 0), 0);
	EQ(sink_turn_take(turn, 2), 0); /* waits once, however often it asks */
	EQ(was_woken(fds[0]) + was_woken(fds[1]) + was_woken(fds[2]), 0);
	sink_turn_pass(turn, 1, 1); /* wants more, but others wait */
	EQ(was_woken(fds[2]), 1);
	EQ(sink_turn_take(turn, 1), 0);
	EQ(sink_turn_take(turn, 2), 1);
	sink_turn_pass(turn, 2, 0);
	EQ(was_woken(fds[0]), 1);
	sink_turn_pass(turn, 0, 0);
	EQ(was_woken(fds[1]), 1);
	sink_turn_pass(turn, 1, 1); /* nobody waits: it stays */
	EQ(sink_turn_take(turn, 0), 0);
	sink_turn_pass(turn, 1, 0);
	EQ(was_woken(fds[0]), 1);
	sink_turn_pass(turn, 0, 0); /* and is free again */
	EQ(sink_turn_take(turn, 2), 1);
	sink_turn_break(turn, FAULT_SINK_WRITE, "first");
	sink_turn_break(turn, FAULT_SINK_OPEN, "second");
	for (unsigned i = 0; i < 3; i++) {
		EQ(was_woken(fds[i]), 1);
		close(fds[i]);
	}
	char text[SINK_ERROR_BYTES_MAX];
	EQ(sink_turn_fault(turn, text), FAULT_SINK_WRITE);
	EQ_TEXT(text, "first");
	arena_finish(&arena);
}

TEST_MAIN(T(first_come_first_served), T(a_pause_between_lines), T(a_pause_behind_a_long_line),
	  T(short_lines_uring), T(short_lines_poll), T(long_lines_uring), T(long_lines_poll),
	  T(a_file_is_shared), T(a_break_is_everybodys))
