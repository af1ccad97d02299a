/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap's state at one moment: totals by site, and what is live, summed by site.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/clock.h"
#include "profiler/internal.h"

enum { BATCH = 4096 };

static double heap_weight(uint64_t bytes, uint64_t rate_bytes)
{
	if (rate_bytes <= 1)
		return 1;
	double x = (double)(bytes ? bytes : 1) / (double)rate_bytes;
	return 1 / -expm1(-x);
}

void heap_scale(const struct profiler *profiler, const struct heap_site_state *state,
		struct heap_scaled *ret_scaled)
{
	int exact = profiler->options.heap_rate_bytes <= 1;
	*ret_scaled = (struct heap_scaled){
		.alloc_objects =
			exact ? (double)state->total.objects : (double)state->total.weighted_objects / 1000,
		.alloc_bytes = (double)(exact ? state->total.bytes : state->total.weighted_bytes),
		.inuse_objects = state->live_objects,
		.inuse_bytes = state->live_bytes,
	};
}

/* Sites by their identity. */
struct site_index {
	struct heap_snapshot *snapshot;
	size_t sites_max;
	struct table table; /* index + 1 */
};

static struct heap_site_state *index_site(struct site_index *index, const struct heap_site *site)
{
	struct heap_snapshot *snapshot = index->snapshot;
	uint32_t hash = hash_finish(hash_bytes(0, site, sizeof *site));
	size_t at = hash;
	for (uint32_t id; (id = table_next(&index->table, hash, &at));)
		if (memcmp(&snapshot->sites[id - 1].site, site, sizeof *site) == 0)
			return &snapshot->sites[id - 1];
	snapshot->sites = room_for(snapshot->sites, &index->sites_max, snapshot->site_count, 1,
				   sizeof *snapshot->sites);
	struct heap_site_state *added = &snapshot->sites[snapshot->site_count++];
	*added = (struct heap_site_state){ .site = *site };
	table_insert(&index->table, hash, (uint32_t)snapshot->site_count);
	return added;
}

/* Calls `each` for all entries of a hash map; entries that come and go meanwhile may be missed. */
static int map_each(int fd, size_t key_bytes, size_t value_bytes,
		    void (*each)(void *owner, const void *key, const void *value), void *owner)
{
	uint64_t cursor = 0; /* the batch calls of hash maps keep a bucket number there */
	uint8_t *keys = malloc(BATCH * key_bytes);
	uint8_t *values = malloc(BATCH * value_bytes);
	int code = keys && values ? 0 : -ENOMEM;
	for (int first = 1; !code; first = 0) {
		uint32_t count = BATCH;
		uint64_t next = 0;
		int result =
			bpf_map_lookup_batch(fd, first ? NULL : &cursor, &next, keys, values, &count, NULL);
		if (result < 0 && errno != ENOENT)
			code = -errno;
		for (uint32_t i = 0; !code && i < count; i++)
			each(owner, keys + i * key_bytes, values + i * value_bytes);
		if (result < 0)
			break;
		cursor = next;
	}
	free(keys);
	free(values);
	return code;
}

static void each_site(void *owner, const void *key, const void *value)
{
	struct heap_site site;
	memcpy(&site, key, sizeof site);
	memcpy(&index_site(owner, &site)->total, value, sizeof(struct heap_total));
}

struct live_sum {
	struct site_index *index;
	uint64_t rate_bytes;
};

static void each_live(void *owner, const void *key, const void *value)
{
	const struct live_sum *sum = owner;
	struct heap_live live;
	(void)key;
	memcpy(&live, value, sizeof live);
	struct heap_site_state *site = index_site(sum->index, &live.site);
	double weight = heap_weight(live.bytes, sum->rate_bytes);
	site->live_objects += weight;
	site->live_bytes += weight * (double)live.bytes;
}

struct forgotten {
	const struct profiler *profiler;
	struct heap_live_key *keys;
	size_t count, max;
};

static int by_tgid(const void *a, const void *b)
{
	uint32_t left = ((const struct heap_forget *)a)->tgid;
	uint32_t right = ((const struct heap_forget *)b)->tgid;
	return left < right ? -1 : left > right;
}

static void each_forget(void *owner, const void *key, const void *value)
{
	struct forgotten *forgotten = owner;
	struct heap_live_key live;
	(void)value;
	memcpy(&live, key, sizeof live);
	struct heap_forget wanted = { .tgid = live.tgid };
	const struct heap_forget *found = bsearch(&wanted, forgotten->profiler->forgets,
						  forgotten->profiler->forget_count, sizeof wanted, by_tgid);
	if (!found || live.epoch >= found->epoch)
		return;
	forgotten->keys =
		room_for(forgotten->keys, &forgotten->max, forgotten->count, 1, sizeof *forgotten->keys);
	forgotten->keys[forgotten->count++] = live;
}

void heap_forget_process(struct profiler *profiler, uint32_t tgid, uint32_t epoch)
{
	if (!profiler->heap_was_tracked)
		return;
	for (size_t i = 0; i < profiler->forget_count; i++)
		if (profiler->forgets[i].tgid == tgid) {
			profiler->forgets[i].epoch = epoch;
			return;
		}
	profiler->forgets = room_for(profiler->forgets, &profiler->forgets_max, profiler->forget_count, 1,
				     sizeof *profiler->forgets);
	profiler->forgets[profiler->forget_count++] = (struct heap_forget){ .tgid = tgid, .epoch = epoch };
}

void heap_forget_now(struct profiler *profiler)
{
	int fd = map_fd_of(profiler, "heap_live");
	struct forgotten forgotten = { .profiler = profiler };
	profiler->forgot_at_ns = clock_monotonic_ns();
	if (!profiler->forget_count)
		return;
	qsort(profiler->forgets, profiler->forget_count, sizeof *profiler->forgets, by_tgid);
	map_each(fd, sizeof(struct heap_live_key), sizeof(struct heap_live), each_forget, &forgotten);
	for (size_t i = 0; i < forgotten.count; i++)
		bpf_map_delete_elem(fd, &forgotten.keys[i]);
	free(forgotten.keys);
	profiler->forget_count = 0;
}

struct mark {
	uint8_t *wanted;
	size_t count;
};

static void each_mark(void *owner, const void *key, const void *value)
{
	const struct mark *mark = owner;
	struct heap_stack stack;
	(void)key;
	memcpy(&stack, value, offsetof(struct heap_stack, frames));
	if (stack.generation < mark->count)
		mark->wanted[stack.generation] = 1;
}

int heap_mark_generations(const struct profiler *profiler, uint8_t *wanted, size_t count)
{
	struct mark mark = { wanted, count };
	return map_each(map_fd_of(profiler, "heap_stacks"), sizeof(struct heap_stack_key),
			sizeof(struct heap_stack), each_mark, &mark);
}

int heap_take_snapshot(struct profiler *profiler, struct heap_snapshot *snapshot)
{
	struct site_index index = { .snapshot = snapshot };
	struct live_sum sum = { .index = &index, .rate_bytes = profiler->options.heap_rate_bytes };
	heap_forget_now(profiler);
	snapshot->at_ns = clock_monotonic_ns();
	snapshot->at_unix_ns = clock_unix_ns();
	snapshot->memory_count = memory_sites(profiler->memory, &snapshot->memory, &snapshot->mapped_bytes);
	int code = map_each(map_fd_of(profiler, "heap_live"), sizeof(struct heap_live_key),
			    sizeof(struct heap_live), each_live, &sum);
	if (!code)
		code = map_each(map_fd_of(profiler, "heap_sites"), sizeof(struct heap_site),
				sizeof(struct heap_total), each_site, &index);
	table_destroy(&index.table);
	return code;
}
