/* SPDX-License-Identifier: Apache-2.0
 *
 * Where functions with unwind information start: the sorted table of .eh_frame_hdr (Linux Standard Base, "The
 * .eh_frame_hdr section") when there is one, else one look at every entry of .eh_frame, or of .debug_frame.
 * Every number in the file may be wrong.
 */
#include <dwarf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/rows_private.h"

/* DWARF exception header encodings, Linux Standard Base 10.5. */
enum {
	ENCODING_FORM = 0x0f,
	ENCODING_BASE = 0x70,
	ENCODING_ABSOLUTE = 0x00,
	ENCODING_PC_RELATIVE = 0x10,
	ENCODING_DATA_RELATIVE = 0x30,
	ENCODING_INDIRECT = 0x80,
	ENCODING_OMIT = 0xff,
};

/* Bytes of a number in this form; 0: of varying size, or unknown. */
static size_t form_bytes(unsigned encoding)
{
	switch (encoding & ENCODING_FORM) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return 8;
	case DW_EH_PE_udata4:
	case DW_EH_PE_sdata4:
		return 4;
	case DW_EH_PE_udata2:
	case DW_EH_PE_sdata2:
		return 2;
	default:
		return 0;
	}
}

/* `at` is where the number is in the file's addresses, `data` what data-relative ones are relative to. 0, or
 * -1. */
static int pointer_read(const uint8_t *bytes, size_t available, unsigned encoding, uint64_t at, uint64_t data,
			uint64_t *ret)
{
	size_t size = form_bytes(encoding);
	if (encoding == ENCODING_OMIT || (encoding & ENCODING_INDIRECT) || size == 0 || size > available)
		return -1;
	uint64_t value = 0;
	memcpy(&value, bytes, size); /* little-endian, as the machine */
	if ((encoding & 0x08) && size < 8) {
		unsigned shift = (unsigned)(64 - 8 * size);
		value = (uint64_t)((int64_t)(value << shift) >> shift);
	}
	switch (encoding & ENCODING_BASE) {
	case ENCODING_ABSOLUTE:
		break;
	case ENCODING_PC_RELATIVE:
		value += at;
		break;
	case ENCODING_DATA_RELATIVE:
		value += data;
		break;
	default:
		return -1;
	}
	*ret = value;
	return 0;
}

static int start_add(struct row_source *source, size_t *max, uint64_t start)
{
	if (source->start_count == *max) {
		size_t larger = *max ? *max * 2 : 1024;
		uint64_t *starts = larger > ROWS_FUNCTIONS_MAX
					   ? NULL
					   : reallocarray(source->starts, larger, sizeof *starts);
		if (!starts)
			return -1;
		source->starts = starts;
		*max = larger;
	}
	source->starts[source->start_count++] = start;
	return 0;
}

/* ---- The table ---- */

static void table_read(struct row_source *source, const uint8_t *bytes, size_t size, uint64_t address)
{
	uint64_t ignored, count, start;
	if (size < 4 || bytes[0] != 1 || form_bytes(bytes[1]) == 0 || (bytes[2] & ENCODING_BASE) != 0)
		return;
	size_t at = 4 + form_bytes(bytes[1]), max = 0, half = form_bytes(bytes[3]);
	if (at > size || pointer_read(bytes + 4, size - 4, bytes[1], address + 4, address, &ignored) < 0 ||
	    pointer_read(bytes + at, size - at, bytes[2], address + at, address, &count) < 0 || half == 0)
		return;
	at += form_bytes(bytes[2]);
	for (; count > 0 && size - at >= 2 * half; count--, at += 2 * half)
		if (pointer_read(bytes + at, half, bytes[3], address + at, address, &start) < 0 ||
		    start_add(source, &max, start) < 0)
			return;
}

static void table_find(struct row_source *source)
{
	size_t count = 0;
	if (elf_getphdrnum(source->elf, &count) < 0)
		return;
	for (size_t i = 0; i < count && i < 1024; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(source->elf, (int)i, &header) || header.p_type != PT_GNU_EH_FRAME)
			continue;
		Elf_Data *data = elf_getdata_rawchunk(source->elf, (int64_t)header.p_offset,
						      (size_t)header.p_filesz, ELF_T_BYTE);
		if (data && data->d_buf)
			table_read(source, data->d_buf, data->d_size, header.p_vaddr);
		return;
	}
}

/* ---- Entry by entry ---- */

static Elf_Data *section_find(Elf *elf, const char *wanted, uint64_t *ret_address)
{
	size_t names;
	Elf_Scn *section = NULL;
	if (elf_getshdrstrndx(elf, &names) < 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name =
			gelf_getshdr(section, &header) ? elf_strptr(elf, names, header.sh_name) : NULL;
		if (!name || strcmp(name, wanted) != 0 || header.sh_type == SHT_NOBITS)
			continue;
		if ((header.sh_flags & SHF_COMPRESSED) && elf_compress(section, 0, 0) < 0)
			return NULL;
		*ret_address = header.sh_addr;
		Elf_Data *data = elf_getdata(section, NULL);
		return data && data->d_buf ? data : NULL;
	}
	return NULL;
}

/* How the functions' addresses are written, by the augmentation of their CIE. */
static unsigned encoding_of(const Dwarf_CIE *cie)
{
	const char *letter = cie->augmentation;
	const uint8_t *data = cie->augmentation_data;
	size_t left = data ? cie->augmentation_data_size : 0;
	if (!letter || *letter != 'z')
		return DW_EH_PE_absptr;
	while (*++letter) {
		if (*letter == 'S' || *letter == 'B')
			continue;
		if (left == 0)
			return ENCODING_OMIT;
		unsigned encoding = *data++;
		left--;
		if (*letter == 'R')
			return encoding;
		if (*letter == 'P') {
			size_t bytes = form_bytes(encoding);
			if (bytes == 0 || bytes > left)
				return ENCODING_OMIT;
			data += bytes;
			left -= bytes;
		} else if (*letter != 'L') {
			return ENCODING_OMIT;
		}
	}
	return DW_EH_PE_absptr;
}

static void entries_read(struct row_source *source, Elf_Data *data, uint64_t address, int is_eh_frame)
{
	const unsigned char *ident = (const unsigned char *)elf_getident(source->elf, NULL);
	Dwarf_Off offset = 0, next = 0, cie_offset = (Dwarf_Off)-1;
	unsigned encoding = ENCODING_OMIT;
	size_t max = 0;
	for (; offset < data->d_size; offset = next) {
		Dwarf_CFI_Entry entry, cie;
		Dwarf_Off ignored;
		next = offset;
		int result = dwarf_next_cfi(ident, data, is_eh_frame, offset, &next, &entry);
		if (result > 0 || next <= offset)
			return;
		if (result < 0 || dwarf_cfi_cie_p(&entry))
			continue;
		if (entry.fde.CIE_pointer != cie_offset) {
			cie_offset = entry.fde.CIE_pointer;
			encoding = ENCODING_OMIT;
			if (dwarf_next_cfi(ident, data, is_eh_frame, cie_offset, &ignored, &cie) == 0 &&
			    dwarf_cfi_cie_p(&cie))
				encoding = is_eh_frame ? encoding_of(&cie.cie) : DW_EH_PE_absptr;
		}
		uint64_t start;
		uint64_t at = address + (uint64_t)(entry.fde.start - (const uint8_t *)data->d_buf);
		if (pointer_read(entry.fde.start, (size_t)(entry.fde.end - entry.fde.start), encoding, at, 0,
				 &start) == 0 &&
		    start_add(source, &max, start) < 0)
			return;
	}
}

static int compare_starts(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

int row_source_open(struct row_source *source, Elf *elf, int or_debug_frame)
{
	Elf_Data *data;
	uint64_t address = 0;
	*source = (struct row_source){ .elf = elf, .cfi = dwarf_getcfi_elf(elf) };
	if (source->cfi) {
		table_find(source);
		if (source->start_count == 0 && (data = section_find(elf, ".eh_frame", &address)))
			entries_read(source, data, address, 1);
	}
	/* Static programs that were linked without .eh_frame may have it for debuggers. */
	if (source->start_count == 0 && or_debug_frame &&
	    (data = section_find(elf, ".debug_frame", &address))) {
		dwarf_cfi_end(source->cfi);
		source->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
		source->cfi = source->dwarf ? dwarf_getcfi(source->dwarf) : NULL;
		if (source->cfi)
			entries_read(source, data, address, 0);
	}
	if (source->start_count == 0) {
		row_source_close(source);
		return -1;
	}
	for (size_t i = 1; i < source->start_count; i++) {
		if (source->starts[i] < source->starts[i - 1]) {
			qsort(source->starts, source->start_count, sizeof *source->starts, compare_starts);
			break;
		}
	}
	return 0;
}

void row_source_close(struct row_source *source)
{
	if (source->dwarf)
		dwarf_end(source->dwarf); /* with its CFI */
	else if (source->cfi)
		dwarf_cfi_end(source->cfi);
	free(source->starts);
	*source = (struct row_source){ 0 };
}
