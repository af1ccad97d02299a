/* SPDX-License-Identifier: Apache-2.0
 *
 * objects: lines of /proc/PID/maps, and the table of the files that they name. See objects.h. Whoever runs
 * the watched process also owns its files and its mappings' names: nothing here believes them.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <libelf.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "profiler/objects.h"

enum {
	PROGRAM_HEADERS_MAX =
		1024, /* a dozen in practice; core dumps have thousands, but nobody executes those */
	NOTES_BYTES_MAX = 65536, /* a build id is 36 bytes */
	VDSO_BYTES_MAX = 65536,	 /* two pages today */
	PAGE_BYTES = 4096,
};

struct objects {
	struct object *items[OBJECTS_MAX]; /* each allocated, since callers keep pointers */
	size_t count;
};

/* ---- Lines of maps ---- */

/* A number in hexadecimal (or decimal) up to `end`, which is skipped. */
static int number_parse(const char **text, int base, char end, uint64_t *ret)
{
	uint64_t value = 0;
	const char *at = *text;
	for (; *at != end; at++) {
		unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
				 : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a' + 10)
							    : 16;
		if (digit >= (unsigned)base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return -1;
	}
	if (at == *text)
		return -1;
	*text = at + 1;
	*ret = value;
	return 0;
}

/* The path as it is on disk: the kernel writes a line feed as \012, and says when the file has been unlinked.
 */
static int path_parse(const char *text, char *ret, size_t ret_bytes)
{
	static const char deleted[] = " (deleted)";
	size_t bytes = strcspn(text, "\n"), used = 0;
	size_t tail = sizeof deleted - 1;
	if (bytes > tail && memcmp(text + bytes - tail, deleted, tail) == 0)
		bytes -= tail;
	for (size_t i = 0; i < bytes; i++) {
		if (used == ret_bytes - 1)
			return -1;
		int line_feed = bytes - i >= 4 && memcmp(text + i, "\\012", 4) == 0;
		ret[used++] = line_feed ? '\n' : text[i];
		i += line_feed ? 3 : 0;
	}
	ret[used] = 0;
	return 0;
}

int map_line_parse(const char *line, struct map_line *ret_map)
{
	uint64_t major_number, minor_number;
	if (number_parse(&line, 16, '-', &ret_map->start) < 0 ||
	    number_parse(&line, 16, ' ', &ret_map->end) < 0 || ret_map->start >= ret_map->end)
		return -1;
	for (int i = 0; i < 4; i++, line++) {
		if (*line != '-' && *line != "rwxp"[i] && !(i == 3 && *line == 's'))
			return -1;
		ret_map->permissions[i] = *line;
	}
	ret_map->permissions[4] = 0;
	if (*line++ != ' ' || number_parse(&line, 16, ' ', &ret_map->offset) < 0 ||
	    number_parse(&line, 16, ':', &major_number) < 0 ||
	    number_parse(&line, 16, ' ', &minor_number) < 0)
		return -1;
	if (major_number > UINT32_MAX || minor_number > UINT32_MAX)
		return -1;
	ret_map->device = makedev((unsigned)major_number, (unsigned)minor_number);
	/* The inode ends with a space, and only then may a path follow; some tools cut the space off. */
	const char *inode = line;
	size_t digits = strspn(line, "0123456789");
	line += digits;
	uint64_t value = 0;
	for (size_t i = 0; i < digits; i++)
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
		    __builtin_add_overflow(value, (uint64_t)(inode[i] - '0'), &value))
			return -1;
	if (digits == 0 || (*line && *line != ' ' && *line != '\n'))
		return -1;
	ret_map->inode = value;
	line += strspn(line, " ");
	return path_parse(line, ret_map->path, sizeof ret_map->path);
}

/* ---- What the program headers say ---- */

static void build_id_read(struct object *object, Elf *elf, const GElf_Phdr *header)
{
	size_t bytes = header->p_filesz < NOTES_BYTES_MAX ? (size_t)header->p_filesz : NOTES_BYTES_MAX;
	Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)header->p_offset, bytes,
					      header->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	GElf_Nhdr note;
	size_t offset = 0, name_at, text_at;
	while (data && !object->build_id_bytes &&
	       (offset = gelf_getnote(data, offset, &note, &name_at, &text_at)) > 0) {
		const char *name = (const char *)data->d_buf + name_at;
		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 || memcmp(name, "GNU", 4) != 0)
			continue;
		object->build_id_bytes =
			note.n_descsz < sizeof object->build_id ? note.n_descsz : sizeof object->build_id;
		memcpy(object->build_id, (const char *)data->d_buf + text_at, object->build_id_bytes);
	}
}

/* Segments and build id. 0, or -1 when this is no ELF file. */
static int object_read(struct object *object, Elf *elf)
{
	size_t count;
	if (elf_kind(elf) != ELF_K_ELF || elf_getphdrnum(elf, &count) < 0)
		return -1;
	if (count > PROGRAM_HEADERS_MAX)
		count = PROGRAM_HEADERS_MAX;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(elf, (int)i, &header))
			continue;
		if (header.p_type == PT_NOTE && !object->build_id_bytes)
			build_id_read(object, elf, &header);
		if (header.p_type == PT_LOAD && (header.p_flags & PF_X) &&
		    object->segment_count < OBJECT_SEGMENTS_MAX)
			object->segments[object->segment_count++] = (struct object_segment){
				.offset = header.p_offset, .address = header.p_vaddr, .bytes = header.p_filesz
			};
	}
	return 0;
}

uint64_t object_bias(const struct object *object, const struct map_line *map)
{
	/* The mapping covers whole pages; a segment's own offset may be in the middle of one. */
	for (size_t i = 0; i < object->segment_count; i++) {
		const struct object_segment *segment = &object->segments[i];
		uint64_t first = segment->offset & ~(uint64_t)(PAGE_BYTES - 1);
		if (map->offset >= first && map->offset - first < segment->bytes + (segment->offset - first))
			return map->start - (segment->address + map->offset - segment->offset);
	}
	return map->start - map->offset;
}

/* ---- The table ---- */

struct objects *objects_create(void)
{
	return elf_version(EV_CURRENT) == EV_NONE ? NULL : calloc(1, sizeof(struct objects));
}

static void object_free(struct object *object)
{
	if (object->fd >= 0)
		close(object->fd);
	free(object->image);
	free(object->path);
	free(object);
}

void objects_destroy(struct objects *objects)
{
	if (!objects)
		return;
	for (size_t i = 0; i < objects->count; i++)
		object_free(objects->items[i]);
	free(objects);
}

size_t objects_count(const struct objects *objects)
{
	return objects->count;
}

struct object *objects_at(struct objects *objects, uint32_t id)
{
	return id < objects->count ? objects->items[id] : NULL;
}

static int64_t mtime_ns_of(const struct stat *status)
{
	return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

static struct object *object_find(struct objects *objects, const struct stat *status)
{
	for (size_t i = 0; i < objects->count; i++) {
		struct object *object = objects->items[i];
		if (!object->image && object->device == status->st_dev && object->inode == status->st_ino &&
		    object->mtime_ns == mtime_ns_of(status) && object->size_bytes == status->st_size)
			return object;
	}
	return NULL;
}

/* Takes `fd` (may be -1) and `image` (may be NULL); NULL when that is no ELF file, or there is no room. */
static struct object *object_add(struct objects *objects, const char *path, int fd, uint8_t *image,
				 size_t image_bytes)
{
	struct object *object = calloc(1, sizeof *object);
	char *path_copy = strdup(path);
	Elf *elf = NULL;
	if (object && path_copy && objects->count < OBJECTS_MAX)
		elf = image ? elf_memory((char *)image, image_bytes) : elf_begin(fd, ELF_C_READ, NULL);
	int read = elf ? object_read(object, elf) : -1;
	elf_end(elf);
	if (read < 0) {
		if (fd >= 0)
			close(fd);
		free(image);
		free(path_copy);
		free(object);
		return NULL;
	}
	object->id = (uint32_t)objects->count;
	object->path = path_copy;
	object->fd = fd;
	object->image = image;
	object->image_bytes = image_bytes;
	objects->items[objects->count++] = object;
	return object;
}

/* The kernel maps the same image into every 64-bit process; ours is the one that can be read. */
static struct object *vdso_open(struct objects *objects, const struct map_line *theirs)
{
	if (theirs->start <= UINT32_MAX) /* a 32-bit process has another one */
		return NULL;
	for (size_t i = 0; i < objects->count; i++)
		if (objects->items[i]->image)
			return objects->items[i];
	FILE *file = fopen("/proc/self/maps", "re");
	struct map_line *map = malloc(sizeof *map);
	char *text = NULL;
	size_t text_max = 0;
	struct object *object = NULL;
	while (file && map && getline(&text, &text_max, file) > 0) {
		if (map_line_parse(text, map) < 0 || strcmp(map->path, "[vdso]") != 0 ||
		    map->end - map->start > VDSO_BYTES_MAX)
			continue;
		size_t bytes = (size_t)(map->end - map->start);
		uint8_t *image = malloc(bytes);
		if (!image)
			break;
		memcpy(image, (const void *)(uintptr_t)map->start, bytes);
		object = object_add(objects, "[vdso]", -1, image, bytes);
		break;
	}
	free(text);
	free(map);
	if (file)
		fclose(file);
	return object;
}

/* Opens `path` when it is a plain file; the name may be anything, so a FIFO must not hold us up. */
static int file_open(const char *path, struct stat *ret_status)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (fstat(fd, ret_status) == 0 && S_ISREG(ret_status->st_mode))
		return fd;
	close(fd);
	return -1;
}

/* The file behind the name may be another one by now. On overlay and btrfs the mapping shows another device
 * than stat(2) does, and nothing can be said. */
static int is_mapped_file(const struct stat *status, const struct map_line *map)
{
	return status->st_dev != map->device || status->st_ino == map->inode;
}

struct object *objects_open(struct objects *objects, pid_t pid, const struct map_line *map)
{
	char path[sizeof map->path + 64];
	struct stat status;
	if (strcmp(map->path, "[vdso]") == 0)
		return vdso_open(objects, map);
	if (map->path[0] != '/')
		return NULL;
	snprintf(path, sizeof path, "/proc/%d/map_files/%llx-%llx", (int)pid, (unsigned long long)map->start,
		 (unsigned long long)map->end);
	int by_mapping = 1;
	if (stat(path, &status) < 0) { /* not permitted, or unmapped since */
		snprintf(path, sizeof path, "/proc/%d/root%s", (int)pid, map->path);
		by_mapping = 0;
		if (stat(path, &status) < 0)
			return NULL;
	}
	if (!S_ISREG(status.st_mode)) /* opening a device can do things */
		return NULL;
	struct object *object = object_find(objects, &status);
	if (object && (by_mapping || is_mapped_file(&status, map)))
		return object;
	int fd = file_open(path, &status);
	if (fd < 0)
		return NULL;
	if (!by_mapping && !is_mapped_file(&status, map)) {
		close(fd);
		return NULL;
	}
	object = object_find(objects, &status);
	if (object) {
		close(fd);
		return object;
	}
	object = object_add(objects, map->path, fd, NULL, 0);
	if (object) {
		object->device = status.st_dev;
		object->inode = status.st_ino;
		object->mtime_ns = mtime_ns_of(&status);
		object->size_bytes = status.st_size;
	}
	return object;
}
