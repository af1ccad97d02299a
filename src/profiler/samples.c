/* SPDX-License-Identifier: Apache-2.0 */
#include "profiler/samples.h"

#include <stdlib.h>
#include <string.h>

#include "profiler/internal.h"

static size_t frames_of(const struct record *record)
{
	return (size_t)record->kernel_frames + record->user_frames + record->interpreter_frames;
}

static uint32_t record_hash(const struct record *record)
{
	uint64_t hash = hash_word((uint64_t)record->kind << 32 | record->tgid,
				  (uint64_t)record->tid << 32 | record->stage);
	hash = hash_bytes(hash_word(hash, record->generation), record->comm, sizeof record->comm);
	return hash_finish(hash_bytes(hash, record->frames, 8 * frames_of(record)));
}

static int record_is(const struct record *a, const struct record *b)
{
	return a->kind == b->kind && a->tgid == b->tgid && a->tid == b->tid && a->stage == b->stage &&
	       a->generation == b->generation && a->stop == b->stop && a->scanned == b->scanned &&
	       a->kernel_frames == b->kernel_frames && a->user_frames == b->user_frames &&
	       a->interpreter_frames == b->interpreter_frames &&
	       memcmp(a->comm, b->comm, sizeof a->comm) == 0 &&
	       memcmp(a->frames, b->frames, 8 * frames_of(a)) == 0;
}

const struct record *samples_add(struct samples *samples, const struct record *record)
{
	uint32_t hash = record_hash(record);
	size_t at = hash;
	for (uint32_t id; (id = table_next(&samples->table, hash, &at));) {
		struct record *known = samples->records[id - 1];
		if (!record_is(known, record))
			continue;
		known->weight += record->weight;
		known->count += record->count;
		return known;
	}
	if (samples->count == SAMPLES_MAX) {
		samples->dropped++;
		return NULL;
	}
	samples->records =
		room_for(samples->records, &samples->max, samples->count, 1, sizeof *samples->records);
	struct record *copy = malloc(record_bytes(record));
	if (!copy)
		abort();
	memcpy(copy, record, record_bytes(record));
	samples->records[samples->count++] = copy;
	table_insert(&samples->table, hash, (uint32_t)samples->count);
	return copy;
}

void samples_finish(struct samples *samples)
{
	for (size_t i = 0; i < samples->count; i++)
		free(samples->records[i]);
	free(samples->records);
	table_destroy(&samples->table);
	*samples = (struct samples){ 0 };
}
