/* SPDX-License-Identifier: Apache-2.0
 *
 * A program on a bench: its source, what it asks for, and what it is answered. Logs are kept as text.
 */
#ifndef TESTS_UNIT_PROGRAM_RUN_H
#define TESTS_UNIT_PROGRAM_RUN_H

#include "program/internal.h"
#include "test.h"

struct control_decoder;

struct bench {
	struct arena arena;
	struct program_source source;
	struct program_settings settings;
	struct program_limits limits;
	struct program *program;
	struct program_time now;
	struct program_wish wish;
	char error[PROGRAM_TEXT_BYTES_MAX]; /* of program_create() */
	char log[16384];
	char server[512];		 /* what server_find() was asked last */
	struct control_decoder *decoder; /* of tests that decode */
	int decoded;
};

static int bench_server(void *owner, int secure, const char *host, unsigned port)
{
	struct bench *bench = owner;
	snprintf(bench->server, sizeof bench->server, "%s %s %u", secure ? "https" : "http", host, port);
	return strcmp(host, "api.example.org") == 0 || strcmp(host, "::1") == 0 ? 0 : -1;
}

static void bench_log(void *owner, enum program_log_level level, const char *text)
{
	struct bench *bench = owner;
	size_t used = strlen(bench->log);
	snprintf(bench->log + used, sizeof bench->log - used, "%d %s\n", (int)level, text);
}

static uint64_t bench_random(uint64_t bound)
{
	return bound - 1;
}

static const struct program_variable bench_variables[] = {
	{ "URL", "https://api.example.org/v1/logs", 0 },
	{ "TOKEN", "s3cr3t-token", 1 },
	{ "NUMBER", "-42", 0 },
	{ "BIG", "99999999999999999999", 0 },
	{ "EMPTY", "", 0 },
	{ "EMPTY_SECRET", "", 1 },
	{ "DURATION", "1h30m", 0 },
};

/* With small limits, so that hostile programs end soon. */
static void bench_prepare(struct bench *bench, const char *source)
{
	memset(bench, 0, sizeof *bench);
	bench->source = (struct program_source){ "mine.lua", source, strlen(source) };
	bench->settings = (struct program_settings){
		.source = &bench->source,
		.stream_name = "14227",
		.variables = bench_variables,
		.variable_count = sizeof bench_variables / sizeof *bench_variables,
		.owner = bench,
		.server_find = bench_server,
		.log = bench_log,
		.random = bench_random,
	};
	bench->limits = (struct program_limits){ .memory_bytes = (size_t)16 << 20,
						 .instructions = 2000000,
						 .event_instructions = 200000,
						 .cpu_ns = 20 * INT64_C(1000000000) };
	bench->now = (struct program_time){ .monotonic_ns = INT64_C(1000000000000),
					    .unix_ns = INT64_C(1700000000500000000),
					    .deadline_ns = INT64_MAX };
}

static void bench_create(struct bench *bench)
{
	if (arena_open(&bench->arena, program_bytes_needed()) != 0)
		FAIL("no address space");
	bench->program =
		program_create_limited(&bench->settings, &bench->arena, &bench->limits, bench->error);
}

static void bench_finish(struct bench *bench)
{
	program_finish(bench->program);
	arena_finish(&bench->arena);
	bench->program = NULL;
}

static enum program_wish_kind bench_resume(struct bench *bench, const struct program_answer *answer)
{
	return program_resume(bench->program, bench->now, answer, &bench->wish);
}

/* A page without anything special. */
static struct program_answer bench_answer(int status)
{
	return (struct program_answer){ .status = status,
					.fault_text = "",
					.date_unix = -1,
					.retry_after_seconds = -1,
					.looks_like_events = 1,
					.skip = "settled" };
}

/* The one that the tests of a file use. */
static struct bench bench;

__attribute__((unused)) static void begin(const char *source)
{
	bench_prepare(&bench, source);
	bench_create(&bench);
	EQ_TEXT(bench.error, "");
}

/* What is prepared must not get as far as execute(). */
__attribute__((unused)) static void does_not_open(const char *error)
{
	bench_create(&bench);
	if (bench.program) {
		EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
		snprintf(bench.error, sizeof bench.error, "%s", program_error(bench.program));
	}
	EQ_TEXT(bench.error, error);
	bench_finish(&bench);
}

/* The program must want a request, and gets a plain page. */
__attribute__((unused)) static void answer_page(void)
{
	struct program_answer answer = bench_answer(200);
	EQ(bench.wish.kind, PROGRAM_REQUEST);
	bench_resume(&bench, &answer);
}

__attribute__((unused)) static void end(void)
{
	EQ_TEXT(program_error(bench.program), "");
	EQ(bench.wish.kind, PROGRAM_END);
	bench_finish(&bench);
}

/* Runs a body of execute() that asks for nothing; what it says with print() must be `said`. */
__attribute__((unused)) static void says(const char *body, const char *said)
{
	char source[4096];
	snprintf(source, sizeof source, "function execute(ctx, client, emit)\n%s\nend\n", body);
	begin(source);
	bench_resume(&bench, NULL);
	EQ_TEXT(program_error(bench.program), "");
	EQ_TEXT(bench.log, said);
	end();
}

/* The same, and it must fail. The body is in line 2. */
__attribute__((unused)) static void fails(const char *body, const char *error)
{
	char source[4096];
	snprintf(source, sizeof source, "function execute(ctx, client, emit)\n%s\nend\n", body);
	begin(source);
	bench_resume(&bench, NULL);
	EQ_TEXT(program_error(bench.program), error);
	EQ(bench.wish.kind, PROGRAM_FAILED);
	EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
	EQ_TEXT(program_error(bench.program), error);
	bench_finish(&bench);
}

#endif
