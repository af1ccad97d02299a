/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/faults.h"

#include "base/duration.h"

#include <stdlib.h>
#include <string.h>

static const struct trouble_description descriptions[TROUBLE_COUNT] = {
	[TROUBLE_CUT_BODY] = { "cut-body", PLACE_PAGE, ARGUMENT_NONE, "",
			       "half of the body, inside a chunk, then a clean end (close_notify and FIN)" },
	[TROUBLE_EARLY_CLOSE_NOTIFY] = { "early-close-notify", PLACE_PAGE, ARGUMENT_NONE, "",
					 "half of the body up to a chunk's border, then close_notify and "
					 "FIN" },
	[TROUBLE_FIN_NO_NOTIFY] = { "fin-no-notify", PLACE_PAGE, ARGUMENT_NONE, "",
				    "half of the body, then FIN without close_notify" },
	[TROUBLE_ABRUPT_CLOSE] = { "abrupt-close", PLACE_PAGE, ARGUMENT_NONE, "",
				   "half of the body, then a TCP reset" },
	[TROUBLE_STALL] = { "stall", PLACE_PAGE, ARGUMENT_SECONDS, "30s",
			    "half of the body, silence for ARG, then a clean end" },
	[TROUBLE_SLOW_DRIP] = { "slow-drip", PLACE_PAGE, ARGUMENT_SECONDS, "2s",
				"the whole body, in small pieces over about ARG; nothing is lost" },
	[TROUBLE_TINY_CHUNKS] = { "tiny-chunks", PLACE_PAGE, ARGUMENT_NUMBER, "7",
				  "the first 4096 chunks have ARG bytes, each with a chunk extension; "
				  "nothing is lost" },
	[TROUBLE_KEY_UPDATE] = { "key-update", PLACE_TLS13, ARGUMENT_NUMBER, "2",
				 "ARG TLS 1.3 KeyUpdates inside the body, in turn without and with a request "
				 "for the peer's; nothing is lost" },
	[TROUBLE_CUT_GZIP] = { "cut-gzip", PLACE_GZIP, ARGUMENT_NONE, "",
			       "the HTTP body ends properly, but only half of the gzip stream is in it" },
	[TROUBLE_BAD_GZIP] = { "bad-gzip", PLACE_GZIP, ARGUMENT_NONE, "",
			       "inverted bytes in the middle of the gzip stream" },
	[TROUBLE_BAD_CRC] = { "bad-crc", PLACE_GZIP, ARGUMENT_NONE, "",
			      "a wrong CRC-32 in the gzip trailer" },
	[TROUBLE_MISSING_CONTEXT] = { "missing-context", PLACE_PAGE, ARGUMENT_NONE, "",
				      "no offset context line at the end" },
	[TROUBLE_BROKEN_CONTEXT] = { "broken-context", PLACE_PAGE, ARGUMENT_NONE, "",
				     "the offset context line is not whole JSON" },
	[TROUBLE_WRONG_TOTAL] = { "wrong-total", PLACE_PAGE, ARGUMENT_NUMBER, "1",
				  "the context's total is too large by ARG (may be negative)" },
	[TROUBLE_OFFSET_TOO_OLD] = { "offset-too-old", PLACE_OFFSET, ARGUMENT_NONE, "",
				     "416 offset-too-old" },
	[TROUBLE_RATE_LIMIT] = { "rate-limit", PLACE_REQUEST, ARGUMENT_SECONDS, "1s",
				 "429 too-many-requests with Retry-After: ARG (0: without the header)" },
	[TROUBLE_ERROR_500] = { "error-500", PLACE_REQUEST, ARGUMENT_NONE, "", "500 error" },
	[TROUBLE_ERROR_503] = { "error-503", PLACE_REQUEST, ARGUMENT_NONE, "", "503 service-unavailable" },
	[TROUBLE_NONCE_USED] = { "nonce-used", PLACE_REQUEST, ARGUMENT_NONE, "",
				 "401 nonce already used, though it was fresh" },
	[TROUBLE_BAD_TIMESTAMP] = { "bad-timestamp", PLACE_REQUEST, ARGUMENT_NONE, "",
				    "400 Invalid timestamp, though it was right" },
	[TROUBLE_HTML] = { "html", PLACE_REQUEST, ARGUMENT_NONE, "", "200 with a text/html page" },
	[TROUBLE_REDIRECT] = { "redirect", PLACE_REQUEST, ARGUMENT_TEXT, "/maintenance",
			       "302 with Location: ARG" },
	[TROUBLE_INTERIM] = { "interim", PLACE_PAGE, ARGUMENT_NONE, "",
			      "100 Continue and 103 Early Hints before the answer; nothing is lost" },
	[TROUBLE_NOT_HTTP] = { "not-http", PLACE_REQUEST, ARGUMENT_NONE, "",
			       "bytes that are not HTTP, then a clean end" },
	[TROUBLE_LONG_LINE] = { "long-line", PLACE_START, ARGUMENT_NUMBER, "3000000",
				"every EVERYth event (COUNT at most) is longer by ARG bytes; part of the "
				"truth" },
	[TROUBLE_CLOCK_SKEW] = { "clock-skew", PLACE_START, ARGUMENT_SECONDS, "90s",
				 "the server's clock is ahead by ARG (may be negative) from the start; "
				 "EVERY and COUNT mean nothing" },
};

const struct trouble_description *trouble_describe(enum trouble trouble)
{
	return &descriptions[trouble];
}

void faults_list(FILE *file)
{
	static const char *const places[] = {
		[PLACE_REQUEST] = "any signed request", [PLACE_OFFSET] = "offset requests",
		[PLACE_PAGE] = "pages with events",	[PLACE_GZIP] = "compressed pages with events",
		[PLACE_TLS13] = "TLS 1.3 pages",	[PLACE_START] = "the whole run",
	};
	fputs("Faults for --fault NAME:EVERY[:COUNT][:ARG]. EVERY = every nth eligible request, first the "
	      "nth;\n"
	      "COUNT = at most so many times (0 or empty: no end); ARG = see below.\n"
	      "No fault changes the feed: whoever repeats the request with the old offset gets "
	      "everything.\n\n",
	      file);
	for (int i = TROUBLE_NONE + 1; i < TROUBLE_COUNT; i++) {
		const struct trouble_description *d = &descriptions[i];
		fprintf(file, "  %-20s %s\n%24shits %s", d->name, d->effect, "", places[d->place]);
		if (d->argument != ARGUMENT_NONE)
			fprintf(file, "; ARG defaults to %s", d->argument_default);
		fputc('\n', file);
	}
}

/* A count of bytes or events ("7", "-1"), or seconds ("5", "1.5s", "2m", "-45s") in nanoseconds. */
static int argument_parse(struct fault_plan *plan, const char *text)
{
	plan->text = text;
	switch (descriptions[plan->trouble].argument) {
	case ARGUMENT_NONE:
		return -1;
	case ARGUMENT_TEXT:
		return *text ? 0 : -1;
	case ARGUMENT_NUMBER:
	case ARGUMENT_SECONDS:
		break;
	}
	char *end;
	long long number = strtoll(text, &end, 10);
	int whole = end != text && *end == 0;
	if (descriptions[plan->trouble].argument == ARGUMENT_NUMBER) {
		plan->number = number;
		return whole && number < 1000000000 && number > -1000000000 ? 0 : -1;
	}
	if (!whole)
		return duration_parse(text, &plan->number);
	plan->number = number * 1000000000;
	return number < 1000000 && number > -1000000 ? 0 : -1;
}

static int frequency_parse(const char *text, uint64_t *ret)
{
	char *end;
	unsigned long long number = strtoull(text, &end, 10);
	if (end == text || *end || *text == '-')
		return -1;
	*ret = number;
	return 0;
}

const char *fault_plan_parse(struct fault_plan *plan, char *text)
{
	*plan = (struct fault_plan){ .every = 1 };
	char *name = strsep(&text, ":");
	char *every = strsep(&text, ":");
	char *count = strsep(&text, ":");
	for (int i = TROUBLE_NONE + 1; i < TROUBLE_COUNT; i++) {
		if (strcmp(descriptions[i].name, name) == 0)
			plan->trouble = (enum trouble)i;
	}
	if (plan->trouble == TROUBLE_NONE)
		return "no such fault (--list-faults shows them)";
	if (every && (frequency_parse(every, &plan->every) < 0 || plan->every == 0))
		return "EVERY must be a whole number from 1";
	if (count && *count && frequency_parse(count, &plan->count_max) < 0)
		return "COUNT must be a whole number (0 or empty: no end)";
	const struct trouble_description *d = &descriptions[plan->trouble];
	if (text && d->argument == ARGUMENT_NONE)
		return "this fault takes no ARG";
	if (d->argument != ARGUMENT_NONE && argument_parse(plan, text ? text : d->argument_default) < 0)
		return "ARG is not what this fault takes (--list-faults)";
	return NULL;
}

void faults_start(struct faults *faults, struct fault_plan *plans, size_t count)
{
	pthread_mutex_init(&faults->lock, NULL);
	faults->plans = plans;
	faults->count = count;
}

const struct fault_plan *faults_next(struct faults *faults, unsigned places)
{
	const struct fault_plan *hit = NULL;
	pthread_mutex_lock(&faults->lock);
	for (size_t i = 0; i < faults->count; i++) {
		struct fault_plan *plan = &faults->plans[i];
		if (!(places & 1u << descriptions[plan->trouble].place))
			continue;
		plan->eligible++;
		if (plan->eligible % plan->every == 0)
			plan->due++;
		if (hit || plan->due == 0 || (plan->count_max && plan->hits == plan->count_max))
			continue;
		plan->due--;
		plan->hits++;
		hit = plan;
	}
	pthread_mutex_unlock(&faults->lock);
	return hit;
}

const struct fault_plan *faults_find(const struct faults *faults, enum trouble trouble)
{
	for (size_t i = 0; i < faults->count; i++) {
		if (faults->plans[i].trouble == trouble)
			return &faults->plans[i];
	}
	return NULL;
}
