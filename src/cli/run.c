/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/files.h"
#include "cli/state.h"

#define RUN_WAKE_NS (200 * NS_PER_MS) /* to show progress and take a sample */

/* The project's one writable global: how often SIGINT or SIGTERM came, [0] from anybody and [1] handed on by
 * the supervisor, which is the only one to queue them (SI_QUEUE). A terminal's ctrl-C comes both ways. */
static volatile sig_atomic_t signal_count[2];

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	int handed_on = info->si_code == SI_QUEUE;
	signal_count[handed_on] = signal_count[handed_on] + 1;
}

static int signals_seen(void)
{
	return signal_count[0] > signal_count[1] ? signal_count[0] : signal_count[1];
}

static void signals_install(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGPIPE, &ignore, NULL); /* the sink reports EPIPE with the output's name */
	sigaction(SIGXFSZ, &ignore, NULL); /* and EFBIG, when ulimit -f is reached */
	/* The supervisor blocked them before it forked, so that none is lost in between. */
	sigset_t wanted;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &wanted, NULL);
}

uint64_t run_peak_bytes(const struct run *run)
{
	char text[4096];
	ssize_t bytes = pread(run->status_fd, text, sizeof text - 1, 0);
	text[bytes > 0 ? bytes : 0] = 0;
	const char *field = strstr(text, "\nVmHWM:"); /* proc(5): kB */
	return field ? strtoull(field + sizeof "\nVmHWM:" - 1, NULL, 10) * 1024 : 0;
}

void run_sum(const struct run *run, struct run_totals *ret_totals)
{
	struct run_totals totals = { 0 };
	for (size_t i = 0; i < fleet_stream_count(run->fleet); i++) {
		struct flow_stream_report report;
		fleet_report(run->fleet, i, &report);
		totals.requests += report.plan.requests;
		totals.attempts += report.plan.attempts;
		totals.events += report.events;
		totals.events_uncommitted += report.events_uncommitted;
		totals.event_bytes += report.event_bytes;
		totals.received_bytes += report.received_bytes;
		totals.body_bytes += report.body_bytes;
		totals.plain_bytes += report.plain_bytes;
		if (report.plan.last_event_unix_ms > totals.last_event_unix_ms)
			totals.last_event_unix_ms = report.plan.last_event_unix_ms;
	}
	*ret_totals = totals;
}

static void run_sample(struct run *run, int64_t now_ns)
{
	int64_t at_ns = now_ns - run->start_ns;
	int64_t last_ns = run->sample_count ? run->samples[run->sample_count - 1].at_ns : 0;
	if (at_ns - last_ns < run->sample_every_ns)
		return;
	if (run->sample_count == RUN_SAMPLES_MAX) {
		for (size_t i = 0; i < RUN_SAMPLES_MAX / 2; i++)
			run->samples[i] = run->samples[2 * i + 1];
		run->sample_count /= 2;
		run->sample_every_ns *= 2;
	}
	struct run_totals totals;
	run_sum(run, &totals);
	run->samples[run->sample_count++] = (struct run_sample){
		.at_ns = at_ns,
		.events = totals.events,
		.received_bytes = totals.received_bytes,
		.plain_bytes = totals.plain_bytes,
	};
}

/* Hands on the signals that have come since. Returns how many there were in all. A supervisor that is gone
 * counts as one, since it takes the terminal or the service manager's word with it. */
static int run_signals(struct run *run)
{
	int wanted = signals_seen();
	if (run->orphaned && wanted == 0)
		wanted = 1;
	for (; run->stops < wanted; run->stops++) {
		progress_clear(run);
		if (!run->settings->quiet)
			fprintf(stderr, run->stops ? "ending at once\n"
						   : "ending after this page (again to end at once)\n");
		fleet_stop(run->fleet);
	}
	return run->stops;
}

/* Nobody is left to write run.json, or to hand on signals: once. */
static void run_orphaned(struct run *run)
{
	if (run->orphaned)
		return;
	run->orphaned = 1;
	progress_clear(run);
	fputs("warning: the supervising process is gone: run.json keeps its last state, and there are no "
	      "profiles\n",
	      stderr);
}

/* Hands run.json to whoever may write it. 0, or -1 with a sentence in `error` ("" when it was said). */
static int run_document(struct run *run, enum link_document when, int status, char *error)
{
	error[0] = 0;
	char *text = record_text(run, status);
	if (!text) {
		snprintf(error, RUN_ERROR_BYTES_MAX, "out of memory for run.json");
		return -1;
	}
	int code = 0;
	if (!run->link)
		code = when == LINK_DOCUMENT_FIRST ? 0
						   : files_write_run_json(run->settings->out, text, error);
	else if (!run->orphaned)
		code = link_send(run->link, LINK_DOCUMENT, (int32_t)when, text, strlen(text), -1);
	if (run->link && code < 0)
		run_orphaned(run);
	if (when == LINK_DOCUMENT_LAST && run->settings->json && (puts(text) < 0 || fflush(stdout) != 0)) {
		snprintf(error, RUN_ERROR_BYTES_MAX, "standard output cannot be written: %s",
			 strerror(errno));
		code = -1;
	}
	free(text);
	return code < 0 ? -1 : 0;
}

/* Writes run.json now and then, so that whoever is killed leaves a cursor. */
static void run_record(struct run *run, int64_t now_ns)
{
	char error[RUN_ERROR_BYTES_MAX];
	if (run->link && link_closed(run->link))
		run_orphaned(run);
	if (now_ns - run->recorded_ns < RECORD_EVERY_NS)
		return;
	run->recorded_ns = run->end_ns = now_ns;
	if (run_document(run, LINK_DOCUMENT_RUNNING, RECORD_RUNNING, error) < 0 && error[0]) {
		progress_clear(run);
		fprintf(stderr, "warning: %s\n", error);
	}
}

/* Starts the workers, and says who they are: samples of a thread carry the stage that its slot names. 0, or
 * -1 with a sentence. */
static int run_start(struct run *run, char *error)
{
	if (fleet_start(run->fleet, error) < 0)
		return -1;
	size_t count = fleet_worker_count(run->fleet);
	for (size_t i = 0; run->stage && count > 1 && i < count; i++) {
		char tid[16];
		int bytes = snprintf(tid, sizeof tid, "%d", (int)fleet_worker_tid(run->fleet, i));
		link_send(run->link, LINK_WORKER, (int32_t)i, tid, (size_t)bytes, -1);
	}
	return 0;
}

static void run_loop(struct run *run)
{
	const char *sink_text;
	int running;
	do {
		running = fleet_run(run->fleet, clock_monotonic_ns() + RUN_WAKE_NS);
		int64_t now_ns = clock_monotonic_ns();
		run_sample(run, now_ns);
		run_signals(run);
		progress_show(run, now_ns);
		run_record(run, now_ns);
	} while (running);
	while (!fleet_drain(run->fleet) && fleet_sink_fault(run->fleet, &sink_text) == FAULT_NONE) {
		if (run_signals(run) > 1)
			break;
		run_record(run, clock_monotonic_ns());
	}
	fleet_join(run->fleet);
	run->end_ns = clock_monotonic_ns();
	run_sample(run, run->end_ns + run->sample_every_ns); /* the last one is always there */
	if (run->sample_count)
		run->samples[run->sample_count - 1].at_ns = run->end_ns - run->start_ns;
}

/* Not one page in all that time is a failure too, unless a person ended it. (A program may find that nothing
 * is new without one.) */
static int run_stream_empty(const struct flow_stream_report *report)
{
	return report->plan.requests == 0 && report->end_reason != FLOW_END_STOPPED &&
	       report->end_reason != FLOW_END_DRAINED && report->end_reason != FLOW_END_REQUESTS_MAX;
}

/* 0 when every stream did what it was asked for. */
static int run_exit_status(const struct run *run)
{
	const char *text;
	if (fleet_sink_fault(run->fleet, &text) != FAULT_NONE)
		return 1;
	for (size_t i = 0; i < fleet_stream_count(run->fleet); i++) {
		struct flow_stream_report report;
		fleet_report(run->fleet, i, &report);
		if (report.end_reason == FLOW_END_FAILED)
			return 1;
		if (run_stream_empty(&report))
			return 1;
	}
	return 0;
}

static void run_print_errors(const struct run *run)
{
	const char *sink_text;
	if (fleet_sink_fault(run->fleet, &sink_text) != FAULT_NONE) {
		fprintf(stderr, "%s: %s\n", run->settings->runner, sink_text);
		return;
	}
	for (size_t i = 0; i < fleet_stream_count(run->fleet); i++) {
		struct flow_stream_report report;
		fleet_report(run->fleet, i, &report);
		if (report.end_reason != FLOW_END_FAILED && !run_stream_empty(&report))
			continue;
		if (report.error_text[0])
			fprintf(stderr, "%s: %s: %s\n", run->settings->runner,
				run->settings->server.authority, report.error_text);
		else
			fprintf(stderr,
				"%s: %s: configId %s: no page was complete when the time was up; "
				"a longer -duration or a smaller -limit may help\n",
				run->settings->runner, run->settings->server.authority, report.config_id);
	}
}

static void run_say_begin(struct run *run)
{
	const struct settings *settings = run->settings;
	const struct ring_report *ring = fleet_ring_report(run->fleet);
	if (ring->notice[0])
		fprintf(stderr, "note: %s\n", ring->notice);
	if (!settings->server.secure)
		fprintf(stderr,
			"note: %s is plain HTTP: events and signatures cross the network unprotected\n",
			settings->server.authority);
	if (settings->quiet)
		return;
	if (settings->interpreted && settings->prog) {
		fprintf(stderr, "running %s for %s://%s, %zu stream%s\n", settings->program.name,
			settings->server.secure ? "https" : "http", settings->server.authority,
			settings->config_count, settings->config_count > 1 ? "s" : "");
	} else {
		fprintf(stderr, "collecting from %s://%s%s, %zu stream%s, limit %lld\n",
			settings->server.secure ? "https" : "http", settings->server.authority,
			settings->base_path, settings->config_count, settings->config_count > 1 ? "s" : "",
			(long long)settings->limit);
	}
	if (settings->no_profile)
		return;
	char half[DURATION_TEXT_BYTES_MAX];
	char window[DURATION_TEXT_BYTES_MAX];
	fprintf(stderr, "profiling into %s: %s of CPU and off-CPU samples from %s on, heap %s\n",
		settings->out, duration_format(settings->cpu_profile_duration_ns, window),
		duration_format(settings->duration_ns / 2, half),
		settings->heap_rate_bytes == 0	 ? "not tracked"
		: settings->heap_rate_bytes == 1 ? "exact"
						 : "sampled");
}

/* Waits for the supervisor's word, and takes the stage memory that comes with it. -1: it is not to be. */
static int run_await_go(struct run *run)
{
	struct link_message message;
	if (link_wait(run->link, &message) != 1 || message.kind != LINK_GO)
		return -1;
	if (message.passed_fd < 0)
		return 0;
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, message.passed_fd, 0);
	int code = errno;
	close(message.passed_fd); /* the memory stays */
	if (memory == MAP_FAILED) {
		fprintf(stderr, "%s: the stage memory cannot be mapped: %s\n", run->settings->runner,
			strerror(code));
		return -1;
	}
	run->stage = memory;
	return 0;
}

/* Tells the supervisor that all is out, and waits for what it has seen. Returns the exit status. */
static int run_await_profile(struct run *run, int status)
{
	struct link_message message;
	if (run->orphaned || link_send(run->link, LINK_FINISHED, status, NULL, 0, -1) < 0)
		return status;
	while (link_wait(run->link, &message) == 1) {
		if (message.kind == LINK_PROFILE) {
			free(run->profile_text);
			run->profile_text = message.bytes ? strdup(message.text) : NULL;
			status = message.number ? 1 : status;
		} else if (message.kind == LINK_PARAGRAPH) {
			run->profile_paragraph = message.bytes ? strdup(message.text) : NULL;
			return status;
		}
	}
	return status;
}

/* Waits until the last document is written, and pictures are drawn. -1: it was not. */
static int run_await_written(struct run *run)
{
	struct link_message message;
	while (!run->orphaned && link_wait(run->link, &message) == 1)
		if (message.kind == LINK_WRITTEN)
			return message.number ? -1 : 0;
	run_orphaned(run);
	return -1;
}

/* What the streams want to remember goes to whoever may write it. 0, or -1: some was not kept. */
static int run_keep_states(struct run *run)
{
	char error[STATE_ERROR_BYTES_MAX];
	int code = 0;
	for (size_t i = 0; run->settings->state && i < fleet_stream_count(run->fleet); i++) {
		struct flow_stream_report report;
		fleet_report(run->fleet, i, &report);
		if (report.state_error) {
			fprintf(stderr,
				"%s: the state of configId %s cannot be kept: %s; the next run begins where "
				"this one did\n",
				run->settings->runner, report.config_id, report.state_error);
			code = -1;
		}
		if (!report.state)
			continue;
		if (run->link && !run->orphaned) {
			link_send(run->link, LINK_STATE, (int32_t)i, report.state, strlen(report.state), -1);
		} else if (run->link ||
			   state_write(run->settings->state, report.config_id, report.state, error) < 0) {
			fprintf(stderr, "%s: %s\n", run->settings->runner,
				run->link ? "the state of this run is lost with the supervising process"
					  : error);
			code = -1;
		}
	}
	return code;
}

/* What a run leaves: the documents, then the words. Returns the exit status. */
static int run_end(struct run *run)
{
	char error[RUN_ERROR_BYTES_MAX] = "";
	int status = run_exit_status(run);
	if (run->link)
		status = run_await_profile(run, status);
	if (run_keep_states(run) < 0)
		status = 1;
	int code = run_document(run, LINK_DOCUMENT_LAST, status, error);
	if (code < 0 && error[0])
		fprintf(stderr, "%s: %s\n", run->settings->runner, error);
	if (run->link && run_await_written(run) < 0)
		code = -1;
	if (code < 0)
		status = 1;
	if (!run->settings->quiet) {
		summary_print(run, stderr);
		if (run->profile_paragraph)
			fputs(run->profile_paragraph, stderr);
	}
	run_print_errors(run);
	summary_closing_lines(run, stderr);
	return status;
}

int run_collect(const struct settings *settings, struct link *link)
{
	char error[RUN_ERROR_BYTES_MAX];
	struct tls_context *tls = NULL;
	struct run *run = calloc(1, sizeof *run);
	if (!run)
		return 1;
	int status = 1;
	run->settings = settings;
	run->link = link;
	run->status_fd = -1;
	run->terminal = isatty(STDERR_FILENO);
	run->sample_every_ns = NS_PER_SECOND;
	pthread_mutex_init(&run->print_lock, NULL);
	signals_install();
	if (link && run_await_go(run) < 0)
		goto end;
	run->start_unix_ns = clock_unix_ns();
	run->start_cpu_ns = clock_process_cpu_ns();
	run->start_ns = run->shown_ns = run->recorded_ns = clock_monotonic_ns();
	if (run_open(run, &tls, error) < 0) {
		fprintf(stderr, "%s: %s\n", settings->runner, error);
		goto end;
	}
	run_say_begin(run);
	run->end_ns = clock_monotonic_ns();
	run_document(run, LINK_DOCUMENT_FIRST, RECORD_RUNNING, error);
	if (run_start(run, error) < 0) {
		fprintf(stderr, "%s: %s\n", settings->runner, error);
		goto end;
	}
	run_loop(run);
	progress_clear(run);
	status = run_end(run);
end:
	fleet_finish(run->fleet);
	tls_context_destroy(tls);
	if (run->status_fd >= 0)
		close(run->status_fd);
	free(run->profile_text);
	free(run->profile_paragraph);
	variables_finish(&run->variables);
	for (size_t i = 0; i < settings->config_count; i++)
		free(run->states[i]);
	free(run);
	return status;
}
