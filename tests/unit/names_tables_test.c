/* SPDX-License-Identifier: Apache-2.0
 *
 * names of code that has no file: the kernel's functions against /proc/kallsyms itself, and generated code
 * from the map that a process writes, among them maps that nobody should believe.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/names.h"
#include "test.h"

static void kernel_functions(void)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[1024], module[256];
	uint64_t address = 0, asked = 0;
	char type, name[512];
	struct names *names = names_create();
	struct name_line lines[NAMES_LINES_MAX];
	const char *its_module;
	if (!file)
		SKIP("/proc/kallsyms cannot be read");
	while (fgets(line, sizeof line, file)) {
		module[0] = 0;
		if (sscanf(line, "%" SCNx64 " %c %511s %255s", &address, &type, name, module) < 3 ||
		    type != 'T')
			continue;
		if (address == 0) {
			fclose(file);
			NE(names_kernel_note(names), NULL);
			HAS_TEXT(names_kernel_note(names), "kptr_restrict");
			names_destroy(names);
			SKIP("this kernel hides its addresses; it was said: ok");
		}
		/* Functions with an alias may be called by it; these have none. */
		if (strcmp(name, "schedule") != 0 && strcmp(name, "vfs_read") != 0 &&
		    strcmp(name, "tcp_sendmsg") != 0)
			continue;
		for (uint64_t offset = 0; offset < 3; offset++) {
			EQ(names_of_kernel(names, address + offset, lines, &its_module), 1);
			EQ_TEXT(lines[0].name, name);
			EQ_TEXT(lines[0].system_name, name);
			EQ_TEXT(its_module, module[0] ? module : "[kernel.kallsyms]");
		}
		asked++;
	}
	fclose(file);
	GE(asked, 1);
	EQ(names_kernel_note(names), NULL);
	EQ(names_of_kernel(names, 0x1000, lines, &its_module), 1);
	EQ_TEXT(lines[0].name, "[kernel]+0x1000");
	names_of_kernel(names, UINT64_MAX, lines, &its_module);
	EQ_TEXT(lines[0].name, "[kernel]+0xffffffffffffffff");
	names_destroy(names);
}

static void map_path(char path[static 64], pid_t pid)
{
	snprintf(path, 64, "/tmp/perf-%d.map", (int)pid);
}

/* Ours; another test's of the same process ID may be there. */
static void write_map(const char *text)
{
	char path[64];
	map_path(path, getpid());
	unlink(path);
	FILE *file = fopen(path, "w");
	NE(file, NULL);
	fputs(text, file);
	fclose(file);
}

static const char *jit_name(struct names *names, uint64_t address)
{
	struct name_line lines[NAMES_LINES_MAX];
	EQ(names_of_jit(names, getpid(), address, lines), 1);
	EQ_TEXT(lines[0].file, "");
	return lines[0].name;
}

static void generated_code(void)
{
	char path[64];
	map_path(path, getpid());
	write_map("1000 20 LazyCompile:~first /src/a.js:7\n"
		  "0x1100 0x10 second\n"
		  "not a line\n"
		  "1200 zz third\n"
		  "1300 10\n"
		  "1400 10 \n"
		  "ffffffffffffff00 200 beyond the end\n"
		  "1500 10 \xff\x01\xc3\xa9\n"
		  "1008 8 written later\n"
		  "1600 10 being writ");
	struct names *names = names_create();
	EQ_TEXT(jit_name(names, 0x1000), "[jit]");
	names_read_jit(names, getpid());
	EQ_TEXT(jit_name(names, 0x1000), "LazyCompile:~first /src/a.js:7");
	EQ_TEXT(jit_name(names, 0x1007), "LazyCompile:~first /src/a.js:7");
	EQ_TEXT(jit_name(names, 0x1008), "written later");
	EQ_TEXT(jit_name(names, 0x1010), "LazyCompile:~first /src/a.js:7");
	EQ_TEXT(jit_name(names, 0x1020), "[jit]");
	EQ_TEXT(jit_name(names, 0x110f), "second");
	EQ_TEXT(jit_name(names, 0x1200), "[jit]");
	EQ_TEXT(jit_name(names, 0x1300), "[jit]");
	EQ_TEXT(jit_name(names, 0x1400), "[jit]");
	EQ_TEXT(jit_name(names, 0x1500), "??\xc3\xa9");
	EQ_TEXT(jit_name(names, 0x1600), "[jit]");
	EQ_TEXT(jit_name(names, UINT64_MAX), "[jit]");
	/* Code was moved over other code: what was written last is there. */
	write_map("1000 20 old\n0ff0 40 new\n1000 8 newest\n");
	names_read_jit(names, getpid());
	EQ_TEXT(jit_name(names, 0x1004), "newest");
	EQ_TEXT(jit_name(names, 0x1010), "new");
	EQ_TEXT(jit_name(names, 0x1100), "[jit]");
	/* What was read stays when the file goes. */
	unlink(path);
	names_read_jit(names, getpid());
	EQ_TEXT(jit_name(names, 0x1004), "newest");
	names_destroy(names);
}

static void maps_that_are_not_believed(void)
{
	char path[64], other[64];
	map_path(path, getpid());
	snprintf(other, sizeof other, "/tmp/names_tables_test.%d", (int)getpid());
	struct names *names = names_create();
	/* A link to a file that is fine. */
	write_map("1000 20 linked\n");
	EQ(rename(path, other), 0);
	EQ(symlink(other, path), 0);
	names_read_jit(names, getpid());
	EQ_TEXT(jit_name(names, 0x1000), "[jit]");
	unlink(path);
	/* Nobody waits for a writer. */
	EQ(mkfifo(path, 0600), 0);
	names_read_jit(names, getpid());
	unlink(path);
	EQ(mkdir(path, 0700), 0);
	names_read_jit(names, getpid());
	rmdir(path);
	EQ_TEXT(jit_name(names, 0x1000), "[jit]");
	/* The same file believed, and then somebody else's. */
	EQ(rename(other, path), 0);
	names_read_jit(names, getpid());
	EQ_TEXT(jit_name(names, 0x1000), "linked");
	if (geteuid() == 0) {
		write_map("1000 20 foreign\n");
		EQ(chown(path, 12345, 12345), 0);
		names_read_jit(names, getpid());
		EQ_TEXT(jit_name(names, 0x1000), "linked");
	}
	unlink(path);
	names_destroy(names);
}

/* In a PID namespace of its own a process writes what it believes its number to be. */
static void process_in_a_namespace(void)
{
	int up[2], down[2];
	char byte = 0;
	EQ(pipe(up), 0);
	EQ(pipe(down), 0);
	pid_t pid = fork();
	GE(pid, 0);
	if (pid == 0) {
		pid_t inner = -1;
		close(down[1]); /* so that its end is seen */
		if (unshare(CLONE_NEWPID) == 0)
			inner = fork();
		if (inner == 0) {
			char path[64];
			map_path(path, getpid()); /* 1 */
			unlink(path);
			FILE *file = fopen(path, "w");
			int ok = file && fputs("1000 20 inside\n", file) >= 0 && fclose(file) == 0;
			ok = ok && write(up[1], "w", 1) == 1;
			ok = ok && read(down[0], &byte, 1) >= 0;
			unlink(path);
			_exit(!ok);
		}
		int known = write(up[1], &inner, sizeof inner) == sizeof inner;
		if (inner > 0)
			waitpid(inner, NULL, 0);
		_exit(!known);
	}
	close(up[1]);
	close(down[0]);
	/* The byte of the inner one may come before or behind the number of the outer one. */
	unsigned char bytes[1 + sizeof(pid_t)];
	size_t used = 0;
	pid_t inner = -1;
	ssize_t count;
	while (used < sizeof bytes && (count = read(up[0], bytes + used, sizeof bytes - used)) > 0) {
		used += (size_t)count;
		if (used == sizeof inner) {
			memcpy(&inner, bytes, sizeof inner);
			if (inner == -1)
				break;
		}
	}
	struct name_line lines[NAMES_LINES_MAX];
	struct names *names = names_create();
	int wrote = used == sizeof bytes;
	if (wrote) {
		memcpy(&inner, bytes[0] == 'w' ? bytes + 1 : bytes, sizeof inner);
		names_read_jit(names, inner);
		names_of_jit(names, inner, 0x1010, lines);
	}
	close(down[1]);
	waitpid(pid, NULL, 0);
	close(up[0]);
	if (!wrote) {
		names_destroy(names);
		SKIP("no PID namespace of our own (needs root), or /tmp/perf-1.map is somebody's");
	}
	EQ_TEXT(lines[0].name, "inside");
	names_of_jit(names, inner, 0x1010, lines);
	EQ_TEXT(lines[0].name, "inside");
	names_destroy(names);
}

TEST_MAIN(T(kernel_functions), T(generated_code), T(maps_that_are_not_believed), T(process_in_a_namespace))
