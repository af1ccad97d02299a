/* SPDX-License-Identifier: Apache-2.0
 *
 * What names says of addresses of a file, for names_diff.py: hexadecimal addresses of the file are read from
 * the standard input, one a line; for each the address is written, then "function TAB system name TAB
 * file:line" for each level, innermost first.
 *
 * usage: names_dump FILE
 */
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/names.h"

static int add_segments(struct object *object, Elf *elf)
{
	size_t count;
	if (!elf || elf_getphdrnum(elf, &count) < 0)
		return -1;
	for (size_t i = 0; i < count && object->segment_count < OBJECT_SEGMENTS_MAX; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(elf, (int)i, &header))
			return -1;
		if (header.p_type == PT_LOAD && (header.p_flags & PF_X))
			object->segments[object->segment_count++] = (struct object_segment){
				.offset = header.p_offset, .address = header.p_vaddr, .bytes = header.p_filesz
			};
	}
	return 0;
}

int main(int argc, char **argv)
{
	char text[64];
	if (argc != 2) {
		fprintf(stderr, "usage: names_dump FILE <addresses\n");
		return 2;
	}
	struct object object = { .path = argv[1], .fd = open(argv[1], O_RDONLY | O_CLOEXEC) };
	struct names *names = names_create();
	Elf *elf = object.fd >= 0 && names ? elf_begin(object.fd, ELF_C_READ, NULL) : NULL;
	if (add_segments(&object, elf) < 0) {
		fprintf(stderr, "names_dump: %s cannot be read\n", argv[1]);
		return 1;
	}
	while (fgets(text, sizeof text, stdin)) {
		struct name_line lines[NAMES_LINES_MAX];
		uint64_t address = strtoull(text, NULL, 16);
		size_t count = names_of_object(names, &object, address, lines);
		printf("%llx\n", (unsigned long long)address);
		for (size_t i = 0; i < count; i++)
			printf("%s\t%s\t%s:%u\n", lines[i].name, lines[i].system_name, lines[i].file,
			       lines[i].line);
	}
	elf_end(elf);
	close(object.fd);
	names_destroy(names);
	return 0;
}
