/* SPDX-License-Identifier: Apache-2.0
 *
 * A profile's figures as JSON, and what else is alike in the run.json of all commands.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "cli/json.h"
#include "cli/profile.h"

enum { JSON_FLAGS = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE };

/* The length of the UTF-8 sequence at `text`; 0: it is none (RFC 3629). */
static size_t utf8_bytes(const unsigned char *text)
{
	size_t bytes = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] > 0xf4 || (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < bytes; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return bytes;
}

struct json_object *json_new_text(const char *text)
{
	char *copy = strdup(text ? text : "");
	for (unsigned char *at = (unsigned char *)copy; at && *at;) {
		size_t bytes = utf8_bytes(at);
		if (bytes == 0)
			*at = '?';
		at += bytes ? bytes : 1;
	}
	struct json_object *object = json_object_new_string(copy ? copy : "");
	free(copy);
	return object;
}

void json_add_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_new_text(text));
}

void json_add_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_int64((int64_t)value));
}

void json_add_switch(struct json_object *object, const char *key, int value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

void json_add_double(struct json_object *object, const char *key, double value)
{
	char text[32];
	snprintf(text, sizeof text, "%.6f", value);
	json_object_object_add(object, key, json_object_new_double_s(value, text));
}

void json_add_seconds(struct json_object *object, const char *key, int64_t ns)
{
	json_add_double(object, key, (double)ns / 1e9);
}

char *json_text(struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(object, JSON_FLAGS);
	char *copy = text ? strdup(text) : NULL;
	json_object_put(object);
	return copy;
}

void json_add_profile(struct json_object *document, const char *profile_text)
{
	static const char *const keys[] = { "profile", "profiles" };
	struct json_object *parsed = profile_text ? json_tokener_parse(profile_text) : NULL;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		struct json_object *value = NULL;
		if (json_object_object_get_ex(parsed, keys[i], &value))
			json_object_object_add(document, keys[i], json_object_get(value));
		else
			json_object_object_add(document, keys[i], i ? json_object_new_array() : NULL);
	}
	json_object_put(parsed);
}

void json_add_host(struct json_object *object, long cpus_online)
{
	struct utsname names = { 0 };
	uname(&names);
	json_add_text(object, "kernel", names.release);
	json_add_text(object, "machine", names.machine);
	json_add_number(object, "cpus_online", (uint64_t)(cpus_online > 0 ? cpus_online : 0));
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static struct json_object *cpu_json(const struct profiler_summary *summary)
{
	struct json_object *object = json_object_new_object();
	json_add_text(object, "event", summary->cpu_event);
	json_add_number(object, "hz", summary->hz);
	json_add_number(object, "samples", summary->cpu_samples);
	json_add_number(object, "cpu_ns", summary->cpu_ns);
	json_add_number(object, "samples_lost", summary->samples_lost);
	return object;
}

static struct json_object *stacks_json(const struct profiler_summary *summary)
{
	struct json_object *object = json_object_new_object();
	struct json_object *stops = json_object_new_object();
	json_add_number(object, "user", summary->user_stacks);
	json_add_number(object, "complete", summary->user_stacks_complete);
	json_add_double(object, "complete_share", share(summary->user_stacks_complete, summary->user_stacks));
	json_add_number(object, "scanned", summary->user_stacks_scanned);
	for (size_t i = 0; i < summary->stop_count; i++)
		if (summary->stops[i])
			json_add_number(stops, profiler_stop_name(i), summary->stops[i]);
	json_object_object_add(object, "stops", stops);
	return object;
}

static struct json_object *off_cpu_json(const struct profiler_summary *summary)
{
	struct json_object *object = json_object_new_object();
	json_add_number(object, "samples", summary->off_cpu_samples);
	json_add_number(object, "blocked_ns", summary->blocked_ns);
	json_add_number(object, "runqueue_ns", summary->runqueue_ns);
	return object;
}

static struct json_object *stages_json(const struct profiler_summary *summary)
{
	struct json_object *array = json_object_new_array();
	for (size_t i = 0; i <= STAGE_COUNT; i++) {
		const struct profiler_stage_time *time = &summary->stages[i];
		if (time->cpu_ns + time->blocked_ns + time->runqueue_ns == 0)
			continue;
		struct json_object *object = json_object_new_object();
		json_add_text(object, "stage", i < STAGE_COUNT ? stage_name((enum stage)i) : "none");
		json_add_number(object, "cpu_ns", time->cpu_ns);
		json_add_number(object, "blocked_ns", time->blocked_ns);
		json_add_number(object, "runqueue_ns", time->runqueue_ns);
		json_object_array_add(array, object);
	}
	return array;
}

static struct json_object *heap_json(const struct profiler_summary *summary)
{
	struct json_object *object = json_object_new_object();
	struct json_object *snapshots = json_object_new_array();
	json_add_switch(object, "tracked", summary->heap_tracked);
	json_add_switch(object, "given_up", summary->heap_given_up);
	json_add_number(object, "rate_bytes", summary->heap_rate_bytes);
	json_add_text(object, "allocators", summary->heap_allocators);
	json_add_number(object, "hits", summary->heap_hits);
	json_add_number(object, "unknown_frees", summary->heap_unknown_frees);
	json_add_number(object, "missed_frees", summary->heap_missed_frees);
	json_add_number(object, "dropped", summary->heap_dropped);
	for (size_t i = 0; i < summary->heap_snapshots && i < PROFILER_SNAPSHOTS_MAX; i++) {
		const struct profiler_heap_total *total = &summary->heap[i];
		struct json_object *snapshot = json_object_new_object();
		json_add_number(snapshot, "at_ns", (uint64_t)total->at_ns);
		json_add_number(snapshot, "alloc_objects", total->alloc_objects);
		json_add_number(snapshot, "alloc_bytes", total->alloc_bytes);
		json_add_number(snapshot, "inuse_objects", total->inuse_objects);
		json_add_number(snapshot, "inuse_bytes", total->inuse_bytes);
		json_add_number(snapshot, "mapped_bytes", total->mapped_bytes);
		json_object_array_add(snapshots, snapshot);
	}
	json_object_object_add(object, "snapshots", snapshots);
	return object;
}

static struct json_object *overhead_json(const struct profiler_summary *summary)
{
	struct json_object *object = json_object_new_object();
	json_add_number(object, "program_run_ns", summary->program_run_ns);
	json_add_number(object, "program_runs", summary->program_runs);
	json_add_number(object, "supervisor_cpu_ns", summary->supervisor_cpu_ns);
	return object;
}

char *profile_json(const struct profile *profile)
{
	const struct profiler_summary *summary = &profile->summary;
	struct json_object *whole = json_object_new_object();
	struct json_object *object = json_object_new_object();
	struct json_object *notices = json_object_new_array();
	struct json_object *files = json_object_new_array();
	json_add_number(object, "window_ns", (uint64_t)summary->window_ns);
	json_object_object_add(
		object, "window_start_ns",
		profile->window_start_ns < 0 ? NULL : json_object_new_int64(profile->window_start_ns));
	json_object_object_add(object, "cpu", cpu_json(summary));
	json_object_object_add(object, "stacks", stacks_json(summary));
	json_object_object_add(object, "off_cpu", off_cpu_json(summary));
	json_object_object_add(object, "stages", stages_json(summary));
	json_object_object_add(object, "heap", heap_json(summary));
	json_add_number(object, "page_faults", summary->page_faults);
	json_object_object_add(object, "overhead", overhead_json(summary));
	for (size_t i = 0; i < profile->notice_count; i++)
		json_object_array_add(notices, json_new_text(profile->notices[i]));
	json_object_object_add(object, "notices", notices);
	for (size_t i = 0; i < profile->written_count; i++)
		json_object_array_add(files, json_object_new_string(profile->written[i]));
	json_object_object_add(whole, "profile", object);
	json_object_object_add(whole, "profiles", files);
	return json_text(whole);
}
