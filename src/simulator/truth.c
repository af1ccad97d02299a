/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/truth.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static void feed_hash(struct truth *truth, const struct feed *feed)
{
	struct truth_feed *entry = &truth->feeds_truth[feed->index];
	pthread_mutex_lock(&truth->hash_lock);
	if (!entry->hashed && feed->total != FEED_NO_END) {
		uint8_t digest[EVP_MAX_MD_SIZE];
		unsigned digest_bytes = 0;
		struct text line = { 0 };
		EVP_MD_CTX *context = EVP_MD_CTX_new();
		EVP_DigestInit_ex(context, EVP_sha256(), NULL);
		for (uint64_t i = 0; i < feed->total; i++) {
			line.bytes = 0;
			feed_event_put(feed, i, &line);
			text_put_string(&line, "\n");
			EVP_DigestUpdate(context, line.base, line.bytes);
		}
		EVP_DigestFinal_ex(context, digest, &digest_bytes);
		EVP_MD_CTX_free(context);
		text_finish(&line);
		for (unsigned i = 0; i < digest_bytes; i++)
			snprintf(entry->sha256 + 2 * i, 3, "%02x", digest[i]);
		entry->hashed = 1;
	}
	pthread_mutex_unlock(&truth->hash_lock);
}

static size_t feed_count_now(struct truth *truth)
{
	pthread_mutex_lock(&truth->feeds->lock);
	size_t count = truth->feeds->count;
	pthread_mutex_unlock(&truth->feeds->lock);
	return count;
}

static void *hasher_run(void *argument)
{
	struct truth *truth = argument;
	size_t count = feed_count_now(truth);
	for (size_t i = 0; i < count && !__atomic_load_n(truth->stop, __ATOMIC_RELAXED); i++)
		feed_hash(truth, truth->feeds->feeds[i]);
	return NULL;
}

int truth_start(struct truth *truth, const struct options *options, struct feeds *feeds, const int *stop)
{
	truth->options = options;
	truth->feeds = feeds;
	truth->stop = stop;
	pthread_mutex_init(&truth->lock, NULL);
	pthread_mutex_init(&truth->hash_lock, NULL);
	if (options->request_log) {
		truth->log = fopen(options->request_log, "we");
		if (!truth->log) {
			fprintf(stderr, "akamai-prof simulate: cannot write %s: %s\n", options->request_log,
				strerror(errno));
			return -1;
		}
		setvbuf(truth->log, NULL, _IOLBF, 0);
	}
	if (options->truth && options->events)
		truth->hasher_started = pthread_create(&truth->hasher, NULL, hasher_run, truth) == 0;
	return 0;
}

static void json_string(FILE *file, const char *name, const char *value)
{
	fprintf(file, "\"%s\":", name);
	if (!value) {
		fputs("null,", file);
		return;
	}
	fputc('"', file);
	for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(file, "\\%c", *c);
		else if (*c < 32 || *c > 126)
			fprintf(file, "\\u%04x", *c);
		else
			fputc(*c, file);
	}
	fputs("\",", file);
}

static void json_number(FILE *file, const char *name, int64_t value)
{
	if (value < 0)
		fprintf(file, "\"%s\":null,", name);
	else
		fprintf(file, "\"%s\":%" PRId64 ",", name, value);
}

static void log_write(struct truth *truth, const struct truth_request *request)
{
	FILE *file = truth->log;
	fprintf(file, "{\"time\":%.3f,", (double)request->time_ns / 1e9);
	json_string(file, "config", request->ids);
	json_string(file, "mode", request->mode);
	json_string(file, "offset", request->offset);
	json_number(file, "from", request->from_s);
	json_number(file, "to", request->to_s);
	json_number(file, "limit", request->limit);
	fprintf(file, "\"status\":%d,", request->status);
	json_string(file, "fault", request->trouble ? trouble_describe(request->trouble)->name : NULL);
	fprintf(file,
		"\"signature\":%s,\"first\":%" PRIu64 ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64
		",\"complete\":%s,"
		"\"connection\":%" PRIu64 ",\"request\":%" PRIu64 ",\"seconds\":%.6f}\n",
		request->signature_right ? "true" : "false", request->first, request->events,
		request->body_bytes, request->complete ? "true" : "false", request->connection_number,
		request->request_number, (double)request->duration_ns / 1e9);
}

static void count_add(struct truth_feed *entry, const struct truth_request *request)
{
	entry->requests++;
	entry->statuses[request->status < TRUTH_STATUS_MAX ? request->status : 0]++;
	entry->troubles[request->trouble]++;
	entry->events_sent += request->complete ? request->events : 0;
}

void truth_request_add(struct truth *truth, const struct truth_request *request)
{
	pthread_mutex_lock(&truth->lock);
	count_add(&truth->all, request);
	if (request->feed)
		count_add(&truth->feeds_truth[request->feed->index], request);
	if (truth->log)
		log_write(truth, request);
	pthread_mutex_unlock(&truth->lock);
}

static void counts_put(const struct truth_feed *entry, const char *indent, struct text *text)
{
	const char *comma = "";
	text_format(text, "%s\"requests\": %" PRIu64 ",\n%s\"events_sent\": %" PRIu64 ",\n%s\"statuses\": {",
		    indent, entry->requests, indent, entry->events_sent, indent);
	for (int i = 0; i < TRUTH_STATUS_MAX; i++) {
		if (entry->statuses[i]) {
			text_format(text, "%s\"%d\": %" PRIu64, comma, i, entry->statuses[i]);
			comma = ", ";
		}
	}
	comma = "";
	text_format(text, "},\n%s\"faults\": {", indent);
	for (int i = TROUBLE_NONE + 1; i < TROUBLE_COUNT; i++) {
		if (entry->troubles[i]) {
			text_format(text, "%s\"%s\": %" PRIu64, comma,
				    trouble_describe((enum trouble)i)->name, entry->troubles[i]);
			comma = ", ";
		}
	}
	text_put_string(text, "}");
}

static void feed_put(struct truth *truth, const struct feed *feed, int last, struct text *text)
{
	const struct truth_feed *entry = &truth->feeds_truth[feed->index];
	text_put_string(text, "    \"");
	feed_name_put(feed, text);
	if (entry->hashed)
		text_format(text, "\": {\n      \"events\": %" PRIu64 ",\n      \"sha256\": \"%s\",\n",
			    feed->total, entry->sha256);
	else
		text_put_string(text, "\": {\n      \"events\": null,\n      \"sha256\": null,\n");
	counts_put(entry, "      ", text);
	text_format(text, "\n    }%s\n", last ? "" : ",");
}

int truth_save(struct truth *truth)
{
	if (!truth->options->truth)
		return 0;
	struct text text = { 0 };
	size_t count = feed_count_now(truth);
	for (size_t i = 0; i < count; i++)
		feed_hash(truth, truth->feeds->feeds[i]);
	pthread_mutex_lock(&truth->lock);
	text_format(&text, "{\n  \"seed\": %" PRIu64 ",\n", truth->options->seed);
	counts_put(&truth->all, "  ", &text);
	text_put_string(&text, ",\n  \"configs\": {\n");
	for (size_t i = 0; i < count; i++)
		feed_put(truth, truth->feeds->feeds[i], i + 1 == count, &text);
	pthread_mutex_unlock(&truth->lock);
	text_put_string(&text, "  }\n}\n");
	int result = text_save(&text, truth->options->truth, 0644);
	if (result < 0)
		fprintf(stderr, "akamai-prof simulate: cannot write %s: %s\n", truth->options->truth,
			strerror(-result));
	text_finish(&text);
	return result < 0 ? -1 : 0;
}

void truth_finish(struct truth *truth)
{
	if (truth->hasher_started)
		pthread_join(truth->hasher, NULL);
	if (truth->log)
		fclose(truth->log);
	pthread_mutex_destroy(&truth->lock);
	pthread_mutex_destroy(&truth->hash_lock);
}
