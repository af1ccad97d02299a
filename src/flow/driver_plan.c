/* SPDX-License-Identifier: Apache-2.0
 *
 * The native driver: akamai/plan.h decides, akamai/edgegrid.h signs. Every attempt has its own time and
 * nonce.
 */
#include "flow/driver.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/random.h"
#include "control/control.h"

/* A cursor with every byte escaped as \u00xx, and what is around it. */
#define STATE_BYTES_MAX (6 * CONTROL_OFFSET_BYTES_MAX + 32)

struct driver_plan {
	struct driver driver;
	struct driver_settings settings;
	struct plan plan;
	struct plan_ask ask;
	enum driver_verdict verdict;
	char start_cursor[CONTROL_OFFSET_BYTES_MAX + 1];
	char state[STATE_BYTES_MAX];
};

static struct driver_plan *plan_of(const struct driver *driver)
{
	return (struct driver_plan *)(uintptr_t)driver; /* its first member */
}

static struct plan_time plan_time_of(struct program_time now)
{
	return (struct plan_time){ .monotonic_ns = now.monotonic_ns, .unix_ns = now.unix_ns };
}

static void plan_driver_next(struct driver *driver, struct program_time now, struct program_wish *ret_wish)
{
	static const enum program_resume resume_of[] = {
		[PLAN_RESUME_POSITION] = PROGRAM_RESUME_POSITION,
		[PLAN_RESUME_SEARCH] = PROGRAM_RESUME_SEARCH,
		[PLAN_RESUME_NONE] = PROGRAM_RESUME_NONE,
	};
	struct driver_plan *self = plan_of(driver);
	plan_next(&self->plan, plan_time_of(now), &self->ask);
	driver->last_fault = self->plan.last_fault;
	*ret_wish = (struct program_wish){ .kind = PROGRAM_REQUEST };
	switch (self->ask.kind) {
	case PLAN_END:
		ret_wish->kind = self->ask.end_reason == PLAN_END_FAILED ? PROGRAM_FAILED : PROGRAM_END;
		ret_wish->end_is_limit = self->ask.end_reason == PLAN_END_REQUESTS_MAX;
		break;
	case PLAN_WAIT:
		ret_wish->kind = PROGRAM_WAIT;
		ret_wish->wait_until_ns = self->ask.wait_until_ns;
		break;
	case PLAN_REQUEST:
		ret_wish->method = "GET";
		ret_wish->target = self->ask.target;
		ret_wish->lines = ret_wish->has_context = ret_wish->deliver = 1;
		ret_wish->resume = resume_of[self->ask.resume];
		break;
	}
}

static int plan_driver_ended(const struct driver *driver)
{
	(void)driver; /* the plan says so when it is asked, in time */
	return 0;
}

/* The headers that the configuration wants signed, among those that we send. */
static size_t signed_headers(const struct flow_settings *settings, const struct http_header *sent,
			     size_t sent_count, struct edgegrid_header *out)
{
	size_t count = 0;
	for (size_t i = 0; i < settings->headers_to_sign_count; i++) {
		const char *wanted = settings->headers_to_sign[i];
		for (size_t k = 0; k < sent_count && count < EDGEGRID_HEADERS_TO_SIGN_MAX; k++) {
			if (sent[k].name.bytes != strlen(wanted) ||
			    strncasecmp((const char *)sent[k].name.base, wanted, sent[k].name.bytes) != 0)
				continue;
			out[count++] = (struct edgegrid_header){ sent[k].name, sent[k].value };
		}
	}
	return count;
}

static enum fault plan_driver_headers(struct driver *driver, struct program_time now,
				      const struct flow_server *server, struct driver_headers *ret_headers)
{
	struct driver_plan *self = plan_of(driver);
	const struct flow_settings *settings = self->settings.flow;
	driver_default_headers(settings, ret_headers->lines);
	ret_headers->count = 3;
	struct edgegrid_header signed_lines[EDGEGRID_HEADERS_TO_SIGN_MAX];
	struct edgegrid_request request = {
		.method = "GET",
		.scheme = server->secure ? "https" : "http",
		.host = server->authority,
		.target = self->ask.target,
		.headers = signed_lines,
		.header_count =
			signed_headers(settings, ret_headers->lines, ret_headers->count, signed_lines),
	};
	char timestamp[EDGEGRID_TIMESTAMP_BYTES];
	char nonce[EDGEGRID_NONCE_BYTES];
	/* The plan said which clock to sign by when it was asked; connecting may have taken seconds since. */
	int64_t skew_seconds = self->plan.counters.clock_skew_ns / NS_PER_SECOND;
	edgegrid_timestamp(now.unix_ns / NS_PER_SECOND + skew_seconds, timestamp);
	edgegrid_nonce(nonce);
	size_t bytes = edgegrid_authorization(settings->credentials, &request, timestamp, nonce,
					      ret_headers->authorization, sizeof ret_headers->authorization);
	if (bytes == 0) {
		driver->detail = "the credentials are too long to sign with";
		return FAULT_AKAMAI_CREDENTIALS;
	}
	ret_headers->lines[ret_headers->count++] = (struct http_header){
		span_of_text("Authorization"),
		span_of(ret_headers->authorization, bytes),
	};
	return FAULT_NONE;
}

static int plan_driver_answer(struct driver *driver, struct program_time now,
			      const struct driver_answer *answer)
{
	static const enum plan_skip skip_of[] = {
		[PAGE_SKIP_SETTLED] = PLAN_SKIP_SETTLED,
		[PAGE_SKIP_OPEN] = PLAN_SKIP_OPEN,
		[PAGE_SKIP_MISMATCH] = PLAN_SKIP_MISMATCH,
	};
	struct driver_plan *self = plan_of(driver);
	const struct program_answer *seen = &answer->seen;
	const struct plan_answer told = {
		.fault = seen->fault,
		.status = seen->status,
		.retry_after_seconds = seen->retry_after_seconds,
		.date_unix = seen->date_unix,
		.problem = seen->problem,
		.context = seen->context,
		.body_looks_like_events = seen->looks_like_events,
		.event_lines = seen->event_lines,
		.body_bytes = seen->body_bytes,
		.newest_event_unix_ms = seen->newest_event_unix_ms,
		.skip = skip_of[answer->skip],
	};
	int committed = plan_answer(&self->plan, plan_time_of(now), &told);
	self->verdict = committed ? DRIVER_COMMITTED : DRIVER_REFUSED;
	driver->last_fault = self->plan.last_fault;
	return committed;
}

static enum driver_verdict plan_driver_verdict(struct driver *driver)
{
	struct driver_plan *self = plan_of(driver);
	enum driver_verdict verdict = self->verdict;
	self->verdict = DRIVER_UNDECIDED;
	return verdict;
}

static const char *plan_driver_cursor(const struct driver *driver)
{
	return plan_of(driver)->plan.offset;
}

static void plan_driver_counters(const struct driver *driver, struct plan_counters *ret_counters)
{
	*ret_counters = plan_of(driver)->plan.counters;
}

/* {"cursor":"..."}: what a next run goes on with, be it native or the default program. */
static const char *plan_driver_state(struct driver *driver, const char *cursor)
{
	struct driver_plan *self = plan_of(driver);
	char *end = self->state + sizeof self->state;
	if (!cursor)
		cursor = self->plan.offset;
	if (!*cursor)
		return NULL;
	char *at = self->state + snprintf(self->state, sizeof self->state, "{\"cursor\":\"");
	for (const uint8_t *byte = (const uint8_t *)cursor; *byte; byte++) {
		if (*byte < 0x20 || *byte == '"' || *byte == '\\')
			at += snprintf(at, (size_t)(end - at), "\\u%04x", *byte);
		else
			*at++ = (char)*byte;
	}
	snprintf(at, (size_t)(end - at), "\"}");
	return self->state;
}

static void plan_driver_finish(struct driver *driver)
{
	(void)driver; /* all of it is the arena's */
}

static const struct driver_table plan_table = {
	.unwritable_fault = FAULT_AKAMAI_PARAMETERS,
	.unwritable_text = "the request cannot be written: the URL, the configId or a credential holds "
			   "characters that HTTP forbids, or is too long",
	.next = plan_driver_next,
	.ended = plan_driver_ended,
	.headers = plan_driver_headers,
	.answer = plan_driver_answer,
	.verdict = plan_driver_verdict,
	.cursor = plan_driver_cursor,
	.counters = plan_driver_counters,
	.state = plan_driver_state,
	.finish = plan_driver_finish,
};

/* The member `cursor` of what a former run left. 0, or -1 with a sentence. */
static int state_read(struct driver_plan *self, char error[static FLOW_TEXT_BYTES_MAX])
{
	struct event_fields fields;
	const struct driver_settings *settings = &self->settings;
	if (!settings->state)
		return 0;
	if (control_decode(settings->decoder, span_of_text(settings->state), &fields, NULL) != CONTROL_YES ||
	    fields.fields[0].type != EVENT_OBJECT) {
		snprintf(error, FLOW_TEXT_BYTES_MAX,
			 "the state of configId %s is no JSON object; to begin anew, remove its file from "
			 "the -state "
			 "folder",
			 settings->config_id);
		return -1;
	}
	const struct event_field *cursor = event_member(&fields, &fields.fields[0], "cursor");
	if (!cursor || cursor->type == EVENT_NULL)
		return 0;
	if (cursor->type != EVENT_STRING || cursor->string.bytes > CONTROL_OFFSET_BYTES_MAX ||
	    (cursor->string.bytes && memchr(cursor->string.base, 0, cursor->string.bytes))) {
		snprintf(error, FLOW_TEXT_BYTES_MAX,
			 "the state of configId %s has a \"cursor\" that is none: a text of at most %d bytes",
			 settings->config_id, CONTROL_OFFSET_BYTES_MAX);
		return -1;
	}
	if (cursor->string.bytes)
		memcpy(self->start_cursor, cursor->string.base, cursor->string.bytes);
	return 0;
}

size_t driver_plan_bytes_needed(void)
{
	return sizeof(struct driver_plan) + 64;
}

struct driver *driver_plan_create(const struct driver_settings *settings, struct program_time now,
				  char error[static FLOW_TEXT_BYTES_MAX])
{
	struct driver_plan *self = arena_take(settings->arena, sizeof *self, 64);
	self->settings = *settings;
	self->driver.table = &plan_table;
	self->driver.error_text = self->plan.error_text;
	self->driver.notice = self->plan.notice;
	if (state_read(self, error) < 0)
		return NULL;
	struct plan_settings plan = settings->flow->plan;
	plan.config_id = settings->config_id;
	if (!plan.random)
		plan.random = random_below;
	/* A cursor that was given for this run says more than what a former one left. */
	if (!plan.cursor || !plan.cursor[0])
		plan.cursor = self->start_cursor;
	plan_begin(&self->plan, &plan, plan_time_of(now));
	self->driver.last_fault = self->plan.last_fault;
	return &self->driver;
}
