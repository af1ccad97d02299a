/* SPDX-License-Identifier: Apache-2.0
 *
 * rows: puts the rows of one object behind those of the others. See rows.h; where functions start is found by
 * rows_functions.c, what holds at an address by rows_rule.c and libdw.
 *
 * Every address from the first to the last executable one gets a row: code without unwind information must
 * not inherit what holds for the function before it, so each gap gets a row that says so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/rows.h"
#include "profiler/rows_private.h"

enum {
	FUNCTION_ROWS_MAX = 1 << 16, /* the largest generated functions have some thousand */
	WORK_MAX = 1 << 27,    /* instructions of unwind programs, about: libdw starts each function anew for
				* each of its rows; libLLVM takes 2^24, a hostile file would take hours */
	ENTRY_BYTES_MAX = 256, /* of _start and the like */
	STUBS_MAX = 8,	       /* of rt_sigreturn: one in practice */
	STUB_SEARCH_BYTES_MAX = 64 << 20, /* code that is searched for them */
};

/* mov $15, %rax; syscall: the return from signal handlers, in glibc, musl and Go. */
static const uint8_t sigreturn_code[9] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };

struct builder {
	struct rows_table *table;
	uint32_t first; /* of this object's rows in the table */
	uint64_t count; /* of rows, those that did not fit included */
	uint64_t last_pc;
	uint32_t last_rule;
	int last_is_signal;
	uint64_t go_start, go_end; /* code of Go, which has no unwind information; both 0: none */
	struct go_table go;
	int rules_full;
	int signal_seen; /* a frame of the kernel's for signals */
	int needs_others, needs_loader;
	int useful; /* some row says more than "gap" */
	uint64_t work;
};

/* ---- Rules: each different one once ---- */

void rows_init(struct rows_table *table, struct unwind_row *rows, uint32_t rows_max,
	       struct unwind_rule *rules, uint32_t rules_max)
{
	*table = (struct rows_table){
		.rows = rows, .rows_max = rows_max, .rules = rules, .rules_max = rules_max
	};
}

void rows_finish(struct rows_table *table)
{
	table_destroy(&table->known_rules);
	*table = (struct rows_table){ 0 };
}

/* Index of the rule, or -1 when there is no room for another. */
static int64_t rule_intern(struct rows_table *table, const struct unwind_rule *rule)
{
	uint32_t hash = hash_finish(hash_bytes(0, rule, sizeof *rule));
	size_t at = hash;
	for (uint32_t id; (id = table_next(&table->known_rules, hash, &at));)
		if (memcmp(&table->rules[id - 1], rule, sizeof *rule) == 0)
			return id - 1;
	if (table->rules_used == table->rules_max)
		return -1;
	table->rules[table->rules_used++] = *rule;
	table_insert(&table->known_rules, hash, table->rules_used);
	return table->rules_used - 1;
}

/* ---- Rows ---- */

static void row_add(struct builder *builder, uint64_t pc, const struct unwind_rule *rule)
{
	struct rows_table *table = builder->table;
	int64_t index = rule_intern(table, rule);
	if (index < 0)
		builder->rules_full = 1;
	if (index < 0 || pc > UINT32_MAX || (builder->count && pc < builder->last_pc))
		return;
	if (rule->cfa != UNWIND_CFA_GAP)
		builder->useful = 1;
	if (rule->cfa == UNWIND_CFA_SIGNAL)
		builder->signal_seen = 1;
	if (builder->count && builder->last_rule == (uint32_t)index)
		return;
	/* Empty so far: the row before began here, too. */
	if (builder->count && builder->last_pc == pc)
		builder->count--;
	if (builder->first + builder->count < table->rows_max)
		table->rows[builder->first + builder->count] =
			(struct unwind_row){ .pc = (uint32_t)pc, .rule = (uint32_t)index };
	builder->count++;
	builder->last_pc = pc;
	builder->last_rule = (uint32_t)index;
	builder->last_is_signal = rule->cfa == UNWIND_CFA_SIGNAL;
}

/* The rows of the function that starts at `start`; the next one starts at `next`. Returns where they end. */
static uint64_t function_add(struct builder *builder, Dwarf_CFI *cfi, uint64_t start, uint64_t next)
{
	uint64_t address = start;
	for (uint64_t i = 0; i < FUNCTION_ROWS_MAX && address < next && builder->work < WORK_MAX; i++) {
		Dwarf_Frame *frame = NULL;
		Dwarf_Addr row_start, row_end;
		bool is_signal_frame;
		if (dwarf_cfi_addrframe(cfi, address, &frame) != 0)
			break;
		builder->work += i + 1;
		if (dwarf_frame_info(frame, &row_start, &row_end, &is_signal_frame) < 0 ||
		    row_end <= address) {
			free(frame);
			break;
		}
		struct unwind_rule rule = row_rule_of_frame(frame, is_signal_frame);
		free(frame);
		row_add(builder, address, &rule);
		address = row_end;
	}
	/* While the kernel executes the system call at the end of a signal frame, pc is behind it. */
	if (builder->count && builder->last_is_signal && address > start)
		address++;
	return address < next ? address : next;
}

static void row_of_go_add(void *owner, uint64_t pc, const struct unwind_rule *rule)
{
	row_add(owner, pc, rule);
}

/* Code without unwind information from `from` up to `to`, but for Go's. */
static void gap_add(struct builder *builder, uint64_t from, uint64_t to)
{
	static const struct unwind_rule gap = { .cfa = UNWIND_CFA_GAP };
	static const struct unwind_rule frame_pointer = { .cfa = UNWIND_CFA_FRAME_POINTER };
	if (from >= to)
		return;
	if (builder->go_end <= from || builder->go_start >= to) {
		row_add(builder, from, &gap);
		return;
	}
	if (from < builder->go_start) {
		row_add(builder, from, &gap);
		from = builder->go_start;
	}
	row_add(builder, from, &frame_pointer);
	uint64_t go_to = to < builder->go_end ? to : builder->go_end;
	struct row_sink sink = { .add = row_of_go_add,
				 .owner = builder,
				 .budget =
					 builder->work < WORK_MAX ? (int64_t)(WORK_MAX - builder->work) : 0 };
	go_rows_add(&builder->go, from, go_to, &sink);
	builder->work = WORK_MAX - (uint64_t)sink.budget;
	if (go_to < to)
		row_add(builder, go_to, &gap);
}

static void functions_add(struct builder *builder, const struct object *object, Elf *elf)
{
	struct row_source source;
	uint64_t at = UINT64_MAX, end = 0;
	for (size_t i = 0; i < object->segment_count; i++) {
		const struct object_segment *segment = &object->segments[i];
		if (segment->address < at)
			at = segment->address;
		if (segment->bytes <= UINT32_MAX && segment->address + segment->bytes > end)
			end = segment->address + segment->bytes;
	}
	if (row_source_open(&source, elf, builder->go_end == 0) == 0) {
		for (size_t i = 0; i < source.start_count; i++) {
			uint64_t start = source.starts[i];
			uint64_t next = i + 1 < source.start_count ? source.starts[i + 1] : UINT64_MAX;
			if (start < at || start == next)
				continue;
			gap_add(builder, at, start);
			at = function_add(builder, source.cfi, start, next);
		}
		row_source_close(&source);
	}
	gap_add(builder, at, end);
}

/* ---- What the tables do not say ---- */

/* Index of the first row of the object whose pc is above `pc`. */
static size_t row_above(const struct unwind_row *rows, size_t count, uint64_t pc)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (rows[middle].pc <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* From `start` up to `end` another rule holds. */
static void overlay_add(struct builder *builder, uint64_t start, uint64_t end, const struct unwind_rule *rule)
{
	struct rows_table *table = builder->table;
	struct unwind_row *rows = table->rows + builder->first;
	size_t count = (size_t)builder->count, low, high;
	int64_t index = rule_intern(table, rule);
	if (index < 0 || end > UINT32_MAX || builder->first + builder->count + 2 > table->rows_max)
		return;
	high = row_above(rows, count, end);
	low = start ? row_above(rows, count, start - 1) : 0;
	if (high == 0)
		return;
	uint32_t after = rows[high - 1].rule;
	memmove(rows + low + 2, rows + high, (count - high) * sizeof *rows);
	rows[low] = (struct unwind_row){ .pc = (uint32_t)start, .rule = (uint32_t)index };
	rows[low + 1] = (struct unwind_row){ .pc = (uint32_t)end, .rule = after };
	builder->count = low + 2 + (count - high);
	builder->useful = 1;
}

/* Whether it needs other objects (a C library, mostly), and whether it needs a loader. */
static void needs_read(struct builder *builder, Elf *elf)
{
	size_t count = 0;
	if (elf_getphdrnum(elf, &count) < 0)
		return;
	for (size_t i = 0; i < count && i < 1024; i++) {
		GElf_Phdr header;
		GElf_Dyn entry;
		if (!gelf_getphdr(elf, (int)i, &header))
			continue;
		if (header.p_type == PT_INTERP)
			builder->needs_loader = 1;
		if (header.p_type != PT_DYNAMIC)
			continue;
		Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, (size_t)header.p_filesz,
						      ELF_T_DYN);
		for (int k = 0; data && gelf_getdyn(data, k, &entry) && entry.d_tag != DT_NULL; k++)
			if (entry.d_tag == DT_NEEDED)
				builder->needs_others = 1;
	}
}

/* The code at the entry point has no caller, by the ABI. Where it has no unwind information either (ld.so,
 * static programs of other libraries), it is an end all the same; what follows it in the same gap is its own
 * rest. */
static void entry_add(struct builder *builder, Elf *elf)
{
	GElf_Ehdr header;
	const struct unwind_row *rows = builder->table->rows + builder->first;
	if (!gelf_getehdr(elf, &header) || header.e_entry == 0 || builder->count == 0)
		return;
	/* Linkers write one into libraries, too, which means nothing. */
	if (header.e_type != ET_EXEC && builder->needs_others && !builder->needs_loader)
		return;
	size_t above = row_above(rows, (size_t)builder->count, header.e_entry);
	if (above == 0 || builder->table->rules[rows[above - 1].rule].cfa != UNWIND_CFA_GAP)
		return;
	uint64_t end = header.e_entry + ENTRY_BYTES_MAX;
	if (above < builder->count && rows[above].pc < end)
		end = rows[above].pc;
	overlay_add(builder, header.e_entry, end, &(struct unwind_rule){ .cfa = UNWIND_CFA_END });
}

static size_t object_bytes_read(const struct object *object, uint64_t offset, uint8_t *ret, size_t bytes)
{
	if (object->image) {
		if (offset >= object->image_bytes)
			return 0;
		if (bytes > object->image_bytes - offset)
			bytes = object->image_bytes - (size_t)offset;
		memcpy(ret, object->image + offset, bytes);
		return bytes;
	}
	size_t done = 0;
	while (done < bytes) {
		ssize_t count = pread(object->fd, ret + done, bytes - done, (off_t)(offset + done));
		if (count <= 0)
			break;
		done += (size_t)count;
	}
	return done;
}

/* The address on the stack is the stub's first byte, and is searched for less 1 as any return address is; and
 * during the system call pc is behind the stub. */
static void stubs_add(struct builder *builder, const struct object *object)
{
	int found = 0;
	for (size_t i = 0; i < object->segment_count; i++) {
		const struct object_segment *segment = &object->segments[i];
		uint64_t in_file = object->image ? object->image_bytes : (uint64_t)object->size_bytes;
		size_t bytes = STUB_SEARCH_BYTES_MAX;
		if (bytes > segment->bytes)
			bytes = (size_t)segment->bytes;
		if (bytes > in_file)
			bytes = (size_t)in_file;
		if (!bytes)
			continue;
		uint8_t *code = malloc(bytes);
		if (!code)
			return;
		bytes = object_bytes_read(object, segment->offset, code, bytes);
		const uint8_t *at = code;
		while (found < STUBS_MAX && (at = memmem(at, bytes - (size_t)(at - code), sigreturn_code,
							 sizeof sigreturn_code))) {
			uint64_t address = segment->address + (uint64_t)(at - code);
			overlay_add(builder, address ? address - 1 : 0, address + sizeof sigreturn_code + 1,
				    &(struct unwind_rule){ .cfa = UNWIND_CFA_SIGNAL });
			at += sizeof sigreturn_code;
			found++;
		}
		free(code);
	}
}

/* ---- Objects ---- */

static int rows_build(struct builder *builder, const struct object *object, Elf *elf)
{
	GElf_Ehdr header;
	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) || header.e_machine != EM_X86_64 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64)
		return -ENOENT;
	if (go_rows_open(&builder->go, elf, &builder->go_start, &builder->go_end) < 0)
		builder->go_start = builder->go_end = 0;
	functions_add(builder, object, elf);
	if (!builder->rules_full && builder->first + builder->count <= builder->table->rows_max) {
		needs_read(builder, elf);
		entry_add(builder, elf);
		/* Where signal handlers return to without a word of it in the unwind information: in a
		 * program or C library that needs no other, and in Go. */
		if (builder->go_end || (!builder->signal_seen && !builder->needs_others))
			stubs_add(builder, object);
	}
	if (!builder->useful)
		return -ENOENT;
	if (builder->rules_full || builder->first + builder->count > builder->table->rows_max ||
	    builder->count > UINT64_C(1) << UNWIND_SEARCH_STEPS_MAX) {
		builder->table->rows_dropped += builder->count;
		return -ENOSPC;
	}
	return 0;
}

int rows_of_object(struct rows_table *table, struct object *object)
{
	struct builder builder = { .table = table, .first = table->rows_used };
	object->rows_known = 1;
	object->rows_first = object->rows_count = 0;
	if (!object->image && object->fd < 0)
		return -ENOENT;
	/* Not mapped: whoever may write to the file could cut it short meanwhile, which would end us by
	 * SIGBUS. */
	Elf *elf = object->image ? elf_memory((char *)object->image, object->image_bytes)
				 : elf_begin(object->fd, ELF_C_READ, NULL);
	int result = elf ? rows_build(&builder, object, elf) : -ENOENT;
	elf_end(elf);
	if (result < 0)
		return result;
	object->rows_first = builder.first;
	object->rows_count = (uint32_t)builder.count;
	table->rows_used += object->rows_count;
	return 0;
}
