/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults that can be ordered by name and frequency: what each is, and which one hits a request.
 */
#ifndef SIMULATOR_FAULTS_H
#define SIMULATOR_FAULTS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FAULT_PLAN_COUNT_MAX 64

enum trouble {
	TROUBLE_NONE,
	TROUBLE_CUT_BODY,
	TROUBLE_EARLY_CLOSE_NOTIFY,
	TROUBLE_FIN_NO_NOTIFY,
	TROUBLE_ABRUPT_CLOSE,
	TROUBLE_STALL,
	TROUBLE_SLOW_DRIP,
	TROUBLE_TINY_CHUNKS,
	TROUBLE_KEY_UPDATE,
	TROUBLE_CUT_GZIP,
	TROUBLE_BAD_GZIP,
	TROUBLE_BAD_CRC,
	TROUBLE_MISSING_CONTEXT,
	TROUBLE_BROKEN_CONTEXT,
	TROUBLE_WRONG_TOTAL,
	TROUBLE_OFFSET_TOO_OLD,
	TROUBLE_RATE_LIMIT,
	TROUBLE_ERROR_500,
	TROUBLE_ERROR_503,
	TROUBLE_NONCE_USED,
	TROUBLE_BAD_TIMESTAMP,
	TROUBLE_HTML,
	TROUBLE_REDIRECT,
	TROUBLE_INTERIM,
	TROUBLE_NOT_HTTP,
	TROUBLE_LONG_LINE,
	TROUBLE_CLOCK_SKEW,
	TROUBLE_COUNT,
};

/* When a fault can hit. */
enum trouble_place {
	PLACE_REQUEST, /* any request whose signature is right; replaces the answer */
	PLACE_OFFSET,  /* the same, offset mode only */
	PLACE_PAGE,    /* answers 200 with at least one event */
	PLACE_GZIP,    /* the same, only when compressed */
	PLACE_TLS13,   /* the same, only over TLS 1.3 */
	PLACE_START,   /* a property of the whole run */
};

enum argument_kind { ARGUMENT_NONE, ARGUMENT_NUMBER, ARGUMENT_SECONDS, ARGUMENT_TEXT };

struct trouble_description {
	const char *name;
	enum trouble_place place;
	enum argument_kind argument;
	const char *argument_default;
	const char *effect;
};

/* One --fault option. */
struct fault_plan {
	enum trouble trouble;
	uint64_t every;
	uint64_t count_max; /* 0: no end */
	int64_t number;	    /* ARG: a number, or nanoseconds */
	const char *text;   /* ARG as text, or NULL */

	/* Owned by faults.c, under its lock. */
	uint64_t eligible;
	uint64_t due;
	uint64_t hits;
};

struct faults {
	pthread_mutex_t lock;
	struct fault_plan *plans;
	size_t count;
};

const struct trouble_description *trouble_describe(enum trouble trouble);
void faults_list(FILE *file);
/* Parses NAME:EVERY[:COUNT][:ARG]. Returns NULL, or what is wrong with it (a static sentence). */
const char *fault_plan_parse(struct fault_plan *plan, char *text);

void faults_start(struct faults *faults, struct fault_plan *plans, size_t count);
/* Counts one eligible event for every plan whose place is in `places` (bit per trouble_place) and returns
 * the plan that hits now, or NULL. A plan that was due while another hit waits for the next one. */
const struct fault_plan *faults_next(struct faults *faults, unsigned places);
/* The first plan of that kind, for PLACE_START; NULL when it was not ordered. */
const struct fault_plan *faults_find(const struct faults *faults, enum trouble trouble);

#endif
