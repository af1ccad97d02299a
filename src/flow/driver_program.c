/* SPDX-License-Identifier: Apache-2.0
 *
 * The interpreted driver: a program decides. It says itself what goes wrong, and counts what it calls an
 * error; only requests and commits are counted here, because they are what happened.
 */
#include "flow/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/random.h"
#include "control/control.h"

struct driver_program {
	struct driver driver;
	struct driver_settings settings;
	struct program *program;
	struct program_wish wish; /* the last one */
	int wish_waits;		  /* it was not fetched yet */
	int failed;
	/* The last answer is a whole page, or a whole body, that no commit has counted yet. */
	int answer_is_whole;
	uint64_t answer_events;
	uint64_t attempts, requests, events;
	int64_t last_event_unix_ms;
	char cursor[PROGRAM_CURSOR_BYTES_MAX + 1];
	char no_notice[1];
};

static struct driver_program *program_of(const struct driver *driver)
{
	return (struct driver_program *)(uintptr_t)driver; /* its first member */
}

static enum fault program_failed(struct driver_program *self)
{
	self->failed = self->wish_waits = 1;
	self->wish = (struct program_wish){ .kind = PROGRAM_FAILED };
	self->driver.last_fault = FAULT_PROGRAM;
	self->driver.error_text = program_error(self->program);
	return FAULT_PROGRAM;
}

static void program_go_on(struct driver_program *self, struct program_time now,
			  const struct program_answer *answer)
{
	if (self->failed)
		return;
	if (program_resume(self->program, now, answer, &self->wish) == PROGRAM_FAILED)
		program_failed(self);
	self->wish_waits = 1;
}

static void program_driver_next(struct driver *driver, struct program_time now, struct program_wish *ret_wish)
{
	struct driver_program *self = program_of(driver);
	if (!self->wish_waits)
		program_go_on(self, now, NULL);
	*ret_wish = self->wish;
	if (self->wish.kind == PROGRAM_REQUEST || self->wish.kind == PROGRAM_WAIT)
		self->wish_waits = 0;
	if (self->wish.kind == PROGRAM_REQUEST)
		self->attempts++;
}

static int program_driver_ended(const struct driver *driver)
{
	const struct driver_program *self = program_of(driver);
	return self->wish_waits && (self->wish.kind == PROGRAM_END || self->wish.kind == PROGRAM_FAILED);
}

static int has_header(const struct program_header *headers, size_t count, struct span name)
{
	for (size_t i = 0; i < count; i++)
		if (headers[i].name.bytes == name.bytes &&
		    strncasecmp((const char *)headers[i].name.base, (const char *)name.base, name.bytes) == 0)
			return 1;
	return 0;
}

static enum fault program_driver_headers(struct driver *driver, struct program_time now,
					 const struct flow_server *server, struct driver_headers *ret_headers)
{
	struct driver_program *self = program_of(driver);
	struct program_header own[PROGRAM_HEADERS_MAX];
	struct http_header defaults[3];
	size_t own_count = 0;
	(void)server; /* the program named it */
	stage_enter(self->settings.stage, STAGE_PROGRAM);
	if (program_headers(self->program, now, own, &own_count) < 0)
		return program_failed(self);
	ret_headers->count = 0;
	driver_default_headers(self->settings.flow, defaults);
	for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
		if (!has_header(own, own_count, defaults[i].name))
			ret_headers->lines[ret_headers->count++] = defaults[i];
	for (size_t i = 0; i < own_count; i++)
		ret_headers->lines[ret_headers->count++] = (struct http_header){ own[i].name, own[i].value };
	return FAULT_NONE;
}

static int program_driver_answer(struct driver *driver, struct program_time now,
				 const struct driver_answer *answer)
{
	struct driver_program *self = program_of(driver);
	const struct program_answer *seen = &answer->seen;
	self->answer_is_whole = seen->status == 200 && seen->fault == FAULT_NONE;
	self->answer_events = seen->event_lines;
	int handed_on = seen->event_lines > 0 && answer->skip == PAGE_SKIP_SETTLED;
	if (handed_on && seen->newest_event_unix_ms > self->last_event_unix_ms)
		self->last_event_unix_ms = seen->newest_event_unix_ms;
	program_go_on(self, now, seen);
	return seen->fault == FAULT_NONE && !self->failed;
}

static enum driver_verdict program_driver_verdict(struct driver *driver)
{
	struct driver_program *self = program_of(driver);
	const char *cursor;
	if (program_committed(self->program, &cursor)) {
		/* Without a cursor, the one before it still holds. */
		size_t bytes = strnlen(cursor, sizeof self->cursor - 1);
		if (bytes) {
			memcpy(self->cursor, cursor, bytes);
			self->cursor[bytes] = 0;
		}
		self->requests += (uint64_t)self->answer_is_whole;
		self->events += self->answer_is_whole ? self->answer_events : 0;
		self->answer_is_whole = 0;
		return DRIVER_COMMITTED;
	}
	/* A program that waits may still commit. */
	return self->wish.kind == PROGRAM_WAIT ? DRIVER_UNDECIDED : DRIVER_REFUSED;
}

static enum fault program_driver_event(struct driver *driver, struct program_time now, struct span line,
				       const struct event_fields *fields)
{
	struct driver_program *self = program_of(driver);
	if (program_event(self->program, now, line, fields) < 0)
		return program_failed(self);
	return FAULT_NONE;
}

static struct span program_driver_made(struct driver *driver, uint64_t *ret_lines)
{
	const struct driver_program *self = program_of(driver);
	*ret_lines = program_made_events(self->program);
	return program_made(self->program);
}

static void program_driver_made_consume(struct driver *driver, size_t bytes)
{
	program_made_consume(program_of(driver)->program, bytes);
}

static const char *program_driver_cursor(const struct driver *driver)
{
	return program_of(driver)->cursor;
}

static void program_driver_counters(const struct driver *driver, struct plan_counters *ret_counters)
{
	const struct driver_program *self = program_of(driver);
	const struct program_counters *counted = program_counters(self->program);
	*ret_counters = (struct plan_counters){
		.requests = self->requests,
		.attempts = self->attempts,
		.events = self->events,
		.truncations = counted->truncations,
		.recoveries = counted->recoveries,
		.rate_limited = counted->rate_limited,
		.server_errors = counted->server_errors,
		.network_errors = counted->network_errors,
		.clock_corrections = counted->clock_corrections,
		.skip_mismatches = counted->skip_mismatches,
		.backoff_ns = (int64_t)(counted->backoff_seconds * (double)NS_PER_SECOND),
		.gap_seconds = counted->gap_seconds,
		.clock_skew_ns = (int64_t)(counted->clock_skew_seconds * (double)NS_PER_SECOND),
		.last_event_unix_ms = self->last_event_unix_ms,
	};
}

static const char *program_driver_state(struct driver *driver, const char *cursor)
{
	/* What the program remembers belongs to its last commit: where that is ahead of what is written, the
	 * state of the run before is the one to begin with. */
	struct driver_program *self = program_of(driver);
	const char *state = cursor ? NULL : program_state(self->program);
	driver->state_error = cursor || state ? NULL : program_error(self->program);
	return state;
}

static void program_driver_finish(struct driver *driver)
{
	program_finish(program_of(driver)->program);
}

static const struct driver_table program_table = {
	.interpreted = 1,
	.tells_failures = 1,
	.unwritable_fault = FAULT_PROGRAM_REQUEST,
	.unwritable_text = "the URL or a header holds characters that HTTP forbids, a header is one that is "
			   "written by akamai-prof (Host, Content-Length, Transfer-Encoding), or all is too "
			   "long",
	.next = program_driver_next,
	.ended = program_driver_ended,
	.headers = program_driver_headers,
	.answer = program_driver_answer,
	.verdict = program_driver_verdict,
	.event = program_driver_event,
	.made = program_driver_made,
	.made_consume = program_driver_made_consume,
	.cursor = program_driver_cursor,
	.counters = program_driver_counters,
	.state = program_driver_state,
	.finish = program_driver_finish,
};

/* What the program calls. The owner is the driver. */

static int find_server(void *owner, int secure, const char *host, unsigned port)
{
	const struct flow_settings *settings = ((struct driver_program *)owner)->settings.flow;
	for (size_t i = 0; i < settings->server_count; i++) {
		const struct flow_server *server = &settings->servers[i];
		if (!server->secure == !secure && strcasecmp(server->host, host) == 0 &&
		    strtoul(server->port, NULL, 10) == port)
			return (int)i;
	}
	return -1;
}

static void tell(void *owner, enum program_log_level level, const char *text)
{
	static const enum flow_severity severity_of[] = {
		[PROGRAM_LOG_INFO] = FLOW_INFO,
		[PROGRAM_LOG_WARNING] = FLOW_WARNING,
		[PROGRAM_LOG_ERROR] = FLOW_ERROR,
	};
	const struct driver_settings *settings = &((struct driver_program *)owner)->settings;
	if (settings->flow->notice)
		settings->flow->notice(settings->flow->notice_owner, severity_of[level], settings->config_id,
				       text);
}

static int decode(void *owner, struct span text, struct event_fields *ret_fields)
{
	const struct driver_settings *settings = &((struct driver_program *)owner)->settings;
	return control_decode(settings->decoder, text, ret_fields, NULL) == CONTROL_YES ? 0 : -1;
}

/* The run's variables with the stream's own CONFIG_ID among them. */
static const struct program_variable *variables_of(const struct driver_settings *settings, size_t *ret_count)
{
	const struct flow_settings *flow = settings->flow;
	struct program_variable *variables =
		arena_take(settings->arena, (flow->program_variable_count + 1) * sizeof *variables, 64);
	size_t count = 0;
	for (size_t i = 0; i < flow->program_variable_count; i++)
		if (strcmp(flow->program_variables[i].name, "CONFIG_ID") != 0)
			variables[count++] = flow->program_variables[i];
	variables[count++] = (struct program_variable){ "CONFIG_ID", settings->config_id, 0 };
	*ret_count = count;
	return variables;
}

size_t driver_program_bytes_needed(const struct flow_settings *settings)
{
	return program_bytes_needed() + sizeof(struct driver_program) +
	       (settings->program_variable_count + 1) * sizeof(struct program_variable) + 256;
}

static void tell_symbols(void *owner, const char *text, size_t bytes)
{
	const struct driver_program *self = owner;
	self->settings.flow->symbols(self->settings.flow->notice_owner, text, bytes);
}

struct driver *driver_program_create(const struct driver_settings *settings,
				     char error[static FLOW_TEXT_BYTES_MAX])
{
	_Static_assert(PROGRAM_TEXT_BYTES_MAX <= FLOW_TEXT_BYTES_MAX, "an error fits");
	struct driver_program *self = arena_take(settings->arena, sizeof *self, 64);
	self->settings = *settings;
	self->driver.table = &program_table;
	self->driver.error_text = "";
	self->driver.notice = self->no_notice;
	size_t variable_count;
	struct program_settings program = {
		.source = settings->flow->program,
		.stream_name = settings->config_id,
		.variables = variables_of(settings, &variable_count),
		.state = settings->state,
		.full = settings->flow->parse_full,
		.follow = settings->flow->plan.follow,
		.owner = self,
		.server_find = find_server,
		.log = tell,
		.decode = decode,
		.random = random_below,
		.interpreter = settings->stage->interpreters,
		.symbols = settings->flow->symbols ? tell_symbols : NULL,
	};
	program.variable_count = variable_count;
	self->program = program_create(&program, settings->arena, error);
	if (!self->program)
		return NULL;
	program_begin(self->program);
	return &self->driver;
}
