/* SPDX-License-Identifier: Apache-2.0
 *
 * What sections say where there are no symbols: functions' extents from .eh_frame (Linux Standard Base,
 * "Exception Frames"), the targets of the stubs of procedure linkage tables (System V ABI AMD64 section 5.2),
 * and where Go's table lies.
 */
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "profiler/names_private.h"

enum {
	RELOCATIONS_MAX = 1 << 24, /* looked at in one file: Chromium has 2 million */
	STUB_BYTES = 16,	   /* of a linkage table that does not say */
	STUBS_MAX = 1 << 20	   /* kept; a large program calls some thousand foreign functions */
};

Elf_Scn *elf_section(Elf *elf, const char *name, GElf_Shdr *ret_header)
{
	size_t names_index;
	Elf_Scn *section = NULL;
	if (!elf || elf_getshdrstrndx(elf, &names_index) < 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, ret_header))
			continue;
		const char *its_name = elf_strptr(elf, names_index, ret_header->sh_name);
		if (its_name && strcmp(its_name, name) == 0)
			return section;
	}
	return NULL;
}

struct span elf_section_bytes(Elf_Scn *section)
{
	Elf_Data *data = section ? elf_rawdata(section, NULL) : NULL;
	return data && data->d_buf ? span_of(data->d_buf, data->d_size) : (struct span){ 0 };
}

struct frame_section {
	unsigned char identity[EI_NIDENT];
	Elf_Data *data;
	uint64_t address;
	unsigned address_bytes;
	Dwarf_Off cie;	   /* the one that `encoding` is of */
	unsigned encoding; /* of addresses: DW_EH_PE_... */
};

/* Bytes of an encoded address, 0 when the encoding is not one that compilers use for functions. */
static unsigned encoded_bytes(const struct frame_section *frames)
{
	switch (frames->encoding & 0x0f) {
	case DW_EH_PE_absptr:
		return frames->address_bytes;
	case DW_EH_PE_udata4:
	case DW_EH_PE_sdata4:
		return 4;
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return 8;
	}
	return 0;
}

static uint64_t encoded(const uint8_t *at, unsigned bytes, int is_signed)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return is_signed && bytes == 4 ? (uint64_t)(int32_t)value : value;
}

/* The encoding that the augmentation "zPLR" of a CIE names. */
static unsigned encoding_of(const struct frame_section *frames, const Dwarf_CIE *cie)
{
	const uint8_t *at = cie->augmentation_data, *end = at ? at + cie->augmentation_data_size : at;
	if (cie->augmentation[0] != 'z')
		return DW_EH_PE_absptr;
	for (const char *letter = cie->augmentation + 1; *letter && at < end; letter++) {
		struct frame_section personality = *frames;
		switch (*letter) {
		case 'R':
			return *at;
		case 'L':
			at++;
			break;
		case 'P':
			personality.encoding = *at++;
			if (encoded_bytes(&personality) == 0 ||
			    encoded_bytes(&personality) > (size_t)(end - at))
				return DW_EH_PE_omit;
			at += encoded_bytes(&personality);
			break;
		case 'S':
		case 'B':
			break;
		default:
			return DW_EH_PE_omit;
		}
	}
	return DW_EH_PE_absptr;
}

static void add_frame(struct frame_section *frames, const Dwarf_FDE *fde, struct name_ranges *ranges)
{
	if (frames->cie != fde->CIE_pointer) {
		Dwarf_CFI_Entry entry;
		Dwarf_Off next;
		if (dwarf_next_cfi(frames->identity, frames->data, true, fde->CIE_pointer, &next, &entry) !=
			    0 ||
		    !dwarf_cfi_cie_p(&entry))
			return;
		frames->cie = fde->CIE_pointer;
		frames->encoding = encoding_of(frames, &entry.cie);
	}
	unsigned bytes = encoded_bytes(frames), how = frames->encoding & 0x70;
	if (bytes == 0 || (how != DW_EH_PE_absptr && how != DW_EH_PE_pcrel) ||
	    (frames->encoding & DW_EH_PE_indirect) || (size_t)(fde->end - fde->start) < 2 * bytes)
		return;
	uint64_t start = encoded(fde->start, bytes, (frames->encoding & DW_EH_PE_signed) != 0);
	uint64_t length = encoded(fde->start + bytes, bytes, 0);
	if (how == DW_EH_PE_pcrel)
		start += frames->address + (uint64_t)(fde->start - (const uint8_t *)frames->data->d_buf);
	if (start && length < UINT64_MAX - start)
		name_ranges_add(ranges, start, start + length, start);
}

void frames_open(struct name_ranges *ranges, Elf *elf)
{
	GElf_Shdr header;
	GElf_Ehdr elf_header;
	Elf_Scn *section = elf_section(elf, ".eh_frame", &header);
	struct frame_section frames = { .cie = UINT64_MAX, .encoding = DW_EH_PE_omit };
	frames.data = section && header.sh_type != SHT_NOBITS ? elf_rawdata(section, NULL) : NULL;
	if (!frames.data || !frames.data->d_buf || !gelf_getehdr(elf, &elf_header))
		return;
	memcpy(frames.identity, elf_header.e_ident, sizeof frames.identity);
	if (frames.identity[EI_DATA] != ELFDATA2LSB)
		return;
	frames.address = header.sh_addr;
	frames.address_bytes = frames.identity[EI_CLASS] == ELFCLASS32 ? 4 : 8;
	Dwarf_Off at = 0, next = 0;
	Dwarf_CFI_Entry entry;
	/* -1 is an entry that cannot be read; it may say where the next one is. */
	for (int how; (how = dwarf_next_cfi(frames.identity, frames.data, true, at, &next, &entry)) <= 0;) {
		if (how == 0 && !dwarf_cfi_cie_p(&entry))
			add_frame(&frames, &entry.fde, ranges);
		if (next <= at || next == (Dwarf_Off)-1)
			break;
		at = next;
	}
	name_ranges_sort(ranges);
}

/* Index of the name in plt->names plus 1; 0: no room. */
static size_t keep_name(struct plt_names *plt, const char *name)
{
	if (plt->name_count == plt->name_capacity) {
		size_t capacity = plt->name_capacity ? plt->name_capacity * 2 : 64;
		const char **names =
			capacity > STUBS_MAX ? NULL : reallocarray(plt->names, capacity, sizeof *names);
		if (!names)
			return 0;
		plt->names = names;
		plt->name_capacity = capacity;
	}
	plt->names[plt->name_count++] = name;
	return plt->name_count;
}

/* One relocation; returns what plt->order has for it. */
static size_t add_relocation(struct plt_names *plt, const GElf_Rela *relocation, Elf_Data *symbols,
			     size_t texts, Elf *elf)
{
	GElf_Sym symbol;
	uint64_t type = GELF_R_TYPE(relocation->r_info), slot = relocation->r_offset;
	if (type == R_X86_64_IRELATIVE)
		name_ranges_add(&plt->indirect, slot, slot + 1, (uint64_t)relocation->r_addend);
	if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT)
		return 0;
	size_t index = GELF_R_SYM(relocation->r_info);
	if (!symbols || index > INT32_MAX || !gelf_getsym(symbols, (int)index, &symbol))
		return 0;
	const char *name = elf_strptr(elf, texts, symbol.st_name);
	size_t kept = name && *name ? keep_name(plt, name) : 0;
	if (kept)
		name_ranges_add(&plt->slots, slot, slot + 1, kept - 1);
	return kept;
}

static void add_relocations(struct plt_names *plt, Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
			    int is_plt)
{
	GElf_Shdr symbols_header = { 0 };
	Elf_Scn *symbols_section = elf_getscn(elf, header->sh_link);
	Elf_Data *symbols = NULL, *data = elf_getdata(section, NULL);
	if (symbols_section && gelf_getshdr(symbols_section, &symbols_header) &&
	    symbols_header.sh_type == SHT_DYNSYM)
		symbols = elf_getdata(symbols_section, NULL);
	size_t count = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;
	if (count > RELOCATIONS_MAX)
		count = RELOCATIONS_MAX;
	if (is_plt && !plt->order && count <= STUBS_MAX) {
		plt->order = calloc(count + 1, sizeof *plt->order);
		plt->order_count = plt->order ? count : 0;
	} else {
		is_plt = 0;
	}
	for (size_t i = 0; i < count; i++) {
		GElf_Rela relocation;
		if (!gelf_getrela(data, (int)i, &relocation))
			break;
		size_t kept = add_relocation(plt, &relocation, symbols, symbols_header.sh_link, elf);
		if (is_plt && i < plt->order_count)
			plt->order[i] = kept;
	}
}

void plt_names_open(struct plt_names *plt, Elf *elf)
{
	GElf_Ehdr elf_header;
	GElf_Shdr header;
	size_t names_index;
	Elf_Scn *section = NULL;
	if (!gelf_getehdr(elf, &elf_header) || elf_getshdrstrndx(elf, &names_index) < 0)
		return;
	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &header))
			continue;
		const char *name = elf_strptr(elf, names_index, header.sh_name);
		if (!name)
			continue;
		uint64_t entry_bytes = header.sh_entsize == 8 ? 8 : STUB_BYTES;
		if (header.sh_type == SHT_PROGBITS &&
		    (strcmp(name, ".plt") == 0 || strcmp(name, ".plt.sec") == 0 ||
		     strcmp(name, ".plt.got") == 0 || strcmp(name, ".iplt") == 0) &&
		    header.sh_size < UINT64_MAX - header.sh_addr)
			name_ranges_add(&plt->sections, header.sh_addr, header.sh_addr + header.sh_size,
					entry_bytes);
		if (header.sh_type == SHT_RELA && (header.sh_flags & SHF_ALLOC) &&
		    elf_header.e_machine == EM_X86_64)
			add_relocations(plt, elf, section, &header, strcmp(name, ".rela.plt") == 0);
	}
	name_ranges_sort(&plt->sections);
	name_ranges_sort(&plt->slots);
	name_ranges_sort(&plt->indirect);
}

void plt_names_close(struct plt_names *plt)
{
	name_ranges_finish(&plt->sections);
	name_ranges_finish(&plt->slots);
	name_ranges_finish(&plt->indirect);
	free(plt->names);
	free(plt->order);
}

/* The stub's bytes in the file. */
static struct span stub_at(Elf *elf, uint64_t address, size_t bytes)
{
	GElf_Shdr header;
	Elf_Scn *section = NULL;
	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_PROGBITS ||
		    !(header.sh_flags & SHF_EXECINSTR) || address < header.sh_addr ||
		    address - header.sh_addr >= header.sh_size)
			continue;
		struct span code = elf_section_bytes(section);
		size_t at = (size_t)(address - header.sh_addr);
		if (at >= code.bytes)
			break;
		return span_of(code.base + at, code.bytes - at < bytes ? code.bytes - at : bytes);
	}
	return (struct span){ 0 };
}

int plt_names_find(const struct plt_names *plt, Elf *elf, uint64_t address, const char **ret_name,
		   uint64_t *ret_resolver)
{
	const struct name_range *section = name_ranges_find(&plt->sections, address);
	*ret_name = NULL;
	*ret_resolver = 0;
	if (!section)
		return 0;
	uint64_t entry = address - (address - section->start) % section->value;
	struct span stub = stub_at(elf, entry, (size_t)section->value);
	for (size_t i = 0; i + 5 <= stub.bytes; i++) {
		const uint8_t *code = stub.base + i;
		if (code[0] == 0x68) { /* push $N: of the lazy kind, the number of the relocation */
			uint64_t index = encoded(code + 1, 4, 0);
			if (index < plt->order_count && plt->order[index]) {
				*ret_name = plt->names[plt->order[index] - 1];
				break;
			}
		}
		if (i + 6 > stub.bytes || code[0] != 0xff || code[1] != 0x25) /* jmp *slot(%rip) */
			continue;
		uint64_t slot = entry + i + 6 + encoded(code + 2, 4, 1);
		const struct name_range *named = name_ranges_find(&plt->slots, slot);
		const struct name_range *indirect = name_ranges_find(&plt->indirect, slot);
		if (named)
			*ret_name = plt->names[named->value];
		else if (indirect)
			*ret_resolver = indirect->value;
		break;
	}
	return 1;
}

/* Where a word of the file points to when it is loaded at its own addresses, for words that are relocated. */
static uint64_t relocated(Elf *elf, uint64_t address)
{
	GElf_Shdr header;
	GElf_Rela relocation;
	Elf_Scn *section = NULL;
	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_RELA ||
		    !(header.sh_flags & SHF_ALLOC) || header.sh_entsize == 0)
			continue;
		Elf_Data *data = elf_getdata(section, NULL);
		size_t count = data ? data->d_size / header.sh_entsize : 0;
		for (size_t i = 0; i < count && i < RELOCATIONS_MAX; i++) {
			if (!gelf_getrela(data, (int)i, &relocation))
				break;
			if (relocation.r_offset == address &&
			    GELF_R_TYPE(relocation.r_info) == R_X86_64_RELATIVE)
				return (uint64_t)relocation.r_addend;
		}
	}
	return 0;
}

int go_names_open(struct go_table *table, Elf *elf)
{
	GElf_Shdr header, text_header = { 0 };
	uint64_t text_start = 0;
	Elf_Scn *section = elf_section(elf, ".gopclntab", &header);
	if (!section)
		section = elf_section(elf, ".data.rel.ro.gopclntab", &header);
	if (!section || header.sh_type == SHT_NOBITS)
		return -1;
	struct span data = elf_section_bytes(section);
	size_t at = go_table_text_start_at(data);
	/* Programs that are loaded anywhere have it as a relocation; newer ones do not say: .text's start
	 * then. */
	if (at && data.base && at + 8 <= data.bytes)
		text_start = encoded(data.base + at, 8, 0);
	if (at && text_start == 0)
		text_start = relocated(elf, header.sh_addr + at);
	if (text_start == 0 && elf_section(elf, ".text", &text_header))
		text_start = text_header.sh_addr;
	return go_table_open(table, data, text_start);
}
