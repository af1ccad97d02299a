/* SPDX-License-Identifier: Apache-2.0
 *
 * The cost of deciding and signing one request: what lies between the context line of a page and the next
 * request on the wire. Prints the median of interleaved rounds, and a hash of the work.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "akamai/edgegrid.h"
#include "akamai/plan.h"
#include "base/clock.h"

enum { ROUNDS = 21, REQUESTS_PER_ROUND = 5000 };

#define TOKEN                                                                                                \
	"71cca;3phZmEdPj6YEqml0rvbdWDZGW3mCiJIwjyhkJfsLFM2gVYPgE8-N_0CiLI9gwH0_4OJ87xDQ3b-gIsx_kEBdf7aaC_Av"

static struct plan plan;
static struct plan_ask ask;
static struct control_context context;

static uint64_t zero(uint64_t bound)
{
	(void)bound;
	return 0;
}

static uint64_t hash_add(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

/* One page answered, the next request decided. */
static uint64_t plan_round(int requests, uint64_t hash)
{
	struct plan_settings settings = {
		.base_path = "/siem/v1", .config_id = "14227", .cursor = TOKEN, .limit = 60000, .random = zero
	};
	struct plan_time now = { NS_PER_SECOND, INT64_C(1700000000) * NS_PER_SECOND };
	plan_begin(&plan, &settings, now);
	context =
		(struct control_context){ .total = 60000, .offset_bytes = sizeof TOKEN - 1, .offset = TOKEN };
	struct plan_answer answer = { .status = 200, .context = &context, .event_lines = 60000 };
	for (int i = 0; i < requests; i++) {
		now.monotonic_ns += NS_PER_MS;
		now.unix_ns += NS_PER_MS;
		plan_next(&plan, now, &ask);
		context.offset[0] = (char)('a' + i % 26);
		plan_answer(&plan, now, &answer);
	}
	return hash_add(hash, ask.target);
}

static uint64_t sign_round(int requests, uint64_t hash)
{
	static const struct edgegrid_credentials credentials = {
		.client_token = "akab-client-token-xxx-xxxxxxxxxxxxxxxx",
		.client_secret = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=",
		.access_token = "akab-access-token-xxx-xxxxxxxxxxxxxxxx",
	};
	struct edgegrid_request request = {
		.method = "GET",
		.scheme = "https",
		.host = "akab-xxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx.luna.akamaiapis.net",
		.target = "/siem/v1/configs/14227?limit=60000&offset=" TOKEN,
	};
	char timestamp[EDGEGRID_TIMESTAMP_BYTES], nonce[EDGEGRID_NONCE_BYTES];
	char authorization[EDGEGRID_AUTHORIZATION_BYTES_MAX];
	for (int i = 0; i < requests; i++) {
		edgegrid_timestamp(INT64_C(1700000000) + i, timestamp);
		edgegrid_nonce(nonce);
		edgegrid_authorization(&credentials, &request, timestamp, "nonce", authorization,
				       sizeof authorization);
	}
	return hash_add(hash, authorization);
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

static void print_median(const char *what, double *ns, int rounds, uint64_t hash)
{
	qsort(ns, (size_t)rounds, sizeof *ns, compare);
	printf("{\"bench\":\"edgegrid\",\"what\":\"%s\",\"ns_per_request\":%.1f,\"rounds\":%d,\"hash\":\"%"
	       "016" PRIx64 "\"}\n",
	       what, ns[rounds / 2], rounds, hash);
}

int main(int argc, char **argv)
{
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	int rounds = quick ? 1 : ROUNDS;
	int requests = quick ? 20 : REQUESTS_PER_ROUND;
	double sign_ns[ROUNDS], plan_ns[ROUNDS];
	uint64_t sign_hash = 0, plan_hash = 0;
	for (int round = 0; round < rounds; round++) {
		int64_t start_ns = clock_process_cpu_ns();
		sign_hash = sign_round(requests, sign_hash);
		int64_t middle_ns = clock_process_cpu_ns();
		plan_hash = plan_round(requests, plan_hash);
		int64_t end_ns = clock_process_cpu_ns();
		sign_ns[round] = (double)(middle_ns - start_ns) / requests;
		plan_ns[round] = (double)(end_ns - middle_ns) / requests;
	}
	print_median("timestamp, nonce and signature", sign_ns, rounds, sign_hash);
	print_median("plan: answer and next question", plan_ns, rounds, plan_hash);
	return 0;
}
