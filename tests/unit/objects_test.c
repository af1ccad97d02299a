/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of /proc/PID/maps, also such that no kernel writes; and the table of objects on this process: where
 * the dynamic linker says that objects are is where object_bias() must say so.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "profiler/objects.h"
#include "test.h"

static struct map_line line;

static void reads_lines(void)
{
	EQ(map_line_parse("7f8dc7ab4000-7f8dc7bbb000 r-xp 00086000 fe:0a 14885099                   "
			  "/usr/lib/libcrypto.so.0\n",
			  &line),
	   0);
	EQ(line.start, 0x7f8dc7ab4000);
	EQ(line.end, 0x7f8dc7bbb000);
	EQ(line.offset, 0x86000);
	EQ(line.device, makedev(0xfe, 0x0a));
	EQ(line.inode, 14885099);
	EQ_TEXT(line.permissions, "r-xp");
	EQ_TEXT(line.path, "/usr/lib/libcrypto.so.0");
	EQ(map_line_parse("7ffd1000-7ffd2000 rwxs 00000000 00:00 0 \n", &line), 0);
	EQ_TEXT(line.permissions, "rwxs");
	EQ_TEXT(line.path, "");
	EQ(map_line_parse("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]", &line), 0);
	EQ_TEXT(line.path, "[vsyscall]");
	EQ(map_line_parse("1000-2000 ---p 0 0:0 0", &line), 0);
}

static void reads_odd_paths(void)
{
	EQ(map_line_parse("1000-2000 r-xp 0 0:0 5    /tmp/a b (deleted) c (deleted)\n", &line), 0);
	EQ_TEXT(line.path, "/tmp/a b (deleted) c");
	EQ(map_line_parse("1000-2000 r-xp 0 0:0 5    /tmp/new\\012line\\01\n", &line), 0);
	EQ_TEXT(line.path, "/tmp/new\nline\\01");
	EQ(map_line_parse("1000-2000 r-xp 0 0:0 5  (deleted)", &line), 0);
	EQ_TEXT(line.path, "(deleted)");
}

static void refuses_what_is_no_line(void)
{
	static const char *const lines[] = {
		"",
		"\n",
		"-",
		"1000",
		"1000-",
		"1000-2000",
		"1000-2000 r-xp",
		"1000-2000 r-xp 0",
		"1000-2000 r-xp 0 0:0",
		"1000-2000 r-xp 0 0:0 ",
		"1000-2000 r-xp 0 0:0 x",
		"1000-2000 r-xp 0 0:0 5x",
		"1000-2000 r-xp 0 00 5 /a",
		"1000-2000 r-xp g 0:0 5 /a",
		"1000-2000 r-x 0 0:0 5 /a",
		"1000-2000 rrxp 0 0:0 5 /a",
		"1000-2000 r-xq 0 0:0 5 /a",
		"2000-2000 r-xp 0 0:0 5 /a",
		"3000-2000 r-xp 0 0:0 5 /a",
		"1000-10000000000000000 r-xp 0 0:0 5 /a",
		"1000-2000 r-xp 0 0:100000000 5 /a",
		"1000-2000 r-xp 0 0:0 18446744073709551616 /a",
		"-1-2000 r-xp 0 0:0 5 /a",
		" 1000-2000 r-xp 0 0:0 5 /a",
		"0x10-2000 r-xp 0 0:0 5 /a",
		"1000-2000r-xp 0 0:0 5 /a",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		if (map_line_parse(lines[i], &line) == 0)
			FAIL("taken for a line: \"%s\"", lines[i]);
}

static void paths_have_a_limit(void)
{
	char text[8192];
	int head = snprintf(text, sizeof text, "1000-2000 r-xp 0 0:0 5 /");
	for (int bytes = 4000; bytes < 4200; bytes++) { /* of the path with its first byte */
		memset(text + head, 'a', (size_t)bytes - 1);
		text[head + bytes - 1] = 0;
		EQ(map_line_parse(text, &line), bytes < (int)sizeof line.path ? 0 : -1);
	}
}

/* Whatever bytes: no crash, and what is taken is whole. */
static void random_lines_are_refused_or_whole(void)
{
	static const char letters[] = "0123456789abcdef-- rwxps::/\\012(deleted)\n";
	uint32_t seed = 1;
	for (int i = 0; i < 200000; i++) {
		char text[80] = "1000-2000 r-xp 00000000 fe:00 14885099 /usr/lib/x (deleted)\n";
		for (int k = 0; k < 3; k++) {
			seed = seed * 1664525u + 1013904223u;
			text[(seed >> 8) % 60] = letters[(seed >> 16) % (sizeof letters - 1)];
		}
		if (map_line_parse(text, &line) < 0)
			continue;
		LT(line.start, line.end);
		EQ(strlen(line.permissions), 4);
		LT(strlen(line.path), strlen(text));
	}
}

/* ---- The table ---- */

struct loaded {
	struct objects *objects;
	int checked;
	uint64_t vdso;
};

/* The line of this process's maps that contains `address`. */
static int line_find(uint64_t address)
{
	char *text = NULL;
	size_t text_max = 0;
	int found = 0;
	FILE *file = fopen("/proc/self/maps", "re");
	while (!found && file && getline(&text, &text_max, file) > 0)
		found = map_line_parse(text, &line) == 0 && line.start <= address && address < line.end;
	free(text);
	if (file)
		fclose(file);
	return found;
}

static int object_check(struct dl_phdr_info *info, size_t bytes, void *owner)
{
	struct loaded *loaded = owner;
	(void)bytes;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
			continue;
		EQ(line_find(info->dlpi_addr + header->p_vaddr), 1);
		struct object *object = objects_open(loaded->objects, getpid(), &line);
		NE(object, NULL);
		EQ(object_bias(object, &line), info->dlpi_addr);
		EQ(objects_open(loaded->objects, getpid(), &line), object);
		EQ(objects_at(loaded->objects, object->id), object);
		EQ(object->segments[0].address, header->p_vaddr);
		if (strcmp(line.path, "[vdso]") == 0) {
			loaded->vdso++;
			NE(object->image, NULL);
		} else {
			EQ_TEXT(object->path, line.path);
			GE(object->fd, 0);
		}
		GT(object->build_id_bytes, 0);
		loaded->checked++;
	}
	return 0;
}

static void own_objects_are_where_the_linker_put_them(void)
{
	struct loaded loaded = { .objects = objects_create() };
	NE(loaded.objects, NULL);
	dl_iterate_phdr(object_check, &loaded);
	GE(loaded.checked, 3); /* this program, libc, ld.so */
	EQ(loaded.vdso, 1);
	EQ(objects_count(loaded.objects), loaded.checked);
	EQ(objects_at(loaded.objects, (uint32_t)loaded.checked), NULL);
	objects_destroy(loaded.objects);
}

/* Maps a file executable and gives its line of maps. */
static void *map_file(const char *path, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	GE(fd, 0);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		SKIP("the folder for temporary files may not hold programs");
	EQ(line_find((uint64_t)(uintptr_t)at), 1);
	return at;
}

static void write_file(const char *path, const void *data, size_t bytes)
{
	FILE *file = fopen(path, "we");
	NE(file, NULL);
	EQ(fwrite(data, 1, bytes, file), bytes);
	fclose(file);
}

/* Copies the start of this program, which is enough to be an ELF file. */
static void copy_program(const char *path, size_t bytes)
{
	static uint8_t data[8192];
	FILE *file = fopen("/proc/self/exe", "re");
	NE(file, NULL);
	EQ(fread(data, 1, bytes, file), bytes);
	fclose(file);
	write_file(path, data, bytes);
}

static void files_that_are_gone_are_opened_by_their_mapping(void)
{
	char path[] = "/tmp/objects_test.XXXXXX";
	close(mkstemp(path));
	copy_program(path, 8192);
	void *at = map_file(path, 8192);
	struct stat status;
	EQ(stat(path, &status), 0);
	unlink(path);
	EQ(line_find((uint64_t)(uintptr_t)at), 1);
	EQ_TEXT(line.path, path);
	struct objects *objects = objects_create();
	/* Another file of that name is not the one. */
	write_file(path, "other", 5);
	struct object *object = objects_open(objects, getpid(), &line);
	unlink(path);
	munmap(at, 8192);
	if (!object) {
		objects_destroy(objects);
		SKIP("opening by mapping needs CAP_CHECKPOINT_RESTORE");
	}
	EQ(object->inode, status.st_ino);
	EQ(object->size_bytes, 8192);
	EQ_TEXT(object->path, path);
	objects_destroy(objects);
}

static void what_is_no_elf_file_is_no_object(void)
{
	char path[] = "/tmp/objects_test.XXXXXX";
	close(mkstemp(path));
	write_file(path, "#!/bin/sh\n", 10);
	void *at = map_file(path, 4096);
	struct objects *objects = objects_create();
	EQ(objects_open(objects, getpid(), &line), NULL);
	munmap(at, 4096);
	/* A name that would hold up whoever opens it, and those that are no files. */
	unlink(path);
	EQ(mkfifo(path, 0600), 0);
	EQ(objects_open(objects, getpid(), &line), NULL);
	unlink(path);
	EQ(objects_open(objects, getpid(), &line), NULL);
	static const char *const names[] = { "",	 "[heap]", "[stack]",	  "/dev/zero",
					     "/memfd:x", "/proc",  "anon_inode:x" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(line.path, sizeof line.path, "%s", names[i]);
		EQ(objects_open(objects, getpid(), &line), NULL);
	}
	EQ(objects_count(objects), 0);
	objects_destroy(objects);
}

/* The name leads to another file by now: the mapping is not of that one. */
static void replaced_files_are_not_taken_for_the_mapped_one(void)
{
	char path[] = "/tmp/objects_test.XXXXXX";
	close(mkstemp(path));
	copy_program(path, 8192);
	struct stat status;
	EQ(stat(path, &status), 0);
	struct objects *objects = objects_create();
	/* Of no mapping of this process, so that the name is all there is. */
	line = (struct map_line){
		.start = 0x1000, .end = 0x3000, .device = status.st_dev, .inode = status.st_ino
	};
	snprintf(line.path, sizeof line.path, "%s", path);
	struct object *object = objects_open(objects, getpid(), &line);
	NE(object, NULL);
	line.inode++;
	EQ(objects_open(objects, getpid(), &line), NULL);
	line.inode--;
	/* Written to since: another object. */
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	EQ(utimensat(AT_FDCWD, path, times, 0), 0);
	struct object *again = objects_open(objects, getpid(), &line);
	NE(again, NULL);
	NE(again, object);
	unlink(path);
	EQ(objects_count(objects), 2);
	objects_destroy(objects);
}

/* A segment that does not begin at a page, and a mapping that begins inside it. */
static void bias_counts_from_the_segment(void)
{
	struct object object = { .segment_count = 2,
				 .segments = { { .offset = 0x1040, .address = 0x401040, .bytes = 0x5000 },
					       { .offset = 0x7040, .address = 0x609040, .bytes = 0x10 } } };
	struct map_line map = { .start = 0x7f0000401000, .end = 0x7f0000500000, .offset = 0x1000 };
	EQ(object_bias(&object, &map), 0x7f0000000000);
	map.offset = 0x3000;
	map.start = 0x7f0000403000;
	EQ(object_bias(&object, &map), 0x7f0000000000);
	map.offset = 0x7000;
	map.start = 0x7f0000609000;
	EQ(object_bias(&object, &map), 0x7f0000000000);
	map.offset = 0x100000; /* in none of them: as if the file were mapped as it is */
	EQ(object_bias(&object, &map), 0x7f0000609000 - 0x100000);
}

TEST_MAIN(T(reads_lines), T(reads_odd_paths), T(refuses_what_is_no_line), T(paths_have_a_limit),
	  T(random_lines_are_refused_or_whole), T(own_objects_are_where_the_linker_put_them),
	  T(files_that_are_gone_are_opened_by_their_mapping), T(what_is_no_elf_file_is_no_object),
	  T(replaced_files_are_not_taken_for_the_mapped_one), T(bias_counts_from_the_segment))
