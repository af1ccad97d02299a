/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of Go's functions, which have no .eh_frame: from .gopclntab, which the runtime itself unwinds by. It
 * says for each address by how much the stack pointer is below the return address; the frame pointer is saved
 * right below that when there is a frame (Go 1.16 and later, amd64). Functions that go over to another stack
 * are left by frame pointer.
 */
#include <string.h>

#include "profiler/names_private.h"
#include "profiler/rows_private.h"

/* Flags of a function, cmd/internal/objabi/funcid.go and internal/abi/symtab.go of Go. */
enum {
	FLAG_TOP_FRAME = 1, /* the outermost: goexit, mstart, rt0_go */
	FLAG_SP_WRITE = 2,  /* sets the stack pointer: systemstack, mcall, asmcgocall */
};

enum { PAIRS_MAX = 1 << 16 }; /* as in names_go.c: of one function */

struct reader {
	const uint8_t *at, *end;
	int failed;
};

static uint64_t fixed_read(struct span data, uint64_t at, unsigned bytes, int *ret_ok)
{
	uint64_t value = 0;
	if (at > data.bytes || data.bytes - at < bytes) {
		*ret_ok = 0;
		return 0;
	}
	memcpy(&value, data.base + at, bytes); /* little-endian, as the machine */
	return value;
}

static uint32_t variable_read(struct reader *reader)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 35 && reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return (uint32_t)value;
	}
	reader->failed = 1;
	return 0;
}

static unsigned field_bytes(const struct go_table *table)
{
	return table->version >= 18 ? 4 : table->pointer_bytes;
}

static uint64_t start_of(const struct go_table *table, uint64_t index)
{
	int ok = 1;
	unsigned bytes = field_bytes(table);
	return table->text_start + fixed_read(table->functions, index * 2 * bytes, bytes, &ok);
}

int go_rows_open(struct go_table *table, Elf *elf, uint64_t *ret_start, uint64_t *ret_end)
{
	if (go_names_open(table, elf) < 0)
		return -1;
	*ret_start = start_of(table, 0);
	*ret_end = start_of(table, table->function_count);
	return *ret_start < *ret_end ? 0 : -1;
}

/* Before Go 1.17 functions have no flags. */
static unsigned flags_by_name(const char *name)
{
	static const struct {
		const char *name;
		unsigned flags;
	} known[] = {
		{ "runtime.goexit", FLAG_TOP_FRAME },	 { "runtime.mstart", FLAG_TOP_FRAME },
		{ "runtime.rt0_go", FLAG_TOP_FRAME },	 { "runtime.systemstack", FLAG_SP_WRITE },
		{ "runtime.mcall", FLAG_SP_WRITE },	 { "runtime.morestack", FLAG_SP_WRITE },
		{ "runtime.asmcgocall", FLAG_SP_WRITE },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(name, known[i].name) == 0)
			return known[i].flags;
	return 0;
}

/* A signal handler's first function counts as outermost in Go, which looks at the interrupted one separately.
 */
static int is_signal_entry(const char *name)
{
	return strcmp(name, "runtime.sigtramp") == 0 || strcmp(name, "runtime.cgoSigtramp") == 0;
}

/* What holds in all of the function: flags; and where its changes of the stack pointer are. 0, or -1. */
static int function_read(const struct go_table *table, uint64_t index, unsigned *ret_flags,
			 struct reader *ret_steps)
{
	int ok = 1;
	unsigned bytes = field_bytes(table);
	uint64_t at = fixed_read(table->functions, (index * 2 + 1) * bytes, bytes, &ok);
	at += table->version >= 18 ? 4 : table->pointer_bytes; /* its own start */
	uint64_t name_at = fixed_read(table->functions, at, 4, &ok);
	uint64_t steps_at = fixed_read(table->functions, at + 12, 4, &ok);
	unsigned flags =
		(unsigned)fixed_read(table->functions, at + (table->version >= 20 ? 37 : 33), 1, &ok);
	if (!ok || steps_at > table->numbers.bytes || name_at >= table->names.bytes)
		return -1;
	const char *name = (const char *)table->names.base + name_at;
	if (!memchr(name, 0, table->names.bytes - name_at))
		return -1;
	if (table->version < 18)
		flags |= flags_by_name(name);
	if (is_signal_entry(name))
		flags &= ~(unsigned)(FLAG_TOP_FRAME | FLAG_SP_WRITE);
	*ret_flags = flags;
	*ret_steps = (struct reader){ .at = table->numbers.base + steps_at,
				      .end = table->numbers.base + table->numbers.bytes };
	/* 0: assembler code of which no stack depth is known. */
	ret_steps->failed = steps_at == 0;
	return 0;
}

static void steps_add(const struct go_table *table, uint64_t start, uint64_t end, struct reader *steps,
		      struct row_sink *sink)
{
	int64_t depth = -1;
	uint64_t at = start;
	for (int pair = 0; pair < PAIRS_MAX && at < end && sink->budget > 0; pair++, sink->budget--) {
		uint32_t change = variable_read(steps);
		if (change == 0 && pair && !steps->failed)
			return; /* what is left are bytes between functions */
		depth += change & 1 ? (int32_t) ~(change >> 1) : (int32_t)(change >> 1);
		uint64_t next = at + (uint64_t)variable_read(steps) * table->quantum;
		if (steps->failed || depth < 0 || depth > INT32_MAX - 8)
			break;
		struct unwind_rule rule = { .cfa = UNWIND_CFA_SP, .cfa_offset = (int32_t)depth + 8 };
		if (depth > 0) {
			rule.bp = UNWIND_BP_AT_CFA;
			rule.bp_offset = -16;
		}
		sink->add(sink->owner, at, &rule);
		at = next;
	}
	if (at < end) /* damaged, or cut */
		sink->add(sink->owner, at, &(struct unwind_rule){ .cfa = UNWIND_CFA_FRAME_POINTER });
}

void go_rows_add(const struct go_table *table, uint64_t from, uint64_t to, struct row_sink *sink)
{
	uint64_t low = 0, high = table->function_count;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (start_of(table, middle) < from)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < table->function_count && sink->budget > 0; low++, sink->budget--) {
		uint64_t start = start_of(table, low), end = start_of(table, low + 1);
		unsigned flags;
		struct reader steps;
		if (start >= to)
			return;
		if (end > to)
			end = to;
		if (function_read(table, low, &flags, &steps) < 0 || (flags & FLAG_SP_WRITE) || steps.failed)
			sink->add(sink->owner, start,
				  &(struct unwind_rule){ .cfa = UNWIND_CFA_FRAME_POINTER });
		else if (flags & FLAG_TOP_FRAME)
			sink->add(sink->owner, start, &(struct unwind_rule){ .cfa = UNWIND_CFA_END });
		else
			steps_add(table, start, end, &steps, sink);
	}
}
