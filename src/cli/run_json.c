/* SPDX-License-Identifier: Apache-2.0
 *
 * run.json: the run's configuration (without secrets), totals, throughput over time and host facts.
 * Format: README.md, "run.json".
 */
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "cli/json.h"
#include "cli/run.h"

static struct json_object *record_configuration(const struct settings *settings)
{
	struct json_object *object = json_object_new_object();
	struct json_object *ids = json_object_new_array();
	for (size_t i = 0; i < settings->config_count; i++)
		json_object_array_add(ids, json_object_new_string(settings->config_ids[i]));
	json_add_text(object, "scheme", settings->server.secure ? "https" : "http");
	json_add_text(object, "server", settings->server.authority);
	json_add_text(object, "base_path", settings->base_path);
	json_object_object_add(object, "config_ids", ids);
	json_add_text(object, "credentials_source", settings->credentials.source);
	json_add_number(object, "limit", (uint64_t)settings->limit);
	json_add_number(object, "from_unix", (uint64_t)settings->from_unix);
	json_add_number(object, "max_requests", (uint64_t)settings->max_requests);
	json_add_seconds(object, "duration_seconds", settings->duration_ns);
	json_add_seconds(object, "cpu_profile_duration_seconds", settings->cpu_profile_duration_ns);
	json_add_seconds(object, "initial_interval_seconds", settings->initial_interval_ns);
	json_add_seconds(object, "poll_timeout_seconds", settings->poll_timeout_ns);
	json_add_seconds(object, "poll_interval_seconds", settings->poll_interval_ns);
	json_add_seconds(object, "offset_ttl_seconds", settings->offset_ttl_ns);
	json_add_seconds(object, "to_lag_seconds", settings->to_lag_ns);
	json_add_text(object, "sink", settings->sink);
	json_add_text(object, "format", settings->format == SINK_MESSAGE ? "message" : "raw");
	json_add_switch(object, "follow", settings->follow);
	json_add_text(object, "parse", settings->parse == SETTINGS_PARSE_FULL ? "full" : "control");
	if (settings->interpreted)
		json_add_text(object, "interpreted_program", settings->program.name);
	json_add_switch(object, "profile", !settings->no_profile);
	json_add_number(object, "hz", (uint64_t)settings->hz);
	json_add_number(object, "heap_rate_bytes", (uint64_t)settings->heap_rate_bytes);
	json_add_number(object, "heap_budget_percent", (uint64_t)settings->heap_budget_percent);
	return object;
}

static struct json_object *record_plan(const struct plan_counters *plan)
{
	struct json_object *object = json_object_new_object();
	json_add_number(object, "requests", plan->requests);
	json_add_number(object, "attempts", plan->attempts);
	json_add_number(object, "truncations", plan->truncations);
	json_add_number(object, "recoveries", plan->recoveries);
	json_add_number(object, "rate_limited", plan->rate_limited);
	json_add_number(object, "server_errors", plan->server_errors);
	json_add_number(object, "network_errors", plan->network_errors);
	json_add_number(object, "clock_corrections", plan->clock_corrections);
	json_add_number(object, "skip_mismatches", plan->skip_mismatches);
	json_add_seconds(object, "backoff_seconds", plan->backoff_ns);
	json_add_number(object, "gap_seconds", (uint64_t)plan->gap_seconds);
	json_add_seconds(object, "clock_skew_seconds", plan->clock_skew_ns);
	json_add_number(object, "last_event_unix", (uint64_t)(plan->last_event_unix_ms / 1000));
	return object;
}

static struct json_object *record_stream(const struct flow_stream_report *report, size_t worker_index)
{
	struct json_object *object = json_object_new_object();
	json_add_text(object, "config_id", report->config_id);
	json_add_number(object, "worker", worker_index);
	json_add_text(object, "end_reason", end_reason_name(report->end_reason));
	json_add_text(object, "fault", fault_name(report->fault));
	json_add_text(object, "error", report->error_text);
	json_add_text(object, "cursor", report->cursor);
	json_add_number(object, "events", report->events);
	json_add_number(object, "events_uncommitted", report->events_uncommitted);
	json_add_number(object, "made_events", report->made_events);
	json_add_number(object, "malformed_events", report->malformed);
	json_add_number(object, "event_bytes", report->event_bytes);
	json_add_number(object, "received_bytes", report->received_bytes);
	json_add_number(object, "sent_bytes", report->sent_bytes);
	json_add_number(object, "body_bytes", report->body_bytes);
	json_add_number(object, "plain_bytes", report->plain_bytes);
	json_add_number(object, "paired_plain_bytes", report->paired_plain_bytes);
	json_add_text(object, "content_encoding", report->content_encoding);
	json_add_number(object, "connections", report->connections);
	json_add_number(object, "held_requests", report->held_requests);
	json_add_seconds(object, "held_seconds", report->held_ns);
	json_add_seconds(object, "page_seconds_max", report->page_ns_max);
	json_add_text(object, "tls_version", report->tls_version);
	json_add_text(object, "tls_cipher", report->tls_cipher);
	json_add_text(object, "tls_mode", report->tls_mode);
	json_add_number(object, "tls_records", report->records);
	json_add_number(object, "tls_key_updates", report->key_updates);
	json_add_number(object, "tls_resumptions", report->resumptions);
	json_object_object_add(object, "protocol", record_plan(&report->plan));
	return object;
}

static struct json_object *record_host(const struct run *run)
{
	struct json_object *object = json_object_new_object();
	const struct ring_report *ring = fleet_ring_report(run->fleet);
	json_add_host(object, run->cpus_online);
	json_add_number(object, "workers", fleet_worker_count(run->fleet));
	json_add_text(object, "io", ring->engine == RING_ENGINE_URING ? "io_uring" : "poll");
	json_add_text(object, "receive", ring->receive_mode == RING_RECEIVE_FIXED ? "fixed" : "plain");
	json_add_number(object, "io_uring_features", ring->features);
	json_add_switch(object, "defer_taskrun", ring->defer_taskrun);
	json_add_switch(object, "single_issuer", ring->single_issuer);
	json_add_number(object, "registered_bytes", ring->registered_bytes);
	json_add_text(object, "inflate", fleet_inflate_name(run->fleet));
	json_add_text(object, "scan", fleet_scan_name(run->fleet));
	json_add_text(object, "notice", ring->notice);
	return object;
}

static struct json_object *record_confinement(const struct run *run)
{
	const struct confine_report *report = &run->confinement;
	struct json_object *object = json_object_new_object();
	json_add_text(object, "user", report->user);
	json_add_switch(object, "user_changed", report->user_changed);
	json_add_switch(object, "no_new_privileges", report->no_new_privileges);
	json_add_number(object, "landlock_abi", (uint64_t)report->landlock_abi);
	json_add_switch(object, "landlock_files", report->landlock_files);
	json_add_switch(object, "landlock_connect", report->landlock_connect);
	json_add_switch(object, "seccomp", report->seccomp);
	json_add_switch(object, "io_uring_restricted", fleet_ring_report(run->fleet)->restricted);
	json_add_text(object, "note", report->note);
	return object;
}

static struct json_object *record_samples(const struct run *run)
{
	struct json_object *array = json_object_new_array();
	for (size_t i = 0; i < run->sample_count; i++) {
		struct json_object *sample = json_object_new_object();
		json_add_seconds(sample, "at_seconds", run->samples[i].at_ns);
		json_add_number(sample, "events", run->samples[i].events);
		json_add_number(sample, "received_bytes", run->samples[i].received_bytes);
		json_add_number(sample, "plain_bytes", run->samples[i].plain_bytes);
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
	json_add_number(document, "version", RUN_JSON_VERSION);
	json_add_text(document, "program", run->settings->runner);
	json_add_text(document, "program_version", AKAMAI_PROF_VERSION);
	json_add_number(document, "start_unix", (uint64_t)(run->start_unix_ns / NS_PER_SECOND));
	json_object_object_add(document, "exit_status",
			       exit_status == RECORD_RUNNING ? NULL : json_object_new_int(exit_status));
	json_object_object_add(document, "configuration", record_configuration(run->settings));
	json_add_seconds(totals_object, "elapsed_seconds", run->end_ns - run->start_ns);
	json_add_number(totals_object, "requests", totals.requests);
	json_add_number(totals_object, "events", totals.events);
	json_object_object_add(totals_object, "events_per_second",
			       json_object_new_double(seconds > 0 ? (double)totals.events / seconds : 0));
	json_add_number(totals_object, "event_bytes", totals.event_bytes);
	json_add_number(totals_object, "received_bytes", totals.received_bytes);
	json_add_number(totals_object, "plain_bytes", totals.plain_bytes);
	json_add_number(totals_object, "sink_bytes", fleet_sink_bytes(run->fleet));
	json_add_seconds(totals_object, "cpu_seconds", clock_process_cpu_ns() - run->start_cpu_ns);
	json_add_number(totals_object, "rss_bytes_max", run_peak_bytes(run));
	json_object_object_add(document, "totals", totals_object);
	for (size_t i = 0; i < fleet_stream_count(run->fleet); i++) {
		struct flow_stream_report report;
		fleet_report(run->fleet, i, &report);
		json_object_array_add(streams, record_stream(&report, fleet_worker_of_stream(run->fleet, i)));
	}
	json_object_object_add(document, "streams", streams);
	json_object_object_add(document, "throughput", record_samples(run));
	json_object_object_add(document, "host", record_host(run));
	json_object_object_add(document, "confinement", record_confinement(run));
	json_add_profile(document, run->profile_text);
	return document;
}

char *record_text(const struct run *run, int exit_status)
{
	return json_text(record_document(run, exit_status));
}

char *record_text_of_killed(const char *text, int number, const char *profile_text)
{
	char why[128];
	struct json_object *document = json_tokener_parse(text);
	struct json_object *streams = NULL;
	if (!json_object_is_type(document, json_type_object)) {
		json_object_put(document);
		return NULL;
	}
	if (number)
		snprintf(why, sizeof why, "the collector was ended by signal %d (%s)", number,
			 strsignal(number));
	else
		snprintf(why, sizeof why, "the collector ended without a word");
	json_object_object_add(document, "exit_status", json_object_new_int(1));
	json_object_object_get_ex(document, "streams", &streams);
	size_t count = json_object_is_type(streams, json_type_array) ? json_object_array_length(streams) : 0;
	for (size_t i = 0; i < count; i++) {
		struct json_object *stream = json_object_array_get_idx(streams, i);
		struct json_object *reason = NULL;
		if (!json_object_object_get_ex(stream, "end_reason", &reason) ||
		    strcmp(json_object_get_string(reason), end_reason_name(FLOW_RUNNING)) != 0)
			continue;
		json_add_text(stream, "end_reason", "killed");
		json_add_text(stream, "error", why);
	}
	json_add_profile(document, profile_text);
	return json_text(document);
}
