/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* qsort_r() */
#include "report/tree.h"

#include <stdlib.h>
#include <string.h>

static uint32_t add_node(struct tree *tree, uint32_t parent, uint32_t frame)
{
	tree->nodes = room_for(tree->nodes, &tree->node_room, tree->count, 1, sizeof *tree->nodes);
	tree->nodes[tree->count] = (struct tree_node){
		.parent = parent, .frame = frame, .depth = tree->count ? tree->nodes[parent].depth + 1 : 0
	};
	return (uint32_t)tree->count++;
}

static uint32_t hash_of(uint32_t parent, uint32_t frame)
{
	return hash_finish(hash_word(0, (uint64_t)parent << 32 | frame));
}

uint32_t tree_child(const struct tree *tree, uint32_t parent, uint32_t frame)
{
	uint32_t hash = hash_of(parent, frame);
	size_t at = hash;
	for (uint32_t id; (id = table_next(&tree->table, hash, &at));)
		if (tree->nodes[id].parent == parent && tree->nodes[id].frame == frame)
			return id;
	return 0;
}

static uint32_t child_of(struct tree *tree, uint32_t parent, uint32_t frame)
{
	uint32_t child = tree_child(tree, parent, frame);
	if (child)
		return child;
	uint32_t added = add_node(tree, parent, frame);
	table_insert(&tree->table, hash_of(parent, frame), added);
	return added;
}

/* Sums of hostile files stop at the top instead of wrapping. */
static void add_value(int64_t *sum, int64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = INT64_MAX;
}

uint32_t tree_label_frame(struct frames *frames, const char *text)
{
	struct frame frame = {
		.name = text && *text ? text : "(none)", .module = "", .file = "", .kind = FRAME_LABEL
	};
	return frames_number(frames, &frame);
}

static void add_sample(struct tree *tree, const struct pprof_sample *sample, int64_t value, const char *label)
{
	uint32_t numbers[FRAMES_DEPTH_MAX];
	size_t count = frames_of_sample(tree->frames, sample, numbers);
	uint32_t node = 0;
	add_value(&tree->nodes[0].total, value);
	if (label) {
		const char *text = pprof_label_text(tree->frames->profile, sample, label);
		node = child_of(tree, 0, tree_label_frame(tree->frames, text));
		add_value(&tree->nodes[node].total, value);
	}
	for (size_t i = 0; i < count; i++) {
		node = child_of(tree, node, numbers[i]);
		add_value(&tree->nodes[node].total, value);
	}
	add_value(&tree->nodes[node].self, value);
}

struct tree *tree_create(struct frames *frames, int value_index, const char *label)
{
	struct tree *tree = report_allocate(1, sizeof *tree);
	struct frame root = { .name = "all", .module = "", .file = "", .kind = FRAME_LABEL };
	tree->frames = frames;
	add_node(tree, 0, frames_number(frames, &root));
	for (size_t i = 0; value_index >= 0 && i < frames->profile->sample_count; i++) {
		const struct pprof_sample *sample = &frames->profile->samples[i];
		if (sample->values[value_index] > 0)
			add_sample(tree, sample, sample->values[value_index], label);
	}
	return tree;
}

void tree_destroy(struct tree *tree)
{
	if (!tree)
		return;
	free(tree->nodes);
	table_destroy(&tree->table);
	free(tree->kept);
	free(tree);
}

struct rest {
	int64_t total;
	uint32_t count;
};

/* What each kept parent loses at this threshold; returns how many rectangles there would be. */
static size_t sum_rests(const struct tree *tree, int64_t threshold, struct rest *rests)
{
	size_t rectangles = 0;
	memset(rests, 0, tree->count * sizeof *rests);
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		if (node->total >= threshold || i == 0) {
			rectangles++;
		} else if (tree->nodes[node->parent].total >= threshold) {
			struct rest *rest = &rests[node->parent];
			int64_t before = rest->total;
			add_value(&rest->total, node->total);
			rest->count++;
			rectangles += before < threshold && rest->total >= threshold;
		}
	}
	return rectangles;
}

static int64_t choose_threshold(const struct tree *tree, size_t rectangles_max, struct rest *rests)
{
	double least = (double)tree->nodes[0].total * TREE_SHARE_MIN;
	int64_t threshold = least > 1 ? (int64_t)least : 1;
	/* Above half of the total at most one node a row is left, so this ends. */
	while (sum_rests(tree, threshold, rests) > rectangles_max && threshold < tree->nodes[0].total)
		threshold = threshold > INT64_MAX / 2 ? INT64_MAX : threshold * 2;
	return threshold;
}

static void keep(struct tree *tree, int64_t threshold, const struct rest *rests)
{
	size_t own_count = tree->count, kept_room = 0;
	struct frame frame = { .name = "\u2026", .module = "", .file = "", .kind = FRAME_LABEL };
	uint32_t rest_frame = frames_number(tree->frames, &frame);
	for (size_t i = 0; i < own_count; i++) {
		if (i && tree->nodes[i].total < threshold)
			continue;
		uint32_t both[2] = { (uint32_t)i, 0 };
		if (rests[i].total >= threshold) {
			both[1] = add_node(tree, (uint32_t)i, rest_frame);
			tree->nodes[both[1]].total = rests[i].total;
			tree->nodes[both[1]].merged = rests[i].count;
		}
		tree->kept = room_for(tree->kept, &kept_room, tree->kept_count, 2, sizeof *tree->kept);
		for (size_t k = 0; k < 1 + (both[1] > 0); k++) {
			tree->kept[tree->kept_count++] = both[k];
			if (tree->nodes[both[k]].depth > tree->depth_max)
				tree->depth_max = tree->nodes[both[k]].depth;
		}
	}
}

static int compare(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

/* Siblings together, parents' groups in the order in which parents were made; in a group by name, what was
 * merged last. */
static int by_family(const void *left, const void *right, void *owner)
{
	const struct tree *tree = owner;
	uint32_t left_index = *(const uint32_t *)left, right_index = *(const uint32_t *)right;
	const struct tree_node *a = &tree->nodes[left_index], *b = &tree->nodes[right_index];
	if (a->parent != b->parent || !left_index || !right_index)
		return left_index && right_index ? compare(a->parent, b->parent)
						 : compare(left_index, right_index);
	if (!a->merged != !b->merged)
		return a->merged ? 1 : -1;
	const struct frame *af = &tree->frames->frames[a->frame], *bf = &tree->frames->frames[b->frame];
	int order = strcmp(af->name, bf->name);
	if (!order)
		order = strcmp(af->module, bf->module);
	return order ? order : compare(af->inlined, bf->inlined);
}

static int by_place(const void *left, const void *right, void *owner)
{
	const struct tree *tree = owner;
	const struct tree_node *a = &tree->nodes[*(const uint32_t *)left],
			       *b = &tree->nodes[*(const uint32_t *)right];
	if (a->depth != b->depth)
		return compare(a->depth, b->depth);
	return a->x < b->x ? -1 : a->x > b->x;
}

void tree_layout(struct tree *tree, size_t rectangles_max)
{
	struct rest *rests = report_allocate(tree->count, sizeof *rests);
	keep(tree, choose_threshold(tree, rectangles_max, rests), rests);
	free(rests);
	qsort_r(tree->kept, tree->kept_count, sizeof *tree->kept, by_family, tree);
	double whole = (double)tree->nodes[0].total, x = 0;
	uint32_t family = UINT32_MAX;
	tree->nodes[0].width = 1;
	/* A parent's group comes before its children's: parents have lower numbers. */
	for (size_t i = 1; i < tree->kept_count; i++) {
		struct tree_node *node = &tree->nodes[tree->kept[i]];
		const struct tree_node *parent = &tree->nodes[node->parent];
		if (node->parent != family)
			x = parent->x;
		family = node->parent;
		double left = parent->x + parent->width - x;
		node->x = x;
		node->width = (double)node->total / whole;
		if (node->width > left)
			node->width = left > 0 ? left : 0; /* sums that stopped at the top */
		x += node->width;
	}
	qsort_r(tree->kept, tree->kept_count, sizeof *tree->kept, by_place, tree);
}
