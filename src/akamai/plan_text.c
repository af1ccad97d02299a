/* SPDX-License-Identifier: Apache-2.0
 *
 * plan's sentences for a person. No secret is known here.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "akamai/plan_private.h"

enum { CONFIG_ID_BYTES_SHOWN = 100 };

void plan_notice(struct plan *plan, const char *format, ...)
{
	size_t used = strlen(plan->notice);
	if (used + 2 >= sizeof plan->notice)
		return;
	if (used)
		plan->notice[used++] = ' ';
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(plan->notice + used, sizeof plan->notice - used, format, arguments);
	va_end(arguments);
}

/* "configId 14227: " */
static size_t text_begin(struct plan *plan)
{
	int bytes = snprintf(plan->error_text, sizeof plan->error_text,
			     "configId %.*s: ", CONFIG_ID_BYTES_SHOWN, plan->settings.config_id);
	return bytes < 0 ? 0 : (size_t)bytes;
}

void plan_say(struct plan *plan, const char *format, ...)
{
	size_t used = text_begin(plan);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(plan->error_text + used, sizeof plan->error_text - used, format, arguments);
	va_end(arguments);
}

/* Adds prefix, at most `bytes_max` bytes of `text` (cut between UTF-8 characters) and suffix; nothing when
 * `text` is empty. */
static size_t text_add(struct plan *plan, size_t used, const char *prefix, const char *text, size_t bytes_max,
		       const char *suffix)
{
	size_t bytes = strlen(text);
	if (bytes == 0)
		return used;
	if (bytes > bytes_max) {
		bytes = bytes_max;
		while (bytes && ((uint8_t)text[bytes] & 0xc0) == 0x80)
			bytes--;
	}
	size_t room = sizeof plan->error_text - used;
	int added = snprintf(plan->error_text + used, room, "%s%.*s%s", prefix, (int)bytes, text, suffix);
	if (added < 0)
		return used;
	return (size_t)added < room ? used + (size_t)added : sizeof plan->error_text - 1;
}

void plan_say_refusal(struct plan *plan, const struct plan_answer *answer, const char *what_to_do)
{
	static const struct control_problem none = { 0 };
	const struct control_problem *problem = answer->problem ? answer->problem : &none;
	char status[32];
	snprintf(status, sizeof status, "%d", answer->status);
	size_t used = text_begin(plan);
	used = text_add(plan, used, "the server answers status ", status, sizeof status, "");
	used = text_add(plan, used, ", \"", problem->title, 300, "\"");
	if (strcmp(problem->detail, problem->title) != 0)
		used = text_add(plan, used, ": ", problem->detail, 400, "");
	if (!problem->title[0] && !problem->detail[0])
		used = text_add(plan, used, ", type ", problem->type, 200, "");
	used = text_add(plan, used, " (requestId ", problem->request_id, 100, "");
	used = text_add(plan, used, problem->request_id[0] ? ", serverIp " : " (serverIp ",
			problem->server_ip, 64, "");
	if (problem->request_id[0] || problem->server_ip[0])
		used = text_add(plan, used, "", ")", 1, "");
	text_add(plan, used, ". ", what_to_do, 700, "");
}

void plan_stop(struct plan *plan, enum fault fault)
{
	plan->last_fault = fault;
	plan_end(plan, PLAN_END_FAILED);
}

static int has_word(const char *text, const char *word)
{
	for (; *text; text++) {
		size_t i = 0;
		for (; word[i]; i++) {
			char byte = text[i];
			if (byte >= 'A' && byte <= 'Z')
				byte = (char)(byte - 'A' + 'a');
			if (byte != word[i])
				break;
		}
		if (!word[i])
			return 1;
	}
	return 0;
}

int plan_problem_has(const struct control_problem *problem, const char *word)
{
	return problem && (has_word(problem->title, word) || has_word(problem->detail, word));
}
