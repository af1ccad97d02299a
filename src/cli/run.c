/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define RUN_WAKE_NS (200 * NS_PER_MS) /* to show progress and take a sample */

/* The project's one writable global: how often SIGINT or SIGTERM came. */
static volatile sig_atomic_t signal_count;

static void on_signal(int number)
{
	(void)number;
	signal_count = signal_count + 1;
}

static void signals_install(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGPIPE, &ignore, NULL); /* the sink reports EPIPE with the output's name */
	sigaction(SIGXFSZ, &ignore, NULL); /* and EFBIG, when ulimit -f is reached */
}

uint64_t run_peak_bytes(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtoull(line + 6, NULL, 10);
	if (file)
		fclose(file);
	return kib * 1024;
}

void run_sum(const struct run *run, struct run_totals *ret_totals)
{
	struct run_totals totals = { 0 };
	for (size_t i = 0; i < flow_stream_count(run->flow); i++) {
		struct flow_stream_report report;
		flow_report(run->flow, i, &report);
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

/* Hands on the signals that have come since. Returns how many there were in all. */
static int run_signals(struct run *run)
{
	while (run->stops < signal_count) {
		progress_clear(run);
		if (!run->settings->quiet)
			fprintf(stderr, run->stops ? "ending at once\n"
						   : "ending after this page (again to end at once)\n");
		flow_stop(run->flow);
		run->stops++;
	}
	return run->stops;
}

/* Writes run.json now and then, so that whoever is killed leaves a cursor. */
static void run_record(struct run *run, int64_t now_ns)
{
	char error[SETTINGS_ERROR_BYTES_MAX];
	if (now_ns - run->recorded_ns < RECORD_EVERY_NS)
		return;
	run->recorded_ns = run->end_ns = now_ns;
	if (record_write(run, RECORD_RUNNING, error) < 0) {
		progress_clear(run);
		fprintf(stderr, "warning: %s\n", error);
	}
}

static void run_loop(struct run *run)
{
	const char *sink_text;
	int running;
	do {
		running = flow_run(run->flow, clock_monotonic_ns() + RUN_WAKE_NS);
		int64_t now_ns = clock_monotonic_ns();
		run_sample(run, now_ns);
		run_signals(run);
		progress_show(run, now_ns);
		run_record(run, now_ns);
	} while (running);
	while (!flow_drain(run->flow) && flow_sink_fault(run->flow, &sink_text) == FAULT_NONE) {
		if (run_signals(run) > 1)
			break;
		run_record(run, clock_monotonic_ns());
	}
	run->end_ns = clock_monotonic_ns();
	run_sample(run, run->end_ns + run->sample_every_ns); /* the last one is always there */
	if (run->sample_count)
		run->samples[run->sample_count - 1].at_ns = run->end_ns - run->start_ns;
}

/* Not one page in all that time is a failure too, unless a person ended it. */
static int run_stream_empty(const struct flow_stream_report *report)
{
	return report->plan.requests == 0 && report->end_reason != FLOW_END_STOPPED;
}

/* 0 when every stream did what it was asked for. */
static int run_exit_status(const struct run *run)
{
	const char *text;
	if (flow_sink_fault(run->flow, &text) != FAULT_NONE)
		return 1;
	for (size_t i = 0; i < flow_stream_count(run->flow); i++) {
		struct flow_stream_report report;
		flow_report(run->flow, i, &report);
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
	if (flow_sink_fault(run->flow, &sink_text) != FAULT_NONE) {
		fprintf(stderr, "akamai-direct-prof: %s\n", sink_text);
		return;
	}
	for (size_t i = 0; i < flow_stream_count(run->flow); i++) {
		struct flow_stream_report report;
		flow_report(run->flow, i, &report);
		if (report.end_reason != FLOW_END_FAILED && !run_stream_empty(&report))
			continue;
		if (report.error_text[0])
			fprintf(stderr, "akamai-direct-prof: %s: %s\n", run->settings->authority,
				report.error_text);
		else
			fprintf(stderr,
				"akamai-direct-prof: %s: configId %s: no page was complete when the time was "
				"up; "
				"a longer -duration or a smaller -limit may help\n",
				run->settings->authority, report.config_id);
	}
}

static void run_flow_settings(const struct settings *settings, struct run *run, struct tls_context *tls,
			      struct flow_settings *ret)
{
	*ret = (struct flow_settings){
		.host = settings->host,
		.port = settings->port,
		.authority = settings->authority,
		.tls = tls,
		.credentials = &settings->credentials.edgegrid,
		.headers_to_sign = (const char *const *)settings->header_names,
		.headers_to_sign_count = settings->header_count,
		.user_agent = "akamai-prof/" AKAMAI_PROF_VERSION,
		.config_ids = (const char *const *)settings->config_ids,
		.config_count = settings->config_count,
		.plan = {
			.base_path = settings->base_path,
			.cursor = settings->cursor,
			.limit = settings->limit,
			.from_unix = settings->from_unix,
			.initial_interval_ns = settings->initial_interval_ns,
			.to_lag_ns = settings->to_lag_ns,
			.poll_interval_ns = settings->poll_interval_ns,
			.offset_ttl_ns = settings->offset_ttl_ns,
			.requests_max = settings->max_requests,
			.backoff_ns = settings->backoff_ns,
			.follow = settings->follow,
		},
		.ring = {
			.engine = (enum ring_engine)settings->io,
			.receive_mode = (enum ring_receive_mode)settings->receive,
		},
		.sink = settings->sink_options,
		.inflate = (enum inflate_engine)settings->inflate,
		.scan_kernel = settings->scan,
		.identity = settings->identity,
		.budget_ns = settings->poll_timeout_ns,
		.duration_ns = settings->duration_ns,
		.stall_ns = settings->stall_ns,
		.notice = progress_notice,
		.notice_owner = run,
	};
}

static void run_say_begin(struct run *run)
{
	const struct settings *settings = run->settings;
	const struct ring_report *ring = flow_ring_report(run->flow);
	if (ring->notice[0])
		fprintf(stderr, "note: %s\n", ring->notice);
	if (!settings->secure)
		fprintf(stderr,
			"note: %s is plain HTTP: events and signatures cross the network unprotected\n",
			settings->authority);
	if (settings->quiet)
		return;
	if (!settings->no_profile)
		fprintf(stderr, "note: this version does not record profiles yet; running without "
				"(-no-profile silences this line)\n");
	fprintf(stderr, "collecting from %s://%s%s, %zu stream%s, limit %lld\n",
		settings->secure ? "https" : "http", settings->authority, settings->base_path,
		settings->config_count, settings->config_count > 1 ? "s" : "", (long long)settings->limit);
}

/* Everything after the settings are known to make sense. */
static int run_collect(const struct settings *settings)
{
	char error[SETTINGS_ERROR_BYTES_MAX > FLOW_TEXT_BYTES_MAX ? SETTINGS_ERROR_BYTES_MAX
								  : FLOW_TEXT_BYTES_MAX];
	struct tls_options tls_options = {
		.mode = (enum tls_mode)settings->tls_mode,
		.versions = (enum tls_version_limit)settings->tls_versions,
		.ca_file = settings->ca_file,
	};
	struct tls_context *tls = NULL;
	struct run *run = calloc(1, sizeof *run);
	if (!run)
		return 1;
	if (settings->secure && !(tls = tls_context_create(&tls_options, error))) {
		fprintf(stderr, "akamai-direct-prof: %s\n", error);
		free(run);
		return 1;
	}
	struct flow_settings flow_settings;
	run_flow_settings(settings, run, tls, &flow_settings);
	run->settings = settings;
	run->terminal = isatty(STDERR_FILENO);
	run->sample_every_ns = NS_PER_SECOND;
	run->start_unix_ns = clock_unix_ns();
	run->start_cpu_ns = clock_process_cpu_ns();
	run->start_ns = run->shown_ns = run->recorded_ns = clock_monotonic_ns();
	int status = 1;
	if (record_folder(settings, error) < 0 || !(run->flow = flow_create(&flow_settings, error))) {
		fprintf(stderr, "akamai-direct-prof: %s\n", error);
	} else {
		signals_install();
		run_say_begin(run);
		run_loop(run);
		progress_clear(run);
		status = run_exit_status(run);
		if (record_write(run, status, error) < 0) {
			fprintf(stderr, "akamai-direct-prof: %s\n", error);
			status = 1;
		}
		if (!settings->quiet)
			summary_print(run, stderr);
		run_print_errors(run);
		summary_closing_lines(run, stderr);
	}
	flow_finish(run->flow);
	tls_context_destroy(tls);
	free(run);
	return status;
}

static void run_help(void)
{
	puts("akamai-direct-prof - collect Akamai SIEM events with the native program\n"
	     "\n"
	     "usage: akamai-direct-prof [flags]\n"
	     "\n"
	     "Polls GET {URL}/configs/{configId}, hands every event line on untouched and in order, and "
	     "ends\n"
	     "with a summary, two closing lines on stderr and a run.json in the -out folder. Credentials "
	     "come\n"
	     "from YAEGI_HTTP_CLIENT_TOKEN, _CLIENT_SECRET and _ACCESS_TOKEN, from AKAMAI_HOST and the "
	     "other\n"
	     "AKAMAI_* variables, or from ~/.edgerc. Flags take one dash or two; durations are written as in "
	     "Go\n"
	     "(90s, 2m, 1h30m).\n"
	     "\n"
	     "examples:\n"
	     "  akamai-direct-prof -config-id 14227 -limit 60000 -duration 2m\n"
	     "  akamai-direct-prof -config-id 14227 -sink stdout -follow -duration 24h | jq -c "
	     ".httpMessage.host\n"
	     "  akamai-prof simulate -help        # a local server to try it on");
	flags_print_help(settings_flags, settings_flag_count);
	puts("\nexit status: 0 done, 1 failure, 2 wrong usage");
}

int run_direct(int argc, char **argv)
{
	char error[SETTINGS_ERROR_BYTES_MAX] = "";
	struct settings settings;
	int status = 0;
	switch (settings_gather(argc, argv, 1, &settings, error)) {
	case SETTINGS_HELP:
		run_help();
		break;
	case SETTINGS_VERSION:
		puts("akamai-direct-prof " AKAMAI_PROF_VERSION);
		break;
	case SETTINGS_USAGE:
		fprintf(stderr, "akamai-direct-prof: %s\n", error);
		status = 2;
		break;
	case SETTINGS_FAILURE:
		fprintf(stderr, "akamai-direct-prof: %s\n", error);
		status = 1;
		break;
	case SETTINGS_OK:
		status = run_collect(&settings);
		break;
	}
	settings_finish(&settings);
	return status;
}
