/* SPDX-License-Identifier: Apache-2.0
 *
 * What `akamai-prof inflate` says to a person.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/inflate_command.h"

enum { DEFLATE_PLAIN_PER_INPUT_MAX = 1032 };

/* What else begins like this; NULL: nothing that we know. */
static const char *other_format(const struct inflate_result *result)
{
	static const struct {
		const char *bytes;
		size_t count;
		const char *advice;
	} formats[] = {
		{ "\x28\xb5\x2f\xfd", 4, "it is zstd's: use zstd -dc" },
		{ "\xfd\x37zXZ", 5, "it is xz's: use xz -dc" },
		{ "BZh", 3, "it is bzip2's: use bzip2 -dc" },
		{ "PK\3\4", 4, "it is a zip archive: use unzip -p" },
		{ "\x1f\x9d", 2, "it is compress's: use gzip -dc" },
		{ "\x1f\xa0", 2, "it is lzh's: use gzip -dc" },
		{ "\x04\x22\x4d\x18", 4, "it is lz4's: use lz4 -dc" },
		{ "\x78\x01", 2, "it looks like zlib's format (RFC 1950), not gzip's (RFC 1952)" },
		{ "\x78\x9c", 2, "it looks like zlib's format (RFC 1950), not gzip's (RFC 1952)" },
		{ "\x78\xda", 2, "it looks like zlib's format (RFC 1950), not gzip's (RFC 1952)" },
	};
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (result->first_count >= formats[i].count &&
		    memcmp(result->first_bytes, formats[i].bytes, formats[i].count) == 0)
			return formats[i].advice;
	return NULL;
}

static const char *header_advice(const struct inflate_result *result)
{
	const char *other = other_format(result);
	if (other)
		return other;
	if (result->offset_bytes > 2)
		return "it begins as gzip does, and then not: get it again";
	return "it is no gzip file: maybe it is not compressed at all";
}

/* A limit of libdeflate's own, and none that every engine has. */
static int is_too_much_to_hold(const struct inflate_result *result)
{
	if (strcmp(result->engine, "libdeflate") != 0)
		return 0;
	if (result->gzip_bytes > INFLATE_WHOLE_GZIP_BYTES_MAX)
		return 1;
	uint64_t offset = result->offset_bytes, free_bytes = INFLATE_INPUT_FREE_BYTES;
	if (result->members == INFLATE_MEMBER_COUNT_MAX ||
	    (offset > free_bytes &&
	     (offset - free_bytes) / INFLATE_INPUT_PER_PLAIN_MAX >= result->plain_bytes))
		return 0;
	/* Less cannot become so many plain bytes. */
	return result->gzip_bytes - offset >= INFLATE_WHOLE_PLAIN_BYTES_MAX / DEFLATE_PLAIN_PER_INPUT_MAX;
}

const char *inflate_advice(const struct inflate_result *result)
{
	switch (result->fault) {
	case FAULT_INFLATE_HEADER:
		return header_advice(result);
	case FAULT_INFLATE_TRUNCATED:
		return result->gzip_bytes == 0 ? "it is empty: whoever wrote it did not get that far"
					       : "it was cut, or is still being written: get the rest";
	case FAULT_INFLATE_TRAILING:
		return "the members in front of it are whole: gzip -dc ignores it, with a warning";
	case FAULT_INFLATE_LIMIT:
		if (is_too_much_to_hold(result))
			return "libdeflate holds a file, at most 256 MiB, and 2 GiB of plain bytes: others "
			       "stream";
		return "it looks made to cost time or memory: gzip -dc has no limits";
	case FAULT_INFLATE_CHECKSUM:
	case FAULT_INFLATE_SIZE:
		return "the damage is somewhere in this member: get it again, or from a copy";
	default:
		return "get it again, or from a copy: what lies in front of the damage can be decoded";
	}
}

void inflate_say_unreadable(const struct inflate_result *result)
{
	fprintf(stderr, "akamai-prof: inflate: cannot read %s: %s\n", result->name, strerror(result->error));
}

void inflate_fault_write(const struct inflate_result *result, FILE *out)
{
	fprintf(out,
		"%s, at byte %" PRIu64 ", after %" PRIu64 " plain bytes and %" PRIu64 " whole member%s; %s\n",
		fault_sentence(result->fault), result->offset_bytes, result->plain_bytes, result->members,
		result->members == 1 ? "" : "s", inflate_advice(result));
}

static void sizes_print(const struct inflate_result *result)
{
	printf("%" PRIu64 " bytes -> %" PRIu64 " (%.2f:1), %" PRIu64 " member%s", result->gzip_bytes,
	       result->plain_bytes, (double)result->plain_bytes / (double)result->gzip_bytes, result->members,
	       result->members == 1 ? "" : "s");
}

void inflate_result_print(const struct inflate_result *result)
{
	printf("%s: %s: ", result->name, result->fault == FAULT_NONE ? "OK" : "FAULT");
	if (result->fault != FAULT_NONE) {
		inflate_fault_write(result, stdout);
	} else {
		sizes_print(result);
		printf(", %s\n", result->engine);
	}
}

void inflate_bench_print(const struct inflate_bench *bench)
{
	printf("%s: ", bench->file.name);
	sizes_print(&bench->file);
	printf("; medians of %u round%s\n", bench->rounds, bench->rounds == 1 ? "" : "s");
	printf("  %-22s %8s %17s %8s %12s\n", "engine", "MB/s", "range", "to isal", "cycles/byte");
	for (size_t i = 0; i < bench->count; i++) {
		const struct inflate_contender *contender = &bench->contenders[i];
		char name[48], cycles[32] = "-", range[48];
		snprintf(name, sizeof name, "%s%s", contender->engine,
			 contender->streams == 2 ? ", two streams" : "");
		snprintf(range, sizeof range, "%.0f-%.0f", contender->low, contender->high);
		if (contender->cycles_per_byte > 0)
			snprintf(cycles, sizeof cycles, "%.2f", contender->cycles_per_byte);
		printf("  %-22s %8.0f %17s %8.2f %12s\n", name, contender->megabytes_per_second, range,
		       contender->ratio, cycles);
	}
	if (bench->is_too_large)
		puts("  libdeflate, which holds all of a file, cannot hold this one");
}
