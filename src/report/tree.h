/* SPDX-License-Identifier: Apache-2.0
 *
 * tree: samples merged by their paths from the root, and where each node lies in a picture. Internal to
 * report.
 */
#ifndef REPORT_TREE_H
#define REPORT_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "report/frames.h"

#define TREE_SHARE_MIN                                                                                       \
	0.001 /* of the total: narrower ones are 1 pixel in 1200 and only make the file large */
#define TREE_RECTANGLES_MAX 20000 /* browsers stay fluent up to about that many */

struct tree_node {
	uint32_t parent; /* the root's is 0, itself */
	uint32_t frame;	 /* number in frames */
	uint32_t depth;	 /* the root's is 0 */
	uint32_t merged; /* > 0: stands for so many narrow siblings */
	int64_t total;	 /* it and what it calls */
	int64_t self;
	double x, width; /* of the root's width, which is 1; after tree_layout() */
};

struct tree {
	struct frames *frames;	 /* lent */
	struct tree_node *nodes; /* parents before children; [0] is the root */
	size_t count;
	/* What tree_layout() keeps: node numbers row by row, each row from the left. */
	uint32_t *kept;
	size_t kept_count;
	uint32_t depth_max;
	/* private */
	struct table table; /* index of a node; the root is not in it */
	size_t node_room;
};

/* Only values above 0 count. `label` may be NULL. */
struct tree *tree_create(struct frames *frames, int value_index, const char *label);
void tree_destroy(struct tree *tree);
/* The child with this frame; 0: there is none. */
uint32_t tree_child(const struct tree *tree, uint32_t parent, uint32_t frame);
/* The number of the frame that stands for a label's value (NULL: it has none) in the lowest row. */
uint32_t tree_label_frame(struct frames *frames, const char *text);
/* Drops narrow nodes, merges siblings that are too narrow alone, orders by name. Once. */
void tree_layout(struct tree *tree, size_t rectangles_max);

#endif
