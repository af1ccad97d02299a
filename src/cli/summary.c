/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run came to: for a person, and the two closing lines that the Go original printed.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/run.h"

static const char *const end_reason_names[] = {
	[FLOW_RUNNING] = "running",
	[FLOW_END_DRAINED] = "drained",
	[FLOW_END_REQUESTS_MAX] = "max-requests",
	[FLOW_END_BUDGET] = "budget",
	[FLOW_END_DURATION] = "duration",
	[FLOW_END_STOPPED] = "stopped",
	[FLOW_END_FAILED] = "failed",
};

const char *end_reason_name(enum flow_end_reason reason)
{
	return end_reason_names[reason];
}

static const char *end_reason_sentence(enum flow_end_reason reason)
{
	static const char *const sentences[] = {
		[FLOW_RUNNING] = "still running",
		[FLOW_END_DRAINED] = "the feed is drained",
		[FLOW_END_REQUESTS_MAX] = "-max-requests is reached",
		[FLOW_END_BUDGET] = "no time left for another request",
		[FLOW_END_DURATION] = "the time was up in the middle of a page",
		[FLOW_END_STOPPED] = "stopped by a signal",
		[FLOW_END_FAILED] = "failed",
	};
	return sentences[reason];
}

static void summary_stream(const struct run *run, const struct flow_stream_report *report, FILE *out)
{
	const struct plan_counters *plan = &report->plan;
	fprintf(out, "configId %s: %" PRIu64 " events in %" PRIu64 " pages; %s\n", report->config_id,
		report->events, plan->requests, end_reason_sentence(report->end_reason));
	fprintf(out,
		"  wire %.1f MB in, body %.1f MB %s -> %.1f MB; slowest page %.2f s; %" PRIu64 " connections",
		(double)report->received_bytes / 1e6, (double)report->body_bytes / 1e6,
		report->content_encoding, (double)report->plain_bytes / 1e6,
		(double)report->page_ns_max / 1e9, report->connections);
	if (report->tls_version[0])
		fprintf(out, ", %s %s (%s)", report->tls_version, report->tls_cipher, report->tls_mode);
	fputc('\n', out);
	uint64_t failed = plan->truncations + plan->rate_limited + plan->server_errors +
			  plan->network_errors + plan->recoveries + plan->clock_corrections;
	if (failed)
		fprintf(out,
			"  mended: %" PRIu64 " truncated pages, %" PRIu64 " rate limits, %" PRIu64
			" server errors, %" PRIu64 " network errors, %" PRIu64 " recoveries by time, %" PRIu64
			" clock corrections; %.1f s of back-off\n",
			plan->truncations, plan->rate_limited, plan->server_errors, plan->network_errors,
			plan->recoveries, plan->clock_corrections, (double)plan->backoff_ns / 1e9);
	if (report->held_requests)
		fprintf(out,
			"  held back: %" PRIu64
			" requests, %.1f s in all, because the account's limit was reached\n",
			report->held_requests, (double)report->held_ns / 1e9);
	if (plan->gap_seconds)
		fprintf(out, "  LOST BY THE SERVER: %" PRId64 " s of history were older than the API keeps\n",
			plan->gap_seconds);
	if (plan->skip_mismatches)
		fprintf(out,
			"  %" PRIu64
			" times a repeated page differed: some events may have been handed on twice\n",
			plan->skip_mismatches);
	if (report->malformed)
		fprintf(out,
			"  %" PRIu64 " of the events are no JSON object; they were handed on as they came\n",
			report->malformed);
	if (report->events_uncommitted)
		fprintf(out,
			"  %" PRIu64
			" of the events lie behind the cursor: a new run from it would hand them on again\n",
			report->events_uncommitted);
	if (report->end_reason == FLOW_END_FAILED)
		fprintf(out, "  error: %s\n", report->error_text);
	(void)run;
}

void summary_print(const struct run *run, FILE *out)
{
	struct run_totals totals;
	double seconds = (double)(run->end_ns - run->start_ns) / 1e9;
	double cpu_seconds = (double)(clock_process_cpu_ns() - run->start_cpu_ns) / 1e9;
	const struct ring_report *ring = fleet_ring_report(run->fleet);
	run_sum(run, &totals);
	fputc('\n', out);
	for (size_t i = 0; i < fleet_stream_count(run->fleet); i++) {
		struct flow_stream_report report;
		fleet_report(run->fleet, i, &report);
		summary_stream(run, &report, out);
	}
	fprintf(out,
		"%" PRIu64
		" events, %.1f MB of lines, in %.2f s: %.0f events/s, %.1f MB/s in, %.1f MB/s out\n",
		totals.events, (double)totals.event_bytes / 1e6, seconds, (double)totals.events / seconds,
		(double)totals.received_bytes / seconds / 1e6, (double)totals.event_bytes / seconds / 1e6);
	fprintf(out, "CPU %.2f s", cpu_seconds);
	if (totals.events >= 1000)
		fprintf(out, " (%.2f CPU-seconds per million events)",
			cpu_seconds * 1e6 / (double)totals.events);
	if (fleet_worker_count(run->fleet) > 1)
		fprintf(out, " of %zu workers", fleet_worker_count(run->fleet));
	fprintf(out, ", peak memory %.1f MB; %s%s, inflate %s, scan %s, sink %s\n",
		(double)run_peak_bytes(run) / 1e6, ring->engine == RING_ENGINE_URING ? "io_uring" : "poll",
		ring->engine != RING_ENGINE_URING	   ? ""
		: ring->receive_mode == RING_RECEIVE_FIXED ? " (registered buffers)"
							   : " (plain receive)",
		fleet_inflate_name(run->fleet), fleet_scan_name(run->fleet), run->settings->sink);
}

/* Go's %q for what an offset may hold: quotes, backslashes and control characters are escaped. */
static void print_quoted(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

void summary_closing_lines(const struct run *run, FILE *out)
{
	struct run_totals all;
	char elapsed[DURATION_TEXT_BYTES_MAX];
	int64_t elapsed_ms = (run->end_ns - run->start_ns + NS_PER_MS / 2) / NS_PER_MS;
	double seconds = (double)(run->end_ns - run->start_ns) / 1e9;
	run_sum(run, &all);
	for (size_t i = 0; i < fleet_stream_count(run->fleet); i++) {
		struct flow_stream_report report;
		fleet_report(run->fleet, i, &report);
		fprintf(out,
			"akamai_siem requests=%" PRIu64 " events=%" PRIu64 " cursor=", report.plan.requests,
			report.events);
		print_quoted(report.cursor, out);
		fprintf(out, " last_event_unix=%" PRId64 "\n", report.plan.last_event_unix_ms / 1000);
	}
	fprintf(out, "done elapsed=%s events=%" PRIu64 " eps=%.2f out=%s\n",
		duration_format(elapsed_ms * NS_PER_MS, elapsed), all.events, (double)all.events / seconds,
		run->settings->out);
}
