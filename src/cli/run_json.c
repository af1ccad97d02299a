/* SPDX-License-Identifier: Apache-2.0
 *
 * run.json: the run's configuration (without secrets), totals, throughput over time and host facts.
 * Format: README.md, "run.json". The only file that names json-c.
 */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/run.h"

#define RUN_JSON_VERSION 1

static void add_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text ? text : ""));
}

static void add_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_int64((int64_t)value));
}

static void add_seconds(struct json_object *object, const char *key, int64_t ns)
{
	char text[32];
	snprintf(text, sizeof text, "%.6f", (double)ns / 1e9);
	json_object_object_add(object, key, json_object_new_double_s((double)ns / 1e9, text));
}

static struct json_object *record_configuration(const struct settings *settings)
{
	struct json_object *object = json_object_new_object();
	struct json_object *ids = json_object_new_array();
	for (size_t i = 0; i < settings->config_count; i++)
		json_object_array_add(ids, json_object_new_string(settings->config_ids[i]));
	add_text(object, "scheme", settings->secure ? "https" : "http");
	add_text(object, "server", settings->authority);
	add_text(object, "base_path", settings->base_path);
	json_object_object_add(object, "config_ids", ids);
	add_text(object, "credentials_source", settings->credentials.source);
	add_number(object, "limit", (uint64_t)settings->limit);
	add_number(object, "from_unix", (uint64_t)settings->from_unix);
	add_number(object, "max_requests", (uint64_t)settings->max_requests);
	add_seconds(object, "duration_seconds", settings->duration_ns);
	add_seconds(object, "cpu_profile_duration_seconds", settings->cpu_profile_duration_ns);
	add_seconds(object, "initial_interval_seconds", settings->initial_interval_ns);
	add_seconds(object, "poll_timeout_seconds", settings->poll_timeout_ns);
	add_seconds(object, "poll_interval_seconds", settings->poll_interval_ns);
	add_seconds(object, "offset_ttl_seconds", settings->offset_ttl_ns);
	add_seconds(object, "to_lag_seconds", settings->to_lag_ns);
	add_text(object, "sink", settings->sink);
	add_text(object, "format", settings->format == SINK_MESSAGE ? "message" : "raw");
	json_object_object_add(object, "follow", json_object_new_boolean(settings->follow));
	return object;
}

static struct json_object *record_plan(const struct plan_counters *plan)
{
	struct json_object *object = json_object_new_object();
	add_number(object, "requests", plan->requests);
	add_number(object, "attempts", plan->attempts);
	add_number(object, "truncations", plan->truncations);
	add_number(object, "recoveries", plan->recoveries);
	add_number(object, "rate_limited", plan->rate_limited);
	add_number(object, "server_errors", plan->server_errors);
	add_number(object, "network_errors", plan->network_errors);
	add_number(object, "clock_corrections", plan->clock_corrections);
	add_number(object, "skip_mismatches", plan->skip_mismatches);
	add_seconds(object, "backoff_seconds", plan->backoff_ns);
	add_number(object, "gap_seconds", (uint64_t)plan->gap_seconds);
	add_seconds(object, "clock_skew_seconds", plan->clock_skew_ns);
	add_number(object, "last_event_unix", (uint64_t)(plan->last_event_unix_ms / 1000));
	return object;
}

static struct json_object *record_stream(const struct flow_stream_report *report)
{
	struct json_object *object = json_object_new_object();
	add_text(object, "config_id", report->config_id);
	add_text(object, "end_reason", end_reason_name(report->end_reason));
	add_text(object, "fault", fault_name(report->fault));
	add_text(object, "error", report->error_text);
	add_text(object, "cursor", report->cursor);
	add_number(object, "events", report->events);
	add_number(object, "events_uncommitted", report->events_uncommitted);
	add_number(object, "event_bytes", report->event_bytes);
	add_number(object, "received_bytes", report->received_bytes);
	add_number(object, "sent_bytes", report->sent_bytes);
	add_number(object, "body_bytes", report->body_bytes);
	add_number(object, "plain_bytes", report->plain_bytes);
	add_text(object, "content_encoding", report->content_encoding);
	add_number(object, "connections", report->connections);
	add_seconds(object, "page_seconds_max", report->page_ns_max);
	add_text(object, "tls_version", report->tls_version);
	add_text(object, "tls_cipher", report->tls_cipher);
	add_text(object, "tls_mode", report->tls_mode);
	add_number(object, "tls_records", report->records);
	add_number(object, "tls_key_updates", report->key_updates);
	add_number(object, "tls_resumptions", report->resumptions);
	json_object_object_add(object, "protocol", record_plan(&report->plan));
	return object;
}

static struct json_object *record_host(const struct run *run)
{
	struct json_object *object = json_object_new_object();
	const struct ring_report *ring = flow_ring_report(run->flow);
	struct utsname names;
	uname(&names);
	add_text(object, "kernel", names.release);
	add_text(object, "machine", names.machine);
	add_number(object, "cpus_online", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	add_text(object, "io", ring->engine == RING_ENGINE_URING ? "io_uring" : "poll");
	add_text(object, "receive", ring->receive_mode == RING_RECEIVE_FIXED ? "fixed" : "plain");
	add_number(object, "io_uring_features", ring->features);
	json_object_object_add(object, "defer_taskrun", json_object_new_boolean(ring->defer_taskrun));
	json_object_object_add(object, "single_issuer", json_object_new_boolean(ring->single_issuer));
	add_number(object, "registered_bytes", ring->registered_bytes);
	add_text(object, "inflate", flow_inflate_name(run->flow));
	add_text(object, "scan", flow_scan_name(run->flow));
	add_text(object, "notice", ring->notice);
	return object;
}

static struct json_object *record_samples(const struct run *run)
{
	struct json_object *array = json_object_new_array();
	for (size_t i = 0; i < run->sample_count; i++) {
		struct json_object *sample = json_object_new_object();
		add_seconds(sample, "at_seconds", run->samples[i].at_ns);
		add_number(sample, "events", run->samples[i].events);
		add_number(sample, "received_bytes", run->samples[i].received_bytes);
		add_number(sample, "plain_bytes", run->samples[i].plain_bytes);
		json_object_array_add(array, sample);
	}
	return array;
}

static struct json_object *record_document(const struct run *run, int exit_status)
{
	struct json_object *document = json_object_new_object();
	struct json_object *streams = json_object_new_array();
	struct json_object *totals_object = json_object_new_object();
	struct run_totals totals;
	double seconds = (double)(run->end_ns - run->start_ns) / 1e9;
	run_sum(run, &totals);
	add_number(document, "version", RUN_JSON_VERSION);
	add_text(document, "program", "akamai-direct-prof");
	add_text(document, "program_version", AKAMAI_PROF_VERSION);
	add_number(document, "start_unix", (uint64_t)(run->start_unix_ns / NS_PER_SECOND));
	json_object_object_add(document, "exit_status",
			       exit_status == RECORD_RUNNING ? NULL : json_object_new_int(exit_status));
	json_object_object_add(document, "configuration", record_configuration(run->settings));
	add_seconds(totals_object, "elapsed_seconds", run->end_ns - run->start_ns);
	add_number(totals_object, "requests", totals.requests);
	add_number(totals_object, "events", totals.events);
	json_object_object_add(totals_object, "events_per_second",
			       json_object_new_double(seconds > 0 ? (double)totals.events / seconds : 0));
	add_number(totals_object, "event_bytes", totals.event_bytes);
	add_number(totals_object, "received_bytes", totals.received_bytes);
	add_number(totals_object, "plain_bytes", totals.plain_bytes);
	add_number(totals_object, "sink_bytes", flow_sink_bytes(run->flow));
	add_seconds(totals_object, "cpu_seconds", clock_process_cpu_ns() - run->start_cpu_ns);
	add_number(totals_object, "rss_bytes_max", run_peak_bytes());
	json_object_object_add(document, "totals", totals_object);
	for (size_t i = 0; i < flow_stream_count(run->flow); i++) {
		struct flow_stream_report report;
		flow_report(run->flow, i, &report);
		json_object_array_add(streams, record_stream(&report));
	}
	json_object_object_add(document, "streams", streams);
	json_object_object_add(document, "throughput", record_samples(run));
	json_object_object_add(document, "host", record_host(run));
	json_object_object_add(document, "profiles", json_object_new_array());
	return document;
}

enum { RECORD_FLAGS = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE };

/* mkdir -p */
static int folder_make(const char *path)
{
	char copy[4096];
	if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
		return -ENAMETOOLONG;
	for (char *at = copy + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		if (mkdir(copy, 0777) < 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return mkdir(copy, 0777) < 0 && errno != EEXIST ? -errno : 0;
}

/* Written beside and renamed, so that a reader sees all of it or none. */
static int text_write(const char *path, const char *text)
{
	char new_path[4300];
	snprintf(new_path, sizeof new_path, "%s.new", path);
	FILE *file = fopen(new_path, "we");
	if (!file)
		return -errno;
	int code = fputs(text, file) < 0 || fputc('\n', file) < 0 ? -EIO : 0;
	if (fclose(file) != 0)
		code = -errno;
	if (!code && rename(new_path, path) < 0)
		code = -errno;
	if (code)
		unlink(new_path);
	return code;
}

int record_folder(const struct settings *settings, char error[static SETTINGS_ERROR_BYTES_MAX])
{
	int code = folder_make(settings->out);
	if (!code && access(settings->out, W_OK | X_OK) < 0)
		code = -errno;
	if (code)
		snprintf(error, SETTINGS_ERROR_BYTES_MAX,
			 "cannot write run.json to %.1000s: %s; name another folder with -out", settings->out,
			 strerror(-code));
	return code;
}

int record_write(const struct run *run, int exit_status, char error[static SETTINGS_ERROR_BYTES_MAX])
{
	struct json_object *document = record_document(run, exit_status);
	const char *text = json_object_to_json_string_ext(document, RECORD_FLAGS);
	char path[4200];
	snprintf(path, sizeof path, "%s/run.json", run->settings->out);
	int code = text_write(path, text);
	if (code)
		snprintf(error, SETTINGS_ERROR_BYTES_MAX,
			 "cannot write %.1000s: %s; name another folder with -out", path, strerror(-code));
	if (run->settings->json && exit_status != RECORD_RUNNING && (puts(text) < 0 || fflush(stdout) != 0)) {
		code = -errno;
		snprintf(error, SETTINGS_ERROR_BYTES_MAX, "standard output cannot be written: %s",
			 strerror(errno));
	}
	json_object_put(document);
	return code;
}
