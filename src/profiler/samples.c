/* SPDX-License-Identifier: Apache-2.0 */
#include "profiler/samples.h"

#include <stdlib.h>
#include <string.h>

#include "profiler/internal.h"

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;
	for (; count >= 8; count -= 8, at += 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	for (; count; count--, at++)
		hash = (hash ^ *at) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

static size_t frames_of(const struct record *record)
{
	return (size_t)record->kernel_frames + record->user_frames;
}

static uint64_t record_hash(const struct record *record)
{
	uint64_t hash = (uint64_t)record->kind << 32 | record->tgid;
	hash = hash_bytes(hash, &record->tid, sizeof record->tid);
	hash = hash_bytes(hash, &record->stage, sizeof record->stage);
	hash = hash_bytes(hash, record->comm, sizeof record->comm);
	return hash_bytes(hash ^ record->generation, record->frames, 8 * frames_of(record));
}

static int record_is(const struct record *a, const struct record *b)
{
	return a->kind == b->kind && a->tgid == b->tgid && a->tid == b->tid && a->stage == b->stage &&
	       a->generation == b->generation && a->stop == b->stop && a->scanned == b->scanned &&
	       a->kernel_frames == b->kernel_frames && a->user_frames == b->user_frames &&
	       memcmp(a->comm, b->comm, sizeof a->comm) == 0 &&
	       memcmp(a->frames, b->frames, 8 * frames_of(a)) == 0;
}

static void samples_rehash(struct samples *samples, size_t slot_count)
{
	free(samples->slots);
	samples->slots = calloc(slot_count, sizeof *samples->slots);
	if (!samples->slots)
		abort();
	samples->slot_count = slot_count;
	for (size_t i = 0; i < samples->count; i++) {
		size_t slot = record_hash(samples->records[i]) & (slot_count - 1);
		while (samples->slots[slot])
			slot = (slot + 1) & (slot_count - 1);
		samples->slots[slot] = (uint32_t)(i + 1);
	}
}

const struct record *samples_add(struct samples *samples, const struct record *record)
{
	if (2 * (samples->count + 1) > samples->slot_count)
		samples_rehash(samples, samples->slot_count ? 2 * samples->slot_count : 1024);
	size_t slot = record_hash(record) & (samples->slot_count - 1);
	for (; samples->slots[slot]; slot = (slot + 1) & (samples->slot_count - 1)) {
		struct record *known = samples->records[samples->slots[slot] - 1];
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
		memory_grow(samples->records, &samples->max, samples->count, sizeof *samples->records);
	struct record *copy = malloc(record_bytes(record));
	if (!copy)
		abort();
	memcpy(copy, record, record_bytes(record));
	samples->records[samples->count++] = copy;
	samples->slots[slot] = (uint32_t)samples->count;
	return copy;
}

void samples_finish(struct samples *samples)
{
	for (size_t i = 0; i < samples->count; i++)
		free(samples->records[i]);
	free(samples->records);
	free(samples->slots);
	*samples = (struct samples){ 0 };
}
