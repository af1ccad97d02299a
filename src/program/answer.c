/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of a request, as the table that client:stream and client:get return. Made for each request, so
 * only what is there is put into it; README.md lists the fields.
 */
#include "program/internal.h"

#include <string.h>

#include "base/clock.h"

enum { RELATION_BYTES_MAX = 256 }; /* longer names are nobody's */

void program_answer_open(lua_State *lua)
{
	static const char *const answer[] = {
		"status",      "fault",	  "fault_class",       "fault_text",   "headers", "links",   "date",
		"retry_after", "elapsed", "body_bytes",	       "plain_bytes",  "body",	  "problem", "events",
		"malformed",   "context", "looks_like_events", "newest_event", "skip",	  NULL
	};
	static const char *const context[] = { "offset", "total", "limit", NULL };
	program_push_strict(lua, "an answer", answer);
	program_slot_set(lua, PROGRAM_SLOT_ANSWER);
	program_push_strict(lua, "an offset context", context);
	program_slot_set(lua, PROGRAM_SLOT_CONTEXT);
	program_push_strict(lua, "a problem", NULL);
	program_slot_set(lua, PROGRAM_SLOT_PROBLEM);
}

static void set_integer(lua_State *lua, const char *name, uint64_t value)
{
	lua_pushinteger(lua, (lua_Integer)value);
	lua_setfield(lua, -2, name);
}

static void set_text(lua_State *lua, const char *name, const char *value)
{
	lua_pushstring(lua, value);
	lua_setfield(lua, -2, name);
}

static void set_truth(lua_State *lua, const char *name, int value)
{
	lua_pushboolean(lua, value);
	lua_setfield(lua, -2, name);
}

static void set_fault(lua_State *lua, const struct program_answer *answer)
{
	static const char *const classes[] = { [FAULT_CLASS_NONE] = "retry",
					       [FAULT_CLASS_RETRY] = "retry",
					       [FAULT_CLASS_RESTART] = "restart",
					       [FAULT_CLASS_STOP] = "stop" };
	if (answer->fault == FAULT_NONE)
		return;
	set_text(lua, "fault", fault_name(answer->fault));
	set_text(lua, "fault_class", classes[fault_class_of(answer->fault)]);
	set_text(lua, "fault_text",
		 answer->fault_text && *answer->fault_text ? answer->fault_text
							   : fault_sentence(answer->fault));
}

/* The table is at the top of the stack. */
static void add_header(lua_State *lua, const struct program_header *header)
{
	lua_pushlstring(lua, (const char *)header->name.base, header->name.bytes);
	lua_pushvalue(lua, -1);
	if (lua_rawget(lua, -3) == LUA_TSTRING) {
		lua_pushliteral(lua, ", ");
		lua_pushlstring(lua, (const char *)header->value.base, header->value.bytes);
		lua_concat(lua, 3);
	} else {
		lua_pop(lua, 1);
		lua_pushlstring(lua, (const char *)header->value.base, header->value.bytes);
	}
	lua_rawset(lua, -3);
}

static int is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct cursor_in *in)
{
	while (in->next < in->end && is_blank(*in->next))
		in->next++;
}

/* Takes `c`, and blanks around it. */
static int take(struct cursor_in *in, uint8_t c)
{
	skip_blanks(in);
	if (in->next == in->end || *in->next != c)
		return 0;
	in->next++;
	skip_blanks(in);
	return 1;
}

/* A token or what stands in quotes (RFC 8288 section 3), unescaped and cut to `text`; its length. */
static size_t take_value(struct cursor_in *in, char text[static RELATION_BYTES_MAX])
{
	size_t bytes = 0;
	int quoted = take(in, '"');
	while (in->next < in->end) {
		uint8_t c = *in->next;
		if (quoted ? c == '"' : is_blank(c) || c == ',' || c == ';' || c == '=')
			break;
		if (quoted && c == '\\' && in->next + 1 < in->end)
			c = *++in->next;
		if (bytes < RELATION_BYTES_MAX - 1)
			text[bytes++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
		in->next++;
	}
	if (quoted && in->next < in->end)
		in->next++;
	text[bytes] = 0;
	return bytes;
}

/* Sets links[relation] for each relation in `relations`, unless an earlier link has it. The table of links is
 * at the top of the stack. */
static void add_link(lua_State *lua, struct span target, char *relations, const char *base)
{
	if (program_push_joined_url(lua, span_of_text(base), target))
		return; /* no URL: as if it were not there */
	char *at = relations;
	for (size_t bytes; at += strspn(at, " \t"), bytes = strcspn(at, " \t"), bytes > 0; at += bytes) {
		lua_pushlstring(lua, at, bytes);
		lua_pushvalue(lua, -1);
		if (lua_rawget(lua, -4) == LUA_TNIL) {
			lua_pop(lua, 1);
			lua_pushvalue(lua, -2);
			lua_rawset(lua, -4);
		} else {
			lua_pop(lua, 2);
		}
	}
	lua_pop(lua, 1);
}

/* One Link header: <target>; parameter=value; ..., <target> ... What is malformed ends it. */
static void add_links(lua_State *lua, struct span value, const char *base)
{
	char name[RELATION_BYTES_MAX], text[RELATION_BYTES_MAX], relations[RELATION_BYTES_MAX];
	struct cursor_in in = { value.base, value.base + value.bytes };
	for (;;) {
		while (take(&in, ','))
			;
		if (!take(&in, '<'))
			return;
		const uint8_t *end = memchr(in.next, '>', cursor_in_bytes(&in));
		if (!end)
			return;
		struct span target = span_of(in.next, (size_t)(end - in.next));
		int has_relations = 0, has_anchor = 0;
		in.next = end + 1;
		while (take(&in, ';')) {
			text[0] = 0;
			take_value(&in, name);
			if (take(&in, '='))
				take_value(&in, text);
			/* The first one counts, says section 3.3. */
			if (strcmp(name, "rel") == 0 && !has_relations) {
				has_relations = 1;
				memcpy(relations, text, sizeof relations);
			}
			has_anchor |= strcmp(name, "anchor") == 0;
		}
		/* An anchor makes it a link of another document (section 3.2). */
		if (has_relations && !has_anchor)
			add_link(lua, target, relations, base);
		program_charge(lua, 20);
	}
}

static void set_headers(lua_State *lua, const struct program_answer *answer, const char *url)
{
	lua_createtable(lua, 0, (int)answer->header_count);
	for (size_t i = 0; i < answer->header_count; i++)
		add_header(lua, &answer->headers[i]);
	lua_setfield(lua, -2, "headers");
	lua_newtable(lua);
	for (size_t i = 0; i < answer->header_count; i++) {
		const struct program_header *header = &answer->headers[i];
		if (header->name.bytes == 4 && memcmp(header->name.base, "link", 4) == 0)
			add_links(lua, header->value, url);
	}
	lua_setfield(lua, -2, "links");
}

static void set_problem(lua_State *lua, const struct control_problem *problem)
{
	lua_createtable(lua, 0, 6);
	set_text(lua, "title", problem->title);
	set_text(lua, "detail", problem->detail);
	set_text(lua, "type", problem->type);
	set_integer(lua, "status", (uint64_t)problem->status);
	set_text(lua, "request_id", problem->request_id);
	set_text(lua, "server_ip", problem->server_ip);
	program_slot_push(lua, PROGRAM_SLOT_PROBLEM);
	lua_setmetatable(lua, -2);
	lua_setfield(lua, -2, "problem");
}

static void set_context(lua_State *lua, const struct control_context *context)
{
	lua_createtable(lua, 0, 3);
	lua_pushlstring(lua, context->offset, context->offset_bytes);
	lua_setfield(lua, -2, "offset");
	set_integer(lua, "total", (uint64_t)context->total);
	if (context->limit >= 0)
		set_integer(lua, "limit", (uint64_t)context->limit);
	program_slot_push(lua, PROGRAM_SLOT_CONTEXT);
	lua_setmetatable(lua, -2);
	lua_setfield(lua, -2, "context");
}

static void set_page(lua_State *lua, const struct program_answer *answer)
{
	set_integer(lua, "events", answer->event_lines);
	set_integer(lua, "malformed", answer->malformed);
	set_truth(lua, "looks_like_events", answer->looks_like_events);
	set_text(lua, "skip", answer->skip ? answer->skip : "settled");
	if (answer->context)
		set_context(lua, answer->context);
	if (answer->newest_event_unix_ms) {
		lua_pushnumber(lua, (lua_Number)answer->newest_event_unix_ms / 1000);
		lua_setfield(lua, -2, "newest_event");
	}
}

void program_push_answer(lua_State *lua, const struct program_answer *answer, int lines, const char *url)
{
	lua_createtable(lua, 0, 16);
	set_integer(lua, "status", (uint64_t)answer->status);
	set_integer(lua, "body_bytes", answer->body_bytes);
	set_integer(lua, "plain_bytes", answer->plain_bytes);
	lua_pushnumber(lua, (lua_Number)answer->elapsed_ns * 1e-9);
	lua_setfield(lua, -2, "elapsed");
	set_fault(lua, answer);
	set_headers(lua, answer, url);
	if (answer->date_unix >= 0)
		set_integer(lua, "date", (uint64_t)answer->date_unix);
	if (answer->retry_after_seconds >= 0)
		set_integer(lua, "retry_after", (uint64_t)answer->retry_after_seconds);
	if (answer->body.base) {
		lua_pushlstring(lua, (const char *)answer->body.base, answer->body.bytes);
		lua_setfield(lua, -2, "body");
	}
	if (answer->problem)
		set_problem(lua, answer->problem);
	if (lines) {
		set_page(lua, answer);
		program_of(lua)->mismatched = answer->skip && strcmp(answer->skip, "mismatch") == 0;
	}
	program_slot_push(lua, PROGRAM_SLOT_ANSWER);
	lua_setmetatable(lua, -2);
}
