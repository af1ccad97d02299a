/* SPDX-License-Identifier: Apache-2.0
 *
 * The fast loop in C: the reference of own_x86_64.S, line by line, and what other processors run. README.md
 * explains it. Steps go in pairs, because of two steps at most one ends a match: one copy serves both.
 */
#include "inflate/own.h"

/* Whether a code is read as a literal, a length or a distance is no branch: its entry says which table is
 * next. */
struct stepped {
	intptr_t value;	  /* minus a distance, or minus (a length + 2049); above 0: an exception */
	uintptr_t length; /* that now waits for its distance, or 0 */
	unsigned literal_count;
	uint16_t literals;
};

/* Where a loop is. */
struct walk {
	const uint8_t *in;
	uint8_t *out;
	uint64_t bits, spent;
	uintptr_t pending;
	const uint8_t *litlen;
	const uint8_t *table; /* of the next lookup */
};

enum { INDEX_MASK = ((1 << OWN_LITLEN_BITS) - 1) << OWN_INDEX_SHIFT, COPY_BYTES = 64, OVERLAP_BYTES = 32 };

#define INLINE static inline __attribute__((always_inline))

INLINE struct stepped walk_step(struct walk *walk)
{
	own_entry entry;
	memcpy(&entry, walk->table + (walk->bits & INDEX_MASK), sizeof entry);
	unsigned total_bits = own_total_bits(entry);
	uint64_t extra =
		(walk->bits & ((UINT64_C(1) << OWN_INDEX_SHIFT << total_bits) - 1)) >> (entry >> 8 & 63);
	int16_t next = (int16_t)(entry >> 32);
	walk->bits >>= total_bits;
	walk->spent += total_bits;
	walk->table = walk->litlen + next;
	struct stepped stepped = { .value = (int16_t)(entry >> 48) - (intptr_t)extra };
	stepped.length = (uintptr_t)(~stepped.value & next);
	stepped.literal_count = entry >> 14 & 3;
	stepped.literals = (uint16_t)(entry >> 16);
	return stepped;
}

/* Always two bytes: what is no literal is written over. */
INLINE void walk_literals(struct walk *walk, const struct stepped *stepped)
{
	memcpy(walk->out, &stepped->literals, sizeof stepped->literals);
	walk->out += stepped->literal_count;
}

INLINE void walk_copy(uint8_t *out, const uint8_t *from)
{
	uint8_t bytes[COPY_BYTES];
	memcpy(bytes, from, COPY_BYTES);
	memcpy(out, bytes, COPY_BYTES);
}

/* A match that reaches into itself: each copy doubles the distance from which the pattern can be had. */
static void walk_overlap(uint8_t *out, intptr_t value, size_t count)
{
	const uint8_t *end = out + count;
	while (out < end) {
		uint8_t bytes[OVERLAP_BYTES];
		memcpy(bytes, out + value, sizeof bytes);
		memcpy(out, bytes, sizeof bytes);
		if (value <= -OVERLAP_BYTES) {
			out += OVERLAP_BYTES;
		} else {
			out -= value;
			value += value;
		}
	}
}

/* 0: an exception, of which nothing was consumed; all before it is done. */
INLINE int walk_pair(struct walk *walk)
{
	struct stepped first = walk_step(walk);
	walk_literals(walk, &first);
	struct stepped second = walk_step(walk);
	/* A length that waited got its distance in the first step, one of the first step in the second. */
	intptr_t count = (intptr_t)(first.length + walk->pending);
	intptr_t value = walk->pending ? first.value : second.value;
	if (__builtin_expect(value + count > 0, 0)) {
		if (value > 0) {
			walk->pending = walk->pending ? walk->pending : (uintptr_t)count;
			return 0;
		}
		walk_overlap(walk->out, value, (size_t)count);
	} else {
		/* Without a match this copies what is never looked at. */
		walk_copy(walk->out, walk->out + value);
		for (intptr_t at = COPY_BYTES; __builtin_expect(at < count, 0); at += COPY_BYTES)
			walk_copy(walk->out + at, walk->out + at + value);
	}
	walk->pending = second.length;
	walk->out += count;
	walk_literals(walk, &second);
	return 1;
}

/* Afterwards at least 53 bits are valid: two steps need at most 15 + 23, and 10 for the next index. */
INLINE void walk_refill(struct walk *walk)
{
	uint64_t more;
	memcpy(&more, walk->in, sizeof more);
	walk->bits |= le64toh(more) << (63 - walk->spent);
	walk->in += walk->spent >> 3;
	walk->spent &= 7;
}

INLINE struct walk walk_begin(const struct own_loop *loop)
{
	struct walk walk = { .in = loop->in,
			     .out = loop->out,
			     .bits = loop->bits,
			     .spent = loop->spent,
			     .pending = loop->pending,
			     .litlen = loop->tables };
	walk.table = loop->tables + (walk.pending ? OWN_TO_DISTANCE : 0);
	walk_refill(&walk);
	return walk;
}

INLINE void walk_end(const struct walk *walk, struct own_loop *loop)
{
	loop->in = walk->in;
	loop->out = walk->out;
	loop->bits = walk->bits;
	loop->spent = walk->spent;
	loop->pending = walk->pending;
}

static void loop_one(struct own_loop *loop)
{
	struct walk walk = walk_begin(loop);
	do {
		if (!walk_pair(&walk))
			break;
		walk_refill(&walk);
		if (!walk_pair(&walk))
			break;
		walk_refill(&walk);
	} while (walk.in < loop->in_limit && walk.out < loop->out_limit);
	walk_end(&walk, loop);
}

/* The processor works on both at once: neither pair needs anything of the other. */
static void loop_two(struct own_loop *first, struct own_loop *second)
{
	struct walk one = walk_begin(first), two = walk_begin(second);
	do {
		if (!walk_pair(&one))
			break;
		walk_refill(&one);
		if (!walk_pair(&two))
			break;
		walk_refill(&two);
	} while (one.in < first->in_limit && one.out < first->out_limit && two.in < second->in_limit &&
		 two.out < second->out_limit);
	walk_end(&one, first);
	walk_end(&two, second);
}

const struct own_loops own_loops_c = { .one = loop_one, .two = loop_two };
