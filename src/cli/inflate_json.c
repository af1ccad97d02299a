/* SPDX-License-Identifier: Apache-2.0
 *
 * What `akamai-prof inflate -check -json` and `-bench -json` print.
 */
#include <string.h>
#include <unistd.h>

#include "cli/inflate_command.h"
#include "cli/json.h"

static void sizes_add(struct json_object *object, const struct inflate_result *result)
{
	json_add_text(object, "file", result->name);
	json_add_number(object, "gzip_bytes", result->gzip_bytes);
	json_add_number(object, "plain_bytes", result->plain_bytes);
	json_add_number(object, "members", result->members);
}

static struct json_object *result_json(const struct inflate_result *result)
{
	struct json_object *object = json_object_new_object();
	sizes_add(object, result);
	if (result->engine)
		json_add_text(object, "engine", result->engine);
	if (result->error) {
		json_add_text(object, "verdict", "unreadable");
		json_add_text(object, "error", strerror(result->error));
	} else if (result->fault != FAULT_NONE) {
		json_add_text(object, "verdict", "fault");
		json_add_text(object, "fault", fault_name(result->fault));
		json_add_text(object, "error", fault_sentence(result->fault));
		json_add_number(object, "offset_bytes", result->offset_bytes);
		json_add_text(object, "advice", inflate_advice(result));
	} else {
		json_add_text(object, "verdict", "ok");
	}
	return object;
}

static struct json_object *contender_json(const struct inflate_contender *contender)
{
	struct json_object *object = json_object_new_object();
	json_add_text(object, "engine", contender->engine);
	json_add_number(object, "streams", contender->streams);
	json_add_double(object, "megabytes_per_second", contender->megabytes_per_second);
	json_add_double(object, "low", contender->low);
	json_add_double(object, "high", contender->high);
	json_add_double(object, "ratio", contender->ratio);
	if (contender->cycles_per_byte > 0)
		json_add_double(object, "cycles_per_byte", contender->cycles_per_byte);
	return object;
}

static struct json_object *bench_json(const struct inflate_bench *bench)
{
	struct json_object *object = json_object_new_object();
	struct json_object *engines = json_object_new_array();
	sizes_add(object, &bench->file);
	json_add_number(object, "rounds", bench->rounds);
	for (size_t i = 0; i < bench->count; i++)
		json_object_array_add(engines, contender_json(&bench->contenders[i]));
	json_object_object_add(object, "engines", engines);
	return object;
}

static char *document_text(struct json_object *files, int with_host)
{
	struct json_object *document = json_object_new_object();
	json_add_number(document, "version", RUN_JSON_VERSION);
	if (with_host) {
		struct json_object *host = json_object_new_object();
		json_add_host(host, sysconf(_SC_NPROCESSORS_ONLN));
		json_object_object_add(document, "host", host);
	}
	json_object_object_add(document, "files", files);
	return json_text(document);
}

char *inflate_results_json(const struct inflate_result *results, size_t count)
{
	struct json_object *files = json_object_new_array();
	for (size_t i = 0; i < count; i++)
		json_object_array_add(files, result_json(&results[i]));
	return document_text(files, 0);
}

char *inflate_benches_json(const struct inflate_bench *benches, size_t count)
{
	struct json_object *files = json_object_new_array();
	for (size_t i = 0; i < count; i++)
		json_object_array_add(files, bench_json(&benches[i]));
	return document_text(files, 1);
}
