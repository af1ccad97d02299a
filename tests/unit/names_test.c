/* SPDX-License-Identifier: Apache-2.0
 *
 * names of objects: small programs are compiled, taken apart with binutils, and asked about. The addresses
 * are of labels that the programs define. Tests of what has no file (kernel, generated code) are in
 * names_tables_test.c.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/names.h"
#include "test.h"

static char folder[] = "/tmp/names_test.XXXXXX";
static int folder_made;

static void remove_folder(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	if (system(command) != 0)
		perror(command);
}

/* Runs a command line in the test's folder; skips when there is no such tool. */
__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
	char command[4096];
	int used = snprintf(command, sizeof command, "cd %s && ", folder);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(command + used, sizeof command - (size_t)used, format, arguments);
	va_end(arguments);
	int status = system(command);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		SKIP("a tool is missing: %s", command);
	EQ(status, 0);
}

static void write_file(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	NE(file, NULL);
	EQ(fwrite(text, 1, strlen(text), file), strlen(text));
	fclose(file);
}

/* Each "LINE n" is where the text's line n is. */
static const char chain_source[] = "extern int puts(const char *);\n"
				   "static inline __attribute__((always_inline)) int first(int x)\n"
				   "{\n"
				   "\t__asm__ volatile(\".globl point\\npoint: nop\");\n" /* LINE 4 */
				   "\treturn x + 1;\n"
				   "}\n"
				   "static inline __attribute__((always_inline)) int second(int x)\n"
				   "{\n"
				   "\treturn first(x) * 3;\n" /* LINE 9 */
				   "}\n"
				   "__attribute__((noinline)) int hot(int x)\n"
				   "{\n"
				   "\tint y = x * x;\n"
				   "\t__asm__ volatile(\".globl outside\\noutside: nop\");\n" /* LINE 14 */
				   "\treturn second(y);\n"				      /* LINE 15 */
				   "}\n"
				   "int main(int count, char **texts)\n"
				   "{\n"
				   "\tputs(texts[0]);\n"
				   "\treturn hot(count);\n"
				   "}\n";

static void prepare(void)
{
	if (!folder_made) {
		NE(mkdtemp(folder), NULL);
		folder_made = 1;
		atexit(remove_folder);
		write_file("chain.c", chain_source);
		shell("${CC:-cc} -O2 -g -Wl,--build-id chain.c -o chain && "
		      "objcopy --strip-all chain stripped && objcopy --only-keep-debug chain chain.debug");
	}
}

static void path_of(const char *name, char path[static 256])
{
	snprintf(path, 256, "%s/%s", folder, name);
}

static void object_close(struct object *object)
{
	if (object->fd >= 0)
		close(object->fd);
	free(object->path);
	free(object->image);
}

static void read_headers(struct object *object, Elf *elf)
{
	size_t count;
	const void *build_id;
	EQ(elf_getphdrnum(elf, &count), 0);
	for (size_t i = 0; i < count && object->segment_count < OBJECT_SEGMENTS_MAX; i++) {
		GElf_Phdr header;
		NE(gelf_getphdr(elf, (int)i, &header), NULL);
		if (header.p_type == PT_LOAD && (header.p_flags & PF_X))
			object->segments[object->segment_count++] = (struct object_segment){
				.offset = header.p_offset, .address = header.p_vaddr, .bytes = header.p_filesz
			};
	}
	ssize_t bytes = dwelf_elf_gnu_build_id(elf, &build_id);
	if (bytes > 0 && bytes <= OBJECT_BUILD_ID_BYTES_MAX) {
		memcpy(object->build_id, build_id, (size_t)bytes);
		object->build_id_bytes = (size_t)bytes;
	}
}

/* As the table of objects has it; id 0. */
static struct object object_open(const char *name)
{
	char path[256];
	path_of(name, path);
	struct object object = { .path = strdup(path), .fd = open(path, O_RDONLY | O_CLOEXEC) };
	GE(object.fd, 0);
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(object.fd, ELF_C_READ, NULL);
	NE(elf, NULL);
	read_headers(&object, elf);
	elf_end(elf);
	return object;
}

/* Of a symbol in .symtab. */
static uint64_t address_of(const char *name, const char *symbol_name)
{
	char path[256];
	path_of(name, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	GE(fd, 0);
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *section = NULL;
	uint64_t address = 0;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		NE(gelf_getshdr(section, &header), NULL);
		if (header.sh_type != SHT_SYMTAB)
			continue;
		Elf_Data *data = elf_getdata(section, NULL);
		for (size_t i = 0; i < header.sh_size / header.sh_entsize; i++) {
			GElf_Sym symbol;
			NE(gelf_getsym(data, (int)i, &symbol), NULL);
			if (strcmp(elf_strptr(elf, header.sh_link, symbol.st_name), symbol_name) == 0)
				address = symbol.st_value;
		}
	}
	elf_end(elf);
	close(fd);
	NE(address, 0);
	return address;
}

static void is_chain(struct names *names, struct object *object)
{
	struct name_line lines[NAMES_LINES_MAX];
	EQ(names_of_object(names, object, address_of("chain", "point"), lines), 3);
	EQ_TEXT(lines[0].name, "first");
	EQ_TEXT(lines[0].system_name, "first");
	EQ(lines[0].line, 4);
	EQ(lines[0].start_line, 2);
	EQ_TEXT(lines[1].name, "second");
	EQ(lines[1].line, 9);
	EQ(lines[1].start_line, 7);
	EQ_TEXT(lines[2].name, "hot");
	EQ(lines[2].line, 15);
	EQ(lines[2].start_line, 11);
	char path[256];
	path_of("chain.c", path);
	for (size_t i = 0; i < 3; i++)
		EQ_TEXT(lines[i].file, path);
	EQ(names_of_object(names, object, address_of("chain", "outside"), lines), 1);
	EQ_TEXT(lines[0].name, "hot");
	EQ(lines[0].line, 14);
}

static void inlined_functions_with_their_lines(void)
{
	prepare();
	struct object object = object_open("chain");
	struct names *names = names_create_with(folder);
	is_chain(names, &object);
	struct names_quality quality = names_quality_of(names, &object);
	EQ(quality.has_functions && quality.has_filenames && quality.has_line_numbers &&
		   quality.has_inline_frames,
	   1);
	names_destroy(names);
	object_close(&object);
}

static void file_gone_and_replaced(void)
{
	prepare();
	shell("cp chain moved");
	struct object object = object_open("moved");
	shell("rm moved && cp stripped moved");
	struct names *names = names_create_with(folder);
	is_chain(names, &object);
	shell("rm moved");
	is_chain(names, &object);
	names_destroy(names);
	object_close(&object);
}

/* A file of somebody who may cut it short while it is looked at: no signal, and an answer. */
static void file_cut_short(void)
{
	prepare();
	shell("cp chain short && chmod 0666 short");
	struct object object = object_open("short");
	struct names *names = names_create_with(folder);
	struct name_line lines[NAMES_LINES_MAX];
	uint64_t point = address_of("chain", "point");
	GE(names_of_object(names, &object, point, lines), 1);
	shell(": >short");
	for (uint64_t address = point - 64; address < point + 64; address++)
		GE(names_of_object(names, &object, address, lines), 1);
	names_destroy(names);
	names = names_create_with(folder);
	EQ(names_of_object(names, &object, 0x1234, lines), 1);
	EQ_TEXT(lines[0].name, "short!0x1234");
	names_destroy(names);
	object_close(&object);
}

static void stripped_is_named_by_unwind_information(void)
{
	prepare();
	struct object object = object_open("stripped");
	struct names *names = names_create_with(folder);
	struct name_line lines[NAMES_LINES_MAX];
	char wanted[64];
	EQ(names_of_object(names, &object, address_of("chain", "point"), lines), 1);
	snprintf(wanted, sizeof wanted, "stripped!fde_%llx", (unsigned long long)address_of("chain", "hot"));
	EQ_TEXT(lines[0].name, wanted);
	EQ_TEXT(lines[0].file, "");
	EQ(names_of_object(names, &object, 0x10, lines), 1);
	EQ_TEXT(lines[0].name, "stripped!0x10");
	EQ(names_quality_of(names, &object).has_line_numbers, 0);
	names_destroy(names);
	object_close(&object);
}

static void put_hex(const struct object *object, char text[static 64])
{
	for (size_t i = 0; i < object->build_id_bytes; i++)
		snprintf(text + 2 * i, 3, "%02x", object->build_id[i]);
}

static void debug_file_by_build_id(void)
{
	prepare();
	struct object object = object_open("stripped");
	char hex[64] = "";
	put_hex(&object, hex);
	shell("mkdir -p debug/.build-id/%.2s && cp chain.debug debug/.build-id/%.2s/%s.debug", hex, hex,
	      hex + 2);
	char debug[256];
	path_of("debug", debug);
	struct names *names = names_create_with(debug);
	is_chain(names, &object);
	EQ(names_quality_of(names, &object).has_inline_frames, 1);
	names_destroy(names);
	/* Nobody else's. */
	object.build_id[3] ^= 1;
	names = names_create_with(debug);
	EQ(names_quality_of(names, &object).has_inline_frames, 0);
	names_destroy(names);
	object.build_id[3] ^= 1;
	/* Not a file: nobody waits. */
	shell("rm debug/.build-id/%.2s/%s.debug && mkfifo debug/.build-id/%.2s/%s.debug", hex, hex + 2, hex,
	      hex + 2);
	names = names_create_with(debug);
	EQ(names_quality_of(names, &object).has_inline_frames, 0);
	names_destroy(names);
	object_close(&object);
}

/* A server's folder; the client library reads it without a network. */
static void debuginfod_only_when_asked_for(void)
{
	prepare();
	if (!dlopen("libdebuginfod.so.1", RTLD_NOW))
		SKIP("no libdebuginfod.so.1");
	struct object object = object_open("stripped");
	char hex[64] = "", text[512];
	put_hex(&object, hex);
	shell("mkdir -p served/buildid/%s cache && cp chain.debug served/buildid/%s/debuginfo", hex, hex);
	unsetenv("DEBUGINFOD_URLS");
	snprintf(text, sizeof text, "%s/cache", folder);
	setenv("DEBUGINFOD_CACHE_PATH", text, 1);
	struct names *names = names_create_with(folder);
	EQ(names_quality_of(names, &object).has_inline_frames, 0);
	names_destroy(names);
	snprintf(text, sizeof text, "file://%s/served/", folder);
	setenv("DEBUGINFOD_URLS", text, 1);
	names = names_create_with(folder);
	EQ(names_quality_of(names, &object).has_inline_frames, 1);
	is_chain(names, &object);
	names_destroy(names);
	unsetenv("DEBUGINFOD_URLS");
	object_close(&object);
}

/* What several debug files have in common is in another one, below the debug folder; without it there are no
 * names from DWARF, and nothing is opened at the path that the file gives. */
static void supplementary_debug_file(void)
{
	prepare();
	shell("mkdir -p common/.dwz/x && cp chain one && cp chain two && "
	      "dwz -m common/.dwz/x/all.debug -M %s/trap/.dwz/x/all.debug one two",
	      folder);
	shell("readelf -SW one | grep -q gnu_debugaltlink && mkdir -p trap/.dwz/x && mkfifo "
	      "trap/.dwz/x/all.debug");
	struct object object = object_open("one");
	struct name_line lines[NAMES_LINES_MAX];
	char common[256];
	path_of("common", common);
	struct names *names = names_create_with(common);
	is_chain(names, &object);
	names_destroy(names);
	names = names_create_with(folder);
	EQ(names_of_object(names, &object, address_of("chain", "point"), lines), 1);
	EQ_TEXT(lines[0].name, "hot"); /* .symtab */
	EQ(names_quality_of(names, &object).has_inline_frames, 0);
	names_destroy(names);
	object_close(&object);
}

/* Overwrites the last byte of a section. */
static void unend_section(const char *name, const char *section_name)
{
	char path[256];
	path_of(name, path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	GE(fd, 0);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	size_t names_index, changed = 0;
	EQ(elf_getshdrstrndx(elf, &names_index), 0);
	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		GElf_Shdr header;
		NE(gelf_getshdr(section, &header), NULL);
		if (strcmp(elf_strptr(elf, names_index, header.sh_name), section_name) == 0)
			changed += pwrite(fd, "x", 1, (off_t)(header.sh_offset + header.sh_size - 1)) == 1;
	}
	elf_end(elf);
	close(fd);
	EQ(changed, 1);
}

/* Tables of texts whose last text has no end: libdw would read on behind them. */
static void texts_without_end(void)
{
	static const char *const tables[] = { ".debug_str", ".debug_line_str" };
	prepare();
	shell("${CC:-cc} -O2 -gdwarf-5 chain.c -o chain5");
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		struct name_line lines[NAMES_LINES_MAX];
		shell("cp chain5 endless && chmod 0666 endless");
		unend_section("endless", tables[i]);
		struct object object = object_open("endless");
		struct names *names = names_create_with(folder);
		EQ(names_of_object(names, &object, address_of("chain5", "point"), lines), 1);
		EQ_TEXT(lines[0].name, "hot"); /* .symtab */
		names_destroy(names);
		object_close(&object);
	}
}

/* Symbols without size name assembler code, up to the next symbol, but not a described function behind it. */
static void assembler_without_sizes(void)
{
	prepare();
	write_file("asm.s", ".text\n"
			    ".globl one\n.type one, @function\none: nop\nnop\n.globl in_one\n.hidden in_one\n"
			    "in_one: nop\nret\n"
			    ".globl two\n.type two, @function\ntwo: nop\nnop\nret\n"
			    "described: .cfi_startproc\nnop\nnop\nret\n.cfi_endproc\n"
			    "behind: nop\nnop\nret\n"
			    ".section .note.GNU-stack,\"\",@progbits\n");
	shell("${CC:-cc} -shared -nostdlib asm.s -o libasm.so && objcopy --strip-all libasm.so "
	      "libstripped.so");
	uint64_t two = address_of("libasm.so", "two"), described = address_of("libasm.so", "described");
	uint64_t behind = address_of("libasm.so", "behind"), one = address_of("libasm.so", "one");
	struct object object = object_open("libstripped.so");
	struct names *names = names_create_with(folder);
	struct name_line lines[NAMES_LINES_MAX];
	char wanted[64];
	EQ(names_of_object(names, &object, one + 3, lines), 1);
	EQ_TEXT(lines[0].name, "one");
	names_of_object(names, &object, two, lines);
	EQ_TEXT(lines[0].name, "two");
	names_of_object(names, &object, described - 1, lines);
	EQ_TEXT(lines[0].name, "two");
	names_of_object(names, &object, described + 1, lines);
	snprintf(wanted, sizeof wanted, "libstripped.so!fde_%llx", (unsigned long long)described);
	EQ_TEXT(lines[0].name, wanted);
	names_of_object(names, &object, behind, lines);
	snprintf(wanted, sizeof wanted, "libstripped.so!0x%llx", (unsigned long long)behind);
	EQ_TEXT(lines[0].name, wanted);
	names_destroy(names);
	object_close(&object);
}

/* What the C library calls a function of its own from inside is a second name that nobody knows, also where
 * DWARF has no other. */
static void second_names_of_the_c_library(void)
{
	prepare();
	write_file("twice.c", "int __GI___known(int x) { return x * 3; }\n"
			      "extern int __known(int) __attribute__((alias(\"__GI___known\")));\n");
	for (int level = 0; level < 2; level++) {
		shell("${CC:-cc} -shared -fPIC -O2 -g%d twice.c -o libtwice.so", level);
		struct object object = object_open("libtwice.so");
		struct names *names = names_create_with(folder);
		struct name_line lines[NAMES_LINES_MAX];
		EQ(names_of_object(names, &object, address_of("libtwice.so", "__known"), lines), 1);
		EQ_TEXT(lines[0].name, "__known");
		EQ_TEXT(lines[0].system_name, "__known");
		EQ(*lines[0].file != 0, level);
		names_destroy(names);
		object_close(&object);
	}
}

/* The names of all stubs in a section, one a line. */
static void stubs_of(const char *name, const char *section_name, char *text, size_t text_bytes)
{
	struct object object = object_open(name);
	struct names *names = names_create_with(folder);
	Elf *elf = elf_begin(object.fd, ELF_C_READ, NULL);
	size_t names_index, used = 0;
	EQ(elf_getshdrstrndx(elf, &names_index), 0);
	Elf_Scn *section = NULL;
	text[0] = 0;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		NE(gelf_getshdr(section, &header), NULL);
		if (strcmp(elf_strptr(elf, names_index, header.sh_name), section_name) != 0)
			continue;
		for (uint64_t at = 0; at < header.sh_size && used < text_bytes; at += 8) {
			struct name_line lines[NAMES_LINES_MAX];
			EQ(names_of_object(names, &object, header.sh_addr + at, lines), 1);
			used += (size_t)snprintf(text + used, text_bytes - used, "%s\n", lines[0].name);
		}
	}
	elf_end(elf);
	names_destroy(names);
	object_close(&object);
}

static void stubs_of_linkage_tables(void)
{
	prepare();
	char text[4096];
#ifndef __x86_64__
	SKIP("stubs are read on x86-64 only");
#endif
	write_file("stubs.c",
		   "#include <stdio.h>\n#include <stdlib.h>\n"
		   "static char *volatile text;\n"
		   "int main(void) { text = getenv(\"A\"); puts(text ? text : \"\"); return 0; }\n");
	/* The lazy kind, with its first entry, which is nobody's. */
	shell("${CC:-cc} -O2 -fcf-protection=none -fplt -Wl,-z,lazy stubs.c -o lazy && objcopy --strip-all "
	      "lazy");
	stubs_of("lazy", ".plt", text, sizeof text);
	HAS_TEXT(text, "lazy!plt\n");
	HAS_TEXT(text, "puts@plt\nputs@plt\n");
	HAS_TEXT(text, "getenv@plt\n");
	/* With branch targets marked there are two tables. */
	shell("${CC:-cc} -O2 -fcf-protection=full -fplt -Wl,-z,lazy -Wl,-z,ibtplt stubs.c -o marked && "
	      "objcopy --strip-all marked");
	stubs_of("marked", ".plt", text, sizeof text);
	HAS_TEXT(text, "puts@plt\n");
	stubs_of("marked", ".plt.sec", text, sizeof text);
	HAS_TEXT(text, "puts@plt\n");
	HAS_TEXT(text, "getenv@plt\n");
	/* Bound at the start. */
	shell("${CC:-cc} -O2 -fplt -Wl,-z,now stubs.c -o now && objcopy --strip-all now");
	stubs_of("now", ".plt.got", text, sizeof text);
	HAS_TEXT(text, "__cxa_finalize@plt\n");
}

static void functions_in_cplusplus(void)
{
	prepare();
	write_file("classes.cc",
		   "namespace outer { namespace {\n"
		   "template <typename T> struct Box {\n"
		   "\tT value;\n"
		   "\t__attribute__((noinline)) int get() const {\n"
		   "\t\t__asm__ volatile(\".globl in_get\\nin_get: nop\"); return int(value); }\n"
		   "\t__attribute__((always_inline)) explicit Box(T x) : value(x) {\n"
		   "\t\t__asm__ volatile(\".globl in_box\\nin_box: nop\"); }\n"
		   "};\n"
		   "} }\n"
		   "int main(int count, char **) {\n"
		   "\tauto twice = [](int x) __attribute__((noinline)) {\n"
		   "\t\t__asm__ volatile(\".globl in_lambda\\nin_lambda: nop\"); return 2 * x; };\n"
		   "\touter::Box<double> box(count);\n"
		   "\treturn twice(box.get());\n"
		   "}\n");
	shell("${CXX:-c++} -O2 -g classes.cc -o classes");
	struct object object = object_open("classes");
	struct names *names = names_create_with(folder);
	struct name_line lines[NAMES_LINES_MAX];
	EQ(names_of_object(names, &object, address_of("classes", "in_get"), lines), 1);
	EQ_TEXT(lines[0].name, "outer::(anonymous namespace)::Box<double>::get() const");
	HAS_TEXT(lines[0].system_name, "_ZNK5outer12_GLOBAL__N_13BoxIdE3getEv");
	EQ(lines[0].line, 5);
	names_of_object(names, &object, address_of("classes", "in_lambda"), lines);
	EQ_TEXT(lines[0].name, "main::{lambda(int)#1}::operator()(int) const");
	/* Nothing in DWARF says more of an inlined constructor than where it is declared. */
	EQ(names_of_object(names, &object, address_of("classes", "in_box"), lines), 2);
	EQ_TEXT(lines[0].name, "outer::(anonymous namespace)::Box<double>::Box");
	EQ(lines[0].line, 7);
	EQ_TEXT(lines[1].name, "main");
	EQ(lines[1].line, 13);
	names_destroy(names);
	object_close(&object);
}

/* More functions in each other than there are lines: the inner ones are kept. */
static void deep_inlining_is_cut_outside(void)
{
	enum { DEPTH = 40 };
	char source[8192] = "";
	size_t used = 0;
	prepare();
	used = (size_t)snprintf(
		source, sizeof source,
		"#define IN static inline __attribute__((always_inline)) int\n"
		"IN f0(int x) { __asm__ volatile(\".globl deep\\ndeep: nop\"); return x; }\n");
	for (int i = 1; i < DEPTH; i++)
		used += (size_t)snprintf(source + used, sizeof source - used,
					 "IN f%d(int x) { return f%d(x) + 1; }\n", i, i - 1);
	snprintf(source + used, sizeof source - used,
		 "int main(int count, char **texts) { (void)texts; return f%d(count); }\n", DEPTH - 1);
	write_file("deep.c", source);
	shell("${CC:-cc} -O2 -g deep.c -o deep");
	struct object object = object_open("deep");
	struct names *names = names_create_with(folder);
	struct name_line lines[NAMES_LINES_MAX];
	EQ(names_of_object(names, &object, address_of("deep", "deep"), lines), NAMES_LINES_MAX);
	EQ_TEXT(lines[0].name, "f0");
	EQ_TEXT(lines[NAMES_LINES_MAX - 1].name, "f31");
	names_destroy(names);
	object_close(&object);
}

static void no_file_at_all(void)
{
	struct object object = { .path = strdup("/nowhere/libgone.so"), .fd = -1 };
	struct names *names = names_create();
	struct name_line lines[NAMES_LINES_MAX];
	EQ(names_of_object(names, &object, 0xabc, lines), 1);
	EQ_TEXT(lines[0].name, "libgone.so!0xabc");
	EQ(names_quality_of(names, &object).has_functions, 0);
	names_destroy(names);
	object_close(&object);
}

static void vdso(void)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
	if (!base)
		SKIP("this process has no vdso");
	struct object object = { .path = strdup("[vdso]"), .fd = -1 };
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[4096];
	while (fgets(line, sizeof line, maps)) {
		unsigned long start, end;
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start == (unsigned long)base)
			object.image_bytes = end - start;
	}
	fclose(maps);
	NE(object.image_bytes, 0);
	object.image = malloc(object.image_bytes);
	memcpy(object.image, base, object.image_bytes);
	elf_version(EV_CURRENT);
	Elf *elf = elf_memory((char *)object.image, object.image_bytes);
	read_headers(&object, elf);
	elf_end(elf);
	struct names *names = names_create();
	void *handle = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	const char *function = handle ? dlsym(handle, "__vdso_clock_gettime") : NULL;
	if (!function)
		SKIP("the vdso has no __vdso_clock_gettime");
	struct name_line lines[NAMES_LINES_MAX];
	EQ(names_of_object(names, &object, (uint64_t)(function - base) + 3, lines), 1);
	EQ_TEXT(lines[0].name, "__vdso_clock_gettime");
	names_destroy(names);
	object_close(&object);
}

TEST_MAIN(T(inlined_functions_with_their_lines), T(file_gone_and_replaced), T(file_cut_short),
	  T(stripped_is_named_by_unwind_information), T(debug_file_by_build_id),
	  T(debuginfod_only_when_asked_for), T(supplementary_debug_file), T(texts_without_end),
	  T(assembler_without_sizes), T(second_names_of_the_c_library), T(stubs_of_linkage_tables),
	  T(functions_in_cplusplus), T(deep_inlining_is_cut_outside), T(no_file_at_all), T(vdso))
