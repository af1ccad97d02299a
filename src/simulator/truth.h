/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client should have received, and what it asked: the truth file and the request log. Any thread.
 */
#ifndef SIMULATOR_TRUTH_H
#define SIMULATOR_TRUTH_H

#include "simulator/faults.h"
#include "simulator/feed.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#define TRUTH_STATUS_MAX 600
#define TRUTH_SHA256_TEXT_BYTES 65

/* One finished request, for the log. Strings may be NULL. */
struct truth_request {
	const struct feed *feed; /* NULL: no such feed, or refused before it was looked at */
	const char *ids;
	const char *mode; /* "offset", "time", "none" */
	const char *offset;
	int64_t from_s, to_s, limit; /* -1: absent */
	int status;
	enum trouble trouble;
	int signature_right;
	uint64_t first;
	uint64_t events;
	uint64_t body_bytes;
	int complete; /* everything meant to be sent was sent */
	uint64_t connection_number;
	uint64_t request_number; /* on that connection, from 1 */
	int64_t time_ns;
	int64_t duration_ns;
};

struct truth_feed {
	uint64_t requests;
	uint64_t events_sent; /* in answers that were sent whole, repetitions included */
	uint64_t statuses[TRUTH_STATUS_MAX];
	uint64_t troubles[TROUBLE_COUNT];
	int hashed;
	char sha256[TRUTH_SHA256_TEXT_BYTES];
};

struct truth {
	const struct options *options;
	struct feeds *feeds;
	pthread_mutex_t lock;
	pthread_mutex_t hash_lock;
	FILE *log;
	struct truth_feed all; /* every request, also those for no feed */
	struct truth_feed feeds_truth[FEED_COUNT_MAX];
	int hasher_started;
	pthread_t hasher;
	const int *stop;
};

/* Starts hashing bounded feeds in the background when there will be a truth file. Returns 0, or -1 after
 * saying why on stderr. */
int truth_start(struct truth *truth, const struct options *options, struct feeds *feeds, const int *stop);
void truth_request_add(struct truth *truth, const struct truth_request *request);
/* Writes the truth file; waits for the hashes. Returns 0, or -1 after saying why on stderr. */
int truth_save(struct truth *truth);
void truth_finish(struct truth *truth);

#endif
