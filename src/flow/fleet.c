/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "flow/fleet.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/control_fields.h"
#include "flow/limiter.h"

#define SHARED_BYTES ((size_t)1 << 20) /* fleet, workers, turn and limiter: all but what is published */
#define DRAIN_WAIT_NS NS_PER_SECOND    /* as flow_drain() */

/* A report that outlives what it points to. */
struct fleet_stream {
	struct flow_stream_report report;
	char cursor[CONTROL_OFFSET_BYTES_MAX + 1];
	char error_text[2 * FLOW_TEXT_BYTES_MAX];
};

enum worker_state {
	WORKER_CREATED,
	WORKER_RUNNING,
	WORKER_DRAINING, /* its streams have ended */
	WORKER_ENDED,
};

struct fleet_worker {
	struct fleet *fleet;
	unsigned index;
	struct flow *flow;
	struct flow_place place;
	const char **config_ids;
	const char **states;
	size_t stream_count;
	pthread_t thread;
	int has_thread;

	/* What follows is read and written with the lock. */
	pthread_mutex_t lock;
	enum worker_state state;
	pid_t tid;
	int start_result; /* of flow_take_over() */
	struct fleet_stream *published;
	uint64_t sink_bytes;
	enum fault sink_fault;
	char sink_text[SINK_ERROR_BYTES_MAX];
};

struct fleet {
	struct arena arena;
	size_t worker_count;
	size_t stream_count;
	int threads;	 /* 1: each worker has one */
	int has_joined;	 /* they have ended: everything may be read directly */
	int news_fd;	 /* an eventfd: a worker's state is another */
	int stops;	 /* atomic */
	int kernel_told; /* atomic, see flow_place */
	struct ring_report ring_report;
	struct fleet_worker *workers;
	struct fleet_stream shown; /* of the last fleet_report() */
	char sink_text[SINK_ERROR_BYTES_MAX];
};

static void fleet_lock(struct fleet_worker *worker)
{
	CHECK_EQ(pthread_mutex_lock(&worker->lock), 0);
}

static void fleet_unlock(struct fleet_worker *worker)
{
	CHECK_EQ(pthread_mutex_unlock(&worker->lock), 0);
}

/* EAGAIN: it is written already, so often that nobody cares. */
static void event_write(int fd)
{
	uint64_t one = 1;
	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void report_copy(const struct flow_stream_report *from, struct fleet_stream *to)
{
	to->report = *from;
	snprintf(to->cursor, sizeof to->cursor, "%s", from->cursor);
	snprintf(to->error_text, sizeof to->error_text, "%s", from->error_text);
	to->report.cursor = to->cursor;
	to->report.error_text = to->error_text;
	to->report.state = to->report.state_error = NULL;
}

/* By the worker's own thread, or before it was started. */
static void worker_publish(struct fleet_worker *worker)
{
	const char *sink_text;
	fleet_lock(worker);
	for (size_t i = 0; i < worker->stream_count; i++) {
		struct flow_stream_report report;
		flow_report(worker->flow, i, &report);
		report_copy(&report, &worker->published[i]);
	}
	worker->sink_bytes = flow_sink_bytes(worker->flow);
	worker->sink_fault = flow_sink_fault(worker->flow, &sink_text);
	snprintf(worker->sink_text, sizeof worker->sink_text, "%s", sink_text);
	fleet_unlock(worker);
}

static void worker_enter(struct fleet_worker *worker, enum worker_state state)
{
	fleet_lock(worker);
	worker->state = state;
	fleet_unlock(worker);
	event_write(worker->fleet->news_fd);
}

static enum worker_state worker_state(struct fleet_worker *worker)
{
	fleet_lock(worker);
	enum worker_state state = worker->state;
	fleet_unlock(worker);
	return state;
}

static void worker_work(struct fleet_worker *worker)
{
	const char *text;
	while (flow_run(worker->flow, clock_monotonic_ns() + FLEET_PUBLISH_NS))
		worker_publish(worker);
	worker_publish(worker);
	worker_enter(worker, WORKER_DRAINING);
	while (!flow_drain(worker->flow)) {
		worker_publish(worker);
		if (flow_sink_fault(worker->flow, &text) != FAULT_NONE)
			break;
		if (__atomic_load_n(&worker->fleet->stops, __ATOMIC_ACQUIRE) > 1)
			break;
	}
}

static void *worker_main(void *argument)
{
	struct fleet_worker *worker = argument;
	char name[16]; /* prctl(2) */
	snprintf(name, sizeof name, "worker %u", worker->index + 1);
	prctl(PR_SET_NAME, name);
	int result = flow_take_over(worker->flow);
	fleet_lock(worker);
	worker->tid = gettid();
	worker->start_result = result;
	fleet_unlock(worker);
	if (result == 0) {
		worker_enter(worker, WORKER_RUNNING);
		worker_work(worker);
	}
	flow_leave(worker->flow);
	worker_publish(worker);
	worker_enter(worker, WORKER_ENDED);
	return NULL;
}

/* Stream i is worker i % worker_count's. */
static void worker_deal(struct fleet_worker *worker, const struct flow_settings *settings)
{
	struct arena *arena = &worker->fleet->arena;
	size_t step = worker->fleet->worker_count;
	size_t count = (settings->config_count - worker->index + step - 1) / step;
	worker->config_ids = arena_take(arena, count * sizeof *worker->config_ids, 64);
	worker->states = arena_take(arena, count * sizeof *worker->states, 64);
	worker->published = arena_take(arena, count * sizeof *worker->published, 64);
	worker->stream_count = count;
	for (size_t i = 0; i < count; i++) {
		worker->config_ids[i] = settings->config_ids[worker->index + i * step];
		if (settings->states)
			worker->states[i] = settings->states[worker->index + i * step];
	}
}

static int worker_open(struct fleet_worker *worker, const struct flow_settings *of_all, char *error)
{
	struct fleet *fleet = worker->fleet;
	struct flow_settings settings = *of_all;
	CHECK_EQ(pthread_mutex_init(&worker->lock, NULL), 0);
	worker_deal(worker, of_all);
	settings.config_ids = worker->config_ids;
	settings.states = of_all->states ? worker->states : NULL;
	settings.config_count = worker->stream_count;
	if (of_all->stage) {
		settings.stage = &of_all->stage[worker->index];
		settings.stage->worker_index = worker->index;
	}
	if (fleet->threads) {
		worker->place = (struct flow_place){
			.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.stops = &fleet->stops,
			.kernel_told = &fleet->kernel_told,
		};
		if (worker->place.wake_fd < 0) {
			snprintf(error, FLOW_TEXT_BYTES_MAX, "cannot make an eventfd for a worker: %s",
				 strerror(errno));
			return -1;
		}
		settings.place = &worker->place;
		settings.sink.wake_fd = worker->place.wake_fd;
	}
	worker->flow = flow_create(&settings, error);
	if (!worker->flow)
		return -1;
	worker_publish(worker);
	return 0;
}

static int fleet_open(struct fleet *fleet, const struct flow_settings *of_all, char *error)
{
	struct flow_settings settings = *of_all;
	if (fleet->stream_count > 1)
		settings.limiter = limiter_create(&fleet->arena);
	if (fleet->threads && settings.sink.kind != SINK_NULL)
		settings.sink.turn = sink_turn_create(&fleet->arena);
	fleet->news_fd = fleet->threads ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	if (fleet->threads && fleet->news_fd < 0) {
		snprintf(error, FLOW_TEXT_BYTES_MAX, "cannot make an eventfd: %s", strerror(errno));
		return -1;
	}
	for (size_t i = 0; i < fleet->worker_count; i++) {
		struct fleet_worker *worker = &fleet->workers[i];
		worker->fleet = fleet;
		worker->index = (unsigned)i;
		if (worker_open(worker, &settings, error) < 0)
			return -1;
		const struct ring_report *report = flow_ring_report(worker->flow);
		if (i == 0) {
			fleet->ring_report = *report;
			continue;
		}
		fleet->ring_report.registered_buffers += report->registered_buffers;
		fleet->ring_report.registered_bytes += report->registered_bytes;
		fleet->ring_report.restricted &= report->restricted;
		if (!fleet->ring_report.notice[0])
			snprintf(fleet->ring_report.notice, sizeof fleet->ring_report.notice, "%s",
				 report->notice);
	}
	return 0;
}

struct fleet *fleet_create(const struct flow_settings *settings, size_t worker_count,
			   char error[static FLOW_TEXT_BYTES_MAX])
{
	struct arena arena;
	CHECK_NE(worker_count, (size_t)0);
	CHECK_LE(worker_count, settings->config_count);
	CHECK_LE(settings->config_count, (size_t)FLOW_STREAMS_MAX);
	int code = arena_open(&arena, SHARED_BYTES + FLOW_STREAMS_MAX * (sizeof(struct fleet_stream) + 256));
	if (code < 0) {
		snprintf(error, FLOW_TEXT_BYTES_MAX, "cannot reserve memory: %s", strerror(-code));
		return NULL;
	}
	struct fleet *fleet = arena_take(&arena, sizeof *fleet, 64);
	fleet->arena = arena;
	fleet->worker_count = worker_count;
	fleet->stream_count = settings->config_count;
	fleet->threads = worker_count > 1;
	fleet->workers = arena_take(&fleet->arena, worker_count * sizeof *fleet->workers, 64);
	for (size_t i = 0; i < worker_count; i++)
		fleet->workers[i].place.wake_fd = -1;
	if (fleet_open(fleet, settings, error) == 0)
		return fleet;
	fleet_finish(fleet);
	return NULL;
}

/* Until a worker's state is another, `until_ns`, or a signal. */
static void fleet_wait(struct fleet *fleet, int64_t until_ns)
{
	int64_t wait_ns = until_ns - clock_monotonic_ns();
	struct timespec time = { .tv_sec = wait_ns / NS_PER_SECOND, .tv_nsec = wait_ns % NS_PER_SECOND };
	struct pollfd wanted = { .fd = fleet->news_fd, .events = POLLIN };
	uint64_t count;
	if (wait_ns > 0 && ppoll(&wanted, 1, &time, NULL) < 0)
		CHECK_EQ(errno, EINTR);
	if (read(fleet->news_fd, &count, sizeof count) < 0)
		CHECK_EQ(errno, EAGAIN);
}

/* How many of them have not got so far. */
static size_t fleet_count_before(struct fleet *fleet, enum worker_state state)
{
	size_t count = 0;
	for (size_t i = 0; i < fleet->worker_count; i++)
		count += fleet->workers[i].has_thread && worker_state(&fleet->workers[i]) < state;
	return count;
}

/* Signals are the calling thread's. */
static int threads_create(struct fleet *fleet, char *error)
{
	sigset_t all, before;
	int code = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; i < fleet->worker_count && code == 0; i++) {
		struct fleet_worker *worker = &fleet->workers[i];
		code = pthread_create(&worker->thread, NULL, worker_main, worker);
		worker->has_thread = code == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code == 0)
		return 0;
	snprintf(error, FLOW_TEXT_BYTES_MAX, "a worker's thread cannot be started: %s; -workers 1 needs none",
		 strerror(code));
	return -1;
}

int fleet_start(struct fleet *fleet, char error[static FLOW_TEXT_BYTES_MAX])
{
	if (!fleet->threads)
		return 0;
	if (threads_create(fleet, error) < 0)
		return -1;
	while (fleet_count_before(fleet, WORKER_RUNNING))
		fleet_wait(fleet, clock_monotonic_ns() + NS_PER_SECOND);
	for (size_t i = 0; i < fleet->worker_count; i++) {
		struct fleet_worker *worker = &fleet->workers[i];
		fleet_lock(worker);
		int result = worker->start_result;
		fleet_unlock(worker);
		if (result == 0)
			continue;
		snprintf(error, FLOW_TEXT_BYTES_MAX,
			 "a worker cannot use its io_uring: %s; -workers 1 or -io poll may help",
			 strerror(-result));
		return -1;
	}
	return 0;
}

int fleet_run(struct fleet *fleet, int64_t until_ns)
{
	if (!fleet->threads)
		return flow_run(fleet->workers[0].flow, until_ns);
	if (fleet_count_before(fleet, WORKER_DRAINING))
		fleet_wait(fleet, until_ns);
	return fleet_count_before(fleet, WORKER_DRAINING) > 0;
}

void fleet_stop(struct fleet *fleet)
{
	if (!fleet->threads) {
		flow_stop(fleet->workers[0].flow);
		return;
	}
	__atomic_add_fetch(&fleet->stops, 1, __ATOMIC_RELEASE);
	for (size_t i = 0; i < fleet->worker_count; i++)
		if (fleet->workers[i].place.wake_fd >= 0)
			event_write(fleet->workers[i].place.wake_fd);
}

void fleet_join(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->worker_count; i++) {
		struct fleet_worker *worker = &fleet->workers[i];
		if (worker->has_thread)
			CHECK_EQ(pthread_join(worker->thread, NULL), 0);
		worker->has_thread = 0;
	}
	fleet->has_joined = 1;
}

int fleet_drain(struct fleet *fleet)
{
	if (!fleet->threads)
		return flow_drain(fleet->workers[0].flow);
	if (fleet_count_before(fleet, WORKER_ENDED))
		fleet_wait(fleet, clock_monotonic_ns() + DRAIN_WAIT_NS);
	if (fleet_count_before(fleet, WORKER_ENDED))
		return 0;
	fleet_join(fleet);
	return 1;
}

size_t fleet_worker_count(const struct fleet *fleet)
{
	return fleet->worker_count;
}

pid_t fleet_worker_tid(const struct fleet *fleet, size_t worker_index)
{
	CHECK_LT(worker_index, fleet->worker_count);
	struct fleet_worker *worker = &fleet->workers[worker_index];
	if (!fleet->threads)
		return gettid();
	fleet_lock(worker);
	pid_t tid = worker->tid;
	fleet_unlock(worker);
	return tid;
}

size_t fleet_stream_count(const struct fleet *fleet)
{
	return fleet->stream_count;
}

size_t fleet_worker_of_stream(const struct fleet *fleet, size_t stream_index)
{
	CHECK_LT(stream_index, fleet->stream_count);
	return stream_index % fleet->worker_count;
}

void fleet_report(struct fleet *fleet, size_t stream_index, struct flow_stream_report *ret_report)
{
	struct fleet_worker *worker = &fleet->workers[fleet_worker_of_stream(fleet, stream_index)];
	size_t index = stream_index / fleet->worker_count;
	if (!fleet->threads || fleet->has_joined) {
		flow_report(worker->flow, index, ret_report);
		return;
	}
	fleet_lock(worker);
	report_copy(&worker->published[index].report, &fleet->shown);
	fleet_unlock(worker);
	*ret_report = fleet->shown.report;
}

enum fault fleet_sink_fault(struct fleet *fleet, const char **ret_text)
{
	if (!fleet->threads)
		return flow_sink_fault(fleet->workers[0].flow, ret_text);
	*ret_text = fleet->sink_text;
	for (size_t i = 0; i < fleet->worker_count; i++) {
		struct fleet_worker *worker = &fleet->workers[i];
		fleet_lock(worker);
		enum fault fault = worker->sink_fault;
		memcpy(fleet->sink_text, worker->sink_text, sizeof fleet->sink_text);
		fleet_unlock(worker);
		if (fault != FAULT_NONE)
			return fault;
	}
	return FAULT_NONE;
}

uint64_t fleet_sink_bytes(struct fleet *fleet)
{
	uint64_t sum = 0;
	if (!fleet->threads)
		return flow_sink_bytes(fleet->workers[0].flow);
	for (size_t i = 0; i < fleet->worker_count; i++) {
		fleet_lock(&fleet->workers[i]);
		sum += fleet->workers[i].sink_bytes;
		fleet_unlock(&fleet->workers[i]);
	}
	return sum;
}

const struct ring_report *fleet_ring_report(const struct fleet *fleet)
{
	return &fleet->ring_report;
}

const char *fleet_inflate_name(const struct fleet *fleet)
{
	return flow_inflate_name(fleet->workers[0].flow);
}

const char *fleet_scan_name(const struct fleet *fleet)
{
	return flow_scan_name(fleet->workers[0].flow);
}

void fleet_finish(struct fleet *fleet)
{
	if (!fleet)
		return;
	if (fleet->threads) {
		fleet_stop(fleet);
		fleet_stop(fleet);
		fleet_join(fleet);
	}
	for (size_t i = 0; i < fleet->worker_count; i++) {
		struct fleet_worker *worker = &fleet->workers[i];
		flow_finish(worker->flow); /* NULL: not begun */
		if (worker->place.wake_fd >= 0)
			close(worker->place.wake_fd);
	}
	if (fleet->news_fd >= 0)
		close(fleet->news_fd);
	struct arena arena = fleet->arena; /* fleet itself lives in it */
	arena_finish(&arena);
}
