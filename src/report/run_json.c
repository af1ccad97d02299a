/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads run.json with json-c. Fields: README.md, "run.json". A field of the wrong type counts as absent: an
 * old or damaged file still gives a page.
 */
#include "report/run_json.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/frames.h"

enum { VALUE_BYTES_MAX = 1000, KEY_BYTES_MAX = 200 };

/* NULL when absent, or when `object` is none. */
static struct json_object *field(struct json_object *object, const char *key)
{
	struct json_object *found = NULL;
	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &found);
	return found;
}

static struct json_object *list_of(struct json_object *object, const char *key)
{
	struct json_object *list = field(object, key);
	return json_object_is_type(list, json_type_array) ? list : NULL;
}

static size_t list_count(struct json_object *list, size_t count_max)
{
	size_t count = list ? json_object_array_length(list) : 0;
	return count < count_max ? count : count_max;
}

static double real(struct json_object *object, const char *key)
{
	struct json_object *value = field(object, key);
	if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
		return NAN;
	double number = json_object_get_double(value);
	return isfinite(number) && number >= 0 ? number : NAN;
}

static int64_t whole(struct json_object *object, const char *key)
{
	struct json_object *value = field(object, key);
	int64_t number = RUN_ABSENT;
	if (json_object_is_type(value, json_type_int)) {
		number = json_object_get_int64(value);
	} else if (json_object_is_type(value, json_type_double)) {
		double as_double = json_object_get_double(value);
		if (as_double >= 0 && as_double < 9.2e18)
			number = (int64_t)as_double;
	}
	return number >= 0 ? number : RUN_ABSENT;
}

static int64_t count(struct json_object *object, const char *key)
{
	int64_t number = whole(object, key);
	return number > 0 ? number : 0;
}

static int truth(struct json_object *object, const char *key)
{
	struct json_object *value = field(object, key);
	return json_object_is_type(value, json_type_boolean) ? json_object_get_boolean(value) != 0
							     : RUN_ABSENT;
}

static char *text(struct json_object *object, const char *key)
{
	struct json_object *value = field(object, key);
	return report_copy(json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "");
}

/* A scalar as a person would write it, "" for anything else. */
static char *scalar_text(struct json_object *value, char text[static VALUE_BYTES_MAX])
{
	text[0] = 0;
	switch (json_object_get_type(value)) {
	case json_type_boolean:
		snprintf(text, VALUE_BYTES_MAX, "%s", json_object_get_boolean(value) ? "yes" : "no");
		break;
	case json_type_double: /* "25.000000" as 25 */
		snprintf(text, VALUE_BYTES_MAX, "%.9g", json_object_get_double(value));
		break;
	case json_type_int:
	case json_type_string:
		snprintf(text, VALUE_BYTES_MAX, "%s", json_object_get_string(value));
		break;
	case json_type_null:
	case json_type_object:
	case json_type_array:
	default:
		break;
	}
	return text;
}

/* A list's scalars with `between` between them. */
static char *joined(struct json_object *list, const char *between)
{
	char line[VALUE_BYTES_MAX] = "", text[VALUE_BYTES_MAX];
	size_t used = 0;
	for (size_t i = 0; i < list_count(list, RUN_LIST_MAX) && used + 1 < sizeof line; i++) {
		int more = snprintf(line + used, sizeof line - used, "%s%s", i ? between : "",
				    scalar_text(json_object_array_get_idx(list, i), text));
		used += more > 0 ? (size_t)more : 0;
	}
	return report_copy(line);
}

static void read_texts(struct json_object *list, struct run_texts *texts)
{
	texts->items = report_allocate(list_count(list, RUN_LIST_MAX), sizeof *texts->items);
	for (size_t i = 0; i < list_count(list, RUN_LIST_MAX); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		if (json_object_is_type(item, json_type_string))
			texts->items[texts->count++] = report_copy(json_object_get_string(item));
	}
}

static void add_pair(struct run_pairs *pairs, const char *before, const char *key, char *value)
{
	char name[KEY_BYTES_MAX];
	if (pairs->count == RUN_PAIRS_MAX || !*value) {
		free(value);
		return;
	}
	snprintf(name, sizeof name, "%s%s%s", before, *before ? "." : "", key);
	pairs->items[pairs->count++] = (struct run_pair){ .key = report_copy(name), .text = value };
}

static void add_value(struct run_pairs *pairs, const char *before, const char *key, struct json_object *value)
{
	char text[VALUE_BYTES_MAX];
	if (json_object_is_type(value, json_type_array))
		add_pair(pairs, before, key, joined(value, ", "));
	else
		add_pair(pairs, before, key, report_copy(scalar_text(value, text)));
}

/* An object as rows; objects in it as rows "outer.inner", one level deep. */
static void read_pairs(struct json_object *object, struct run_pairs *pairs)
{
	pairs->items = report_allocate(RUN_PAIRS_MAX, sizeof *pairs->items);
	if (!json_object_is_type(object, json_type_object))
		return;
	json_object_object_foreach(object, key, value)
	{
		if (!json_object_is_type(value, json_type_object)) {
			add_value(pairs, "", key, value);
			continue;
		}
		json_object_object_foreach(value, inner_key, inner)
		{
			add_value(pairs, key, inner_key, inner);
		}
	}
}

static void read_samples(struct json_object *list, struct run_record *record)
{
	size_t length = list_count(list, RUN_SAMPLES_MAX);
	record->samples = report_allocate(length, sizeof *record->samples);
	for (size_t i = 0; i < length; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		struct run_sample *sample = &record->samples[record->sample_count];
		sample->at_seconds = real(item, "at_seconds");
		sample->events = (double)count(item, "events");
		sample->received_bytes = (double)count(item, "received_bytes");
		sample->plain_bytes = (double)count(item, "plain_bytes");
		/* Time goes forward in a file of ours. */
		if (!isnan(sample->at_seconds) &&
		    (!record->sample_count || sample->at_seconds > sample[-1].at_seconds))
			record->sample_count++;
	}
}

static void read_streams(struct json_object *list, struct run_record *record)
{
	record->stream_count = list_count(list, RUN_LIST_MAX);
	record->streams = report_allocate(record->stream_count, sizeof *record->streams);
	for (size_t i = 0; i < record->stream_count; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		struct json_object *protocol = field(item, "protocol");
		struct run_stream *stream = &record->streams[i];
		char *version = text(item, "tls_version"), *cipher = text(item, "tls_cipher"),
		     *mode = text(item, "tls_mode");
		char tls[VALUE_BYTES_MAX];
		snprintf(tls, sizeof tls, "%.300s %.300s%s%.200s%s", version, cipher, *mode ? " (" : "", mode,
			 *mode ? ")" : "");
		free(version);
		free(cipher);
		free(mode);
		stream->tls = report_copy(strcmp(tls, " ") ? tls : "");
		stream->config_id = text(item, "config_id");
		stream->end_reason = text(item, "end_reason");
		stream->error = text(item, "error");
		stream->encoding = text(item, "content_encoding");
		stream->events = whole(item, "events");
		stream->received_bytes = whole(item, "received_bytes");
		stream->connections = whole(item, "connections");
		stream->truncations = whole(protocol, "truncations");
		stream->retries = count(protocol, "rate_limited") + count(protocol, "server_errors") +
				  count(protocol, "network_errors");
	}
}

static void read_stages(struct json_object *list, struct run_profile *profile)
{
	profile->stage_count = list_count(list, RUN_LIST_MAX);
	profile->stages = report_allocate(profile->stage_count, sizeof *profile->stages);
	for (size_t i = 0; i < profile->stage_count; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		profile->stages[i] = (struct run_stage){
			.name = text(item, "stage"),
			.cpu_ns = count(item, "cpu_ns"),
			.blocked_ns = count(item, "blocked_ns"),
			.runqueue_ns = count(item, "runqueue_ns"),
		};
	}
	/* A process that tells no stages. */
	if (profile->stage_count == 1 && !strcmp(profile->stages[0].name, "none")) {
		free(profile->stages[0].name);
		profile->stage_count = 0;
	}
}

static void read_stops(struct json_object *stops, struct run_profile *profile)
{
	profile->stops = report_allocate(RUN_LIST_MAX, sizeof *profile->stops);
	if (!json_object_is_type(stops, json_type_object))
		return;
	json_object_object_foreach(stops, key, value)
	{
		int64_t number = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
		if (number > 0 && profile->stop_count < RUN_LIST_MAX)
			profile->stops[profile->stop_count++] =
				(struct run_stop){ .reason = report_copy(key), .count = number };
	}
}

static void read_heap(struct json_object *object, struct run_heap *heap)
{
	struct json_object *snapshots = list_of(object, "snapshots");
	heap->tracked = truth(object, "tracked");
	heap->given_up = truth(object, "given_up");
	heap->rate_bytes = whole(object, "rate_bytes");
	heap->hits = whole(object, "hits");
	heap->unknown_frees = whole(object, "unknown_frees");
	heap->missed_frees = whole(object, "missed_frees");
	heap->dropped = whole(object, "dropped");
	heap->allocators = text(object, "allocators");
	heap->snapshot_count = list_count(snapshots, RUN_LIST_MAX);
	heap->snapshots = report_allocate(heap->snapshot_count, sizeof *heap->snapshots);
	for (size_t i = 0; i < heap->snapshot_count; i++) {
		struct json_object *item = json_object_array_get_idx(snapshots, i);
		heap->snapshots[i] = (struct run_snapshot){
			.at_ns = whole(item, "at_ns"),
			.alloc_objects = whole(item, "alloc_objects"),
			.alloc_bytes = whole(item, "alloc_bytes"),
			.inuse_objects = whole(item, "inuse_objects"),
			.inuse_bytes = whole(item, "inuse_bytes"),
			.mapped_bytes = whole(item, "mapped_bytes"),
		};
	}
}

static void read_profile(struct json_object *object, struct run_profile *profile)
{
	struct json_object *cpu = field(object, "cpu"), *stacks = field(object, "stacks");
	struct json_object *off_cpu = field(object, "off_cpu"), *overhead = field(object, "overhead");
	profile->present = json_object_is_type(object, json_type_object);
	profile->window_ns = whole(object, "window_ns");
	profile->window_start_ns = whole(object, "window_start_ns");
	profile->cpu_event = text(cpu, "event");
	profile->hz = whole(cpu, "hz");
	profile->cpu_samples = whole(cpu, "samples");
	profile->cpu_ns = whole(cpu, "cpu_ns");
	profile->samples_lost = whole(cpu, "samples_lost");
	profile->stacks_user = whole(stacks, "user");
	profile->stacks_complete = whole(stacks, "complete");
	profile->stacks_scanned = whole(stacks, "scanned");
	profile->complete_share = real(stacks, "complete_share");
	read_stops(field(stacks, "stops"), profile);
	profile->off_cpu_samples = whole(off_cpu, "samples");
	profile->blocked_ns = whole(off_cpu, "blocked_ns");
	profile->runqueue_ns = whole(off_cpu, "runqueue_ns");
	read_stages(list_of(object, "stages"), profile);
	read_heap(field(object, "heap"), &profile->heap);
	profile->page_faults = whole(object, "page_faults");
	profile->program_run_ns = whole(overhead, "program_run_ns");
	profile->program_runs = whole(overhead, "program_runs");
	profile->supervisor_cpu_ns = whole(overhead, "supervisor_cpu_ns");
	read_texts(list_of(object, "notices"), &profile->notices);
}

static void read_confinement(struct json_object *object, struct run_confinement *confinement)
{
	confinement->present = json_object_is_type(object, json_type_object);
	confinement->user = text(object, "user");
	confinement->note = text(object, "note");
	confinement->user_changed = truth(object, "user_changed");
	confinement->no_new_privileges = truth(object, "no_new_privileges");
	confinement->landlock_abi = whole(object, "landlock_abi");
	confinement->landlock_files = truth(object, "landlock_files");
	confinement->landlock_connect = truth(object, "landlock_connect");
	confinement->seccomp = truth(object, "seccomp");
	confinement->io_uring_restricted = truth(object, "io_uring_restricted");
}

/* What was profiled by `record`: its arguments, else the name of the process. */
static char *read_command(struct json_object *document)
{
	struct json_object *words = field(document, "command_line");
	if (json_object_is_type(words, json_type_array) && json_object_array_length(words) > 0)
		return joined(words, " ");
	return text(document, json_object_is_type(words, json_type_string) ? "command_line" : "comm");
}

static struct run_record *read_record(struct json_object *document)
{
	struct run_record *record = report_allocate(1, sizeof *record);
	struct json_object *totals = field(document, "totals");
	record->program = text(document, "program");
	record->program_version = text(document, "program_version");
	record->command = read_command(document);
	record->pid = whole(document, "pid");
	record->end_reason = text(document, "end_reason");
	record->start_unix = whole(document, "start_unix");
	record->exit_status = whole(document, "exit_status");
	record->elapsed_seconds = real(totals, "elapsed_seconds");
	record->cpu_seconds = real(totals, "cpu_seconds");
	record->events_per_second = real(totals, "events_per_second");
	record->requests = whole(totals, "requests");
	record->events = whole(totals, "events");
	record->event_bytes = whole(totals, "event_bytes");
	record->received_bytes = whole(totals, "received_bytes");
	record->plain_bytes = whole(totals, "plain_bytes");
	record->rss_bytes_max = whole(totals, "rss_bytes_max");
	read_samples(list_of(document, "throughput"), record);
	read_streams(list_of(document, "streams"), record);
	read_profile(field(document, "profile"), &record->profile);
	read_confinement(field(document, "confinement"), &record->confinement);
	read_pairs(field(document, "configuration"), &record->configuration);
	read_pairs(field(document, "host"), &record->host);
	read_texts(list_of(document, "profiles"), &record->profiles);
	return record;
}

struct run_record *run_json_nothing(void)
{
	return read_record(NULL);
}

/* The whole file, NUL-terminated, on the heap. */
static char *read_file(const char *path, size_t *ret_bytes, char error[static REPORT_ERROR_BYTES_MAX])
{
	FILE *file = file_read_regular(path);
	if (!file) {
		snprintf(error, REPORT_ERROR_BYTES_MAX, "cannot read %.800s: %s", path,
			 errno == EINVAL ? "it is not a regular file" : strerror(errno));
		return NULL;
	}
	char *bytes = NULL;
	size_t used = 0, room = 0, more = 1;
	while (more > 0 && used <= RUN_FILE_BYTES_MAX) {
		bytes = room_for(bytes, &room, used, 65536, 1);
		more = fread(bytes + used, 1, room - used - 1, file);
		used += more;
	}
	if (ferror(file) || used > RUN_FILE_BYTES_MAX) {
		if (used > RUN_FILE_BYTES_MAX)
			snprintf(error, REPORT_ERROR_BYTES_MAX,
				 "%.800s is larger than %d MB: it is not the record of a run", path,
				 RUN_FILE_BYTES_MAX >> 20);
		else
			snprintf(error, REPORT_ERROR_BYTES_MAX, "cannot read %.800s: %s", path,
				 strerror(errno));
		free(bytes);
		bytes = NULL;
	}
	fclose(file);
	if (bytes)
		bytes[used] = 0;
	*ret_bytes = used;
	return bytes;
}

struct run_record *run_json_read(const char *path, int *ret_missing,
				 char error[static REPORT_ERROR_BYTES_MAX])
{
	size_t used;
	errno = 0;
	char *bytes = read_file(path, &used, error);
	*ret_missing = !bytes && errno == ENOENT;
	if (!bytes)
		return NULL;
	struct json_tokener *tokener = json_tokener_new_ex(RUN_DEPTH_MAX);
	struct run_record *record = NULL;
	/* With the NUL behind the text, which ends a number that stands alone. */
	struct json_object *document = tokener ? json_tokener_parse_ex(tokener, bytes, (int)used + 1) : NULL;
	if (json_object_is_type(document, json_type_object))
		record = read_record(document);
	else if (document || (tokener && json_tokener_get_error(tokener) == json_tokener_success)) /* null */
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "%.800s holds no JSON object: it is not the record of a run", path);
	else
		snprintf(error, REPORT_ERROR_BYTES_MAX, "%.700s is damaged at byte %zu: %.100s", path,
			 tokener ? json_tokener_get_parse_end(tokener) : 0,
			 tokener ? json_tokener_error_desc(json_tokener_get_error(tokener))
				 : "out of memory");
	json_object_put(document);
	json_tokener_free(tokener);
	free(bytes);
	return record;
}

double run_events_at(const struct run_record *run, double seconds)
{
	double at = 0, events = 0;
	for (size_t i = 0; i < run->sample_count; i++) {
		const struct run_sample *sample = &run->samples[i];
		if (sample->at_seconds >= seconds) {
			double part = (seconds - at) / (sample->at_seconds - at);
			return events + (sample->events - events) * (part > 0 ? part : 0);
		}
		at = sample->at_seconds;
		events = sample->events;
	}
	return events;
}

static void free_pairs(struct run_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->items[i].key);
		free(pairs->items[i].text);
	}
	free(pairs->items);
}

static void free_texts(struct run_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->items[i]);
	free(texts->items);
}

static void free_profile(struct run_profile *profile)
{
	for (size_t i = 0; i < profile->stage_count; i++)
		free(profile->stages[i].name);
	for (size_t i = 0; i < profile->stop_count; i++)
		free(profile->stops[i].reason);
	free(profile->stages);
	free(profile->stops);
	free(profile->heap.allocators);
	free(profile->heap.snapshots);
	free(profile->cpu_event);
	free_texts(&profile->notices);
}

void run_json_destroy(struct run_record *record)
{
	if (!record)
		return;
	for (size_t i = 0; i < record->stream_count; i++) {
		free(record->streams[i].config_id);
		free(record->streams[i].end_reason);
		free(record->streams[i].error);
		free(record->streams[i].encoding);
		free(record->streams[i].tls);
	}
	free_profile(&record->profile);
	free(record->confinement.user);
	free(record->confinement.note);
	free_pairs(&record->configuration);
	free_pairs(&record->host);
	free_texts(&record->profiles);
	free(record->streams);
	free(record->samples);
	free(record->program);
	free(record->program_version);
	free(record->command);
	free(record->end_reason);
	free(record);
}
