/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine around our loops: block after block, and who decodes what. The fast loop checks no distance and
 * no end of anything, so it works only where nothing can go wrong that it does not see: with 32 KB of this
 * stream in front of it, which is as far as a distance reaches, and with enough input and room for one more
 * turn.
 */
#include "base/check.h"
#include "inflate/engine.h"
#include "inflate/inflate.h"
#include "inflate/own.h"

/* Tables for the fast loop are made when a block has shown that it is worth it: they cost as much as decoding
 * some hundred symbols, and a hostile stream can consist of blocks of a few bytes. */
enum { SYMBOLS_BEFORE_JOINING = 32 };
/* How many symbols are decoded carefully before the fast loop is thought of again. */
enum { SYMBOLS_AT_A_TIME = 256 };

static void own_begin(void *opaque)
{
	struct own *own = opaque;
	own->state = OWN_BLOCK;
	own->bits = 0;
	own->bit_count = 0;
	own->pending = own->copy_bytes = 0;
	own->plain_bytes = 0;
}

static enum step block_begin(struct own *own, struct cursor_in *in)
{
	own_refill(own, in);
	if (own->bit_count < 3)
		return STEP_HUNGRY;
	own->is_final = (int)own_peek(own, 1);
	own_drop(own, 1);
	unsigned type = own_peek(own, 2);
	own_drop(own, 2);
	switch (type) {
	case 0:
		own_drop(own, own->bit_count % 8);
		own->state = OWN_STORED_LENGTH;
		return STEP_DONE;
	case 1:
		own_tables_fixed(own);
		own->state = OWN_SYMBOLS;
		return STEP_DONE;
	case 2:
		own->state = OWN_DYNAMIC_COUNTS;
		return STEP_DONE;
	default:
		return STEP_BROKEN;
	}
}

static enum step dynamic_begin(struct own *own, struct cursor_in *in)
{
	enum step step = own_header_push(own, in);
	if (step != STEP_DONE)
		return step;
	own->state = OWN_SYMBOLS;
	return own_tables_dynamic(own) == 0 ? STEP_DONE : STEP_BROKEN;
}

static enum step stored_begin(struct own *own, struct cursor_in *in)
{
	own_refill(own, in);
	if (own->bit_count < 32)
		return STEP_HUNGRY;
	own->copy_bytes = own_peek(own, 16);
	own_drop(own, 16);
	unsigned negated = own_peek(own, 16);
	own_drop(own, 16);
	own->state = OWN_STORED;
	return (own->copy_bytes ^ negated) == 0xffff ? STEP_DONE : STEP_BROKEN;
}

static enum step stored_copy(struct own *own, struct cursor_in *in, struct cursor_out *out)
{
	uint8_t *before = out->next;
	while (own->copy_bytes && own->bit_count && out->next < out->end) {
		*out->next++ = (uint8_t)own_peek(own, 8);
		own_drop(own, 8);
		own->copy_bytes--;
	}
	if (!own->bit_count) {
		size_t bytes = own->copy_bytes;
		if (bytes > cursor_in_bytes(in))
			bytes = cursor_in_bytes(in);
		if (bytes > cursor_out_bytes(out))
			bytes = cursor_out_bytes(out);
		if (bytes)
			memcpy(out->next, in->next, bytes);
		out->next += bytes;
		in->next += bytes;
		own->copy_bytes -= (unsigned)bytes;
	}
	own->plain_bytes += (size_t)(out->next - before);
	if (own->copy_bytes)
		return out->next == out->end ? STEP_FULL : STEP_HUNGRY;
	own->state = own->is_final ? OWN_ENDED : OWN_BLOCK;
	return STEP_DONE;
}

static int loop_is_possible(const struct own *own, const struct cursor_in *in, const struct cursor_out *out)
{
	_Static_assert(OWN_LOOP_OUT_BYTES < INFLATE_ROOM_BYTES, "one turn has room");
	return own->state == OWN_SYMBOLS && own->symbols >= SYMBOLS_BEFORE_JOINING && own->copy_bytes == 0 &&
	       own->plain_bytes >= OWN_LOOP_HISTORY_BYTES && cursor_in_bytes(in) >= OWN_LOOP_IN_BYTES + 8 &&
	       cursor_out_bytes(out) >= INFLATE_ROOM_BYTES;
}

static struct own_loop loop_enter(struct own *own, const struct cursor_in *in, const struct cursor_out *out)
{
	if (!own->is_joined)
		own_tables_join(own);
	return (struct own_loop){
		.in = in->next,
		.in_limit = in->end - OWN_LOOP_IN_BYTES,
		.out = out->next,
		.out_limit = out->end - OWN_LOOP_OUT_BYTES,
		.bits = (own->bits & ((UINT64_C(1) << own->bit_count) - 1)) << OWN_INDEX_SHIFT,
		.spent = OWN_BITS_MAX - own->bit_count,
		.pending = own->pending,
		.tables = own->tables + OWN_LITLEN_AT,
	};
}

static void loop_leave(struct own *own, const struct own_loop *loop, struct cursor_in *in,
		       struct cursor_out *out)
{
	own->plain_bytes += (size_t)(loop->out - out->next);
	own->bits = loop->bits >> OWN_INDEX_SHIFT;
	own->bit_count = OWN_BITS_MAX - (unsigned)loop->spent;
	own->pending = (unsigned)loop->pending;
	in->next = loop->in;
	out->next = loop->out;
}

/* Some symbols where the loop cannot work. */
static enum step symbols_step(struct own *own, struct cursor_in *in, struct cursor_out *out,
			      unsigned symbols_max)
{
	enum step step = own_careful_push(own, in, out, symbols_max);
	if (own->symbols < SYMBOLS_BEFORE_JOINING)
		own->symbols += symbols_max;
	return step;
}

/* What the loop stopped at. It has stopped at nothing where it came to a limit, or the other stream did. */
static enum step exception_step(struct own *own, struct cursor_in *in, struct cursor_out *out)
{
	own_entry entry = own->pending ? own->distance[own_peek(own, OWN_DISTANCE_BITS)]
				       : own->litlen[own_peek(own, OWN_LITLEN_BITS)];
	return own_is_exception(entry) ? own_careful_push(own, in, out, 1) : STEP_DONE;
}

/* Whatever comes next, but for the fast loop. DONE: go on. */
static enum step own_step(struct own *own, struct cursor_in *in, struct cursor_out *out)
{
	switch (own->state) {
	case OWN_BLOCK:
		return block_begin(own, in);
	case OWN_STORED_LENGTH:
		return stored_begin(own, in);
	case OWN_STORED:
		return stored_copy(own, in, out);
	case OWN_DYNAMIC_COUNTS:
	case OWN_DYNAMIC_PRECODE:
	case OWN_DYNAMIC_LENGTHS:
		return dynamic_begin(own, in);
	case OWN_SYMBOLS:
		if (own_near_is_possible(own, in, out)) {
			own_near_push(own, in, out);
			return symbols_step(own, in, out, 1);
		}
		return symbols_step(own, in, out,
				    own->symbols < SYMBOLS_BEFORE_JOINING ? SYMBOLS_BEFORE_JOINING
									  : SYMBOLS_AT_A_TIME);
	case OWN_ENDED:
	case OWN_BROKEN:
		break;
	}
	return STEP_BROKEN;
}

/* What a match can reach must be there. */
static void check_history(const struct own *own, const uint8_t *history, const struct cursor_out *out)
{
	uint64_t reach_bytes =
		own->plain_bytes < OWN_LOOP_HISTORY_BYTES ? own->plain_bytes : OWN_LOOP_HISTORY_BYTES;
	CHECK_LE(reach_bytes, (uint64_t)(out->next - history));
}

static enum step own_push(const struct own_loops *loops, struct own *own, struct cursor_in *in,
			  const uint8_t *history, struct cursor_out *out)
{
	int had_room = cursor_out_bytes(out) >= INFLATE_ROOM_BYTES;
	enum step step = STEP_DONE;
	check_history(own, history, out);
	while (step == STEP_DONE) {
		if (own->state == OWN_ENDED)
			return STEP_DONE;
		if (own->state == OWN_SYMBOLS && had_room && cursor_out_bytes(out) < INFLATE_ROOM_BYTES)
			return STEP_FULL;
		if (loop_is_possible(own, in, out)) {
			struct own_loop loop = loop_enter(own, in, out);
			loops->one(&loop);
			loop_leave(own, &loop, in, out);
			step = exception_step(own, in, out);
		} else {
			step = own_step(own, in, out);
		}
	}
	if (step == STEP_BROKEN)
		own->state = OWN_BROKEN;
	return step;
}

/* Goes on by itself until the fast loop can. 0: it can not, and own_push() will say why. */
static int job_is_ready(struct engine_job *job)
{
	struct own *own = job->state;
	while (!loop_is_possible(own, job->in, job->out)) {
		if (own->state == OWN_ENDED || own->state == OWN_BROKEN ||
		    cursor_out_bytes(job->out) < INFLATE_ROOM_BYTES)
			return 0;
		enum step step = own_step(own, job->in, job->out);
		if (step == STEP_BROKEN)
			own->state = OWN_BROKEN;
		if (step != STEP_DONE)
			return 0;
	}
	return 1;
}

static void own_push_two(const struct own_loops *loops, struct engine_job *first, struct engine_job *second)
{
	struct engine_job *jobs[2] = { first, second };
	struct own_loop loop[2];
	for (int i = 0; i < 2; i++)
		check_history(jobs[i]->state, jobs[i]->history, jobs[i]->out);
	while (job_is_ready(first) && job_is_ready(second)) {
		for (int i = 0; i < 2; i++)
			loop[i] = loop_enter(jobs[i]->state, jobs[i]->in, jobs[i]->out);
		loops->two(&loop[0], &loop[1]);
		for (int i = 0; i < 2; i++) {
			struct own *own = jobs[i]->state;
			loop_leave(own, &loop[i], jobs[i]->in, jobs[i]->out);
			if (exception_step(own, jobs[i]->in, jobs[i]->out) == STEP_BROKEN)
				own->state = OWN_BROKEN;
		}
	}
}

/* The whole bytes in the bit buffer; those of the stream's last byte are skipped. */
static size_t own_ahead(const void *opaque, uint8_t bytes[ENGINE_AHEAD_BYTES_MAX])
{
	const struct own *own = opaque;
	uint64_t bits = own->bits >> own->bit_count % 8;
	size_t count = own->bit_count / 8;
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)(bits >> 8 * i);
	return count;
}

static enum step own_c_push(void *own, struct cursor_in *in, const uint8_t *history, struct cursor_out *out)
{
	return own_push(&own_loops_c, own, in, history, out);
}

static void own_c_push_two(struct engine_job *first, struct engine_job *second)
{
	own_push_two(&own_loops_c, first, second);
}

/* Small enough that the plain bytes are still in the first-level or second-level cache when they are looked
 * at. */
#define OWN_FRESH_BYTES_MAX ((size_t)32 * 1024)

const struct engine engine_own_c = {
	.name = "own-c",
	.state_bytes = sizeof(struct own),
	.state_alignment = OWN_TABLES_ALIGNMENT,
	.begin = own_begin,
	.push = own_c_push,
	.push_two = own_c_push_two,
	.ahead = own_ahead,
	.fresh_bytes_max = OWN_FRESH_BYTES_MAX,
	.checksum = engine_checksum,
};

#if defined(__x86_64__)
/* own_x86_64.S */
void own_x86_64_one(struct own_loop *loop);
void own_x86_64_two(struct own_loop *first, struct own_loop *second);
static const struct own_loops own_loops_x86_64 = { .one = own_x86_64_one, .two = own_x86_64_two };

static enum step own_x86_64_push(void *own, struct cursor_in *in, const uint8_t *history,
				 struct cursor_out *out)
{
	return own_push(&own_loops_x86_64, own, in, history, out);
}

static void own_x86_64_push_two(struct engine_job *first, struct engine_job *second)
{
	own_push_two(&own_loops_x86_64, first, second);
}

const struct engine engine_own_x86_64 = {
	.name = "own-x86",
	.state_bytes = sizeof(struct own),
	.state_alignment = OWN_TABLES_ALIGNMENT,
	.begin = own_begin,
	.push = own_x86_64_push,
	.push_two = own_x86_64_push_two,
	.ahead = own_ahead,
	.fresh_bytes_max = OWN_FRESH_BYTES_MAX,
	.checksum = engine_checksum,
};

int own_x86_64_is_here(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
	       __builtin_cpu_supports("bmi");
}
#endif
