/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine around an engine: members, checksums, limits.
 *
 *	header -> body -> trailer -> between -+-> header of the next member
 *	                                      +-> padding
 *
 * Behind the last member zero bytes are accepted, as gzip(1) does (tapes and some caches pad); anything else
 * that is no gzip header is garbage, and so is a member behind zeros.
 *
 * What hostile input can cost. Deflate itself yields at most 1032 bytes for one, so the work of writing is
 * bounded by the input, and the input by http. The other way round, input that yields nothing still costs.
 * Measured for a megabyte of it, with ISA-L: empty fixed blocks (10 bits each, a table copied for each)
 * 340 ms, empty dynamic blocks 80 ms, empty members 26 ms, empty stored blocks 4 ms, padding under 1 ms.
 * Therefore the input may be at most INFLATE_INPUT_PER_PLAIN_MAX times the output, after a start of
 * INFLATE_INPUT_FREE_BYTES. Honest deflate stays below 1.001, or 7 when a flush follows every single byte.
 */
#include "inflate/inflate.h"

#include "base/check.h"
#include "inflate/engine.h"
#include "inflate/gzip_header.h"

enum state {
	STATE_HEADER,
	STATE_BODY,
	STATE_TRAILER,
	STATE_BETWEEN, /* a member is complete and nothing of another has been seen */
	STATE_PADDING,
	STATE_BROKEN,
};

struct inflate {
	const struct engine *engine;
	void *engine_state;
	enum state state;
	enum fault fault;
	uint64_t offset_bytes;
	uint64_t plain_bytes;
	uint64_t paired_bytes;
	uint64_t proven_bytes; /* plain bytes of members that are complete */
	uint64_t members;
	uint32_t checksum;    /* of the member's plain bytes so far */
	uint32_t size_modulo; /* their count modulo 2^32, as the trailer has it */
	struct gzip_header header;
	struct gzip_trailer trailer;
	/* for an engine that wants all input at once */
	uint8_t *kept_base;
	struct cursor_in kept;
	int is_over;
};

/* Of input that is kept. */
enum { KEPT_ALIGNMENT = 4096 };

static const struct engine *engine_of(enum inflate_engine engine)
{
	CHECK_LE((unsigned)engine, (unsigned)INFLATE_ENGINE_LIBDEFLATE);
	if (engine == INFLATE_ENGINE_ISAL)
		return &engine_isal;
	if (engine == INFLATE_ENGINE_LIBDEFLATE)
		return &engine_libdeflate;
#if defined(__x86_64__)
	if (engine != INFLATE_ENGINE_OWN_C && own_x86_64_is_here())
		return &engine_own_x86_64;
#endif
	return &engine_own_c;
}

size_t inflate_bytes_needed(enum inflate_engine engine)
{
	const struct engine *chosen = engine_of(engine);
	return sizeof(struct inflate) + _Alignof(struct inflate) + chosen->state_bytes +
	       chosen->state_alignment + chosen->whole_bytes_max + KEPT_ALIGNMENT +
	       (chosen->create_bytes ? chosen->create_bytes() : 0);
}

struct inflate *inflate_create(enum inflate_engine engine, struct arena *arena)
{
	const struct engine *chosen = engine_of(engine);
	struct inflate *inflate = arena_take(arena, sizeof *inflate, _Alignof(struct inflate));
	inflate->engine = chosen;
	inflate->engine_state = arena_take(arena, chosen->state_bytes, chosen->state_alignment);
	if (chosen->whole_bytes_max)
		inflate->kept_base = arena_take(arena, chosen->whole_bytes_max, KEPT_ALIGNMENT);
	if (chosen->create && chosen->create(inflate->engine_state, arena) < 0)
		return NULL;
	inflate_begin(inflate);
	return inflate;
}

void inflate_finish(struct inflate *inflate)
{
	if (inflate && inflate->engine->finish)
		inflate->engine->finish(inflate->engine_state);
}

const char *inflate_engine_name(const struct inflate *inflate)
{
	return inflate->engine->name;
}

void inflate_begin(struct inflate *inflate)
{
	inflate->state = STATE_HEADER;
	inflate->fault = FAULT_NONE;
	inflate->offset_bytes = 0;
	inflate->plain_bytes = 0;
	inflate->paired_bytes = 0;
	inflate->proven_bytes = 0;
	inflate->checksum = 0;
	inflate->members = 0;
	inflate->kept = (struct cursor_in){ inflate->kept_base, inflate->kept_base };
	inflate->is_over = 0;
	gzip_header_begin(&inflate->header);
}

static void inflate_break(struct inflate *inflate, enum fault fault)
{
	inflate->state = STATE_BROKEN;
	inflate->fault = fault;
}

static void header_step(struct inflate *inflate, struct cursor_in *in)
{
	switch (gzip_header_push(&inflate->header, in)) {
	case GZIP_MORE:
		return;
	case GZIP_DONE:
		inflate->engine->begin(inflate->engine_state);
		inflate->checksum = 0;
		inflate->size_modulo = 0;
		inflate->state = STATE_BODY;
		return;
	case GZIP_NOT_GZIP:
		inflate_break(inflate, inflate->members ? FAULT_INFLATE_TRAILING : FAULT_INFLATE_HEADER);
		return;
	case GZIP_BAD:
		inflate_break(inflate, FAULT_INFLATE_HEADER);
		return;
	case GZIP_LONG:
		inflate_break(inflate, FAULT_INFLATE_LIMIT);
		return;
	}
}

static void body_done(struct inflate *inflate)
{
	uint8_t ahead[ENGINE_AHEAD_BYTES_MAX];
	size_t ahead_bytes = inflate->engine->ahead(inflate->engine_state, ahead);
	struct cursor_in in = { .next = ahead, .end = ahead + ahead_bytes };
	gzip_trailer_begin(&inflate->trailer);
	gzip_trailer_push(&inflate->trailer, &in);
	CHECK_EQ(cursor_in_bytes(&in), (size_t)0);
	inflate->state = STATE_TRAILER;
}

static struct cursor_in piece_of_input(const struct inflate *inflate, const struct cursor_in *in)
{
	size_t bytes = cursor_in_bytes(in), bytes_max = ENGINE_PIECE_BYTES_MAX;
	if (inflate->engine->whole_bytes_max)
		bytes_max = inflate->engine->whole_bytes_max;
	return (struct cursor_in){ in->next, in->next + (bytes < bytes_max ? bytes : bytes_max) };
}

static struct cursor_out piece_of_room(const struct inflate *inflate, const struct cursor_out *out)
{
	size_t bytes = cursor_out_bytes(out), bytes_max = inflate->engine->fresh_bytes_max;
	return (struct cursor_out){ out->next, out->next + (bytes < bytes_max ? bytes : bytes_max) };
}

/* Adds to the input's count and holds it against the output's. */
static void count_input(struct inflate *inflate, size_t consumed_bytes)
{
	inflate->offset_bytes += consumed_bytes;
	if (inflate->state != STATE_BROKEN && inflate->offset_bytes > INFLATE_INPUT_FREE_BYTES &&
	    (inflate->offset_bytes - INFLATE_INPUT_FREE_BYTES) / INFLATE_INPUT_PER_PLAIN_MAX >=
		    inflate->plain_bytes)
		inflate_break(inflate, FAULT_INFLATE_LIMIT);
}

/* An engine has worked on a piece: checks what came out, while it is in the cache. Returns how many bytes
 * went in or came out. */
static size_t body_count(struct inflate *inflate, struct cursor_in *in, const struct cursor_in *piece_in,
			 struct cursor_out *out, const struct cursor_out *piece_out)
{
	size_t consumed_bytes = (size_t)(piece_in->next - in->next);
	size_t produced_bytes = (size_t)(piece_out->next - out->next);
	inflate->checksum = inflate->engine->checksum(inflate->checksum, span_of(out->next, produced_bytes));
	inflate->size_modulo += (uint32_t)produced_bytes;
	inflate->plain_bytes += produced_bytes;
	in->next = piece_in->next;
	out->next = piece_out->next;
	if (inflate->plain_bytes > INFLATE_PLAIN_BYTES_MAX)
		inflate_break(inflate, FAULT_INFLATE_LIMIT);
	count_input(inflate, consumed_bytes);
	return consumed_bytes + produced_bytes;
}

/* One piece through the engine. */
static enum step body_step(struct inflate *inflate, struct cursor_in *in, const uint8_t *history,
			   struct cursor_out *out)
{
	int has_input = in->next < in->end;
	struct cursor_in piece_in = piece_of_input(inflate, in);
	struct cursor_out piece_out = piece_of_room(inflate, out);
	enum step step = inflate->engine->push(inflate->engine_state, &piece_in, history, &piece_out);
	size_t moved_bytes = body_count(inflate, in, &piece_in, out, &piece_out);
	if (step == STEP_BROKEN)
		inflate_break(inflate, FAULT_INFLATE_DATA);
	else if (inflate->state == STATE_BROKEN)
		return STEP_BROKEN;
	else if (step == STEP_DONE)
		body_done(inflate);
	else if (moved_bytes == 0 && has_input) /* there was room: a stuck engine must not hang us */
		inflate_break(inflate, inflate->engine->whole_bytes_max && step == STEP_FULL
					       ? FAULT_INFLATE_LIMIT
					       : FAULT_INFLATE_DATA);
	return step;
}

static void trailer_step(struct inflate *inflate, struct cursor_in *in)
{
	if (!gzip_trailer_push(&inflate->trailer, in))
		return;
	if (gzip_trailer_checksum(&inflate->trailer) != inflate->checksum)
		inflate_break(inflate, FAULT_INFLATE_CHECKSUM);
	else if (gzip_trailer_size(&inflate->trailer) != inflate->size_modulo)
		inflate_break(inflate, FAULT_INFLATE_SIZE);
	else {
		inflate->state = STATE_BETWEEN;
		inflate->members++;
		inflate->proven_bytes = inflate->plain_bytes;
		inflate->checksum = 0;
	}
}

static void between_step(struct inflate *inflate, struct cursor_in *in)
{
	if (*in->next == 0) {
		inflate->state = STATE_PADDING;
	} else if (inflate->members == INFLATE_MEMBER_COUNT_MAX) {
		inflate_break(inflate, FAULT_INFLATE_LIMIT);
	} else {
		gzip_header_begin(&inflate->header);
		inflate->state = STATE_HEADER;
	}
}

static void padding_step(struct inflate *inflate, struct cursor_in *in)
{
	while (in->next < in->end && *in->next == 0)
		in->next++;
	if (in->next < in->end)
		inflate_break(inflate, FAULT_INFLATE_TRAILING);
}

/* Whatever is no body. */
static void wrapper_step(struct inflate *inflate, struct cursor_in *in)
{
	const uint8_t *before = in->next;
	switch (inflate->state) {
	case STATE_HEADER:
		header_step(inflate, in);
		break;
	case STATE_TRAILER:
		trailer_step(inflate, in);
		break;
	case STATE_BETWEEN:
		between_step(inflate, in);
		break;
	case STATE_PADDING:
		padding_step(inflate, in);
		break;
	case STATE_BODY:
	case STATE_BROKEN:
		break;
	}
	count_input(inflate, (size_t)(in->next - before));
}

/* For an engine that wants all input at once. */
static enum step keep_input(struct inflate *inflate, struct cursor_in *in)
{
	size_t kept_bytes = cursor_in_bytes(&inflate->kept), bytes = cursor_in_bytes(in);
	if (bytes > inflate->engine->whole_bytes_max - kept_bytes) {
		inflate->offset_bytes = kept_bytes;
		inflate_break(inflate, FAULT_INFLATE_LIMIT);
		return STEP_BROKEN;
	}
	if (bytes)
		memcpy(inflate->kept_base + kept_bytes, in->next, bytes);
	in->next += bytes;
	inflate->kept.end += bytes;
	return STEP_HUNGRY;
}

void inflate_input_over(struct inflate *inflate)
{
	inflate->is_over = 1;
}

enum step inflate_push(struct inflate *inflate, struct cursor_in *in, const uint8_t *history,
		       struct cursor_out *out)
{
	if (inflate->engine->whole_bytes_max && inflate->state != STATE_BROKEN) {
		if (!inflate->is_over)
			return keep_input(inflate, in);
		CHECK_EQ(cursor_in_bytes(in), (size_t)0);
		in = &inflate->kept;
	}
	int had_room = cursor_out_bytes(out) >= INFLATE_ROOM_BYTES;
	for (;;) {
		enum step step = STEP_HUNGRY;
		if (inflate->state == STATE_BROKEN)
			return STEP_BROKEN;
		if (inflate->state == STATE_BODY) {
			/* Without input too: the engine may hold plain bytes for which there was no room. */
			if (cursor_out_bytes(out) < (had_room ? INFLATE_ROOM_BYTES : 1))
				return STEP_FULL;
			step = body_step(inflate, in, history, out);
		} else {
			if (cursor_in_bytes(in) == 0)
				break;
			wrapper_step(inflate, in);
		}
		if (inflate->state == STATE_BODY && step == STEP_HUNGRY && cursor_in_bytes(in) == 0)
			return STEP_HUNGRY;
	}
	return inflate->state == STATE_BETWEEN || inflate->state == STATE_PADDING ? STEP_DONE : STEP_HUNGRY;
}

/* Both have enough of everything that working on both at once is worth it. */
static int two_can_go_on(const struct inflate_job *job)
{
	return job->inflate->state == STATE_BODY && cursor_in_bytes(job->in) >= ENGINE_TWO_BYTES_MIN &&
	       cursor_out_bytes(job->out) >= INFLATE_ROOM_BYTES;
}

static size_t two_step(struct inflate_job *jobs[2])
{
	struct cursor_in in[2];
	struct cursor_out out[2];
	struct engine_job pieces[2];
	for (int i = 0; i < 2; i++) {
		in[i] = piece_of_input(jobs[i]->inflate, jobs[i]->in);
		out[i] = piece_of_room(jobs[i]->inflate, jobs[i]->out);
		pieces[i] = (struct engine_job){ jobs[i]->inflate->engine_state, &in[i], jobs[i]->history,
						 &out[i] };
	}
	jobs[0]->inflate->engine->push_two(&pieces[0], &pieces[1]);
	size_t moved_bytes = 0;
	for (int i = 0; i < 2; i++) {
		jobs[i]->inflate->paired_bytes += (size_t)(out[i].next - jobs[i]->out->next);
		moved_bytes += body_count(jobs[i]->inflate, jobs[i]->in, &in[i], jobs[i]->out, &out[i]);
	}
	return moved_bytes;
}

/* What is no body is passed first, so that it parts no pair. */
static void two_enter(struct inflate_job *job)
{
	struct inflate *inflate = job->inflate;
	while (inflate->state != STATE_BODY && inflate->state != STATE_BROKEN && cursor_in_bytes(job->in))
		wrapper_step(inflate, job->in);
}

/* 1: one of the two can not go on. 0: neither can beside the other, for whatever reason. */
static int two_go_on(struct inflate_job *first, struct inflate_job *second)
{
	struct inflate_job *jobs[2] = { first, second };
	const struct engine *engine = first->inflate->engine;
	if (!engine->push_two || engine != second->inflate->engine)
		return 0;
	two_enter(first);
	two_enter(second);
	while (two_can_go_on(first) && two_can_go_on(second))
		if (two_step(jobs) == 0)
			return 0;
	return 1;
}

static void job_push(struct inflate_job *job)
{
	job->step = inflate_push(job->inflate, job->in, job->history, job->out);
}

void inflate_push_two(struct inflate_job *first, struct inflate_job *second)
{
	two_go_on(first, second);
	job_push(first);
	job_push(second);
}

void inflate_push_beside(struct inflate_job *first, struct inflate_job *second)
{
	struct inflate_job *jobs[2] = { first, second };
	int parts = two_go_on(first, second);
	for (int i = 0; i < 2; i++) {
		if (parts && two_can_go_on(jobs[i]))
			jobs[i]->step = STEP_HUNGRY;
		else
			job_push(jobs[i]);
	}
}

enum fault inflate_end(struct inflate *inflate)
{
	if (inflate->state != STATE_BROKEN && inflate->state != STATE_BETWEEN &&
	    inflate->state != STATE_PADDING)
		inflate_break(inflate, FAULT_INFLATE_TRUNCATED);
	return inflate->fault;
}

enum fault inflate_fault(const struct inflate *inflate)
{
	return inflate->fault;
}

uint64_t inflate_offset(const struct inflate *inflate)
{
	return inflate->offset_bytes;
}

uint64_t inflate_plain_bytes(const struct inflate *inflate)
{
	return inflate->plain_bytes;
}

uint64_t inflate_paired_bytes(const struct inflate *inflate)
{
	return inflate->paired_bytes;
}

uint64_t inflate_unproven(const struct inflate *inflate, uint32_t *ret_checksum)
{
	*ret_checksum = inflate->checksum;
	return inflate->proven_bytes;
}

uint32_t inflate_checksum(uint32_t checksum, struct span bytes)
{
	return engine_checksum(checksum, bytes);
}

uint64_t inflate_members(const struct inflate *inflate)
{
	return inflate->members;
}
