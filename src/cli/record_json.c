/* SPDX-License-Identifier: Apache-2.0
 *
 * run.json of a recording, and doctor's findings as JSON.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/doctor.h"
#include "cli/json.h"
#include "cli/record_command.h"

static struct json_object *target_json(const struct record_target *target, enum record_end end)
{
	struct json_object *object = json_object_new_object();
	int waited = target->own_child && target->ended;
	json_add_switch(object, "started_by_record", target->own_child);
	json_add_switch(object, "ended", target->ended || end == RECORD_END_TARGET);
	json_object_object_add(object, "exit_code",
			       waited && WIFEXITED(target->wait_status)
				       ? json_object_new_int(WEXITSTATUS(target->wait_status))
				       : NULL);
	json_object_object_add(object, "signal",
			       waited && WIFSIGNALED(target->wait_status)
				       ? json_object_new_int(WTERMSIG(target->wait_status))
				       : NULL);
	return object;
}

static struct json_object *configuration_json(const struct record_settings *settings)
{
	struct json_object *object = json_object_new_object();
	json_add_seconds(object, "duration_seconds", settings->duration_ns);
	json_add_number(object, "hz", (uint64_t)settings->hz);
	json_add_number(object, "heap_rate_bytes", (uint64_t)settings->heap_rate_bytes);
	json_add_number(object, "heap_budget_percent", (uint64_t)settings->heap_budget_percent);
	json_add_switch(object, "follow_children", settings->follow);
	return object;
}

char *record_json(const struct record_settings *settings, const struct record_target *target,
		  const char *profile_text, int64_t start_unix_ns, int64_t elapsed_ns, enum record_end end)
{
	static const char *const ends[] = {
		[RECORD_END_DURATION] = "duration",
		[RECORD_END_SIGNAL] = "stopped",
		[RECORD_END_TARGET] = "target ended",
	};
	struct json_object *document = json_object_new_object();
	struct json_object *words = json_object_new_array();
	struct json_object *totals = json_object_new_object();
	struct json_object *host = json_object_new_object();
	json_add_number(document, "version", RUN_JSON_VERSION);
	json_add_text(document, "program", "akamai-prof");
	json_add_text(document, "command", "record");
	json_add_text(document, "program_version", AKAMAI_PROF_VERSION);
	json_add_number(document, "start_unix", (uint64_t)(start_unix_ns / NS_PER_SECOND));
	json_object_object_add(document, "exit_status", json_object_new_int(0));
	json_add_text(document, "end_reason", ends[end]);
	json_add_number(document, "pid", (uint64_t)target->pid);
	json_add_text(document, "comm", target->comm);
	for (size_t i = 0; i < target->word_count; i++)
		json_object_array_add(words, json_new_text(target->words[i]));
	json_object_object_add(document, "command_line", words);
	json_object_object_add(document, "target", target_json(target, end));
	json_object_object_add(document, "configuration", configuration_json(settings));
	json_add_seconds(totals, "elapsed_seconds", elapsed_ns);
	json_object_object_add(document, "totals", totals);
	json_add_host(host, sysconf(_SC_NPROCESSORS_ONLN));
	json_object_object_add(document, "host", host);
	json_add_profile(document, profile_text);
	return json_text(document);
}

char *doctor_json(const struct doctor *doctor)
{
	struct json_object *document = json_object_new_object();
	struct json_object *findings = json_object_new_array();
	json_add_number(document, "version", RUN_JSON_VERSION);
	for (size_t i = 0; i < doctor->count; i++) {
		const struct doctor_finding *finding = &doctor->findings[i];
		struct json_object *object = json_object_new_object();
		json_add_text(object, "what", finding->what);
		json_add_text(object, "verdict", doctor_verdict_name(finding->verdict));
		json_add_text(object, "text", finding->text);
		json_object_array_add(findings, object);
	}
	json_object_object_add(document, "findings", findings);
	return json_text(document);
}
