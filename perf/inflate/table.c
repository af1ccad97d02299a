/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <string.h>

enum { FIRST_COLUMN = 32, CELLS = 24 };

static void head_write(const struct table *table, FILE *file)
{
	fprintf(file, "%s: %s (%.1f MB, CRC-32 %08x; medians of %zu rounds)", table->name, table->origin,
		(double)table->plain_bytes * 1e-6, table->checksum, table->rounds);
}

void table_text(const struct table *table, FILE *file)
{
	head_write(table, file);
	fprintf(file, "\n  %*s", FIRST_COLUMN, "");
	for (size_t i = 0; i < table->column_count; i++) {
		char text[NAME_BYTES_MAX + 32];
		snprintf(text, sizeof text, "%s (%.2f:1)", table->columns[i].name,
			 table->columns[i].compression);
		fprintf(file, "%*s", CELLS, text);
	}
	fprintf(file, "\n  %*s", FIRST_COLUMN, "");
	for (size_t i = 0; i < table->column_count; i++)
		fprintf(file, "%*s%7s%7s", CELLS - 14, "MB/s", "ratio", "c/B");
	for (size_t row = 0; row < table->contender_count; row++) {
		fprintf(file, "\n  %-*s", FIRST_COLUMN, table->contenders[row].name);
		for (size_t i = 0; i < table->column_count; i++) {
			const struct figures *figures = &table->columns[i].figures[row];
			fprintf(file, "%*.0f%7.2f", CELLS - 14, figures->megabytes_per_second,
				figures->ratio);
			if (figures->cycles_per_byte > 0)
				fprintf(file, "%7.2f", figures->cycles_per_byte);
			else
				fprintf(file, "%7s", "-");
		}
	}
	fprintf(file, "\n\n");
}

void table_json(const struct table *table, FILE *file)
{
	for (size_t i = 0; i < table->column_count; i++) {
		const struct column *column = &table->columns[i];
		for (size_t row = 0; row < table->contender_count; row++) {
			const struct contender *contender = &table->contenders[row];
			const struct figures *figures = &column->figures[row];
			fprintf(file,
				"{\"bench\":\"inflate\",\"data\":\"%s\",\"case\":\"%s\",\"contender\":\"%s\","
				"\"in_bytes\":%zu,\"out_bytes\":%zu,\"megabytes\":%.1f,\"crc32\":\"%08x\","
				"\"compression\":%.3f,\"rounds\":%zu,\"megabytes_per_second\":%.1f,"
				"\"ratio\":%.4f,",
				table->name, column->name, contender->name, contender->in_bytes,
				contender->out_bytes, (double)table->plain_bytes * 1e-6, table->checksum,
				column->compression, table->rounds, figures->megabytes_per_second,
				figures->ratio);
			if (figures->cycles_per_byte > 0)
				fprintf(file, "\"tsc_cycles_per_byte\":%.4f}\n", figures->cycles_per_byte);
			else
				fprintf(file, "\"tsc_cycles_per_byte\":null}\n");
		}
	}
}

void table_markdown(const struct table *table, FILE *file)
{
	head_write(table, file);
	fprintf(file, "; c/B: time-stamp counter's cycles a byte:\n\n| decoder |");
	for (size_t i = 0; i < table->column_count; i++)
		fprintf(file, " %s (%.2f:1), MB/s | ratio | c/B |", table->columns[i].name,
			table->columns[i].compression);
	fprintf(file, "\n|---|");
	for (size_t i = 0; i < table->column_count; i++)
		fprintf(file, "---:|---:|---:|");
	for (size_t row = 0; row < table->contender_count; row++) {
		fprintf(file, "\n| %s |", table->contenders[row].name);
		for (size_t i = 0; i < table->column_count; i++) {
			const struct figures *figures = &table->columns[i].figures[row];
			fprintf(file, " %.0f | %.2f | ", figures->megabytes_per_second, figures->ratio);
			if (figures->cycles_per_byte > 0)
				fprintf(file, "%.2f |", figures->cycles_per_byte);
			else
				fprintf(file, "- |");
		}
	}
	fprintf(file, "\n\n");
}
