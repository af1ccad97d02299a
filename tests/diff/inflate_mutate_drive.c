/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds streams to one of our engines in pieces, alone or two at once, and holds every answer against its
 * contract and against zlib. Input and window lie between unmapped pages, so that reading or writing outside
 * of them is a crash; what has no page beside it is compared.
 */
#include "inflate_mutate.h"

enum {
	INPUT_BYTES_MAX = 1 << 20,
	WINDOW_BYTES = 32768 + 65536,
	BEHIND_BYTES = 64, /* behind the room: watched */
	COMPLAINT_BYTES = 256,
};

/* Where pieces lie, and how large they are. */
struct style {
	size_t in_max, out_min, out_max;
	int in_at_end;	      /* of its buffer; otherwise at its start */
	int out_at_end;	      /* each piece of room at the window's end: history is moved for each */
	int history_is_least; /* no more of it than must be */
	size_t window_bytes;
	size_t window_from; /* 0, or so that the window ends at the unmapped page */
};

struct feeder {
	struct inflate *inflate;
	struct guarded in, window;
	const struct driver *driver;
	char complaint[COMPLAINT_BYTES];

	/* This stream: */
	const struct bytes *gzip;
	const struct reference *reference;
	struct style style;
	size_t at, plain_bytes;
	uint8_t *start, *next, *limit; /* history begins at start; next is where the plain bytes end */
	uint64_t pushes;
	int input_is_over, over;

	/* This call: */
	struct cursor_in cursor_in;
	struct cursor_out cursor_out;
	uint8_t behind[BEHIND_BYTES];
	size_t in_bytes, behind_bytes;
};

struct driver {
	struct arena arena;
	struct feeder feeders[2];
	struct driver_count count;
	enum likeness likeness;
};

static size_t below(uint64_t *seed, uint64_t limit)
{
	return peer_random(seed) % limit;
}

__attribute__((format(printf, 2, 3))) static void complain(struct feeder *feeder, const char *format, ...)
{
	va_list arguments;
	if (!feeder->complaint[0]) {
		va_start(arguments, format);
		vsnprintf(feeder->complaint, sizeof feeder->complaint, format, arguments);
		va_end(arguments);
	}
	feeder->over = 1;
}

struct driver *driver_open(enum inflate_engine engine, enum likeness likeness)
{
	struct driver *driver = calloc(1, sizeof *driver);
	if (!driver || arena_open(&driver->arena, 2 * inflate_bytes_needed(engine)) != 0)
		abort();
	driver->likeness = likeness;
	for (int i = 0; i < 2; i++) {
		struct feeder *feeder = &driver->feeders[i];
		feeder->inflate = inflate_create(engine, &driver->arena);
		if (!feeder->inflate)
			abort();
		feeder->in = guarded_map(INPUT_BYTES_MAX);
		feeder->window = guarded_map(WINDOW_BYTES);
		feeder->driver = driver;
	}
	arena_close(&driver->arena);
	return driver;
}

void driver_close(struct driver *driver)
{
	for (int i = 0; i < 2; i++) {
		guarded_unmap(&driver->feeders[i].in);
		guarded_unmap(&driver->feeders[i].window);
		inflate_finish(driver->feeders[i].inflate);
	}
	arena_finish(&driver->arena);
	free(driver);
}

const char *driver_name(const struct driver *driver)
{
	return inflate_engine_name(driver->feeders[0].inflate);
}

const struct driver_count *driver_count(const struct driver *driver)
{
	return &driver->count;
}

/* Large pieces let fast loops run, which is most of what there is to be wrong; tiny ones stop everywhere. */
static void draw_style(struct feeder *feeder, int large, uint64_t *seed)
{
	static const size_t in_max[] = { 1, 8, 40, 300, 3000, 20000 };
	static const size_t out_max[] = { 1, 40, 300, 2000, 5000, 40000 };
	struct style *style = &feeder->style;
	style->in_max = large || below(seed, 2) ? INPUT_BYTES_MAX : in_max[below(seed, 6)];
	style->out_max = large || below(seed, 2) ? WINDOW_BYTES : out_max[below(seed, 6)];
	style->out_min = 1;
	if (large) { /* enough for the fast loop, and often so little that it is over soon */
		style->out_min = INFLATE_ROOM_BYTES - below(seed, 2);
		if (below(seed, 2))
			style->in_max = 100 + below(seed, 5000);
		if (below(seed, 2))
			style->out_max = 1 + below(seed, 8000);
	}
	/* It may be a few hundred thousand bytes; not one by one. */
	if (feeder->reference->count > 10000 && style->out_max < 300 && !large)
		style->out_max = 300;
	if (feeder->gzip->count > 10000 && style->in_max < 40)
		style->in_max = 40;
	style->in_at_end = (int)below(seed, 2);
	style->out_at_end = (style->out_max >= 2000 || feeder->reference->count < 2000) && below(seed, 2);
	style->history_is_least = (int)below(seed, 2);
	style->window_bytes =
		INFLATE_HISTORY_BYTES + (below(seed, 2) ? 65536 : INFLATE_ROOM_BYTES + below(seed, 64000));
	style->window_from = below(seed, 2) ? WINDOW_BYTES - style->window_bytes : 0;
}

static void feeder_begin(struct feeder *feeder, const struct bytes *gzip, const struct reference *reference,
			 int large, uint64_t *seed)
{
	feeder->gzip = gzip;
	feeder->reference = reference;
	feeder->at = feeder->plain_bytes = 0;
	feeder->pushes = 0;
	feeder->input_is_over = feeder->over = 0;
	feeder->complaint[0] = 0;
	draw_style(feeder, large, seed);
	feeder->start = feeder->next = feeder->window.base + feeder->style.window_from;
	feeder->limit = feeder->start + feeder->style.window_bytes;
	inflate_begin(feeder->inflate);
}

static size_t history_bytes(const struct feeder *feeder)
{
	return feeder->plain_bytes < INFLATE_HISTORY_BYTES ? feeder->plain_bytes : INFLATE_HISTORY_BYTES;
}

/* What was decoded before is still there: the last bytes, or all that is history. */
static void check_history(struct feeder *feeder, size_t bytes_max)
{
	size_t bytes = history_bytes(feeder), known = feeder->reference->count;
	if (bytes > bytes_max)
		bytes = bytes_max;
	if (feeder->plain_bytes <= known &&
	    memcmp(feeder->next - bytes, feeder->reference->plain + feeder->plain_bytes - bytes, bytes) != 0)
		complain(feeder, "history was written to, before plain byte %zu", feeder->plain_bytes);
}

static void move_history(struct feeder *feeder, uint8_t *target)
{
	size_t bytes = history_bytes(feeder);
	memmove(target, feeder->next - bytes, bytes);
	feeder->next = target + bytes;
	feeder->start = target;
}

/* Draws the pieces of the next call, and lays them out. */
static void feeder_prepare(struct feeder *feeder, uint64_t *seed)
{
	const struct style *style = &feeder->style;
	size_t in_bytes = feeder->gzip->count - feeder->at;
	size_t room_max = style->window_bytes - INFLATE_HISTORY_BYTES;
	size_t out_bytes = style->out_min + below(seed, style->out_max);
	if (out_bytes > room_max)
		out_bytes = 1 + out_bytes % room_max;
	if (in_bytes && (style->in_max < in_bytes || below(seed, 4) == 0))
		in_bytes = 1 + below(seed, style->in_max < in_bytes ? style->in_max : in_bytes);
	uint8_t *in = style->in_at_end ? feeder->in.base + feeder->in.count - in_bytes : feeder->in.base;
	memcpy(in, feeder->gzip->base + feeder->at, in_bytes);
	feeder->cursor_in = (struct cursor_in){ in, in + in_bytes };
	feeder->in_bytes = in_bytes;

	if (style->out_at_end) {
		move_history(feeder,
			     feeder->window.base + feeder->window.count - out_bytes - history_bytes(feeder));
		feeder->limit = feeder->next + out_bytes;
	} else if ((size_t)(feeder->limit - feeder->next) < out_bytes) {
		check_history(feeder, INFLATE_HISTORY_BYTES);
		move_history(feeder, feeder->window.base + style->window_from);
	} else if (style->history_is_least) {
		feeder->start = feeder->next - history_bytes(feeder);
	}
	feeder->cursor_out = (struct cursor_out){ feeder->next, feeder->next + out_bytes };
	feeder->behind_bytes = (size_t)(feeder->window.base + feeder->window.count - feeder->cursor_out.end);
	if (feeder->behind_bytes > BEHIND_BYTES)
		feeder->behind_bytes = BEHIND_BYTES;
	memcpy(feeder->behind, feeder->cursor_out.end, feeder->behind_bytes);
}

static void check_step(struct feeder *feeder, enum step step, size_t in_bytes, size_t out_bytes)
{
	size_t in_left = cursor_in_bytes(&feeder->cursor_in), room = cursor_out_bytes(&feeder->cursor_out);
	enum fault fault = inflate_fault(feeder->inflate);
	if (in_bytes > feeder->in_bytes || room > (size_t)(feeder->cursor_out.end - feeder->next))
		complain(feeder, "a cursor is outside of its piece");
	else if ((step == STEP_BROKEN) != (fault != FAULT_NONE))
		complain(feeder, "answer %d with fault %s", step, fault_name(fault));
	else if ((step == STEP_HUNGRY || step == STEP_DONE) && in_left)
		complain(feeder, "hungry with %zu bytes of input left", in_left);
	else if (step == STEP_FULL &&
		 room >= (room + out_bytes >= INFLATE_ROOM_BYTES ? INFLATE_ROOM_BYTES : 1))
		complain(feeder, "full with room of %zu bytes of %zu", room, room + out_bytes);
	else if (step != STEP_BROKEN && in_bytes + out_bytes == 0 && feeder->in_bytes)
		complain(feeder, "nothing moved, with %zu bytes of input, room for %zu", feeder->in_bytes,
			 room);
	else if (inflate_plain_bytes(feeder->inflate) != feeder->plain_bytes)
		complain(feeder, "it counts %llu plain bytes, and handed out %zu",
			 (unsigned long long)inflate_plain_bytes(feeder->inflate), feeder->plain_bytes);
	else if (inflate_offset(feeder->inflate) != feeder->at && feeder->driver->likeness != LIKE_LIBDEFLATE)
		complain(feeder, "it counts %llu bytes of input, and took %zu",
			 (unsigned long long)inflate_offset(feeder->inflate), feeder->at);
}

/* Good, or bytes behind what zlib has, where zlib refused the stream. */
static int may_go_further(const struct feeder *feeder)
{
	switch (feeder->driver->likeness) {
	case LIKE_ZLIB:
		return 0;
	case LIKE_ISAL:
		return reference_is_about_a_code(feeder->reference);
	case LIKE_LIBDEFLATE:
		return reference_is_too_strict(feeder->reference);
	}
	return 0;
}

static void check_plain(struct feeder *feeder, size_t out_bytes)
{
	const struct reference *reference = feeder->reference;
	size_t known = reference->count > feeder->plain_bytes ? reference->count - feeder->plain_bytes : 0;
	if (known > out_bytes)
		known = out_bytes;
	if (memcmp(feeder->next, reference->plain + feeder->plain_bytes, known) != 0)
		complain(feeder, "other bytes than zlib's, from %zu on", feeder->plain_bytes);
	if (known < out_bytes && !reference->too_long && !may_go_further(feeder))
		complain(feeder, "zlib has %zu plain bytes, and here are %zu", reference->count,
			 feeder->plain_bytes + out_bytes);
}

/* Ends the stream when there is nothing left to be fed. */
static void feeder_account(struct feeder *feeder, enum step step)
{
	size_t in_bytes = feeder->in_bytes - cursor_in_bytes(&feeder->cursor_in);
	size_t out_bytes = (size_t)(feeder->cursor_out.next - feeder->next);
	feeder->pushes++;
	feeder->at += in_bytes;
	check_plain(feeder, out_bytes);
	feeder->plain_bytes += out_bytes;
	check_step(feeder, step, in_bytes, out_bytes);
	if (memcmp(feeder->behind, feeder->cursor_out.end, feeder->behind_bytes) != 0)
		complain(feeder, "written to behind the room, at plain byte %zu", feeder->plain_bytes);
	feeder->next += out_bytes;
	if (feeder->pushes > 2 * (feeder->gzip->count + REFERENCE_BYTES_MAX))
		complain(feeder, "does not come to an end");
	if (step == STEP_BROKEN || feeder->plain_bytes >= REFERENCE_BYTES_MAX) {
		feeder->over = 1;
	} else if (step != STEP_FULL && feeder->at == feeder->gzip->count) {
		feeder->over = feeder->input_is_over; /* some engines only begin now */
		feeder->input_is_over = 1;
		inflate_input_over(feeder->inflate);
	}
}

static void feeder_push(struct feeder *feeder, uint64_t *seed)
{
	feeder_prepare(feeder, seed);
	feeder_account(feeder,
		       inflate_push(feeder->inflate, &feeder->cursor_in, feeder->start, &feeder->cursor_out));
}

static void feeders_push_two(struct feeder feeders[2], uint64_t *seed)
{
	struct inflate_job jobs[2];
	for (int i = 0; i < 2; i++) {
		struct feeder *feeder = &feeders[i];
		feeder_prepare(feeder, seed);
		jobs[i] = (struct inflate_job){ feeder->inflate, &feeder->cursor_in, feeder->start,
						&feeder->cursor_out, STEP_BROKEN };
	}
	inflate_push_two(&jobs[0], &jobs[1]);
	for (int i = 0; i < 2; i++)
		feeder_account(&feeders[i], jobs[i].step);
}

/* The kind of fault that zlib's reason is. */
static enum fault fault_of_reason(const struct reference *reference)
{
	static const struct {
		const char *reason;
		enum fault fault;
	} faults[] = { { "", FAULT_INFLATE_TRUNCATED },
		       { "incorrect data check", FAULT_INFLATE_CHECKSUM },
		       { "incorrect length check", FAULT_INFLATE_SIZE },
		       { "header crc mismatch", FAULT_INFLATE_HEADER },
		       { "unknown header flags set", FAULT_INFLATE_HEADER },
		       { "unknown compression method", FAULT_INFLATE_HEADER },
		       { "incorrect header check", FAULT_INFLATE_TRAILING } };
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		if (strcmp(reference->reason, faults[i].reason) == 0)
			return faults[i].fault;
	return FAULT_INFLATE_DATA;
}

static void check_verdict(struct feeder *feeder, struct driver_count *count)
{
	const struct reference *reference = feeder->reference;
	enum fault fault = inflate_end(feeder->inflate);
	check_history(feeder, INFLATE_HISTORY_BYTES);
	if (reference->too_long) {
		count->too_long++;
		return;
	}
	if (fault == FAULT_NONE && reference->good) {
		count->good++;
		if (feeder->plain_bytes != reference->count)
			complain(feeder, "good with %zu plain bytes; zlib has %zu", feeder->plain_bytes,
				 reference->count);
	} else if (fault == FAULT_NONE && may_go_further(feeder)) {
		count->only_ours++;
	} else if (fault == FAULT_NONE || reference->good) {
		complain(feeder, "%s at byte %zu, plain byte %zu; zlib says %s (%s) after plain byte %zu",
			 fault_name(fault), feeder->at, feeder->plain_bytes, reference->good ? "good" : "bad",
			 reference->reason, reference->count);
	} else {
		size_t missing_bytes =
			reference->count > feeder->plain_bytes ? reference->count - feeder->plain_bytes : 0;
		if (missing_bytes && feeder->driver->likeness == LIKE_ZLIB)
			complain(feeder, "%s with %zu plain bytes; zlib has %zu (%s)", fault_name(fault),
				 feeder->plain_bytes, reference->count, reference->reason);
		if (missing_bytes > count->missing_bytes_max)
			count->missing_bytes_max = missing_bytes;
		count->other_reason += fault != fault_of_reason(reference);
	}
}

const char *driver_run(struct driver *driver, const struct bytes gzip[2],
		       const struct reference references[2], uint64_t *seed, int *ret_which)
{
	struct feeder *feeders = driver->feeders;
	const char *complaint = NULL;
	int paired = (int)below(seed, 2), large = paired ? below(seed, 8) != 0 : (int)below(seed, 2);
	for (int i = 0; i < 2; i++)
		feeder_begin(&feeders[i], &gzip[i], &references[i], large, seed);
	while (paired && !feeders[0].over && !feeders[1].over)
		feeders_push_two(feeders, seed);
	driver->count.pairs += (uint64_t)paired;
	for (int i = 0; i < 2; i++) {
		struct feeder *feeder = &feeders[i];
		while (!feeder->over)
			feeder_push(feeder, seed);
		if (!feeder->complaint[0])
			check_verdict(feeder, &driver->count);
		driver->count.streams++;
		driver->count.plain_bytes += feeder->plain_bytes;
		driver->count.paired_bytes += inflate_paired_bytes(feeder->inflate);
		driver->count.pushes += feeder->pushes;
		if (feeder->complaint[0] && !complaint) {
			static char text[COMPLAINT_BYTES + 100];
			snprintf(text, sizeof text, "engine %s, stream %d%s: %s", driver_name(driver), i,
				 paired ? " of two at once" : "", feeder->complaint);
			complaint = text;
			*ret_which = i;
		}
	}
	return complaint;
}
