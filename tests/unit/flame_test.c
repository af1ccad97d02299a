/* SPDX-License-Identifier: Apache-2.0
 *
 * Flame graphs and folded stacks: sums, order, what is merged, and hostile names. report_test.py looks at the
 * same files as XML.
 */
#include <unistd.h>

#include "report/report.h"
#include "test.h"

static struct pprof *profile_of(const char *type, const char *unit)
{
	struct pprof *profile = pprof_create();
	pprof_add_value_type(profile, type, unit);
	static const char *const modules[] = { "/usr/bin/program", "/lib/libc.so.6", "/lib/libz.so.1",
					       "[kernel.kallsyms]", "[lua]" };
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
		struct pprof_mapping mapping = { .start = (i + 1) << 32,
						 .limit = ((i + 1) << 32) + 0x1000000 };
		mapping.filename = pprof_string(profile, modules[i]);
		mapping.has_functions = 1;
		pprof_add_mapping(profile, &mapping);
	}
	return profile;
}

/* One location a name; `inlined` may be NULL. */
static uint32_t location_of(struct pprof *profile, uint32_t mapping, uint64_t address, const char *name,
			    const char *inlined)
{
	struct pprof_function function = { .name = pprof_string(profile, name),
					   .system_name = pprof_string(profile, name) };
	struct pprof_line lines[2] = { 0 };
	size_t count = 0;
	if (inlined) {
		struct pprof_function inner = { .name = pprof_string(profile, inlined) };
		lines[count++].function_id = pprof_add_function(profile, &inner);
	}
	lines[count++].function_id = pprof_add_function(profile, &function);
	return pprof_add_location(profile, mapping, ((uint64_t)mapping << 32) + address, lines, count);
}

/* Root first. */
static void add_stack(struct pprof *profile, const uint32_t *root_first, size_t count, int64_t value)
{
	uint32_t leaf_first[PPROF_FRAMES_MAX];
	for (size_t i = 0; i < count; i++)
		leaf_first[i] = root_first[count - 1 - i];
	pprof_add_sample(profile, leaf_first, count, NULL, 0, &value);
}

static char *picture_of(const struct pprof *profile, const char *label)
{
	struct flame_options options = { .title = "T", .subtitle = "S", .value_index = 0, .label = label };
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	EQ(flame_write(profile, &options, out), 0);
	fclose(out);
	return text;
}

static char *folded_of(const struct pprof *profile)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	EQ(folded_write(profile, 0, out), 0);
	fclose(out);
	return text;
}

static size_t times(const char *text, const char *part)
{
	size_t count = 0;
	for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
		count++;
	return count;
}

struct box {
	double x, y, width;
};

/* The rectangle of the first frame whose tooltip begins with `name`. */
static struct box box_of(const char *picture, const char *name)
{
	char wanted[200];
	snprintf(wanted, sizeof wanted, "<title>%s\n", name);
	const char *at = strstr(picture, wanted);
	struct box box = { 0 };
	if (!at)
		FAIL("no frame %s", name);
	at = strstr(at, "<rect ");
	EQ(sscanf(at, "<rect x=\"%lf\" y=\"%lf\" width=\"%lf\"", &box.x, &box.y, &box.width), 3);
	return box;
}

static void NEAR(double a, double b)
{
	if (a < b - 0.01 || a > b + 0.01)
		FAIL("%f against %f", a, b);
}

static void widths_are_shares(void)
{
	struct pprof *profile = profile_of("samples", "count");
	uint32_t main_id = location_of(profile, 1, 1, "main", NULL),
		 b = location_of(profile, 1, 2, "b", NULL), a = location_of(profile, 1, 3, "a", NULL);
	add_stack(profile, (uint32_t[]){ main_id, b }, 2, 60);
	add_stack(profile, (uint32_t[]){ main_id, a }, 2, 30);
	add_stack(profile, (uint32_t[]){ main_id }, 1, 10);
	char *text = picture_of(profile, NULL);
	struct box all = box_of(text, "all"), of_main = box_of(text, "main"), of_a = box_of(text, "a"),
		   of_b = box_of(text, "b");
	NEAR(of_main.width, all.width);
	NEAR(of_b.width, all.width * 0.6);
	NEAR(of_a.width, all.width * 0.3);
	/* By name, side by side, above the caller. */
	NEAR(of_a.x, all.x);
	NEAR(of_b.x, of_a.x + of_a.width);
	GE(of_main.y, of_a.y + 1);
	GE(all.y, of_main.y + 1);
	HAS_TEXT(text, "<title>main\n100, 100.0\u00a0%, itself 10, 10.0\u00a0%");
	HAS_TEXT(text, "<title>b\n60, 60.0\u00a0%\nprogram");
	free(text);
	pprof_destroy(profile);
}

static void allocations_hang_from_their_root(void)
{
	struct pprof *profile = profile_of("alloc_space", "bytes");
	uint32_t ids[] = { location_of(profile, 1, 1, "main", NULL),
			   location_of(profile, 1, 2, "leaf", NULL) };
	add_stack(profile, ids, 2, 5000);
	char *text = picture_of(profile, NULL);
	GE(box_of(text, "leaf").y, box_of(text, "main").y + 1);
	GE(box_of(text, "main").y, box_of(text, "all").y + 1);
	HAS_TEXT(text, "5.00\u00a0kB, 100.0");
	free(text);
	pprof_destroy(profile);
}

static void kinds_have_classes(void)
{
	struct pprof *profile = profile_of("samples", "count");
	uint32_t ids[] = { location_of(profile, 1, 1, "outer", "inner"),
			   location_of(profile, 2, 2, "malloc", NULL),
			   location_of(profile, 3, 3, "deflate", NULL),
			   location_of(profile, 3, 4, "libz.so.1!fde_1a40", NULL),
			   location_of(profile, 4, 5, "do_syscall_64", NULL),
			   location_of(profile, 5, 6, "on_event", NULL) };
	add_stack(profile, ids, 6, 1);
	char *text = picture_of(profile, NULL);
	HAS_TEXT(text, "<g class=\"f lua\"><title>on_event\n");
	HAS_TEXT(text, "<g class=\"f own\"><title>outer\n");
	HAS_TEXT(text, "<g class=\"f own i\"><title>inner\n");
	HAS_TEXT(text, "<g class=\"f libc\"><title>malloc\n");
	HAS_TEXT(text, "<g class=\"f lib\"><title>deflate\n");
	HAS_TEXT(text, "<g class=\"f unknown\"><title>libz.so.1!fde_1a40\n");
	HAS_TEXT(text, "<g class=\"f kernel\"><title>do_syscall_64\n");
	/* What is inlined stands on what it is inlined into. */
	GE(box_of(text, "outer").y, box_of(text, "inner").y + 1);
	free(text);
	pprof_destroy(profile);
}

static void narrow_siblings_become_one(void)
{
	struct pprof *profile = profile_of("samples", "count");
	uint32_t ids[] = { location_of(profile, 1, 1, "main", NULL), 0 };
	for (uint64_t i = 0; i < 5000; i++) {
		char name[40];
		snprintf(name, sizeof name, "f%04llu", (unsigned long long)i);
		ids[1] = location_of(profile, 1, 100 + i, name, NULL);
		add_stack(profile, ids, 2, i == 17 ? 5000 : 1);
	}
	char *text = picture_of(profile, NULL);
	struct box all = box_of(text, "all"), wide = box_of(text, "f0017");
	HAS_TEXT(text, "<title>4999 more");
	EQ(times(text, "<g class=\"f "), 4);
	NEAR(wide.width, all.width * 5000 / 9999);
	NEAR(wide.x, all.x); /* what was merged is last */
	free(text);
	pprof_destroy(profile);
}

static void rectangles_are_limited(void)
{
	struct pprof *profile = profile_of("samples", "count");
	for (uint64_t stack = 0; stack < 500; stack++) {
		uint32_t ids[100];
		for (uint64_t i = 0; i < 100; i++) {
			char name[40];
			snprintf(name, sizeof name, "f%llu_%llu", (unsigned long long)stack,
				 (unsigned long long)i);
			ids[i] = location_of(profile, 1, stack * 100 + i, name, NULL);
		}
		add_stack(profile, ids, 100, stack < 20 ? 10 : 1);
	}
	char *text = picture_of(profile, NULL);
	LE(times(text, "<g class=\"f "), 20000);
	GE(times(text, "<g class=\"f "), 2000); /* the twenty wide ones are whole */
	HAS_TEXT(text, "<title>480 more");
	free(text);
	pprof_destroy(profile);
}

static void an_empty_profile_says_so(void)
{
	struct pprof *profile = profile_of("samples", "count");
	char *text = picture_of(profile, NULL);
	HAS_TEXT(text, "Nothing was counted here");
	EQ(times(text, "<g class=\"f "), 0);
	free(text);
	/* Neither does a profile without any type draw. */
	struct pprof *bare = pprof_create();
	text = picture_of(bare, NULL);
	HAS_TEXT(text, "Nothing was counted here");
	free(text);
	pprof_destroy(bare);
	pprof_destroy(profile);
}

static void a_label_becomes_the_lowest_row(void)
{
	struct pprof *profile = profile_of("samples", "count");
	uint32_t id = location_of(profile, 1, 1, "work", NULL);
	for (int i = 0; i < 3; i++) {
		struct pprof_label label = { .key = pprof_string(profile, "stage"),
					     .text = pprof_string(profile, i == 0 ? "tls" : "inflate") };
		int64_t value = i == 0 ? 25 : i == 1 ? 50 : 15;
		pprof_add_sample(profile, &id, 1, i < 3 ? &label : NULL, 1, &value);
	}
	int64_t rest = 10;
	pprof_add_sample(profile, &id, 1, NULL, 0, &rest);
	char *text = picture_of(profile, "stage");
	struct box all = box_of(text, "all");
	NEAR(box_of(text, "inflate").width, all.width * 0.65);
	NEAR(box_of(text, "tls").width, all.width * 0.25);
	NEAR(box_of(text, "(none)").width, all.width * 0.1);
	EQ(times(text, "<title>work\n"), 3);
	free(text);
	text = picture_of(profile, NULL);
	EQ(times(text, "<title>work\n"), 1);
	free(text);
	pprof_destroy(profile);
}

static void recursion_of_1024_frames_is_drawn(void)
{
	struct pprof *profile = profile_of("samples", "count");
	uint32_t ids[PPROF_FRAMES_MAX];
	uint32_t id = location_of(profile, 1, 1, "again", NULL);
	for (size_t i = 0; i < PPROF_FRAMES_MAX; i++)
		ids[i] = id;
	add_stack(profile, ids, PPROF_FRAMES_MAX, 7);
	char *text = picture_of(profile, NULL);
	EQ(times(text, "<title>again\n"), PPROF_FRAMES_MAX);
	EQ(times(text, "itself"), 0); /* said only where it is not all */
	free(text);
	text = folded_of(profile);
	EQ(times(text, "again"), PPROF_FRAMES_MAX);
	HAS_TEXT(text, "again;again 7\n");
	free(text);
	pprof_destroy(profile);
}

static int is_utf8(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at;) {
		int more = *at < 0x80		       ? 0
			   : *at >= 0xc2 && *at < 0xe0 ? 1
			   : *at >= 0xe0 && *at < 0xf0 ? 2
			   : *at >= 0xf0 && *at < 0xf5 ? 3
						       : -1;
		if (more < 0)
			return 0;
		for (at++; more > 0; more--, at++) {
			if ((*at & 0xc0) != 0x80)
				return 0;
		}
	}
	return 1;
}

static void hostile_names_stay_text(void)
{
	static const char *const names[] = {
		"</title><script>alert(1)</script>",
		"a & b < c > d \" e ' f",
		"bell\a and \x1b[31m escape\r\n",
		"]]><svg onload=alert(1)>",
		"overlong \xc0\xaf and cut \xe2\x82",
		"surrogate \xed\xa0\x80 high \xf4\x90\x80\x80 byte \xff",
		"right-to-left \u202e override",
		"&amp;&#0;",
		"not a character \uffff",
	};
	struct pprof *profile = profile_of("samples", "count");
	uint32_t ids[sizeof names / sizeof *names];
	size_t count = sizeof names / sizeof *names;
	for (size_t i = 0; i < count; i++)
		ids[i] = location_of(profile, 1, i, names[i], NULL);
	add_stack(profile, ids, count, 1);
	char *text = picture_of(profile, NULL);
	EQ(is_utf8(text), 1);
	EQ(times(text, "<script"), 1); /* ours */
	EQ(times(text, "]]>"), 1);
	EQ(times(text, "<svg"), 1);
	HAS_TEXT(text, "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;");
	HAS_TEXT(text, "a &amp; b &lt; c &gt; d &quot; e &#39; f");
	HAS_TEXT(text, "bell\u2407 and \u241b[31m escape\u240d\u240a");
	HAS_TEXT(text, "overlong \ufffd\ufffd and cut \ufffd\ufffd");
	HAS_TEXT(text, "surrogate \ufffd\ufffd\ufffd high \ufffd\ufffd\ufffd\ufffd byte \ufffd");
	HAS_TEXT(text, "right-to-left \ufffd override");
	HAS_TEXT(text, "&amp;amp;&amp;#0;");
	HAS_TEXT(text, "not a character \ufffd\n");
	for (const char *at = text; *at; at++)
		EQ((unsigned char)*at < 0x20 && *at != '\n', 0);
	free(text);
	pprof_destroy(profile);
}

static void long_names_are_cut_in_the_picture_only(void)
{
	struct pprof *profile = profile_of("samples", "count");
	char name[4001];
	memset(name, 'x', 4000);
	name[4000] = 0;
	uint32_t id = location_of(profile, 1, 1, name, NULL);
	add_stack(profile, &id, 1, 1);
	char *text = picture_of(profile, NULL), *word = strstr(text, "<text x=\"13\"");
	HAS_TEXT(text, name);
	NE(word, NULL);
	EQ(times(text, "x\u2026</text>"), 1);
	free(text);
	pprof_destroy(profile);
}

static void order_of_samples_does_not_matter(void)
{
	struct pprof *forth = profile_of("samples", "count"), *back = profile_of("samples", "count");
	for (int i = 0; i < 60; i++) {
		struct pprof *profiles[] = { forth, back };
		for (int k = 0; k < 2; k++) {
			int number = k ? 59 - i : i;
			char name[40], leaf[40];
			snprintf(name, sizeof name, "caller%d", number % 7);
			snprintf(leaf, sizeof leaf, "leaf%d", number);
			uint32_t ids[] = { location_of(profiles[k], 1, (uint64_t)number % 7, name, NULL),
					   location_of(profiles[k], 3, 100 + (uint64_t)number, leaf, NULL) };
			add_stack(profiles[k], ids, 2, 1 + number % 5);
		}
	}
	char *one = picture_of(forth, NULL), *other = picture_of(back, NULL);
	EQ_TEXT(one, other);
	free(one);
	free(other);
	pprof_destroy(forth);
	pprof_destroy(back);
}

static void sums_beyond_the_top_stay_inside(void)
{
	struct pprof *profile = profile_of("samples", "count");
	uint32_t ids[] = { location_of(profile, 1, 1, "main", NULL), 0 };
	static const char *const names[] = { "a", "b", "c" };
	for (uint64_t i = 0; i < 3; i++) {
		ids[1] = location_of(profile, 1, 2 + i, names[i], NULL);
		add_stack(profile, ids, 2, INT64_MAX);
	}
	ids[1] = location_of(profile, 1, 9, "negative", NULL);
	add_stack(profile, ids, 2, INT64_MIN);
	char *text = picture_of(profile, NULL);
	struct box all = box_of(text, "all");
	for (size_t i = 0; i < 3; i++) {
		struct box box = box_of(text, names[i]);
		LE(box.x + box.width, all.x + all.width + 0.01);
	}
	EQ(times(text, "negative"), 0);
	free(text);
	pprof_destroy(profile);
}

static void folded_names_keep_the_format(void)
{
	struct pprof *profile = profile_of("samples", "count");
	uint32_t ids[] = { location_of(profile, 1, 1, "a;b\nc", "operator new[](unsigned long)"),
			   location_of(profile, 1, 2, "leaf", NULL) };
	add_stack(profile, ids, 2, 42);
	add_stack(profile, ids, 1, 8);
	int64_t nowhere = 5;
	pprof_add_sample(profile, NULL, 0, NULL, 0, &nowhere);
	char *text = folded_of(profile);
	EQ_TEXT(text, "a:b_c;operator new[](unsigned long);leaf 42\na:b_c;operator new[](unsigned long) "
		      "8\n(no stack) 5\n");
	free(text);
	pprof_destroy(profile);
}

static void a_location_without_function_gets_its_address(void)
{
	struct pprof *profile = profile_of("samples", "count");
	uint32_t id = location_of(profile, 3, 0x1a44, "", NULL);
	add_stack(profile, &id, 1, 1);
	char *text = folded_of(profile);
	EQ_TEXT(text, "libz.so.1!0x300001a44 1\n");
	free(text);
	pprof_destroy(profile);
}

static void a_full_disk_is_an_error(void)
{
	struct pprof *profile = profile_of("samples", "count");
	struct flame_options options = { .title = "T", .subtitle = "" };
	FILE *full = fopen("/dev/full", "w");
	if (!full)
		SKIP("there is no /dev/full");
	EQ(flame_write(profile, &options, full), -1);
	fclose(full);
	pprof_destroy(profile);
}

TEST_MAIN(T(widths_are_shares), T(allocations_hang_from_their_root), T(kinds_have_classes),
	  T(narrow_siblings_become_one), T(rectangles_are_limited), T(an_empty_profile_says_so),
	  T(a_label_becomes_the_lowest_row), T(recursion_of_1024_frames_is_drawn), T(hostile_names_stay_text),
	  T(long_names_are_cut_in_the_picture_only), T(order_of_samples_does_not_matter),
	  T(sums_beyond_the_top_stay_inside), T(folded_names_keep_the_format),
	  T(a_location_without_function_gets_its_address), T(a_full_disk_is_an_error))
