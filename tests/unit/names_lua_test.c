/* SPDX-License-Identifier: Apache-2.0
 *
 * What a target says of its programs: texts that are taken, what is found in them, and texts that are not.
 */
#include "bpf/shared.h"
#include "profiler/names.h"
#include "test.h"

#define HEAD                                                                                                 \
	"lua 1 5.4.4\n"                                                                                      \
	"layout 32 16 0 32 8 24 70 22 102\n"                                                                 \
	"library 7f0000001000\n"                                                                             \
	"file mine.lua\n"
#define NATIVE "native 7f0000002000 string.gsub\n"
#define MAIN "function 1000 4 0 main chunk\nlines 1:1 5:3\n"
#define INNER "function 2000 10 2 work.step\nlines 2:1 3:4 2:1 4:4\n"

static int read_text(struct names *names, const char *text)
{
	char error[256];
	return names_read_lua(names, text, strlen(text), error, sizeof error);
}

struct found {
	struct name_line line;
	uint64_t address;
};

static struct found find(struct names *names, uint64_t place)
{
	struct found found = { 0 };
	if (!names_of_lua(names, place, &found.line, &found.address))
		found.line.name = "";
	return found;
}

static void places(void)
{
	struct names *names = names_create();
	EQ(names_lua_layout(names)->is_known, 0);
	EQ(read_text(names, HEAD NATIVE MAIN INNER), 0);
	EQ(names_lua_layout(names)->is_known, 1);
	EQ(names_lua_layout(names)->state_call, 32);
	EQ(names_lua_layout(names)->tag_native_closure, 102);
	EQ(names_lua_library(names), 0x7f0000001000);
	EQ_TEXT(names_lua_native(names, 0x7f0000002000), "string.gsub");
	EQ(names_lua_native(names, 0x7f0000002001) == NULL, 1);
	/* Behind the first instruction, and at it: not begun yet. */
	static const uint32_t lines[] = { 2, 2, 3, 3, 3, 3, 2, 4, 4, 4, 4 };
	static const uint64_t starts[] = { 0, 0, 1, 1, 1, 1, 5, 6, 6, 6, 6 };
	for (uint64_t i = 0; i <= 10; i++) {
		struct found found = find(names, 0x2000 + 4 * i);
		EQ_TEXT(found.line.name, "work.step");
		EQ_TEXT(found.line.file, "mine.lua");
		EQ(found.line.start_line, 2);
		EQ(found.line.line, lines[i]);
		EQ(found.address, 0x2000 + 4 * starts[i]);
	}
	EQ_TEXT(find(names, 0x1010).line.name, "main chunk");
	EQ_TEXT(find(names, 0x1011).line.name, "");
	EQ_TEXT(find(names, 0xfff).line.name, "");
	EQ_TEXT(find(names, 0).line.name, "");
	EQ_TEXT(find(names, UINT64_MAX).line.name, "");
	uint64_t start, end;
	names_lua_range(names, &start, &end);
	EQ(start, 0x1000);
	EQ(end, 0x2028);
	names_destroy(names);
}

/* Each stream has a state of its own; memory of one that has ended is used again. */
static void several_programs(void)
{
	struct names *names = names_create();
	EQ(read_text(names, HEAD NATIVE MAIN INNER), 0);
	EQ_TEXT(find(names, 0x2004).line.name, "work.step");
	EQ(read_text(names, HEAD NATIVE "function 2008 2 7 later\nlines 7:2\n"), 0);
	EQ_TEXT(find(names, 0x200c).line.name, "later");
	EQ_TEXT(find(names, 0x2004).line.name, "work.step");
	/* Two functions side by side: a place at their border is behind the last instruction of the first. */
	EQ(read_text(names, HEAD "function 3000 2 1 left\nlines 1:2\nfunction 3008 2 2 right\nlines 2:2\n"),
	   0);
	EQ_TEXT(find(names, 0x3008).line.name, "left");
	EQ_TEXT(find(names, 0x300c).line.name, "right");
	names_destroy(names);
}

static void refused(void)
{
	static const char *const texts[] = {
		"",
		"lua",
		"lua 2 5.5\n",
		"lua 1 5.4.4",
		"lua 1 \n",
		HEAD "x",
		HEAD NATIVE MAIN "lines 1:1\n",
		"lua 1 5.4.4\nlayout 32 16 0 32 8 24 70 22\n", /* a number short */
		"lua 1 5.4.4\nlayout 32 16 0 32 8 24 70 22 102 1\n",
		"lua 1 5.4.4\nlayout 5000 16 0 32 8 24 70 22 102\nlibrary 1\nfile f\n",
		"lua 1 5.4.4\nlayout 32 16 0 32 8 24 700 22 102\nlibrary 1\nfile f\n",
		"lua 1 5.4.4\nlayout -1 16 0 32 8 24 70 22 102\nlibrary 1\nfile f\n",
		HEAD "function 1000 4 0\nlines 1:4\n",	 /* no name */
		HEAD "function 1000 4 0 f\n",		 /* no lines */
		HEAD "function 1000 4 0 f\nlines 1:3\n", /* too few */
		HEAD "function 1000 4 0 f\nlines 1:5\n", /* too many */
		HEAD "function 1000 4 0 f\nlines 1:0 1:4\n",
		HEAD "function 1000 4 0 f\nlines 1:4", /* cut off */
		HEAD "function 1000 0 0 f\nlines\n",
		HEAD "function 1000 99999999999 0 f\nlines 1:4\n",
		HEAD "function 1000 4 99999999999 f\nlines 1:4\n",
		HEAD "function fffffffffffffffff 4 0 f\nlines 1:4\n",
		HEAD "function  1000 4 0 f\nlines 1:4\n",
		HEAD "function +1000 4 0 f\nlines 1:4\n",
		HEAD "native 7f00 \n",
		HEAD MAIN NATIVE, /* not in this order */
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct names *names = names_create();
		char error[256] = "";
		EQ(names_read_lua(names, texts[i], strlen(texts[i]), error, sizeof error), -1);
		HAS_TEXT(error, "makes no sense");
		EQ(names_lua_layout(names)->is_known, 0);
		EQ_TEXT(find(names, 0x1004).line.name, "");
		EQ(names_lua_native(names, 0x7f0000002000) == NULL, 1);
		/* And a good one is taken afterwards. */
		EQ(read_text(names, HEAD NATIVE MAIN), 0);
		EQ_TEXT(find(names, 0x1004).line.name, "main chunk");
		names_destroy(names);
	}
	struct names *names = names_create();
	EQ(read_text(names, HEAD MAIN), 0);
	/* Another interpreter in the same process. */
	EQ(read_text(names, "lua 1 5.4.4\nlayout 40 16 0 32 8 24 70 22 102\nlibrary 7f0000001000\nfile f\n"),
	   -1);
	EQ(read_text(names, "lua 1 5.4.4\nlayout 32 16 0 32 8 24 70 22 102\nlibrary 1\nfile f\n"), -1);
	/* A 0 in the middle. */
	EQ(names_read_lua(names, HEAD, sizeof HEAD, (char[256]){ 0 }, 256), -1);
	EQ_TEXT(find(names, 0x1004).line.name, "main chunk");
	names_destroy(names);
}

static void why_there_is_nothing(void)
{
	struct names *names = names_create();
	char error[256];
	static const char text[] = "none Lua 5.9 keeps a call's caller in an unknown place\n";
	EQ(names_read_lua(names, text, sizeof text - 1, error, sizeof error), -1);
	EQ_TEXT(error,
		"functions of programs are not in the profiles: Lua 5.9 keeps a call's caller in an unknown "
		"place");
	EQ(names_lua_layout(names)->is_known, 0);
	names_destroy(names);
}

/* Names are shown to people. */
static void names_are_made_readable(void)
{
	struct names *names = names_create();
	EQ(read_text(names, HEAD "function 1000 1 0 a\033[2Jb\xff\nlines 1:1\n"), 0);
	EQ_TEXT(find(names, 0x1004).line.name, "a?[2Jb?");
	names_destroy(names);
}

/* The target goes on and on: at some point nobody listens, and nothing that was known is lost. */
static void too_much(void)
{
	struct names *names = names_create();
	enum { FUNCTIONS = 20000, LINE_BYTES = 64, TEXTS = 20 };
	size_t room = FUNCTIONS * LINE_BYTES + sizeof HEAD, used = 0;
	char *text = malloc(room);
	used += (size_t)snprintf(text, room, HEAD);
	for (int i = 0; i < FUNCTIONS; i++)
		used += (size_t)snprintf(text + used, room - used, "function %x 1 1 f\nlines 1:1\n",
					 0x10000 + 16 * i);
	EQ(read_text(names, HEAD MAIN), 0);
	int taken = 0;
	for (int i = 0; i < TEXTS; i++)
		taken += read_text(names, text) == 0;
	free(text);
	GE(taken, 10);
	LT(taken, TEXTS);
	EQ_TEXT(find(names, 0x1004).line.name, "main chunk");
	EQ_TEXT(find(names, 0x10004 + 16 * (FUNCTIONS - 1)).line.name, "f");
	names_destroy(names);
}

TEST_MAIN(T(places), T(several_programs), T(refused), T(why_there_is_nothing), T(names_are_made_readable),
	  T(too_much))
