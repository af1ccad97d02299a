/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper modules of programs on any bytes. The first byte says what the rest is:
 *
 *	'j'  a JSON text: what the decoder takes the reader of faults takes, and encoding it is settled
 *
 *	'p'  "pattern NUL subject NUL replacement": find, match, gmatch and gsub end within a budget, agree
 *	     with each other about the first match, and a match lies within the subject
 *
 *	'u'  "base NUL reference": what joining gives can be taken apart, and joined with "" it stays as it is
 *
 *	't'  a time: what parses, formatted and parsed again, is the same second
 *
 *	'c'  base64 and hexadecimal digits: what decodes, encoded again, decodes to the same
 */
#include "program_library_host.h"

#include <string.h>

#include "program/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char chunk[] =
	"local function same(a, b, what) if a ~= b then broken(what) end end\n"
	"ways = {}\n"
	"function ways.j(text)\n"
	"  local once = json.encode(json.decode(text))\n"
	"  same(json.encode(json.decode(once)), once, 'JSON that changes when it is encoded again')\n"
	"  local ok, items = pcall(json.items, text, '')\n"
	"  if ok then\n"
	"    for _, item in ipairs(items) do\n"
	"      json.decode(item)\n"
	"      if item:find('\\n', 1, true) then broken('an item with a line end') end\n"
	"    end\n"
	"    local around = json.items('[' .. text .. ']', '')[1]\n"
	"    same('[' .. table.concat(items, ',') .. ']', around, 'items')\n"
	"  end\n"
	"end\n"
	"local function is_first_match(pattern, subject, from, to)\n"
	"  if from < 1 or to > #subject or to < from - 1 then broken('a match outside') end\n"
	"  local bare = pattern:gsub('^%^', '')\n"
	/* "()" is a position, numbers of captures would be others, and '$' would not be the last. */
	"  if bare == '' or bare:sub(1, 1) == ')' or bare:find('[%%$]') then return end\n"
	"  local whole = string.match(subject, '^(' .. bare .. ')', from)\n"
	"  same(whole, subject:sub(from, to), 'match and find')\n"
	"end\n"
	"function ways.p(pattern, subject, replacement)\n"
	"  local from, to = string.find(subject, pattern)\n"
	"  if from then\n"
	"    pcall(is_first_match, pattern, subject, from, to)\n"
	"  else\n"
	"    same(string.match(subject, pattern), nil, 'match without find')\n"
	"    same(string.gsub(subject, pattern, replacement), subject, 'gsub without find')\n"
	"  end\n"
	"  local count = 0\n"
	"  for _ in string.gmatch(subject, pattern) do count = count + 1 end\n"
	"  if count > #subject + 1 then broken('more matches than places') end\n"
	"  local identical, replaced = string.gsub(subject, pattern, '%0')\n"
	"  same(identical, subject, 'gsub by %0')\n"
	"  if pattern:sub(1, 1) ~= '^' then same(replaced, count, 'gsub and gmatch') end\n"
	"  string.gsub(subject, pattern, replacement)\n"
	"end\n"
	"function ways.u(base, reference)\n"
	"  local joined = url.join(base, reference)\n"
	"  same(url.join(joined, ''), (joined:gsub('#.*', '')), 'joined with nothing')\n"
	"  same(url.unescape(url.escape(joined)), joined, 'escaped')\n"
	"  local ok, parts = pcall(url.parse, joined)\n"
	"  if ok and parts.target:find('[%c ]') then broken('a target with blanks') end\n"
	"end\n"
	"function ways.t(text)\n"
	"  local seconds = time.parse(text)\n"
	"  same(time.parse(time.format(seconds)), math.floor(seconds), 'a time')\n"
	"end\n"
	"function ways.c(text)\n"
	"  local ok, plain = pcall(base64.decode, text)\n"
	"  if ok then\n"
	"    same(base64.decode(base64.encode(plain)), plain, 'base64')\n"
	"    local letters = text:gsub('+', '-'):gsub('/', '_'):gsub('=', '')\n"
	"    same(base64.encode_url(plain), letters, 'letters')\n"
	"  end\n"
	"  ok, plain = pcall(hex.decode, text)\n"
	"  if ok then same(hex.encode(plain), text:lower(), 'hex') end\n"
	"end\n";

static int broken(lua_State *lua)
{
	fprintf(stderr, "%s\n", luaL_checkstring(lua, 1));
	abort();
}

static lua_State *state;

static void open_state(void)
{
	state = library_open(1);
	lua_register(state, "broken", broken);
	if (luaL_loadbufferx(state, chunk, sizeof chunk - 1, "=fuzz", "t") || lua_pcall(state, 0, 0, 0)) {
		fprintf(stderr, "%s\n", lua_tostring(state, -1));
		abort();
	}
}

static void check_json(const uint8_t *data, size_t bytes)
{
	struct event_fields event;
	size_t at;
	struct span text = span_of(data, bytes);
	const char *fault = json_text_fault(text, &at);
	int decodes = program_decode_json(state, text, &event) == 0;
	/* Numbers beyond a double are JSON, but nothing to decode. */
	int has_exponent = memchr(data, 'e', bytes) || memchr(data, 'E', bytes);
	int has_long_number = bytes > 300;
	if (at > bytes || (decodes && fault) || (!decodes && !fault && !has_exponent && !has_long_number)) {
		fprintf(stderr, "the decoder %s it, the reader says %s at %zu\n",
			decodes ? "takes" : "refuses", fault ? fault : "nothing", at);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes < 1)
		return 0;
	if (!state)
		open_state();
	char way[2] = { (char)*data++, 0 };
	bytes--;
	if (*way == 'j' && bytes)
		check_json(data, bytes);
	lua_settop(state, 0);
	library_charged = 0;
	library_budget = 30000; /* about a millisecond */
	lua_getglobal(state, "ways");
	if (lua_getfield(state, -1, way) != LUA_TFUNCTION)
		return 0;
	for (int parts = 0; parts < 3; parts++) {
		const uint8_t *nul = bytes ? memchr(data, 0, bytes) : NULL;
		size_t part = nul && (*way == 'p' || *way == 'u') ? (size_t)(nul - data) : bytes;
		lua_pushlstring(state, (const char *)data, part);
		data += part + (part < bytes);
		bytes -= part + (part < bytes);
	}
	/* An error is an answer; what would be a mistake of ours aborts. */
	lua_pcall(state, 3, 0, 0);
	if (lua_gc(state, LUA_GCCOUNT) > 64 * 1024)
		lua_gc(state, LUA_GCCOLLECT);
	return 0;
}
