/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate: two streams in one call. Whatever the other is and does, each must end exactly as it ends alone:
 * bytes, verdict, members, and where it broke.
 */
#include "unit/inflate_writer.h"

enum { STREAM_COUNT_MAX = 24, ENGINE_COUNT = sizeof peer_engines / sizeof *peer_engines };

struct stream {
	const char *name;
	struct bytes gzip;
	/* how it ends alone */
	enum fault fault;
	struct bytes plain;
	uint64_t members;
};

static struct stream streams[STREAM_COUNT_MAX];
static size_t stream_count;

static struct stream *stream_add(const char *name)
{
	struct stream *stream = &streams[stream_count++];
	LE(stream_count, (size_t)STREAM_COUNT_MAX);
	*stream = (struct stream){ .name = name };
	return stream;
}

static struct stream *stream_copy(const char *name, const struct stream *from)
{
	struct stream *stream = stream_add(name);
	bytes_append(&stream->gzip, from->gzip.base, from->gzip.count);
	return stream;
}

static struct stream *stream_find(const char *name)
{
	for (size_t i = 0; i < stream_count; i++)
		if (strcmp(streams[i].name, name) == 0)
			return &streams[i];
	abort();
}

static void add_compressed(const char *name, const struct bytes *plain, int level, int strategy)
{
	struct stream *stream = stream_add(name);
	peer_append_header(&stream->gzip, &(struct peer_header){ 0 });
	peer_append_deflate(&stream->gzip, plain->base, plain->count, level, strategy, 0);
	peer_append_trailer(&stream->gzip, plain->base, plain->count);
}

static void add_members(const char *name, const struct bytes *plain, size_t count_max, uint64_t *seed)
{
	struct stream *stream = stream_add(name);
	for (size_t at = 0; at < plain->count;) {
		size_t count = 1 + peer_random(seed) % count_max;
		if (count > plain->count - at)
			count = plain->count - at;
		peer_append_member(&stream->gzip, plain->base + at, count, (int)(count % 10));
		at += count;
	}
}

static void add_good_streams(void)
{
	uint64_t seed = 71;
	struct bytes events = { 0 }, other = { 0 };
	peer_append_events(&events, 120000, &seed);
	peer_append_events(&other, 70000, &seed);
	add_compressed("events", &events, 6, Z_DEFAULT_STRATEGY);
	add_compressed("other events, level 1", &other, 1, Z_DEFAULT_STRATEGY);
	add_compressed("events, literals only", &other, 6, Z_HUFFMAN_ONLY);
	add_compressed("events, fixed code", &other, 9, Z_FIXED);
	add_members("members", &events, 60000, &seed);
	add_members("small members", &other, 3000, &seed);
	other.count = 0;
	peer_append_noise(&other, 40000, &seed);
	add_compressed("noise", &other, 6, Z_DEFAULT_STRATEGY);
	other.count = 0;
	for (size_t i = 0; i < 150000; i++)
		bytes_append_byte(&other, i % 5000 ? 'z' : 'y');
	add_compressed("runs", &other, 9, Z_DEFAULT_STRATEGY);
	add_compressed("short", &(struct bytes){ events.base, 100, 0 }, 6, Z_DEFAULT_STRATEGY);
	add_compressed("nothing", &(struct bytes){ events.base, 0, 0 }, 6, Z_DEFAULT_STRATEGY);
	bytes_free(&events);
	bytes_free(&other);
}

/* Broken where the loop for two streams is at work. */
static void add_block_broken_half_way(const char *name, unsigned symbol)
{
	struct writer writer = { 0 };
	writer_begin(&writer, WRITER_DEEP);
	writer_begin_fixed(&writer, 0);
	for (unsigned i = 0; i < 2500; i++) {
		writer_literal(&writer, i * i >> 3 & 127);
		if (i % 5 == 0)
			writer_match(&writer, 3 + i % 256, 1 + i % 32768);
	}
	writer_symbol(&writer, &writer.litlen, symbol);
	writer_symbol(&writer, &writer.distance, 30);
	writer_tail(&writer);
	writer_wrap(&writer, &stream_add(name)->gzip);
	bytes_free(&writer.plain);
}

static void add_bad_streams(void)
{
	const struct stream *events = stream_find("events"), *members = stream_find("members");
	struct stream *stream = stream_copy("flipped half-way", events);
	stream->gzip.base[stream->gzip.count / 2] ^= 0x10;
	stream = stream_copy("bad checksum", events);
	stream->gzip.base[stream->gzip.count - 8] ^= 1;
	stream = stream_copy("bad size", members);
	stream->gzip.base[stream->gzip.count - 1] ^= 1;
	stream_copy("truncated", events)->gzip.count /= 2;
	stream = stream_copy("truncated in the trailer", members);
	stream->gzip.count -= 5;
	bytes_append(&stream_copy("garbage behind", events)->gzip, "garbage", 7);
	bytes_append(&stream_copy("padding behind", members)->gzip, "\0\0\0\0\0\0", 6);
	bytes_append(&stream_add("no gzip at all")->gzip, "{\"events\":[]}\n", 14);
	add_block_broken_half_way("no such symbol", 286);
	add_block_broken_half_way("no such distance", 257);
}

/* Each alone, with zlib for a second opinion. */
static void add_streams(void)
{
	static struct peer peer;
	peer_fresh(&peer);
	if (stream_count == 0) {
		add_good_streams();
		add_bad_streams();
	}
	for (size_t i = 0; i < stream_count; i++) {
		struct stream *stream = &streams[i];
		struct peer_reference reference = peer_reference_of(&stream->gzip);
		peer_run(&peer, &stream->gzip, PEER_PIECE_BYTES_MAX, PEER_PIECE_BYTES_MAX, NULL);
		peer_check_reference(&reference, peer.fault);
		stream->fault = peer.fault;
		stream->members = inflate_members(peer.inflate);
		stream->plain.count = 0;
		bytes_append(&stream->plain, reference.plain.base, reference.plain.count);
		bytes_free(&reference.plain);
	}
}

/* ---- one of the two */

struct feeder {
	struct peer peer;
	const struct stream *stream;
	size_t at;
	size_t piece_end; /* input pieces end at places that do not depend on what is consumed when */
	size_t in_max, out_max;
	unsigned dry_chance; /* of 16: a call without input */
	uint64_t seed;
	struct peer_call call;
	enum step step;
	int is_over;
};

static void feeder_begin(struct feeder *feeder, const struct stream *stream, uint64_t seed)
{
	static const size_t pieces[] = { 40, 100, 1000, 5000, 16384, 65536, PEER_PIECE_BYTES_MAX };
	static const size_t rooms[] = { 300, 1500, 5000, 40000, 262144, PEER_PIECE_BYTES_MAX };
	feeder->stream = stream;
	feeder->at = feeder->piece_end = 0;
	feeder->seed = seed;
	feeder->in_max = pieces[peer_random(&feeder->seed) % 7];
	if (feeder->in_max < stream->gzip.count / 200)
		feeder->in_max = stream->gzip.count / 200; /* calls cost time, too */
	feeder->out_max = rooms[peer_random(&feeder->seed) % 6];
	feeder->dry_chance = peer_random(&feeder->seed) % 4 ? 0 : 6;
	feeder->step = STEP_HUNGRY;
	feeder->is_over = 0;
	peer_begin(&feeder->peer);
}

static void feeder_next(struct feeder *feeder)
{
	const struct bytes *gzip = &feeder->stream->gzip;
	int is_dry = peer_random(&feeder->seed) % 16 < feeder->dry_chance;
	if (feeder->at == feeder->piece_end && !is_dry) {
		feeder->piece_end += 1 + peer_random(&feeder->seed) % feeder->in_max;
		if (feeder->piece_end > gzip->count)
			feeder->piece_end = gzip->count;
	}
	size_t room_bytes = 1 + peer_random(&feeder->seed) % feeder->out_max;
	feeder->call = peer_place(&feeder->peer, gzip->base + feeder->at, feeder->piece_end - feeder->at,
				  room_bytes, (int)(room_bytes & 1));
}

static struct inflate_job feeder_job(struct feeder *feeder)
{
	return (struct inflate_job){ feeder->peer.inflate, &feeder->call.in, feeder->call.history,
				     &feeder->call.out, STEP_HUNGRY };
}

static void feeder_end(struct feeder *feeder, enum step step)
{
	struct peer *peer = &feeder->peer;
	feeder->at += peer_call_end(peer, &feeder->call, step);
	feeder->step = step;
	feeder->is_over =
		step == STEP_BROKEN || (step != STEP_FULL && feeder->at == feeder->stream->gzip.count);
	if (feeder->is_over)
		peer->fault = inflate_end(peer->inflate);
}

static void feeder_check(const struct feeder *feeder, const struct feeder *alone)
{
	const struct stream *stream = feeder->stream;
	const struct peer *peer = &feeder->peer;
	if (peer->fault != stream->fault)
		FAIL("%s: %s, alone %s", stream->name, fault_name(peer->fault), fault_name(stream->fault));
	EQ(inflate_members(peer->inflate), stream->members);
	EQ(inflate_fault(alone->peer.inflate), peer->fault);
	/* Damage is seen with some bytes read ahead, or without, as pieces and rooms have it. */
	int64_t offset_difference =
		(int64_t)(inflate_offset(peer->inflate) - inflate_offset(alone->peer.inflate));
	int64_t ahead_bytes_max = peer->fault == FAULT_INFLATE_DATA ? 8 : 0;
	LE(offset_difference, ahead_bytes_max);
	GE(offset_difference, -ahead_bytes_max);
	EQ_BYTES(peer->plain.base, peer->plain.count, alone->peer.plain.base, alone->peer.plain.count);
	LE(peer->plain.count, stream->plain.count);
	EQ_BYTES(peer->plain.base, peer->plain.count, stream->plain.base, peer->plain.count);
	if (peer->fault != FAULT_INFLATE_DATA)
		EQ(peer->plain.count, stream->plain.count);
}

static void feeder_run_alone(struct feeder *feeder)
{
	while (!feeder->is_over) {
		feeder_next(feeder);
		enum step step = inflate_push(feeder->peer.inflate, &feeder->call.in, feeder->call.history,
					      &feeder->call.out);
		feeder_end(feeder, step);
	}
}

/* Until both are over. The first that is goes on being a job, as an idle one or a broken one. */
static void feeders_run_two(struct feeder *first, struct feeder *second)
{
	while (!first->is_over || !second->is_over) {
		feeder_next(first);
		feeder_next(second);
		struct inflate_job jobs[2] = { feeder_job(first), feeder_job(second) };
		inflate_push_two(&jobs[0], &jobs[1]);
		feeder_end(first, jobs[0].step);
		feeder_end(second, jobs[1].step);
	}
}

/* As if it had been given only what it has consumed. Returns 1 if that was not all. */
static int feeder_is_left(struct feeder *feeder, enum step step)
{
	if (step != STEP_HUNGRY || feeder->call.in.next == feeder->call.in.end)
		return 0;
	GE(cursor_out_bytes(&feeder->call.out), INFLATE_ROOM_BYTES);
	feeder->call.in.end = feeder->call.in.next;
	return 1;
}

/* Where one can not go on, the other may be left as it is. Once one is over, the other goes on alone. */
static void feeders_run_beside(struct feeder *first, struct feeder *second)
{
	while (!first->is_over && !second->is_over) {
		feeder_next(first);
		feeder_next(second);
		struct inflate_job jobs[2] = { feeder_job(first), feeder_job(second) };
		inflate_push_beside(&jobs[0], &jobs[1]);
		LE(feeder_is_left(first, jobs[0].step) + feeder_is_left(second, jobs[1].step), 1);
		feeder_end(first, jobs[0].step);
		feeder_end(second, jobs[1].step);
	}
	feeder_run_alone(first);
	feeder_run_alone(second);
}

/* ---- the tests */

static struct feeder feeders[2], alone[2];

static void open_feeders(const struct peer_engine *second_engine)
{
	const struct peer_engine *engines[2] = { peer_engine, second_engine };
	for (int i = 0; i < 2; i++) {
		peer_engine = engines[i];
		peer_fresh(&feeders[i].peer);
		peer_fresh(&alone[i].peer);
	}
	peer_engine = engines[0];
	add_streams();
}

static uint64_t run_pair(const struct stream *first, const struct stream *second, uint64_t *seed)
{
	uint64_t seeds[2] = { peer_random(seed) | 1, peer_random(seed) | 1 };
	feeder_begin(&feeders[0], first, seeds[0]);
	feeder_begin(&feeders[1], second, seeds[1]);
	(seeds[0] & 2 ? feeders_run_two : feeders_run_beside)(&feeders[0], &feeders[1]);
	for (int i = 0; i < 2; i++) {
		feeder_begin(&alone[i], feeders[i].stream, seeds[i]);
		feeder_run_alone(&alone[i]);
		feeder_check(&feeders[i], &alone[i]);
	}
	uint64_t paired_bytes = inflate_paired_bytes(feeders[0].peer.inflate);
	LE(paired_bytes, inflate_plain_bytes(feeders[0].peer.inflate));
	return paired_bytes;
}

static int works_on_two(const struct peer_engine *engine)
{
	return engine->engine == INFLATE_ENGINE_OWN || engine->engine == INFLATE_ENGINE_OWN_C;
}

static void every_pair_of_streams(void)
{
	uint64_t seed = 73, paired_bytes = 0;
	open_feeders(peer_engine);
	for (size_t first = 0; first < stream_count; first++)
		for (size_t second = 0; second < stream_count; second++)
			paired_bytes += run_pair(&streams[first], &streams[second], &seed);
	if (works_on_two(peer_engine))
		GT(paired_bytes, 1000000);
	else
		EQ(paired_bytes, 0);
}

/* With pieces and rooms as a collector has them, it is the loop for two that works. */
static void most_bytes_come_out_in_pairs(void)
{
	open_feeders(peer_engine);
	for (int beside = 0; beside < 2; beside++) {
		for (int i = 0; i < 2; i++) {
			feeder_begin(&feeders[i], stream_find("events"), 89);
			feeders[i].in_max = 16384;
			feeders[i].out_max = PEER_PIECE_BYTES_MAX;
			feeders[i].dry_chance = 0;
		}
		(beside ? feeders_run_beside : feeders_run_two)(&feeders[0], &feeders[1]);
		for (int i = 0; i < 2; i++) {
			const struct inflate *inflate = feeders[i].peer.inflate;
			EQ(feeders[i].peer.fault, FAULT_NONE);
			if (works_on_two(peer_engine))
				GT(inflate_paired_bytes(inflate), inflate_plain_bytes(inflate) / 2);
			else
				EQ(inflate_paired_bytes(inflate), 0);
		}
	}
}

static void same_stream_twice_in_many_pieces(void)
{
	uint64_t seed = 79;
	open_feeders(peer_engine);
	for (size_t i = 0; i < stream_count; i++)
		for (int round = 0; round < 4; round++)
			run_pair(&streams[i], &streams[i], &seed);
}

static void streams_of_different_engines(void)
{
	uint64_t seed = 83;
	for (size_t engine = 0; engine < ENGINE_COUNT; engine++) {
		if (&peer_engines[engine] == peer_engine)
			continue;
		open_feeders(&peer_engines[engine]);
		for (size_t i = 0; i < stream_count; i++)
			EQ(run_pair(&streams[i], &streams[stream_count - 1 - i], &seed), 0);
	}
}

PEER_MAIN(T(every_pair_of_streams), T(most_bytes_come_out_in_pairs), T(same_stream_twice_in_many_pieces),
	  T(streams_of_different_engines))
