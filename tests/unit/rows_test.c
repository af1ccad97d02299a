/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the objects of this process, and of some more libraries, against what libdw says of random
 * addresses: libdw's expressions are evaluated over made-up registers and memory, the row by its few words,
 * and both must come to the same frame address and the same places of the return address and of bp. And small
 * objects made by hand.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <libelf.h>
#include <link.h>
#include <unistd.h>

#include "profiler/objects.h"
#include "profiler/rows.h"
#include "test.h"

enum { ROWS_MAX = 1 << 20, RULES_MAX = 1 << 14, ADDRESSES = 3000 };

static struct unwind_row row_memory[ROWS_MAX];
static struct unwind_rule rule_memory[RULES_MAX];
static uint64_t registers[17];
static uint64_t seed = 88172645463325252;

static uint64_t random_next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* What is at an address of the made-up memory. */
static uint64_t memory_at(uint64_t address)
{
	address *= UINT64_C(0x9e3779b97f4a7c15);
	return (address ^ (address >> 29)) & 0xffffffffff;
}

/* One operation of libdw's; 0 when it is not known here. */
static int operate(const Dwarf_Op *op, uint64_t cfa, uint64_t *stack, size_t *depth)
{
	uint64_t *top = &stack[*depth - 1];
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg16)
		stack[(*depth)++] = registers[op->atom - DW_OP_breg0] + op->number;
	else if (op->atom == DW_OP_bregx)
		stack[(*depth)++] = registers[op->number] + op->number2;
	else if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31)
		stack[(*depth)++] = op->atom - DW_OP_lit0;
	else if (op->atom == DW_OP_const1u || op->atom == DW_OP_const1s)
		stack[(*depth)++] = op->number;
	else if (op->atom == DW_OP_call_frame_cfa)
		stack[(*depth)++] = cfa;
	else if (op->atom == DW_OP_plus_uconst)
		*top += op->number;
	else if (op->atom == DW_OP_deref)
		*top = memory_at(*top);
	else if (*depth < 2)
		return 0;
	else if (op->atom == DW_OP_plus)
		(*depth)--, top[-1] += *top;
	else if (op->atom == DW_OP_mul)
		(*depth)--, top[-1] *= *top;
	else if (op->atom == DW_OP_and)
		(*depth)--, top[-1] &= *top;
	else if (op->atom == DW_OP_shl)
		(*depth)--, top[-1] <<= *top;
	else if (op->atom == DW_OP_ge)
		(*depth)--, top[-1] = (int64_t)top[-1] >= (int64_t)*top;
	else
		return 0;
	return 1;
}

static uint64_t evaluate(const Dwarf_Op *ops, size_t count, uint64_t cfa)
{
	uint64_t stack[32] = { 0 };
	size_t depth = 1; /* one below all */
	for (size_t i = 0; i < count && depth < 30; i++)
		if (!operate(&ops[i], cfa, stack, &depth))
			FAIL("an operation that this test does not know: 0x%x", ops[i].atom);
	return stack[depth - 1];
}

static uint64_t rule_cfa(const struct unwind_rule *rule)
{
	uint64_t offset = (uint64_t)(int64_t)rule->cfa_offset, add = (uint64_t)(int64_t)rule->cfa_add;
	switch (rule->cfa) {
	case UNWIND_CFA_SP:
		return registers[7] + offset;
	case UNWIND_CFA_BP:
		return registers[6] + offset;
	case UNWIND_CFA_PLT:
		return registers[7] + 8 + (((registers[16] & 15) >= offset) ? 8 : 0);
	case UNWIND_CFA_DEREF_SP:
		return memory_at(registers[7] + offset) + add;
	case UNWIND_CFA_DEREF_BP:
		return memory_at(registers[6] + offset) + add;
	case UNWIND_CFA_REGISTER:
		return registers[rule->cfa_register] + offset;
	default:
		FAIL("a rule of kind %d has no frame address", rule->cfa);
	}
}

/* Where bp or the return address is, by libdw, against the rule. */
static void same_places(Dwarf_Frame *frame, const struct unwind_rule *rule, uint64_t cfa)
{
	Dwarf_Op memory[3], *ops;
	size_t count;
	EQ(dwarf_frame_register(frame, 16, memory, &ops, &count), 0);
	if (rule->return_in_register) {
		EQ(count, 1);
		EQ(ops[0].atom == DW_OP_regx ? ops[0].number : ops[0].atom - (unsigned)DW_OP_reg0,
		   rule->return_in_register - 1u);
	} else {
		EQ(evaluate(ops, count, cfa), cfa - 8);
	}
	EQ(dwarf_frame_register(frame, 6, memory, &ops, &count), 0);
	if (rule->bp == UNWIND_BP_SAME) {
		EQ(count, 0);
		EQ(ops, NULL);
	} else if (rule->bp == UNWIND_BP_AT_CFA) {
		EQ(evaluate(ops, count, cfa), cfa + (uint64_t)(int64_t)rule->bp_offset);
	} else if (rule->bp == UNWIND_BP_AT_BP) {
		EQ(evaluate(ops, count, cfa), registers[6] + (uint64_t)(int64_t)rule->bp_offset);
	} else if (count) { /* moved to another register: no place */
		EQ(ops[count - 1].atom == DW_OP_regx ||
			   (ops[count - 1].atom >= DW_OP_reg0 && ops[count - 1].atom <= DW_OP_reg31),
		   1);
	} else {
		EQ(ops, memory);
	}
	EQ(dwarf_frame_register(frame, 3, memory, &ops, &count), 0);
	if (rule->bx_offset == 1)
		GT(count, 0);
	else if (rule->bx_offset)
		EQ(evaluate(ops, count, cfa), cfa + (uint64_t)(int64_t)rule->bx_offset);
	else
		EQ(count, 0);
}

struct verdicts {
	unsigned rules, gaps, unsupported, signals, ends;
};

/* The row's rule for `address` is what libdw says of it. */
static void same_as_libdw(Dwarf_CFI *cfi, uint64_t address, const struct unwind_rule *rule,
			  struct verdicts *verdicts)
{
	Dwarf_Frame *frame = NULL;
	Dwarf_Op memory[3], *ops;
	size_t count;
	bool is_signal;
	for (size_t i = 0; i < 17; i++)
		registers[i] = random_next() & 0xffffffffff;
	registers[16] = address;
	if (dwarf_cfi_addrframe(cfi, address, &frame) != 0) {
		/* But for entry points and the byte behind a signal frame's system call. */
		if (rule->cfa != UNWIND_CFA_END && rule->cfa != UNWIND_CFA_SIGNAL)
			EQ(rule->cfa, UNWIND_CFA_GAP);
		verdicts->gaps++;
		return;
	}
	NE(rule->cfa, UNWIND_CFA_GAP);
	GE(dwarf_frame_info(frame, NULL, NULL, &is_signal), 0);
	if (rule->cfa == UNWIND_CFA_UNSUPPORTED) {
		verdicts->unsupported++;
	} else if (rule->cfa == UNWIND_CFA_SIGNAL) {
		EQ(is_signal, 1);
		verdicts->signals++;
	} else if (rule->cfa == UNWIND_CFA_END) {
		EQ(dwarf_frame_register(frame, 16, memory, &ops, &count), 0);
		EQ(count, 0);
		EQ(ops, memory);
		verdicts->ends++;
	} else {
		EQ(dwarf_frame_cfa(frame, &ops, &count), 0);
		uint64_t cfa = rule_cfa(rule);
		EQ(evaluate(ops, count, 0), cfa);
		same_places(frame, rule, cfa);
		verdicts->rules++;
	}
	free(frame);
}

/* Strictly rising, no two alike beside each other, rules that exist. */
static void rows_are_in_order(const struct rows_table *table, const struct object *object)
{
	const struct unwind_row *rows = table->rows + object->rows_first;
	LE(object->rows_first + object->rows_count, table->rows_used);
	for (uint32_t i = 0; i < object->rows_count; i++) {
		LT(rows[i].rule, table->rules_used);
		if (i) {
			LT(rows[i - 1].pc, rows[i].pc);
			NE(rows[i - 1].rule, rows[i].rule);
		}
	}
}

static const struct unwind_rule *rule_at(const struct rows_table *table, const struct object *object,
					 uint64_t address)
{
	static const struct unwind_rule gap = { .cfa = UNWIND_CFA_GAP };
	const struct unwind_row *rows = table->rows + object->rows_first;
	uint32_t low = 0, high = object->rows_count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (rows[middle].pc <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &table->rules[rows[low - 1].rule] : &gap;
}

static void object_check(const struct rows_table *table, struct object *object)
{
	struct verdicts verdicts = { 0 };
	Elf *elf = object->image ? elf_memory((char *)object->image, object->image_bytes)
				 : elf_begin(object->fd, ELF_C_READ, NULL);
	Dwarf_CFI *cfi = dwarf_getcfi_elf(elf);
	NE(cfi, NULL);
	GT(object->rows_count, 0);
	rows_are_in_order(table, object);
	for (int i = 0; i < ADDRESSES; i++) {
		/* Anywhere, and around the rows' borders. */
		const struct object_segment *segment =
			&object->segments[random_next() % object->segment_count];
		uint64_t address = segment->address + random_next() % segment->bytes;
		if (i % 2)
			address = table->rows[object->rows_first + random_next() % object->rows_count].pc -
				  random_next() % 2;
		same_as_libdw(cfi, address, rule_at(table, object, address), &verdicts);
	}
	printf("# %s: %u rows; %u rules, %u gaps, %u unsupported, %u signal frames, %u ends\n", object->path,
	       object->rows_count, verdicts.rules, verdicts.gaps, verdicts.unsupported, verdicts.signals,
	       verdicts.ends);
	GT(verdicts.rules, ADDRESSES / 20);
	LT(verdicts.unsupported, ADDRESSES / 100);
	dwarf_cfi_end(cfi);
	elf_end(elf);
}

struct world {
	struct objects *objects;
	struct rows_table table;
};

static void world_open(struct world *world)
{
	world->objects = objects_create();
	NE(world->objects, NULL);
	rows_init(&world->table, row_memory, ROWS_MAX, rule_memory, RULES_MAX);
}

static void world_close(struct world *world)
{
	rows_finish(&world->table);
	objects_destroy(world->objects);
}

/* The object that contains an address of this process. */
static struct object *object_of(struct world *world, uint64_t address)
{
	static struct map_line line;
	struct object *object = NULL;
	char *text = NULL;
	size_t text_max = 0;
	FILE *file = fopen("/proc/self/maps", "re");
	while (!object && file && getline(&text, &text_max, file) > 0)
		if (map_line_parse(text, &line) == 0 && line.start <= address && address < line.end)
			object = objects_open(world->objects, getpid(), &line);
	free(text);
	if (file)
		fclose(file);
	NE(object, NULL);
	return object;
}

static int loaded_check(struct dl_phdr_info *info, size_t bytes, void *owner)
{
	struct world *world = owner;
	(void)bytes;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_LOAD || !(info->dlpi_phdr[i].p_flags & PF_X))
			continue;
		struct object *object = object_of(world, info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
		if (object->rows_known)
			continue;
		EQ(rows_of_object(&world->table, object), 0);
		object_check(&world->table, object);
	}
	return 0;
}

static void rows_are_what_libdw_says(void)
{
	/* Assembler code, hand-written unwind information, and much of it. */
	static const char *const more[] = { "libisal.so.2", "libcrypto.so.3", "libdeflate.so.0",
					    "libstdc++.so.6" };
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		if (!dlopen(more[i], RTLD_NOW))
			printf("# not here: %s\n", more[i]);
	struct world world;
	world_open(&world);
	dl_iterate_phdr(loaded_check, &world);
	GE(objects_count(world.objects), 4);
	world_close(&world);
}

static void known_places_have_their_rules(void)
{
	struct world world;
	world_open(&world);
	struct object *libc = object_of(&world, (uint64_t)(uintptr_t)gnu_get_libc_version);
	EQ(rows_of_object(&world.table, libc), 0);
	unsigned signals = 0, in_register = 0, ends = 0;
	for (uint32_t i = 0; i < libc->rows_count; i++) {
		const struct unwind_rule *rule =
			&world.table.rules[world.table.rows[libc->rows_first + i].rule];
		signals += rule->cfa == UNWIND_CFA_SIGNAL;
		in_register += rule->return_in_register == 5 + 1;
		ends += rule->cfa == UNWIND_CFA_END;
	}
	EQ(signals, 1);				   /* __restore_rt */
	GE(in_register, 1);			   /* vfork */
	GE(ends, 1);				   /* clone's child */
	EQ(rows_of_object(&world.table, libc), 0); /* a second time gives the same again */
	world_close(&world);
}

/* ld.so's entry has no unwind information in some versions of glibc, or says that there is no caller. */
static int interpreter_base(struct dl_phdr_info *info, size_t bytes, void *owner)
{
	(void)bytes;
	if (strstr(info->dlpi_name, "ld-linux"))
		*(uint64_t *)owner = info->dlpi_addr + info->dlpi_phdr[0].p_vaddr;
	return 0;
}

static void entry_points_are_ends(void)
{
	struct world world;
	uint64_t base = 0;
	dl_iterate_phdr(interpreter_base, &base);
	NE(base, 0);
	world_open(&world);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)(uintptr_t)base;
	struct object *object = object_of(&world, base + header->e_entry);
	EQ(rows_of_object(&world.table, object), 0);
	EQ(rule_at(&world.table, object, header->e_entry + 5)->cfa, UNWIND_CFA_END);
	world_close(&world);
}

/* ---- Objects made by hand ---- */

enum { TEXT_AT = 0x1000, TEXT_BYTES = 0x400, SECTIONS_AT = 0x2000, IMAGE_BYTES = 0x3000 };

static uint8_t image[IMAGE_BYTES];

static void image_make(void)
{
	memset(image, 0, sizeof image);
	memset(image + TEXT_AT, 0x90, TEXT_BYTES);
	Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			      .e_type = ET_EXEC,
			      .e_machine = EM_X86_64,
			      .e_version = EV_CURRENT,
			      .e_phoff = sizeof header,
			      .e_ehsize = sizeof header,
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = 1,
			      .e_shentsize = sizeof(Elf64_Shdr) };
	Elf64_Phdr segment = { .p_type = PT_LOAD,
			       .p_flags = PF_R | PF_X,
			       .p_offset = TEXT_AT,
			       .p_vaddr = TEXT_AT,
			       .p_filesz = TEXT_BYTES,
			       .p_memsz = TEXT_BYTES };
	memcpy(image, &header, sizeof header);
	memcpy(image + sizeof header, &segment, sizeof segment);
}

static Elf64_Ehdr *image_header(void)
{
	return (Elf64_Ehdr *)(void *)image;
}

static struct object image_object(void)
{
	return (struct object){ .path = (char *)"image",
				.fd = -1,
				.image = image,
				.image_bytes = sizeof image,
				.segments = { { TEXT_AT, TEXT_AT, TEXT_BYTES } },
				.segment_count = 1 };
}

/* mov $15, %rax; syscall: in a program without unwind information, as musl and Go have it. */
static void signal_returns_are_known_by_their_code(void)
{
	struct world world;
	struct object object = image_object();
	image_make();
	memcpy(image + TEXT_AT + 0x100, "\x48\xc7\xc0\x0f\0\0\0\x0f\x05", 9);
	world_open(&world);
	EQ(rows_of_object(&world.table, &object), 0);
	EQ(rule_at(&world.table, &object, TEXT_AT + 0xfe)->cfa, UNWIND_CFA_GAP);
	EQ(rule_at(&world.table, &object, TEXT_AT + 0xff)->cfa, UNWIND_CFA_SIGNAL);
	EQ(rule_at(&world.table, &object, TEXT_AT + 0x109)->cfa, UNWIND_CFA_SIGNAL);
	EQ(rule_at(&world.table, &object, TEXT_AT + 0x10a)->cfa, UNWIND_CFA_GAP);
	rows_are_in_order(&world.table, &object);
	world_close(&world);
}

static void entries_without_unwind_information_are_ends(void)
{
	struct world world;
	struct object object = image_object();
	image_make();
	image_header()->e_entry = TEXT_AT + 0x80;
	world_open(&world);
	EQ(rows_of_object(&world.table, &object), 0);
	EQ(rule_at(&world.table, &object, TEXT_AT + 0x7f)->cfa, UNWIND_CFA_GAP);
	EQ(rule_at(&world.table, &object, TEXT_AT + 0x80)->cfa, UNWIND_CFA_END);
	EQ(rule_at(&world.table, &object, TEXT_AT + 0x17f)->cfa, UNWIND_CFA_END);
	EQ(rule_at(&world.table, &object, TEXT_AT + 0x180)->cfa, UNWIND_CFA_GAP);
	world_close(&world);
}

/* A static program that has its unwind information for debuggers only. */
static void debug_frame_is_read_where_there_is_no_eh_frame(void)
{
	static const uint8_t frames[] = {
		/* CIE: version 1, no augmentation; CFA = rsp + 8, return address at CFA - 8 */
		0x14, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1, 0, 0, 0, 0, 0,
		0,
		/* FDE: 0x20 bytes at 0x1040; after 4 bytes CFA = rsp + 48, bp at CFA - 16 */
		0x1c, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x10, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0x44,
		0x0e, 48, 0x86, 2, 0, 0, 0
	};
	static const char names[] = "\0.shstrtab\0.debug_frame";
	struct world world;
	struct object object = image_object();
	image_make();
	memcpy(image + SECTIONS_AT + 0x200, names, sizeof names);
	memcpy(image + SECTIONS_AT + 0x300, frames, sizeof frames);
	Elf64_Shdr sections[3] = {
		[1] = { .sh_name = 1,
			.sh_type = SHT_STRTAB,
			.sh_offset = SECTIONS_AT + 0x200,
			.sh_size = sizeof names },
		[2] = { .sh_name = 11,
			.sh_type = SHT_PROGBITS,
			.sh_offset = SECTIONS_AT + 0x300,
			.sh_size = sizeof frames,
			.sh_addralign = 8 },
	};
	memcpy(image + SECTIONS_AT, sections, sizeof sections);
	image_header()->e_shoff = SECTIONS_AT;
	image_header()->e_shnum = 3;
	image_header()->e_shstrndx = 1;
	world_open(&world);
	EQ(rows_of_object(&world.table, &object), 0);
	EQ(object.rows_count, 4);
	EQ(rule_at(&world.table, &object, 0x103f)->cfa, UNWIND_CFA_GAP);
	EQ(rule_at(&world.table, &object, 0x1043)->cfa_offset, 8);
	EQ(rule_at(&world.table, &object, 0x1044)->cfa_offset, 48);
	EQ(rule_at(&world.table, &object, 0x105f)->bp, UNWIND_BP_AT_CFA);
	EQ(rule_at(&world.table, &object, 0x105f)->bp_offset, -16);
	EQ(rule_at(&world.table, &object, 0x1060)->cfa, UNWIND_CFA_GAP);
	world_close(&world);
}

static void what_has_no_rows_says_so(void)
{
	struct world world;
	struct object object = image_object();
	world_open(&world);
	image_make();
	EQ(rows_of_object(&world.table, &object), -ENOENT);
	EQ(object.rows_known, 1);
	image_make();
	image_header()->e_entry = TEXT_AT;
	image_header()->e_machine = EM_AARCH64;
	EQ(rows_of_object(&world.table, &object), -ENOENT);
	memset(image, 0, sizeof image);
	EQ(rows_of_object(&world.table, &object), -ENOENT);
	object.image = NULL;
	EQ(rows_of_object(&world.table, &object), -ENOENT);
	EQ(object.rows_count, 0);
	EQ(world.table.rows_used, 0);
	world_close(&world);
}

/* ---- Files of this machine, changed ---- */

static uint8_t *file_read(const char *path, size_t *ret_bytes)
{
	FILE *file = fopen(path, "re");
	uint8_t *bytes = malloc(1 << 25);
	NE(file, NULL);
	NE(bytes, NULL);
	*ret_bytes = fread(bytes, 1, 1 << 25, file);
	fclose(file);
	return bytes;
}

/* Without the sorted table every entry is looked at, and the rows are the same. */
static void rows_do_not_depend_on_the_sorted_table(void)
{
	struct world world;
	size_t bytes;
	world_open(&world);
	struct object *libc = object_of(&world, (uint64_t)(uintptr_t)gnu_get_libc_version);
	EQ(rows_of_object(&world.table, libc), 0);
	uint8_t *copy = file_read(libc->path, &bytes);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)(void *)copy;
	int found = 0;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr *segment = (Elf64_Phdr *)(void *)(copy + header->e_phoff) + i;
		if (segment->p_type == PT_GNU_EH_FRAME) {
			segment->p_type = PT_NULL;
			found = 1;
		}
	}
	EQ(found, 1);
	struct object changed = *libc;
	changed.fd = -1;
	changed.image = copy;
	changed.image_bytes = bytes;
	EQ(rows_of_object(&world.table, &changed), 0);
	EQ(changed.rows_count, libc->rows_count);
	EQ(changed.rows_first, libc->rows_first + libc->rows_count);
	size_t row_bytes = libc->rows_count * sizeof(struct unwind_row);
	EQ(memcmp(world.table.rows + changed.rows_first, world.table.rows + libc->rows_first, row_bytes), 0);
	free(copy);
	world_close(&world);
}

static void full_tables_take_no_part_of_an_object(void)
{
	struct world world;
	world_open(&world);
	struct object *libc = object_of(&world, (uint64_t)(uintptr_t)gnu_get_libc_version);
	EQ(rows_of_object(&world.table, libc), 0);
	uint32_t rows = libc->rows_count, rules = world.table.rules_used;
	rows_finish(&world.table);
	for (uint32_t less = 0; less < 2; less++) {
		/* Two more: room to put in what the entry point is. */
		rows_init(&world.table, row_memory, rows + (less ? 0 : 2) - less, rule_memory, RULES_MAX);
		EQ(rows_of_object(&world.table, libc), less ? -ENOSPC : 0);
		EQ(libc->rows_count, less ? 0 : rows);
		EQ(world.table.rows_used, less ? 0 : rows);
		EQ(world.table.rows_dropped, less ? rows : 0);
		rows_finish(&world.table);
		rows_init(&world.table, row_memory, ROWS_MAX, rule_memory, rules - less);
		EQ(rows_of_object(&world.table, libc), less ? -ENOSPC : 0);
		rows_finish(&world.table);
	}
	objects_destroy(world.objects);
}

/* Debian's go command is a Go program. */
static void go_programs_have_rows(void)
{
	static const char *const paths[] = { "/usr/lib/go-1.19/bin/go", "/usr/lib/go-1.24/bin/go",
					     "/usr/lib/go/bin/go" };
	struct world world;
	world_open(&world);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		struct object object = {
			.path = (char *)paths[i],
			.fd = fd,
			.size_bytes = lseek(fd, 0, SEEK_END),
			.segments = { { .offset = 0x1000, .address = 0x401000, .bytes = 1 << 23 } },
			.segment_count = 1
		};
		EQ(rows_of_object(&world.table, &object), 0);
		rows_are_in_order(&world.table, &object);
		unsigned counts[UNWIND_CFA_UNSUPPORTED + 1] = { 0 };
		for (uint32_t k = 0; k < object.rows_count; k++)
			counts[world.table.rules[world.table.rows[object.rows_first + k].rule].cfa]++;
		GT(counts[UNWIND_CFA_SP], 10000);
		GT(counts[UNWIND_CFA_FRAME_POINTER], 3); /* systemstack, mcall, ... */
		GT(counts[UNWIND_CFA_END], 1);		 /* goexit, mstart, ... */
		EQ(counts[UNWIND_CFA_SIGNAL], 1);
		close(fd);
		world_close(&world);
		return;
	}
	world_close(&world);
	SKIP("no Go program here");
}

TEST_MAIN(T(rows_are_what_libdw_says), T(known_places_have_their_rules), T(entry_points_are_ends),
	  T(signal_returns_are_known_by_their_code), T(entries_without_unwind_information_are_ends),
	  T(debug_frame_is_read_where_there_is_no_eh_frame), T(what_has_no_rows_says_so),
	  T(rows_do_not_depend_on_the_sorted_table), T(full_tables_take_no_part_of_an_object),
	  T(go_programs_have_rows))
