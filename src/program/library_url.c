/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs (RFC 3986): escaping, queries, taking apart, and what a relative reference means. Stricter than the
 * RFC about hosts, which are compared with the list of those allowed: letters, digits, '-', '.', '_', or an
 * address; laxer about the rest, where servers are lax: what cannot break a request line may be there.
 */
#include "program/library.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

enum {
	BYTES_OF_INSTRUCTION = 16,
	IPV6_TEXT_BYTES = 46, /* INET6_ADDRSTRLEN */
	PORT_DIGITS_MAX = 5,
	PORT_MAX = 65535,
};

static int is_letter(uint8_t byte)
{
	return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

static int is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static char lower(uint8_t byte)
{
	return (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
}

static struct span part_of(struct span text, size_t from, size_t end)
{
	return span_of(text.base + from, end - from);
}

/* The first of the bytes of `set` in the text from `from` on, or its end. */
static size_t find_any(struct span text, size_t from, const char *set)
{
	size_t at = from;
	while (at < text.bytes && !strchr(set, text.base[at]))
		at++;
	return at;
}

static const char *check_bytes(struct span text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		uint8_t byte = text.base[i];
		if (byte <= ' ' || byte >= 0x7f || byte == '\\')
			return "has a blank or another byte that must be escaped";
	}
	return NULL;
}

static int is_host_name(struct span host)
{
	for (size_t i = 0; i < host.bytes; i++) {
		uint8_t byte = host.base[i];
		if (!is_letter(byte) && !is_digit(byte) && byte != '-' && byte != '.' && byte != '_')
			return 0;
	}
	return 1;
}

static int is_ipv6(struct span host)
{
	char text[IPV6_TEXT_BYTES];
	struct in6_addr address;
	if (host.bytes >= sizeof text)
		return 0;
	memcpy(text, host.base, host.bytes);
	text[host.bytes] = 0;
	return inet_pton(AF_INET6, text, &address) == 1;
}

/* [ user "@" ] host [ ":" port ] */
static const char *split_authority(struct span authority, struct program_url *url)
{
	const uint8_t *at_sign = authority.bytes ? memchr(authority.base, '@', authority.bytes) : NULL;
	size_t at = 0, end;
	if (at_sign) {
		at = (size_t)(at_sign - authority.base);
		url->user = part_of(authority, 0, at++);
	}
	if (at < authority.bytes && authority.base[at] == '[') {
		end = find_any(authority, at, "]");
		if (end == authority.bytes)
			return "has a '[' without its ']'";
		url->host = part_of(authority, at + 1, end++);
		url->host_is_ipv6 = 1;
		if (!is_ipv6(url->host))
			return "has no IPv6 address in its brackets";
	} else {
		end = find_any(authority, at, ":");
		url->host = part_of(authority, at, end);
		if (!is_host_name(url->host))
			return "has a host that is no name and no address";
	}
	if (end == authority.bytes)
		return NULL;
	if (authority.base[end] != ':')
		return "has something between its host and its port";
	url->port = part_of(authority, end + 1, authority.bytes);
	for (size_t i = 0; i < url->port.bytes; i++) {
		if (!is_digit(url->port.base[i]))
			return "has a port that is no number";
	}
	return NULL;
}

static int is_scheme(struct span text)
{
	if (!text.bytes || !is_letter(text.base[0]))
		return 0;
	for (size_t i = 1; i < text.bytes; i++) {
		uint8_t byte = text.base[i];
		if (!is_letter(byte) && !is_digit(byte) && byte != '+' && byte != '-' && byte != '.')
			return 0;
	}
	return 1;
}

const char *program_url_split(struct span text, struct program_url *ret_url)
{
	*ret_url = (struct program_url){ 0 };
	const char *fault = check_bytes(text);
	if (fault)
		return fault;
	size_t at = 0, end = find_any(text, 0, ":/?#");
	if (end < text.bytes && text.base[end] == ':') {
		ret_url->scheme = part_of(text, 0, end);
		if (!is_scheme(ret_url->scheme))
			return "has something before its first ':' that is no scheme";
		at = end + 1;
	}
	if (text.bytes - at >= 2 && text.base[at] == '/' && text.base[at + 1] == '/') {
		end = find_any(text, at + 2, "/?#");
		fault = split_authority(part_of(text, at + 2, end), ret_url);
		if (fault)
			return fault;
		at = end;
	}
	end = find_any(text, at, "?#");
	ret_url->path = part_of(text, at, end);
	if (end < text.bytes && text.base[end] == '?') {
		at = end + 1;
		end = find_any(text, at, "#");
		ret_url->query = part_of(text, at, end);
	}
	if (end < text.bytes)
		ret_url->fragment = part_of(text, end + 1, text.bytes);
	return NULL;
}

static int is_text(struct span span, const char *text)
{
	if (span.bytes != strlen(text))
		return 0;
	for (size_t i = 0; i < span.bytes; i++) {
		if (lower(span.base[i]) != text[i])
			return 0;
	}
	return 1;
}

static unsigned default_port(struct span scheme)
{
	return is_text(scheme, "https") ? 443 : is_text(scheme, "http") ? 80 : 0;
}

unsigned program_url_port(const struct program_url *url)
{
	unsigned port = default_port(url->scheme);
	if (!port || !url->port.bytes)
		return port;
	if (url->port.bytes > PORT_DIGITS_MAX)
		return 0;
	port = 0;
	for (size_t i = 0; i < url->port.bytes; i++)
		port = port * 10 + url->port.base[i] - '0';
	return port <= PORT_MAX ? port : 0;
}

static void add_span(struct library_text *text, struct span span)
{
	library_text_add(text, span.base, span.bytes);
}

/* RFC 3986 section 5.2.4, its cases A to E; `path` is used up. The result goes behind what `out` has. */
static void add_without_dots(struct library_text *out, char *path, size_t bytes)
{
	size_t begin = out->bytes, at = 0;
	while (at < bytes) {
		const char *here = path + at;
		size_t left = bytes - at;
		if (left >= 3 && memcmp(here, "../", 3) == 0) {
			at += 3;
		} else if (left >= 2 && memcmp(here, "./", 2) == 0) {
			at += 2;
		} else if (left >= 3 && memcmp(here, "/./", 3) == 0) {
			at += 2;
		} else if (left == 2 && memcmp(here, "/.", 2) == 0) {
			path[++at] = '/';
		} else if ((left >= 4 && memcmp(here, "/../", 4) == 0) ||
			   (left == 3 && memcmp(here, "/..", 3) == 0)) {
			at += left == 3 ? 2 : 3;
			path[at] = '/';
			while (out->bytes > begin && out->base[--out->bytes] != '/')
				;
		} else if ((left == 1 && *here == '.') || (left == 2 && memcmp(here, "..", 2) == 0)) {
			at = bytes;
		} else {
			const char *next = memchr(here + 1, '/', left - 1);
			size_t segment = next ? (size_t)(next - here) : left;
			library_text_add(out, here, segment);
			at += segment;
		}
	}
}

/* Adds the path that the reference's path means at the base (section 5.2.3), `scratch` as memory. */
static void add_merged_path(struct library_text *out, struct library_text *scratch,
			    const struct program_url *base, struct span path)
{
	if (path.bytes && path.base[0] == '/') {
		add_span(scratch, path);
	} else if (base->host.base && !base->path.bytes) {
		library_text_add(scratch, "/", 1);
		add_span(scratch, path);
	} else {
		size_t directory = base->path.bytes;
		while (directory && base->path.base[directory - 1] != '/')
			directory--;
		library_text_add(scratch, base->path.base, directory);
		add_span(scratch, path);
	}
	add_without_dots(out, scratch->base, scratch->bytes);
}

static void add_authority(struct library_text *out, const struct program_url *url)
{
	library_text_add(out, "//", 2);
	if (url->user.base) {
		add_span(out, url->user);
		library_text_add(out, "@", 1);
	}
	if (url->host_is_ipv6)
		library_text_add(out, "[", 1);
	add_span(out, url->host);
	if (url->host_is_ipv6)
		library_text_add(out, "]", 1);
	if (url->port.base) {
		library_text_add(out, ":", 1);
		add_span(out, url->port);
	}
}

/* Section 5.2.2, strict. */
static const char *join(struct library_text *out, struct library_text *scratch,
			const struct program_url *base, const struct program_url *reference)
{
	const struct program_url *authority = reference;
	struct span query = reference->query;
	add_span(out, reference->scheme.base ? reference->scheme : base->scheme);
	library_text_add(out, ":", 1);
	if (!reference->scheme.base && !reference->host.base)
		authority = base;
	if (authority->host.base)
		add_authority(out, authority);
	size_t path_at = out->bytes;
	if (authority == reference) {
		add_span(scratch, reference->path);
		add_without_dots(out, scratch->base, scratch->bytes);
	} else if (reference->path.bytes) {
		add_merged_path(out, scratch, base, reference->path);
	} else {
		add_span(out, base->path);
		if (!query.base)
			query = base->query;
	}
	if (!authority->host.base && out->bytes - path_at >= 2 && memcmp(out->base + path_at, "//", 2) == 0)
		return "means a path that would read as a host";
	if (query.base) {
		library_text_add(out, "?", 1);
		add_span(out, query);
	}
	if (reference->fragment.base) {
		library_text_add(out, "#", 1);
		add_span(out, reference->fragment);
	}
	return NULL;
}

const char *program_push_joined_url(lua_State *lua, struct span base, struct span reference)
{
	struct program_url base_url, reference_url;
	int top = lua_gettop(lua);
	const char *fault = program_url_split(base, &base_url);
	if (!fault && !base_url.scheme.base)
		fault = "is joined to a base that is no URL";
	if (!fault)
		fault = program_url_split(reference, &reference_url);
	if (fault)
		return fault;
	program_charge(lua, (base.bytes + reference.bytes) / BYTES_OF_INSTRUCTION);
	struct library_text out, scratch;
	library_text_begin(&out, lua);
	library_text_begin(&scratch, lua);
	fault = join(&out, &scratch, &base_url, &reference_url);
	if (!fault) {
		library_text_push(&out);
		lua_replace(lua, top + 1);
		top++;
	}
	lua_settop(lua, top);
	return fault;
}

static struct span span_argument(lua_State *lua, int index)
{
	size_t bytes;
	const char *text = luaL_checklstring(lua, index, &bytes);
	program_charge(lua, bytes / BYTES_OF_INSTRUCTION);
	return span_of(text, bytes);
}

static int raise_about_url(lua_State *lua, int index, const char *fault)
{
	return luaL_argerror(lua, index, lua_pushfstring(lua, "the URL %s", fault));
}

static int url_join(lua_State *lua)
{
	struct span base = span_argument(lua, 1), reference = span_argument(lua, 2);
	struct program_url url;
	const char *fault = program_url_split(base, &url);
	if (!fault && !url.scheme.base)
		fault = "has no scheme, as https:, so nothing can be joined to it";
	if (fault)
		return raise_about_url(lua, 1, fault);
	fault = program_push_joined_url(lua, base, reference);
	return fault ? raise_about_url(lua, 2, fault) : 1;
}

/* Sets a field of the table on top; nothing when it is absent. */
static void set_span(lua_State *lua, const char *name, struct span span, int in_lower_case)
{
	if (!span.base)
		return;
	struct library_text text;
	library_text_begin(&text, lua);
	add_span(&text, span);
	for (size_t i = 0; in_lower_case && i < text.bytes; i++)
		text.base[i] = lower((uint8_t)text.base[i]);
	library_text_push(&text);
	lua_setfield(lua, -3, name);
	lua_pop(lua, 1);
}

/* What a Host header says. */
static void set_authority(lua_State *lua, const struct program_url *url, unsigned port)
{
	struct library_text text;
	char digits[16];
	library_text_begin(&text, lua);
	library_text_add(&text, "[", url->host_is_ipv6 ? 1 : 0);
	for (size_t i = 0; i < url->host.bytes; i++)
		library_text_add(&text, &(char){ lower(url->host.base[i]) }, 1);
	library_text_add(&text, "]", url->host_is_ipv6 ? 1 : 0);
	if (port && port != default_port(url->scheme)) {
		int bytes = snprintf(digits, sizeof digits, ":%u", port);
		library_text_add(&text, digits, (size_t)bytes);
	}
	library_text_push(&text);
	lua_setfield(lua, -3, "authority");
	lua_pop(lua, 1);
}

static int url_parse(lua_State *lua)
{
	struct program_url url;
	struct span text = span_argument(lua, 1);
	const char *fault = program_url_split(text, &url);
	int is_http = !fault && default_port(url.scheme) != 0;
	unsigned port = fault ? 0 : program_url_port(&url);
	if (!fault && is_http && !url.host.bytes)
		fault = "has no host";
	if (!fault && is_http && !port)
		fault = "has a port that is none";
	if (!fault && url.user.base)
		fault = "has a user name; send an Authorization header instead";
	if (fault)
		return raise_about_url(lua, 1, fault);
	if (is_http && !url.path.bytes)
		url.path = span_of("/", 1);
	lua_createtable(lua, 0, 8);
	set_span(lua, "scheme", url.scheme, 1);
	set_span(lua, "host", url.host, 1);
	set_span(lua, "path", url.path, 0);
	set_span(lua, "query", url.query, 0);
	set_span(lua, "fragment", url.fragment, 0);
	if (port) {
		lua_pushinteger(lua, (lua_Integer)port);
		lua_setfield(lua, -2, "port");
	}
	if (url.host.base)
		set_authority(lua, &url, port);
	lua_getfield(lua, -1, "path");
	if (url.query.base) {
		lua_pushliteral(lua, "?");
		lua_getfield(lua, -3, "query");
		lua_concat(lua, 3);
	}
	lua_setfield(lua, -2, "target");
	return 1;
}

static void add_escaped(struct library_text *out, struct span text)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < text.bytes; i++) {
		uint8_t byte = text.base[i];
		char escape[3] = { '%', digits[byte >> 4], digits[byte & 15] };
		if (is_letter(byte) || is_digit(byte) || byte == '-' || byte == '.' || byte == '_' ||
		    byte == '~')
			library_text_add(out, &byte, 1);
		else
			library_text_add(out, escape, sizeof escape);
	}
}

static int url_escape(lua_State *lua)
{
	struct library_text out;
	struct span text = span_argument(lua, 1);
	library_text_begin(&out, lua);
	add_escaped(&out, text);
	library_text_push(&out);
	return 1;
}

static int url_unescape(lua_State *lua)
{
	struct library_text out;
	struct span text = span_argument(lua, 1);
	library_text_begin(&out, lua);
	for (size_t i = 0; i < text.bytes; i++) {
		uint8_t byte = text.base[i];
		if (byte == '%') {
			int high = i + 2 < text.bytes ? library_hex_value(text.base[i + 1]) : -1;
			int low = i + 2 < text.bytes ? library_hex_value(text.base[i + 2]) : -1;
			if (high < 0 || low < 0)
				return luaL_argerror(
					lua, 1,
					lua_pushfstring(lua, "'%%' without two hexadecimal digits at byte %I",
							(LUAI_UACINT)i + 1));
			byte = (uint8_t)(high * 16 + low);
			i += 2;
		}
		library_text_add(&out, &byte, 1);
	}
	library_text_push(&out);
	return 1;
}

/* Turns the value on top into the text that stands for it in a query. */
static void make_query_text(lua_State *lua, const struct library_name *name)
{
	int is_whole;
	lua_Integer whole = lua_tointegerx(lua, -1, &is_whole);
	switch (lua_type(lua, -1)) {
	case LUA_TSTRING:
		return;
	case LUA_TNUMBER:
		/* 5.0 is meant as 5 by whoever divides, and servers want it so. */
		if (is_whole)
			lua_pushinteger(lua, whole);
		else
			lua_pushvalue(lua, -1);
		lua_tostring(lua, -1);
		break;
	case LUA_TBOOLEAN:
		lua_pushstring(lua, lua_toboolean(lua, -1) ? "true" : "false");
		break;
	default:
		lua_pushlstring(lua, name->base, name->bytes);
		luaL_argerror(lua, 1,
			      lua_pushfstring(lua, "'%s' is a %s, which has no place in a query",
					      lua_tostring(lua, -1), luaL_typename(lua, -2)));
	}
	lua_replace(lua, -2);
}

/* The names of argument 1, sorted, in a userdata that is pushed. */
static struct library_name *push_names(lua_State *lua, size_t *ret_count)
{
	size_t count = 0, found = 0;
	for (lua_pushnil(lua); lua_next(lua, 1); lua_pop(lua, 1))
		count++;
	program_charge(lua, count);
	struct library_name *names = lua_newuserdatauv(lua, (count + 1) * sizeof *names, 0);
	for (lua_pushnil(lua); found < count && lua_next(lua, 1); lua_pop(lua, 1)) {
		if (lua_type(lua, -2) != LUA_TSTRING)
			luaL_argerror(
				lua, 1,
				lua_pushfstring(lua, "a parameter's name is a %s", luaL_typename(lua, -2)));
		names[found].base = lua_tolstring(lua, -2, &names[found].bytes);
		found++;
	}
	lua_settop(lua, 2);
	library_sort_names(names, found);
	*ret_count = found;
	return names;
}

static int url_query(lua_State *lua)
{
	size_t count;
	struct library_text out;
	luaL_checktype(lua, 1, LUA_TTABLE);
	lua_settop(lua, 1);
	struct library_name *names = push_names(lua, &count);
	library_text_begin(&out, lua);
	for (size_t i = 0; i < count; i++) {
		if (i)
			library_text_add(&out, "&", 1);
		add_escaped(&out, span_of(names[i].base, names[i].bytes));
		library_text_add(&out, "=", 1);
		lua_pushlstring(lua, names[i].base, names[i].bytes);
		lua_rawget(lua, 1);
		make_query_text(lua, &names[i]);
		size_t bytes;
		const char *base = lua_tolstring(lua, -1, &bytes);
		program_charge(lua, bytes / BYTES_OF_INSTRUCTION);
		add_escaped(&out, span_of(base, bytes));
		lua_pop(lua, 1);
	}
	library_text_push(&out);
	return 1;
}

void library_url_open(lua_State *lua)
{
	static const luaL_Reg functions[] = {
		{ "escape", url_escape }, { "unescape", url_unescape }, { "query", url_query },
		{ "parse", url_parse },	  { "join", url_join },		{ NULL, NULL },
	};
	luaL_newlib(lua, functions);
	lua_setglobal(lua, "url");
}
