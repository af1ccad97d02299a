/* SPDX-License-Identifier: Apache-2.0
 *
 * Our patterns, and the functions of string and table around them, against stock Lua: two states run the same
 * chunk with the same arguments, one with the helper modules. Results are compared as text, errors with their
 * whole message. Written cases first, then tens of thousands of random patterns, some of them malformed.
 */
#include "program_library_host.h"

#include "test.h"

/* try(what, subject, pattern, argument, number) -> text. `what` picks the function and how it is called. */
static const char chunk[] =
	"local function show(...)\n"
	"  local texts = {}\n"
	"  for i = 1, select('#', ...) do\n"
	"    local value = select(i, ...)\n"
	"    texts[i] = math.type(value) and math.type(value) .. value or tostring(value)\n"
	"  end\n"
	"  return #texts .. ':' .. table.concat(texts, '|')\n"
	"end\n"
	"local function all(...)\n"
	"  local texts = {}\n"
	"  for a, b, c in string.gmatch(...) do\n"
	"    texts[#texts + 1] = show(a, b, c)\n"
	"    if #texts > 60 then break end\n"
	"  end\n"
	"  return table.concat(texts, ';')\n"
	"end\n"
	"local replacements = { a = 'A', ab = '', [1] = 'one', [2] = false, b = 2, ['('] = 0.5 }\n"
	"local ways = {\n"
	"  find = function(s, p, _, n) return string.find(s, p, n) end,\n"
	"  plain = function(s, p, _, n) return string.find(s, p, n, true) end,\n"
	"  match = function(s, p, _, n) return string.match(s, p, n) end,\n"
	"  method = function(s, p) return s:match(p) end,\n"
	"  gmatch = function(s, p, _, n) return all(s, p, n) end,\n"
	"  gsub = function(s, p, r) return string.gsub(s, p, r) end,\n"
	"  limited = function(s, p, r, n) return string.gsub(s, p, r, n) end,\n"
	"  by_table = function(s, p) return string.gsub(s, p, replacements) end,\n"
	"  by_function = function(s, p)\n"
	"    return string.gsub(s, p, function(a, b) return b and show(a, b) or a ~= '' and a end)\n"
	"  end,\n"
	"}\n"
	"function try(what, s, p, r, n) return show(pcall(ways[what], s, p, r, n)) end\n"
	"function eval(text) return show(pcall(assert(load(text, '=case')))) end\n";

static const char *const ways[] = { "find",   "match",	 "gmatch",   "gsub",	   "plain",
				    "method", "limited", "by_table", "by_function" };
enum { WAY_COUNT = sizeof ways / sizeof *ways };

static lua_State *stock, *ours;

static void open_both(void)
{
	if (stock)
		return;
	stock = library_open(0);
	ours = library_open(1);
	EQ(luaL_loadbufferx(stock, chunk, sizeof chunk - 1, "=try", "t") || lua_pcall(stock, 0, 0, 0), 0);
	EQ(luaL_loadbufferx(ours, chunk, sizeof chunk - 1, "=try", "t") || lua_pcall(ours, 0, 0, 0), 0);
}

struct text {
	char base[1024];
	size_t bytes;
};

/* The text of the try; it stays on the stack. */
static const char *try_in(lua_State *lua, const char *way, const struct text *subject,
			  const struct text *pattern, const struct text *replacement, int number,
			  size_t *ret_bytes)
{
	lua_settop(lua, 0);
	lua_getglobal(lua, "try");
	lua_pushstring(lua, way);
	lua_pushlstring(lua, subject->base, subject->bytes);
	lua_pushlstring(lua, pattern->base, pattern->bytes);
	lua_pushlstring(lua, replacement->base, replacement->bytes);
	lua_pushinteger(lua, number);
	lua_call(lua, 5, 1);
	return lua_tolstring(lua, -1, ret_bytes);
}

/* 1 when it succeeded. */
static int compare(const char *way, const struct text *subject, const struct text *pattern,
		   const struct text *replacement, int number)
{
	size_t want_bytes, got_bytes;
	const char *want = try_in(stock, way, subject, pattern, replacement, number, &want_bytes);
	const char *got = try_in(ours, way, subject, pattern, replacement, number, &got_bytes);
	if (want_bytes != got_bytes || memcmp(want, got, got_bytes) != 0)
		FAIL("%s of \"%.*s\" with \"%.*s\", %d: %.200s, wanted %.200s", way, (int)subject->bytes,
		     subject->base, (int)pattern->bytes, pattern->base, number, got, want);
	return strncmp(want + 2, "true", 4) == 0;
}

static void add(struct text *text, const void *data, size_t bytes)
{
	if (bytes > sizeof text->base - text->bytes)
		bytes = sizeof text->base - text->bytes;
	memcpy(text->base + text->bytes, data, bytes);
	text->bytes += bytes;
}

static void add_byte(struct text *text, char byte)
{
	add(text, &byte, 1);
}

static const char subject_letters[] = "aaabbbAZ019 \t_-.,()[]%^$*+?x\n\0\xe9\x7f";

static void random_subject(uint64_t *state, struct text *text)
{
	text->bytes = 0;
	/* Few different letters, so that repetitions and back-references find something. */
	uint64_t count = library_random(state) % 22,
		 kinds = library_random(state) % 3 ? 6 : sizeof subject_letters;
	while (count--)
		add_byte(text, subject_letters[library_random(state) % kinds]);
}

static void random_set(uint64_t *state, struct text *text)
{
	static const char *const members[] = { "a", "b",  "a-z",       "%a",	  "%d", "]",  "-",
					       "^", "%]", "0-9",       "%-",	  "%W", "%s", "z-a",
					       "%", "[",  "\xe0-\xff", "\0-\x20", ".",	"%." };
	add_byte(text, '[');
	if (library_random(state) % 3 == 0)
		add_byte(text, '^');
	for (uint64_t n = library_random(state) % 4; n; n--) {
		const char *member = members[library_random(state) % (sizeof members / sizeof *members)];
		add(text, member, *member ? strlen(member) : 3);
	}
	if (library_random(state) % 12)
		add_byte(text, ']');
}

static void random_item(uint64_t *state, struct text *text)
{
	static const char *const items[] = { "a",  "b",	 ".",	 "%a",	 "%d", "%s", "%w", "%W",    "%p",
					     "%x", "%c", "%g",	 "%l",	 "%u", "%A", "%.", "%(",    "%k",
					     "%z", "%Z", "%b()", "%bab", "%1", "%2", "%0", "%f[a]", "%f[%W]",
					     "()", "%f", "%b",	 "%",	 "$",  "^" };
	enum { COMMON = 12, COUNT = sizeof items / sizeof *items };
	if (library_random(state) % 5 == 0) {
		random_set(state, text);
		return;
	}
	const char *item = items[library_random(state) % (library_random(state) % 3 ? COMMON : COUNT)];
	add(text, item, strlen(item));
}

/* Mostly well-formed: items with repetitions, captures that are mostly closed. */
static void random_pattern(uint64_t *state, struct text *text)
{
	unsigned open = 0, repetitions = 0;
	text->bytes = 0;
	if (library_random(state) % 6 == 0)
		add_byte(text, '^');
	for (uint64_t n = library_random(state) % 7; n; n--) {
		uint64_t kind = library_random(state) % 12;
		if (kind == 0) {
			add_byte(text, '(');
			open++;
		} else if (kind == 1 && (open || library_random(state) % 20 == 0)) {
			add_byte(text, ')');
			open -= open > 0;
		} else {
			random_item(state, text);
			/* Stock Lua cannot be stopped: few repetitions. */
			if (repetitions < 4 && library_random(state) % 2) {
				add_byte(text, "*+-?"[library_random(state) % 4]);
				repetitions++;
			}
		}
	}
	while (open-- && library_random(state) % 8)
		add_byte(text, ')');
	if (library_random(state) % 6 == 0)
		add_byte(text, '$');
}

static void random_replacement(uint64_t *state, struct text *text)
{
	static const char *const parts[] = { "x", "%0", "%1", "%2", "%%",	"",
					     "<", "%",	"%9", "%a", "long text" };
	text->bytes = 0;
	for (uint64_t n = library_random(state) % 4; n; n--) {
		const char *part = parts[library_random(state) % (library_random(state) % 4 ? 7 : 11)];
		add(text, part, strlen(part));
	}
}

static void random_patterns(void)
{
	static struct text subject, pattern, replacement;
	uint64_t state = 20260101, successes = 0, matches = 0;
	enum { ROUNDS = 120000 };
	open_both();
	for (int i = 0; i < ROUNDS; i++) {
		random_pattern(&state, &pattern);
		random_subject(&state, &subject);
		random_replacement(&state, &replacement);
		int number = (int)(library_random(&state) % 30) - 8;
		successes += (uint64_t)compare(ways[i % WAY_COUNT], &subject, &pattern, &replacement, number);
		matches += strstr(lua_tostring(ours, -1), "true|nil") == NULL;
	}
	/* Neither all broken nor all boring. */
	GT(successes, ROUNDS / 2);
	LT(successes, ROUNDS - 1000);
	GT(matches, ROUNDS / 3);
}

static void random_bytes(void)
{
	static const char letters[] = "ab%[]()^$*+-?.b1f\0";
	static struct text subject, pattern, replacement;
	uint64_t state = 7;
	open_both();
	for (int i = 0; i < 40000; i++) {
		random_subject(&state, &subject);
		random_replacement(&state, &replacement);
		pattern.bytes = 0;
		for (uint64_t n = library_random(&state) % 9; n; n--)
			add_byte(&pattern, letters[library_random(&state) % (sizeof letters - 1)]);
		compare(ways[i % WAY_COUNT], &subject, &pattern, &replacement, (int)(i % 5) - 1);
	}
}

/* Every class with every byte, alone, in a set, and in its complement. */
static void every_class_and_byte(void)
{
	static struct text subject, pattern, none;
	open_both();
	for (int name = 0; name < 256; name++) {
		for (int i = 0; i < 256; i++)
			subject.base[i] = (char)i;
		subject.bytes = 256;
		const char forms[3][5] = { { '%', (char)name, '+' },
					   { '[', '%', (char)name, ']', '+' },
					   { '[', '^', '%', (char)name, ']' } };
		for (int form = 0; form < 3; form++) {
			pattern.bytes = 0;
			add(&pattern, forms[form], form == 0 ? 3 : 5);
			compare("gsub", &subject, &pattern, &none, 0);
		}
	}
}

static void compare_eval(const char *expression)
{
	const char *texts[2];
	lua_State *states[2] = { stock, ours };
	for (int i = 0; i < 2; i++) {
		lua_settop(states[i], 0);
		lua_getglobal(states[i], "eval");
		lua_pushfstring(states[i], "return %s", expression);
		lua_call(states[i], 1, 1);
		texts[i] = lua_tostring(states[i], -1);
	}
	if (strcmp(texts[0], texts[1]) != 0)
		FAIL("%s is %.300s, wanted %.300s", expression, texts[1], texts[0]);
}

static const char *const expressions[] = {
	"string.find('THE (quick) fox', '%((%a+)%)')",
	"string.find('abc', '')",
	"string.find('abc', '', 4)",
	"string.find('abc', '', 5)",
	"string.find('', '')",
	"string.find('a.c', '.', 2, true)",
	"string.find('a\\0b', '\\0')",
	"string.find(123, 2)",
	"string.find('abc')",
	"string.find()",
	"string.find({}, 'x')",
	"('x'):find()",
	"('x'):find('x', 'y')",
	"('x'):find('x', 1.5)",
	"string.match('  hello ', '^%s*(.-)%s*$')",
	"string.match('key = value', '^(%w+)%s*=%s*(%w+)$')",
	"string.match('2026-01-02', '(%d+)-(%d+)-(%d+)')",
	"string.find(('a'):rep(300), ('a?'):rep(199))",
	"string.find(('a'):rep(300), ('a?'):rep(200))",
	"string.find('abc', ('()'):rep(32))",
	"string.find('abc', ('()'):rep(33))",
	"string.gsub('abc', '%w', nil)",
	"string.gsub('abc', '%w')",
	"string.gsub('abc', '%w', true)",
	"string.gsub('abc', '%w', 'x', -1)",
	"string.gsub('abc', '%w', 'x', 'y')",
	"string.gsub('abc', '%w', function() return {} end)",
	"string.gsub('abc', '%w', function() error('no') end)",
	"string.gsub('abc', '%w', setmetatable({}, { __index = function(_, k) return k .. k end }))",
	"string.gsub('hello world', '(%w+)', '<%1>')",
	"string.gsub('hello', '', '-')",
	"string.gsub('x^y', '%^', '%%')",
	"string.gsub(('ab'):rep(1000), 'b', '%0%0')",
	"string.gmatch('abc', '(b)()')()",
	"string.gmatch('abc')",
	"string.gmatch('abc', '(')()",
	"string.gmatch('^a^a', '^a')()",
	"string.rep('ab', 3, ',')",
	"string.rep('x', -1)",
	"string.rep('', 1000, '')",
	"string.rep('x', 1 << 62)",
	"string.rep('x')",
	"string.rep()",
	"('x'):rep({})",
	"('x'):upper()",
	"('Äx'):lower()",
	"string.reverse('abc')",
	"string.upper()",
	"('abc'):sub(2)",
	"('abc'):sub(-2, -2)",
	"('abc'):byte(1, -1)",
	"('abc'):sub({})",
	"string.char(65, 66)",
	"string.char(256)",
	"string.len('a\\0b')",
	"string.format('%5.2f|%-5s|%05d|%x|%q|%i|%c|%a', 3.14159, 'ab', 42, 255, 'a\\n\\0', 7, 65, "
	"1)",
	"string.format('%99.99f', 1/3)",
	"string.format('%100d', 1)",
	"string.format('%s', setmetatable({}, { __tostring = function() return 'mine' end }))",
	"string.format('%s', setmetatable({}, { __tostring = function() return {} end }))",
	"string.format('%10s', 'a\\0b')",
	"string.format('%d', 1.5)",
	"string.format('%d', '3')",
	"string.format('%y', 1)",
	"string.format('%d')",
	"string.format('%')",
	"string.format('%q', 1/0)",
	"string.format('%q', {})",
	"string.format('%.20s', 'abc')",
	"utf8.len('äöü')",
	"utf8.len('\\xff')",
	"utf8.offset('äöü', 2)",
	"utf8.offset('äöü', -1)",
	"utf8.codepoint('äöü', 1, -1)",
	"utf8.char(228, 8364)",
	"table.concat({ 1, 2, 3 }, ', ')",
	"table.concat({ 1, 2, 3 }, ', ', 2)",
	"table.concat({ 1, 2, 3 }, ', ', 2, 2)",
	"table.concat({ 1, 2, 3 }, ', ', 3, 2)",
	"table.concat({ 1, 2, 3 }, ', ', 1, 5)",
	"table.concat({ 1, {}, 3 })",
	"table.concat({ 1 }, '', 1, 1 << 62)",
	"table.concat()",
	"table.concat({}, {})",
	("(function() local t = { 1, 2 }; table.insert(t, 3); table.insert(t, 1, 0); return "
	 "table.unpack(t) end)()"),
	"table.insert({}, 3, 4)",
	"table.insert({}, 3, 4, 5)",
	"table.insert({})",
	"table.insert({}, 'x', 1)",
	"table.insert(nil, 1)",
	"(function() local t = { 1, 2, 3 }; local r = table.remove(t, 1); return r, table.unpack(t) "
	"end)()",
	"(function() local t = { 1, 2, 3 }; return table.remove(t), #t end)()",
	"table.remove({})",
	"table.remove({}, 0)",
	"table.remove({}, 3)",
	"table.remove({ 1, 2 }, 7)",
	"table.unpack({ 1, nil, 3 }, 1, 3)",
	"table.unpack({}, 1, 1e8)",
	"table.unpack({ 1, 2 }, 2)",
	"table.unpack({ 1, 2 }, 2, 1)",
	"#table.pack(1, nil, 3)",
	"table.pack(1, nil, 3).n",
	"table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), ',')",
	"table.concat(table.move({ 1, 2, 3 }, 2, 3, 1), ',')",
	"table.concat(table.move({ 1, 2, 3 }, 1, 3, 3, { 9, 8 }), ',')",
	"table.concat(table.move({ 1, 2, 3 }, 3, 1, 1), ',')",
	"table.move({}, 1, math.maxinteger, 2)",
	"table.move({}, 0, math.maxinteger, 2)",
	"table.move({}, -1, math.maxinteger, 2)",
	"table.move({}, 1, 2)",
	"table.sort({ 1, 2, 'x' })",
	"table.sort({ 1, 2 }, 3)",
	"table.sort({ 3, 1, 2 }, function() error('no', 0) end)",
	"table.sort({ {}, {} })",
	"table.sort(3)",
};

static void written_cases(void)
{
	open_both();
	for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++)
		compare_eval(expressions[i]);
}

/* Stock's sort is not stable: numbers and texts have one order only. */
static void sorts_alike(void)
{
	static const char sorting[] =
		"local n, seed, kind = ...\n"
		"local t = {}\n"
		"for i = 1, n do\n"
		"  seed = (seed * 1103515245 + 12345) & 0x7fffffff\n"
		"  t[i] = kind == 0 and seed % 50 or kind == 1 and ('%x'):format(seed) or seed / 7\n"
		"end\n"
		"if kind == 2 then table.sort(t, function(a, b) return a > b end) else table.sort(t) end\n"
		"return table.concat(t, ' ')\n";
	lua_State *states[2];
	open_both();
	states[0] = stock;
	states[1] = ours;
	for (int n = 0; n < 300; n++) {
		const char *texts[2];
		for (int i = 0; i < 2; i++) {
			lua_settop(states[i], 0);
			EQ(luaL_loadbufferx(states[i], sorting, sizeof sorting - 1, "=sort", "t"), 0);
			lua_pushinteger(states[i], n);
			lua_pushinteger(states[i], n * 7919);
			lua_pushinteger(states[i], n % 3);
			EQ(lua_pcall(states[i], 3, 1, 0), 0);
			texts[i] = lua_tostring(states[i], -1);
		}
		EQ_TEXT(texts[1], texts[0]);
	}
}

TEST_MAIN(T(written_cases), T(every_class_and_byte), T(random_patterns), T(random_bytes), T(sorts_alike))
