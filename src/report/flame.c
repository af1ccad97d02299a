/* SPDX-License-Identifier: Apache-2.0
 *
 * Flame graphs as SVG: one rectangle for each function called from the one below it, as wide as its share.
 * Root at the bottom; on top for allocations (an icicle), whose roots are the interesting end. flame.css
 * colours, flame.js zooms and searches.
 */
#include "report/flame.h"

#include <string.h>

#include "report/assets.h"
#include "report/text.h"
#include "report/tree.h"

enum {
	WIDTH = 1200,
	MARGIN_ALONE = 10,
	MARGIN_ELEMENT = 1, /* half a stroke: the page has its own */
	ROW = 18,
	PADDING = 3,
	TOP_ALONE = 62,	  /* heading or controls, information */
	TOP_ELEMENT = 54, /* controls, information */
	BOTTOM_ALONE = 38,
	BOTTOM_ELEMENT = 8,
	EMPTY_ROWS = 3,
	CHARACTERS_MIN = 3, /* below that a name says nothing */
};
/* 12 pixels of the common fixed-width fonts, rounded up. */
static const double character_width = 7.25;
/* Below that a rectangle has no border. As in flame.js. */
static const double thin_width = 2.5;

struct picture {
	FILE *out;
	const struct tree *tree;
	const struct flame_options *options;
	const struct flame_dress *dress; /* NULL: plain */
	const char *unit;
	int alone, icicle;
	int margin, top, height;
};

static int is_icicle(const struct pprof *profile, int value_index)
{
	if (value_index < 0)
		return 0;
	const char *type = pprof_text(profile, profile->value_types[value_index].type);
	return !strncmp(type, "alloc_", 6) || !strncmp(type, "inuse_", 6);
}

/* Coordinates without trailing zeros: they are a third of the file. */
static const char *coordinate(double value, char text[static TEXT_BYTES_MAX])
{
	int length = snprintf(text, TEXT_BYTES_MAX, "%.3f", value);
	while (length > 0 && text[length - 1] == '0')
		text[--length] = 0;
	if (length > 0 && text[length - 1] == '.')
		text[--length] = 0;
	return text;
}

/* A small share has a "<" in it, which is markup in a picture alone. */
static void write_amount(const struct picture *picture, int64_t value)
{
	char text[TEXT_BYTES_MAX];
	double whole = (double)picture->tree->nodes[0].total;
	fprintf(picture->out, "%s, ", text_value((double)value, picture->unit, text));
	text_escape(picture->out, text_share((double)value, whole, text), TEXT_WHOLE);
}

static void write_amounts(const struct picture *picture, const struct tree_node *node)
{
	fputc('\n', picture->out);
	write_amount(picture, node->total);
	if (node->self > 0 && node->self != node->total) {
		fputs(", itself ", picture->out);
		write_amount(picture, node->self);
	}
}

/* Name, then what it took, then where it is from; a line each. */
static void write_tooltip(const struct picture *picture, const struct tree_node *node,
			  const struct frame *frame)
{
	fputs("<title>", picture->out);
	if (node->merged)
		fprintf(picture->out, "%u more, each below %.1f\u00a0%% of all or hidden for brevity",
			node->merged, TREE_SHARE_MIN * 100);
	else
		text_escape(picture->out, frame->name, TEXT_WHOLE);
	if (picture->dress)
		picture->dress->tell(picture->dress->owner, (uint32_t)(node - picture->tree->nodes),
				     picture->out);
	else
		write_amounts(picture, node);
	if (*frame->module || frame->inlined || *frame->file) {
		fputc('\n', picture->out);
		text_escape(picture->out, frame->module, TEXT_WHOLE);
		fputs(frame->inlined ? " (inlined)" : "", picture->out);
		if (*frame->file) {
			fputs(*frame->module || frame->inlined ? ", " : "", picture->out);
			text_escape(picture->out, frame->file, TEXT_WHOLE);
		}
	}
	fputs("</title>", picture->out);
}

static void write_node(const struct picture *picture, const struct tree_node *node)
{
	FILE *out = picture->out;
	const struct frame *frame = &picture->tree->frames->frames[node->frame];
	char x[TEXT_BYTES_MAX], width[TEXT_BYTES_MAX];
	double inner = WIDTH - 2 * picture->margin, left = picture->margin + node->x * inner;
	uint32_t row = picture->icicle ? node->depth : picture->tree->depth_max - node->depth;
	unsigned y = (unsigned)picture->top + row * ROW;
	const char *class = frame_kind_class(frame->kind), *inlined = frame->inlined ? " i" : "";
	if (picture->dress) {
		class = picture->dress->class_of(picture->dress->owner,
						 (uint32_t)(node - picture->tree->nodes));
		inlined = "";
	}
	fprintf(out, "<g class=\"f %s%s%s\">", class, inlined,
		node->width * inner < thin_width ? " thin" : "");
	write_tooltip(picture, node, frame);
	fprintf(out, "<rect x=\"%s\" y=\"%u\" width=\"%s\" height=\"%d\" rx=\"2\"/>", coordinate(left, x), y,
		coordinate(node->width * inner, width), ROW);
	double characters = (node->width * inner - 2 * PADDING) / character_width;
	if (characters >= CHARACTERS_MIN) {
		fprintf(out, "<text x=\"%s\" y=\"%u\">", coordinate(left + PADDING, x), y + ROW - 5);
		text_escape(out, frame->name, (size_t)characters);
		fputs("</text>", out);
	}
	fputs("</g>\n", out);
}

/* What the colours mean; only those that occur. */
static void write_keys(const struct picture *picture)
{
	int seen[FRAME_KIND_COUNT][2] = { 0 };
	for (size_t i = 0; i < picture->tree->kept_count; i++) {
		const struct frame *frame =
			&picture->tree->frames->frames[picture->tree->nodes[picture->tree->kept[i]].frame];
		seen[frame->kind][frame->inlined]++;
	}
	int x = picture->margin, y = picture->height - 13;
	fputs("<g class=\"keys\">\n", picture->out);
	for (unsigned kind = 0; kind < FRAME_LABEL; kind++) {
		for (int inlined = 0; inlined < 2; inlined++) {
			if (!seen[kind][inlined])
				continue;
			const char *title = frame_kind_title(kind);
			fprintf(picture->out,
				"<g class=\"%s%s\"><rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" "
				"rx=\"2\"/>"
				"<text class=\"key\" x=\"%d\" y=\"%d\">%s%s</text></g>\n",
				frame_kind_class(kind), inlined ? " i" : "", x, y - 10, x + 18, y, title,
				inlined ? ", inlined" : "");
			x += 40 + (int)(strlen(title) + (inlined ? 9 : 0)) * 7;
		}
	}
	fputs("</g>\n", picture->out);
}

static void write_open(const struct picture *picture)
{
	FILE *out = picture->out;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"flame\" viewBox=\"0 0 %d %d\" "
		"width=\"%d\" height=\"%d\""
		" preserveAspectRatio=\"xMinYMin meet\" role=\"group\" aria-label=\"Flame graph: ",
		WIDTH, picture->height, WIDTH, picture->height);
	text_escape(out, picture->options->title, TEXT_WHOLE);
	fputs("\">\n", out);
	if (picture->alone)
		fprintf(out,
			"<style>\n%s</style>\n<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n",
			asset_flame_css);
}

/* Above the frames in the file's order, too: in a tall picture the script moves it along. */
static void write_head(const struct picture *picture)
{
	FILE *out = picture->out;
	fputs("<g class=\"head\">\n", out);
	if (picture->alone) {
		fprintf(out,
			"<rect class=\"paper\" width=\"100%%\" height=\"%d\"/>\n<text class=\"heading\" "
			"x=\"%d\" y=\"24\">",
			picture->top - 4, picture->margin);
		text_escape(out, picture->options->title, TEXT_WHOLE);
		fputs("</text>\n", out);
	}
	fprintf(out, "<text class=\"info\" x=\"%d\" y=\"%d\">", picture->margin, picture->top - 12);
	text_escape(out, picture->options->subtitle, TEXT_WHOLE);
	fputs("</text>\n</g>\n", out);
}

static void write_picture(struct picture *picture)
{
	const struct tree *tree = picture->tree;
	int empty = tree->nodes[0].total <= 0;
	unsigned rows = empty ? EMPTY_ROWS : tree->depth_max + 1;
	picture->margin = picture->alone ? MARGIN_ALONE : MARGIN_ELEMENT;
	picture->top = picture->alone ? TOP_ALONE : TOP_ELEMENT;
	picture->height = picture->top + (int)rows * ROW + (picture->alone ? BOTTOM_ALONE : BOTTOM_ELEMENT);
	write_open(picture);
	if (empty) {
		fprintf(picture->out,
			"<text class=\"key\" x=\"%d\" y=\"%d\">Nothing was counted here: the profile has no "
			"samples of this kind.</text>\n",
			picture->margin, picture->top + ROW);
	} else {
		for (size_t i = 0; i < tree->kept_count; i++)
			write_node(picture, &tree->nodes[tree->kept[i]]);
		if (picture->alone)
			write_keys(picture);
	}
	write_head(picture);
	if (picture->alone)
		fprintf(picture->out,
			"<script><![CDATA[\n%sflame(document.currentScript.closest(\"svg\"));\n]]></"
			"script>\n",
			asset_flame_js);
	fputs("</svg>\n", picture->out);
}

static int flame_write_as(const struct pprof *profile, const struct flame_options *options, FILE *out,
			  int alone)
{
	struct frames *frames = frames_create(profile);
	int value_index = options->value_index < (int)profile->value_count ? options->value_index : -1;
	struct tree *tree = tree_create(frames, value_index, options->label);
	struct picture picture = { .out = out, .tree = tree, .options = options, .unit = "", .alone = alone };
	tree_layout(tree, TREE_RECTANGLES_MAX);
	if (value_index >= 0)
		picture.unit = pprof_text(profile, profile->value_types[value_index].unit);
	picture.icicle = is_icicle(profile, value_index);
	write_picture(&picture);
	tree_destroy(tree);
	frames_destroy(frames);
	return ferror(out) ? -1 : 0;
}

int flame_write_tree(const struct tree *tree, const struct flame_options *options, const char *unit,
		     const struct flame_dress *dress, FILE *out)
{
	struct picture picture = {
		.out = out, .tree = tree, .options = options, .dress = dress, .unit = unit
	};
	picture.icicle = !strcmp(unit, "bytes");
	write_picture(&picture);
	return ferror(out) ? -1 : 0;
}

int flame_write(const struct pprof *profile, const struct flame_options *options, FILE *out)
{
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
	return flame_write_as(profile, options, out, 1);
}

int flame_write_element(const struct pprof *profile, const struct flame_options *options, FILE *out)
{
	return flame_write_as(profile, options, out, 0);
}
