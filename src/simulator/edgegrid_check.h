/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway in front of the API: is this request signed as EdgeGrid (EG1-HMAC-SHA256) demands?
 * Any thread.
 */
#ifndef SIMULATOR_EDGEGRID_CHECK_H
#define SIMULATOR_EDGEGRID_CHECK_H

#include "simulator/options.h"
#include "simulator/request.h"

#include <pthread.h>
#include <stdint.h>

#define GATE_NONCE_COUNT 65536 /* remembered; older ones are outside the time window at any sane rate */
#define GATE_WINDOW_NS INT64_C(30000000000)

struct gate_nonce {
	uint64_t hash[2];
	int64_t seen_ns;
};

struct gate {
	const struct options *options;
	pthread_mutex_t lock;
	struct gate_nonce *nonces;
};

enum gate_result {
	GATE_PASSED,
	GATE_MISSING,	/* no Authorization header */
	GATE_MALFORMED, /* not EG1-HMAC-SHA256 with the five fields */
	GATE_TOKENS,	/* unknown client or access token */
	GATE_TIMESTAMP, /* more than 30 s off */
	GATE_SIGNATURE,
	GATE_NONCE, /* used before */
};

void gate_start(struct gate *gate, const struct options *options);
void gate_finish(struct gate *gate);
enum gate_result gate_check(struct gate *gate, const struct request *request, int64_t now_ns);

#endif
