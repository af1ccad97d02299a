/* SPDX-License-Identifier: Apache-2.0
 *
 * flow: several streams on one worker, whose bodies are inflated side by side. Whatever the pages look like,
 * however they arrive and whatever is wrong with some of them: each stream's lines come out as they do when
 * it is alone, whole, once and in order, and its counters are the same. The server is the test itself, which
 * takes turns with the flow, so that what is there for a stream to receive does not depend on time.
 */
#define _GNU_SOURCE
#define ZLIB_CONST
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "flow/flow.h"

#include "test.h"

enum {
	STREAMS_MAX = 5,
	ANSWERS_MAX = 16,
	PAGE_BYTES_MAX = 1 << 20,
	REQUEST_BYTES_MAX = 8192,
	OUT_BYTES_MAX = 32 << 20,
	SEEDS = 12,
};

struct text {
	uint8_t *base;
	size_t bytes;
};

struct answer {
	struct text text;
	int closes; /* the connection ends behind it */
	size_t page;
};

/* What one configId has, and what has been asked of it. */
struct feed {
	struct answer answers[ANSWERS_MAX];
	size_t answer_count, answered;
	size_t asked[ANSWERS_MAX]; /* how often, of each page */
	size_t first_answered;	   /* how many the first feed had been given at the last question */
	struct text wanted;	   /* the lines that are to come out */
	unsigned line_count;
};

struct connection {
	int fd; /* 0: none */
	char request[REQUEST_BYTES_MAX];
	size_t request_bytes;
	const struct answer *answer; /* on its way */
	size_t sent_bytes;
};

struct world {
	uint64_t random;
	struct feed feeds[STREAMS_MAX];
	size_t stream_count;
	int alike;    /* all pages are large, and made in the usual way */
	int identity; /* so are those of the feed that is made next, but not compressed */
	int listener;
	struct connection connections[2 * STREAMS_MAX];
	size_t turn_bytes; /* sent to each connection in a turn, at most */
	enum inflate_engine engine;
	size_t receive_bytes;
	/* of a run */
	uint8_t *out;
	size_t out_bytes;
	struct flow_stream_report reports[STREAMS_MAX];
	char cursors[STREAMS_MAX][64];
};

static size_t below(struct world *world, size_t bound)
{
	world->random = world->random * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(world->random >> 33) % bound;
}

static void append(struct text *text, const void *bytes, size_t count)
{
	if (count)
		memcpy(text->base + text->bytes, bytes, count);
	text->bytes += count;
}

/* ---- pages */

/* Events of a stream say whose they are, and which. */
static void add_events(struct world *world, size_t which, struct text *page, size_t bytes_max)
{
	struct feed *feed = &world->feeds[which];
	char line[4096];
	while (page->bytes + sizeof line < bytes_max) {
		int bytes = snprintf(line, sizeof line, "{\"s\":\"%zu\",\"n\":%u,\"x\":\"", which,
				     feed->line_count++);
		for (size_t words = 5 + below(world, 300); words; words--)
			bytes += snprintf(line + bytes, sizeof line - (size_t)bytes, "word%zu ",
					  below(world, 500));
		bytes += snprintf(line + bytes, sizeof line - (size_t)bytes, "\"}\n");
		append(page, line, (size_t)bytes);
	}
}

enum damage {
	DAMAGE_NONE,
	DAMAGE_CHECKSUM, /* all plain bytes come, and then a trailer that does not belong to them */
	DAMAGE_BLOCK,	 /* half of them, and then a block of a type that does not exist */
	DAMAGE_CUT,	 /* half of the body, and then the connection ends */
	DAMAGE_STATUS,	 /* a 503 whose body is none of ours */
	DAMAGE_COUNT,
	DAMAGE_BIT, /* anywhere in the deflated bytes: lines may come out that never were */
};

static void deflate_some(z_stream *z, const uint8_t *plain, size_t bytes, int how)
{
	z->next_in = plain;
	z->avail_in = (uInt)bytes;
	EQ(deflate(z, how), how == Z_FINISH ? Z_STREAM_END : Z_OK);
	EQ(z->avail_in, 0);
}

/* How many lines come out of a member, as far as zlib goes. */
static size_t lines_of(const struct text *body)
{
	static uint8_t plain[2 * PAGE_BYTES_MAX];
	z_stream z = { .next_in = body->base, .avail_in = (uInt)body->bytes };
	z.next_out = plain;
	z.avail_out = sizeof plain;
	EQ(inflateInit2(&z, 31), Z_OK);
	inflate(&z, Z_SYNC_FLUSH);
	size_t lines = 0;
	for (size_t i = 0; i < z.total_out; i++)
		lines += plain[i] == '\n';
	inflateEnd(&z);
	return lines;
}

/* One bit, anywhere in what is deflated; more lines than the page has do not come of it. */
static void flip(struct world *world, struct text *body, const uint8_t *plain, size_t bytes)
{
	size_t lines = 0;
	for (size_t i = 0; i < bytes; i++)
		lines += plain[i] == '\n';
	for (;;) {
		uint8_t *byte = body->base + 20 + below(world, body->bytes - 30),
			bit = (uint8_t)(1 << below(world, 8));
		*byte ^= bit;
		if (lines_of(body) <= lines)
			return;
		*byte ^= bit;
	}
}

/* One member, damaged or not. */
static void add_member(struct world *world, struct text *body, const uint8_t *plain, size_t bytes,
		       enum damage damage)
{
	z_stream z = { .next_out = body->base + body->bytes, .avail_out = 4 * PAGE_BYTES_MAX };
	int level = world->alike ? 6 : (int)below(world, 10),
	    strategy = world->alike ? 0 : (int)below(world, 5);
	EQ(deflateInit2(&z, level, Z_DEFLATED, 31, 8, strategy), Z_OK);
	deflate_some(&z, plain, bytes / 2, damage == DAMAGE_BLOCK ? Z_FULL_FLUSH : Z_NO_FLUSH);
	if (damage != DAMAGE_BLOCK)
		deflate_some(&z, plain + bytes / 2, bytes - bytes / 2, Z_FINISH);
	else
		*z.next_out = 7, z.total_out++;
	body->bytes += z.total_out;
	if (damage == DAMAGE_CHECKSUM)
		body->base[body->bytes - 8] ^= 1;
	if (damage == DAMAGE_BIT)
		flip(world, body, plain, bytes);
	deflateEnd(&z);
}

static void add_chunked(struct world *world, struct text *text, const struct text *body)
{
	char size[32];
	size_t piece_max = !world->alike && below(world, 2) ? 300 : 100000;
	for (size_t at = 0; at < body->bytes;) {
		size_t piece = 1 + below(world, piece_max);
		if (piece > body->bytes - at)
			piece = body->bytes - at;
		append(text, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", piece));
		append(text, body->base + at, piece);
		append(text, "\r\n", 2);
		at += piece;
	}
	append(text, "0\r\n\r\n", 5);
}

static void add_answer(struct world *world, struct feed *feed, const struct text *page, size_t number,
		       enum damage damage)
{
	struct text body = { malloc(5 * PAGE_BYTES_MAX), 0 };
	int gzip = world->identity ? 0
				   : world->alike || damage == DAMAGE_CHECKSUM || damage == DAMAGE_BLOCK ||
					     below(world, 8) != 0;
	int chunked = damage != DAMAGE_CUT && below(world, 2);
	if (!gzip) {
		append(&body, page->base, page->bytes);
	} else {
		size_t members = damage == DAMAGE_NONE && !world->alike && below(world, 4) == 0
					 ? 1 + below(world, 5)
					 : 1;
		for (size_t i = 0; i < members; i++) {
			size_t from = page->bytes * i / members, to = page->bytes * (i + 1) / members;
			add_member(world, &body, page->base + from, to - from, damage);
		}
	}
	LT(feed->answer_count, (size_t)ANSWERS_MAX);
	struct answer *answer = &feed->answers[feed->answer_count++];
	answer->text.base = malloc(2 * body.bytes + 8 * body.bytes / 2 + 4096);
	answer->closes = damage == DAMAGE_CUT;
	answer->page = number;
	char head[512], length[64];
	snprintf(length, sizeof length, "Content-Length: %zu\r\n", body.bytes);
	int head_bytes = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%s%s\r\n",
				  damage == DAMAGE_STATUS ? "503 Service Unavailable" : "200 OK",
				  chunked ? "Transfer-Encoding: chunked\r\n" : length,
				  gzip ? "Content-Encoding: gzip\r\n" : "");
	append(&answer->text, head, (size_t)head_bytes);
	if (chunked)
		add_chunked(world, &answer->text, &body);
	else
		append(&answer->text, body.base, damage == DAMAGE_CUT ? body.bytes / 2 : body.bytes);
	free(body.base);
}

/* Its pages, and an empty one. DAMAGE_COUNT: some of them do not get through at first, for any reason. */
static void make_feed(struct world *world, size_t which, size_t pages, size_t page_bytes_max,
		      enum damage damage)
{
	struct feed *feed = &world->feeds[which];
	feed->wanted.base = malloc(pages * PAGE_BYTES_MAX + 1);
	for (size_t i = 0; i <= pages; i++) {
		struct text page = { malloc(PAGE_BYTES_MAX), 0 };
		unsigned before = feed->line_count;
		char context[100];
		if (i < pages)
			add_events(world, which, &page,
				   world->alike ? page_bytes_max
						: 5000 + below(world, page_bytes_max - 5000));
		append(&feed->wanted, page.base, page.bytes);
		int bytes = snprintf(context, sizeof context,
				     "{\"total\":%u,\"offset\":\"offset%zu\",\"limit\":9}\n",
				     feed->line_count - before, i);
		append(&page, context, (size_t)bytes);
		if (damage == DAMAGE_BIT && i < pages)
			add_answer(world, feed, &page, i, damage);
		else if (damage == DAMAGE_COUNT && below(world, 2))
			add_answer(world, feed, &page, i, 1 + (enum damage)below(world, DAMAGE_COUNT - 1));
		add_answer(world, feed, &page, i, DAMAGE_NONE);
		free(page.base);
	}
}

static void world_open(struct world *world, uint64_t seed, size_t stream_count)
{
	*world = (struct world){ .random = seed, .stream_count = stream_count, .turn_bytes = 65536 };
	world->out = malloc(OUT_BYTES_MAX);
}

static void world_close(struct world *world)
{
	for (size_t i = 0; i < STREAMS_MAX; i++) {
		for (size_t j = 0; j < world->feeds[i].answer_count; j++)
			free(world->feeds[i].answers[j].text.base);
		free(world->feeds[i].wanted.base);
	}
	free(world->out);
}

/* ---- the server's turn */

static void connection_end(struct connection *connection)
{
	close(connection->fd);
	*connection = (struct connection){ 0 };
}

/* What is asked for is behind an offset, or the first page; the last of its answers is good. */
static const struct answer *answer_of(struct feed *feed, const char *request)
{
	const char *offset = strstr(request, "offset=offset");
	size_t page = offset ? strtoul(offset + 13, NULL, 10) + 1 : 0, which = 0, asked = feed->asked[page]++;
	while (feed->answers[which].page != page)
		which++;
	while (asked-- && which + 1 < feed->answer_count && feed->answers[which + 1].page == page)
		which++;
	return &feed->answers[which];
}

/* A request that has come completely is answered with what its configId has next. */
static void connection_read(struct world *world, struct connection *connection)
{
	char *text = connection->request;
	ssize_t got = recv(connection->fd, text + connection->request_bytes,
			   sizeof connection->request - 1 - connection->request_bytes, MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN)) {
		connection_end(connection);
		return;
	}
	connection->request_bytes += got > 0 ? (size_t)got : 0;
	text[connection->request_bytes] = 0;
	if (!strstr(text, "\r\n\r\n"))
		return;
	const char *id = strstr(text, "/configs/");
	NE(id == NULL, 1);
	size_t which = strtoul(id + 9, NULL, 10);
	LT(which, world->stream_count);
	struct feed *feed = &world->feeds[which];
	feed->first_answered = world->feeds[0].answered;
	feed->answered++;
	connection->answer = answer_of(feed, text);
	connection->sent_bytes = connection->request_bytes = 0;
}

static void connection_write(struct world *world, struct connection *connection)
{
	const struct text *text = &connection->answer->text;
	size_t bytes = text->bytes - connection->sent_bytes;
	if (bytes > world->turn_bytes)
		bytes = world->turn_bytes;
	ssize_t sent =
		send(connection->fd, text->base + connection->sent_bytes, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		connection_end(connection); /* a damaged page is not read to its end */
		return;
	}
	connection->sent_bytes += sent > 0 ? (size_t)sent : 0;
	if (connection->sent_bytes < text->bytes)
		return;
	if (connection->answer->closes)
		connection_end(connection);
	else
		connection->answer = NULL;
}

static void server_turn(struct world *world)
{
	int fd = accept4(world->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	for (size_t i = 0; i < 2 * STREAMS_MAX; i++) {
		struct connection *connection = &world->connections[i];
		if (!connection->fd && fd > 0) {
			connection->fd = fd;
			fd = -1;
		}
		if (connection->fd && connection->answer)
			connection_write(world, connection);
		else if (connection->fd)
			connection_read(world, connection);
	}
	LE(fd, 0);
}

static void server_open(struct world *world, char *port, size_t port_bytes)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof address;
	world->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	EQ(bind(world->listener, (struct sockaddr *)&address, bytes), 0);
	EQ(listen(world->listener, 16), 0);
	EQ(getsockname(world->listener, (struct sockaddr *)&address, &bytes), 0);
	snprintf(port, port_bytes, "%u", ntohs(address.sin_port));
}

static void server_close(struct world *world)
{
	for (size_t i = 0; i < 2 * STREAMS_MAX; i++)
		if (world->connections[i].fd)
			connection_end(&world->connections[i]);
	close(world->listener);
}

/* ---- runs */

static void take_out(struct world *world, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	while ((got = read(fd, world->out + world->out_bytes, OUT_BYTES_MAX - world->out_bytes)) > 0)
		world->out_bytes += (size_t)got;
	close(fd);
	unlink(path);
}

/* The streams from `first` on, in one flow. */
static void run(struct world *world, size_t first, size_t count)
{
	static const char *const ids[STREAMS_MAX] = { "0", "1", "2", "3", "4" };
	static const struct edgegrid_credentials credentials;
	char port[8], authority[32], path[] = "/tmp/akamai-prof-pairs-XXXXXX",
				     error[FLOW_TEXT_BYTES_MAX] = "";
	server_open(world, port, sizeof port);
	snprintf(authority, sizeof authority, "127.0.0.1:%s", port);
	struct flow_server server = { "127.0.0.1", port, authority, 0 };
	close(mkstemp(path));
	struct flow_settings settings = {
		.servers = &server,
		.server_count = 1,
		.credentials = &credentials,
		.user_agent = "test/1",
		.config_ids = ids + first,
		.config_count = count,
		.plan = { .base_path = "/siem/v1", .limit = 9, .backoff_ns = NS_PER_MS },
		.receive_bytes = world->receive_bytes,
		.inflate = world->engine,
		.ring = { .engine = RING_ENGINE_POLL },
		.sink = { .kind = SINK_FILE, .path = path },
		.duration_ns = 60 * NS_PER_SECOND,
	};
	struct flow *flow = flow_create(&settings, error);
	EQ_TEXT(error, "");
	do {
		server_turn(world);
	} while (flow_run(flow, clock_monotonic_ns() + NS_PER_MS / 5));
	while (!flow_drain(flow))
		;
	for (size_t i = 0; i < count; i++) {
		struct flow_stream_report *report = &world->reports[first + i];
		flow_report(flow, i, report);
		snprintf(world->cursors[first + i], sizeof world->cursors[0], "%s", report->cursor);
	}
	flow_finish(flow);
	server_close(world);
	take_out(world, path);
}

/* All lines that were to come out did, in their order. Returns how many others came. */
static unsigned check_lines(const struct world *world, size_t which)
{
	const struct feed *feed = &world->feeds[which];
	char mark[16];
	size_t mark_bytes = (size_t)snprintf(mark, sizeof mark, "{\"s\":\"%zu\"", which), at = 0;
	unsigned others = 0;
	for (const uint8_t *line = world->out, *end = world->out + world->out_bytes; line < end;) {
		const uint8_t *line_end = memchr(line, '\n', (size_t)(end - line));
		NE(line_end == NULL, 1);
		size_t bytes = (size_t)(line_end + 1 - line);
		if (at + bytes <= feed->wanted.bytes && memcmp(line, feed->wanted.base + at, bytes) == 0)
			at += bytes;
		else
			others += memcmp(line, mark, mark_bytes) == 0;
		line = line_end + 1;
	}
	EQ(at, feed->wanted.bytes);
	return others;
}

static void check_stream(const struct world *world, size_t which)
{
	const struct flow_stream_report *report = &world->reports[which];
	const struct feed *feed = &world->feeds[which];
	if (report->end_reason != FLOW_END_DRAINED)
		FAIL("stream %zu: end %d", which, (int)report->end_reason);
	EQ(feed->answered, feed->answer_count);
	EQ(report->events, feed->line_count);
	EQ(report->events_uncommitted, 0);
	EQ(report->plan.attempts, feed->answer_count);
	EQ(report->plan.skip_mismatches, 0);
	EQ(check_lines(world, which), 0);
}

static void feed_rewind(struct feed *feed)
{
	feed->answered = 0;
	memset(feed->asked, 0, sizeof feed->asked);
}

static void run_all(struct world *world)
{
	world->out_bytes = 0;
	for (size_t i = 0; i < world->stream_count; i++)
		feed_rewind(&world->feeds[i]);
	run(world, 0, world->stream_count);
}

static void run_together(struct world *world)
{
	run_all(world);
	for (size_t i = 0; i < world->stream_count; i++)
		check_stream(world, i);
}

static void run_alone(struct world *world)
{
	struct flow_stream_report together[STREAMS_MAX];
	char cursors[STREAMS_MAX][64];
	memcpy(together, world->reports, sizeof together);
	memcpy(cursors, world->cursors, sizeof cursors);
	world->out_bytes = 0;
	for (size_t i = 0; i < world->stream_count; i++) {
		feed_rewind(&world->feeds[i]);
		run(world, i, 1);
		check_stream(world, i);
		const struct flow_stream_report *report = &world->reports[i];
		EQ(report->paired_plain_bytes, 0);
		EQ(report->plan.requests, together[i].plan.requests);
		EQ(report->plan.truncations, together[i].plan.truncations);
		EQ(report->plan.server_errors, together[i].plan.server_errors);
		EQ(report->event_bytes, together[i].event_bytes);
		EQ(report->connections, together[i].connections);
		EQ_TEXT(world->cursors[i], cursors[i]);
	}
}

static uint64_t paired_bytes(const struct world *world)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < world->stream_count; i++)
		bytes += world->reports[i].paired_plain_bytes;
	return bytes;
}

static const enum inflate_engine engines[] = { INFLATE_ENGINE_AUTO, INFLATE_ENGINE_OWN_C,
					       INFLATE_ENGINE_ISAL };

/* Two streams with as much to receive each: much of it goes through the loop for two. */
static void pairs_form(void)
{
	for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
		struct world world;
		world_open(&world, 1, 2);
		world.engine = engines[i];
		world.alike = 1;
		uint64_t plain_bytes = 0;
		for (size_t which = 0; which < 2; which++) {
			make_feed(&world, which, 4, PAGE_BYTES_MAX, DAMAGE_NONE);
			plain_bytes += world.feeds[which].wanted.bytes;
		}
		run_together(&world);
		if (engines[i] == INFLATE_ENGINE_ISAL)
			EQ(paired_bytes(&world), 0);
		else
			GE(paired_bytes(&world), plain_bytes / 4);
		LE(paired_bytes(&world), plain_bytes + 1000);
		world_close(&world);
	}
}

/* A stream that always has something, of which nothing is to be inflated, is no one to wait for. */
static void nobody_waits_for_ever(void)
{
	struct world world;
	world_open(&world, 1, 2);
	world.alike = 1;
	world.receive_bytes = 2 * FLOW_BESIDE_BYTES_MIN;
	world.turn_bytes = PAGE_BYTES_MAX;
	make_feed(&world, 0, 1, PAGE_BYTES_MAX / 4, DAMAGE_NONE);
	world.identity = 1;
	make_feed(&world, 1, 1, PAGE_BYTES_MAX, DAMAGE_NONE);
	run_together(&world);
	EQ(world.feeds[1].first_answered, 2);
	world_close(&world);
}

static void everything_is_as_it_is_alone(void)
{
	static const size_t receive_bytes[] = { 1000, 5000, 65536, FLOW_RECEIVE_BYTES };
	uint64_t paired = 0;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world world;
		world_open(&world, seed, 2 + seed % (STREAMS_MAX - 1));
		world.engine = engines[seed % 3];
		world.receive_bytes = receive_bytes[below(&world, 4)];
		world.turn_bytes = 1000 + below(&world, 150000);
		for (size_t which = 0; which < world.stream_count; which++)
			make_feed(&world, which, 1 + below(&world, 3), PAGE_BYTES_MAX / 4, DAMAGE_COUNT);
		run_together(&world);
		paired += paired_bytes(&world);
		run_alone(&world);
		world_close(&world);
	}
	GT(paired, 0);
}

/* Lines that were handed on before the damage was known are skipped in the repeat only if they were right. */
static void flipped_bits_lose_no_line(void)
{
	uint64_t mismatches = 0, exact = 0;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world world;
		world_open(&world, seed, 3);
		world.engine = engines[seed % 3];
		world.alike = 1;
		for (size_t which = 0; which < world.stream_count; which++)
			make_feed(&world, which, 3, PAGE_BYTES_MAX / 8, DAMAGE_BIT);
		run_all(&world);
		for (size_t which = 0; which < world.stream_count; which++) {
			const struct flow_stream_report *report = &world.reports[which];
			EQ(report->end_reason, FLOW_END_DRAINED);
			if (check_lines(&world, which))
				GT(report->plan.skip_mismatches, 0);
			mismatches += report->plan.skip_mismatches;
			exact += 3 - report->plan.skip_mismatches; /* pages */
		}
		world_close(&world);
	}
	GT(mismatches, 0);
	GT(exact, 0);
}

TEST_MAIN(T(flipped_bits_lose_no_line), T(pairs_form), T(nobody_waits_for_ever),
	  T(everything_is_as_it_is_alone))
