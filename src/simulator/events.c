/* SPDX-License-Identifier: Apache-2.0
 *
 * Proportions are set so that full events have about 1.9 KB and compress about 6.8:1 at gzip level 6:
 * most of an event repeats what its neighbours say, and some 200 bytes (ids, cookies, tokens) do not.
 */
#include "simulator/events.h"

#include "simulator/vocabulary.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define RULES_PER_EVENT_MAX 4

/* The making of one event. */
struct maker {
	const struct events *events;
	struct text *text;
	uint64_t state;
	int64_t start_ms;
	const char *config_id;
	const struct vocabulary_rule *rules[RULES_PER_EVENT_MAX];
	size_t rule_count;
	const char *action;
	const char *host;
	const char *path;
	const char *agent;
	const char *status;
	unsigned bytes;
	int upper_escapes; /* rare spelling: raw separators in rule members */
	int raw_headers;   /* rare spelling: headers not URL-encoded, CR LF as JSON escapes */
};

uint64_t events_mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

static uint64_t next(struct maker *maker)
{
	maker->state += 0x9e3779b97f4a7c15;
	return events_mix(maker->state);
}

static unsigned below(struct maker *maker, unsigned bound)
{
	return (unsigned)((next(maker) >> 32) * bound >> 32);
}

static int chance(struct maker *maker, unsigned percent)
{
	return below(maker, 100) < percent;
}

/* Index into a list of `count` in which early entries are much more frequent. */
static unsigned skewed(struct maker *maker, unsigned count)
{
	unsigned a = below(maker, count), b = below(maker, count);
	return a < b ? a : b;
}

static void put(struct maker *maker, const char *string)
{
	text_put_string(maker->text, string);
}

/* `"name":"value",` */
static void member(struct maker *maker, const char *name, const char *value)
{
	put(maker, "\"");
	put(maker, name);
	put(maker, "\":\"");
	put(maker, value);
	put(maker, "\",");
}

static void letters(struct maker *maker, const char *alphabet, unsigned alphabet_count, unsigned count)
{
	text_reserve(maker->text, count);
	uint64_t random = 0;
	for (unsigned i = 0; i < count; i++) {
		if (i % 8 == 0)
			random = next(maker);
		maker->text->base[maker->text->bytes++] = alphabet[(random & 255) * alphabet_count >> 8];
		random >>= 8;
	}
}

static void hex(struct maker *maker, unsigned count)
{
	letters(maker, "0123456789abcdef", 16, count);
}

static void base64_letters(struct maker *maker, unsigned count)
{
	letters(maker, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 63, count);
}

/* Ends a list member: drops the comma after the last entry and closes the object. */
static void close_object(struct maker *maker, const char *end)
{
	if (maker->text->base[maker->text->bytes - 1] == ',')
		maker->text->bytes--;
	put(maker, end);
}

enum rule_part { PART_ID, PART_VERSION, PART_MESSAGE, PART_TAG, PART_DATA, PART_SELECTOR, PART_ACTION };

static const char *rule_part(const struct maker *maker, size_t index, enum rule_part part)
{
	const struct vocabulary_rule *rule = maker->rules[index];
	switch (part) {
	case PART_ID:
		return rule->id;
	case PART_VERSION:
		return rule->version;
	case PART_MESSAGE:
		return rule->message;
	case PART_TAG:
		return rule->tag;
	case PART_DATA:
		return rule->data;
	case PART_SELECTOR:
		return rule->selector;
	case PART_ACTION:
		break;
	}
	return index + 1 == maker->rule_count ? maker->action : "alert";
}

/* Parallel arrays: base64 parts joined with ';', the whole URL-encoded. */
static void rule_member(struct maker *maker, const char *name, enum rule_part part)
{
	char joined[2048];
	struct text encoded = { .base = joined, .bytes = 0, .capacity = sizeof joined };
	for (size_t i = 0; i < maker->rule_count; i++) {
		const char *value = rule_part(maker, i, part);
		if (i)
			text_put(&encoded, ";", 1);
		text_put_base64(&encoded, value, strlen(value));
	}
	put(maker, "\"");
	put(maker, name);
	put(maker, "\":\"");
	if (maker->upper_escapes)
		text_put(maker->text, encoded.base, encoded.bytes);
	else
		text_put_percent(maker->text, encoded.base, encoded.bytes);
	put(maker, "\",");
}

static void client_ip(struct maker *maker)
{
	/* Attackers come back: most addresses are from a few thousand. */
	uint64_t address = events_mix(skewed(maker, 4000) + 77);
	if (address % 16 == 0)
		text_format(maker->text, "\"clientIP\":\"2804:d59:%x:%x:e44f:b1be:%x:7f5c\",",
			    (unsigned)(address >> 8 & 0xffff), (unsigned)(address >> 24 & 0xffff),
			    (unsigned)(address >> 40 & 0xffff));
	else
		text_format(maker->text, "\"clientIP\":\"%u.%u.%u.%u\",", (unsigned)(address >> 8 & 127) + 1,
			    (unsigned)(address >> 16 & 255), (unsigned)(address >> 24 & 255),
			    (unsigned)(address >> 32 & 255));
}

static void attack_data(struct maker *maker)
{
	put(maker, "\"attackData\":{");
	member(maker, "configId", maker->config_id);
	text_format(maker->text, "\"policyId\":\"qik%u_%u\",", below(maker, 4) + 1, 26540 + below(maker, 6));
	client_ip(maker);
	rule_member(maker, "rules", PART_ID);
	rule_member(maker, "ruleVersions", PART_VERSION);
	rule_member(maker, "ruleMessages", PART_MESSAGE);
	rule_member(maker, "ruleTags", PART_TAG);
	if (maker->events->lean)
		member(maker, "ruleData", "");
	else
		rule_member(maker, "ruleData", PART_DATA);
	rule_member(maker, "ruleSelectors", PART_SELECTOR);
	rule_member(maker, "ruleActions", PART_ACTION);
	if (chance(maker, 60))
		member(maker, "appliedAction", maker->action);
	if (!maker->events->lean && chance(maker, 15))
		text_format(maker->text, "\"clientReputation\":\"ID=172.19.%u.%u;WEBATCK=%u;DOSATCK=%u\",",
			    below(maker, 32), below(maker, 256), below(maker, 10), below(maker, 10));
	if (chance(maker, 10))
		text_format(maker->text, "\"apiId\":\"API_%u\",\"apiKey\":\"\",", 725800 + below(maker, 9));
	close_object(maker, "},");
}

/* `Name: value` and CR LF, in the event's spelling. */
static void header(struct maker *maker, const char *name, const char *value)
{
	if (maker->raw_headers) {
		put(maker, name);
		put(maker, ": ");
		put(maker, value);
		put(maker, "\\r\\n");
		return;
	}
	put(maker, name);
	put(maker, "%3a%20");
	text_put_percent(maker->text, value, strlen(value));
	put(maker, "%0d%0a");
}

static void header_random(struct maker *maker, const char *name, const char *before, unsigned count,
			  const char *after)
{
	put(maker, name);
	put(maker, maker->raw_headers ? ": " : "%3a%20");
	put(maker, before);
	base64_letters(maker, count);
	put(maker, after);
	put(maker, maker->raw_headers ? "\\r\\n" : "%0d%0a");
}

static void request_headers(struct maker *maker)
{
	put(maker, "\"requestHeaders\":\"");
	header(maker, "User-Agent", maker->agent);
	if (!maker->events->lean) {
		header(maker, "Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
		header(maker, "Host", maker->host);
		header(maker, "Accept-Language",
		       vocabulary_languages[skewed(maker, VOCABULARY_LANGUAGE_COUNT)]);
		header(maker, "Accept-Encoding", "gzip, deflate, br");
		if (chance(maker, 40))
			header(maker, "Connection", "keep-alive");
		if (chance(maker, 25))
			header(maker, "Referer",
			       "https://www.example.com/product/detail?category=outdoor&sort=price");
		if (chance(maker, 75))
			header_random(maker, "Cookie", "ak_bmsc%3d", 62 + below(maker, 24), "");
		if (chance(maker, 4))
			header_random(maker, "x-acf-sensor-data", "2,i,", 600 + below(maker, 1200),
				      "$34,14,80$");
		if (chance(maker, 50))
			header(maker, "Content-Length", chance(maker, 70) ? "0" : "21");
	}
	if (maker->events->lean)
		header_random(maker, "Cookie", "id%3d", 36 + below(maker, 24), "");
	put(maker, "\",");
}

static void http_date(struct maker *maker, char *text, size_t size)
{
	struct tm tm;
	time_t seconds = (time_t)(maker->start_ms / 1000);
	gmtime_r(&seconds, &tm);
	strftime(text, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void response_headers(struct maker *maker)
{
	char date[40] = "";
	char length[16];
	if (!maker->events->lean)
		http_date(maker, date, sizeof date);
	snprintf(length, sizeof length, "%u", maker->bytes);
	put(maker, "\"responseHeaders\":\"");
	if (!maker->events->lean) {
		header(maker, "Content-Length", length);
		header(maker, "Server", "AkamaiGHost");
		header(maker, "Content-Type", "text/html");
		header(maker, "Date", date);
		header(maker, "Mime-Version", "1.0");
		if (chance(maker, 25))
			header(maker, "Expires", date);
		header(maker, "Connection", chance(maker, 60) ? "close" : "keep-alive");
		if (chance(maker, 40))
			header(maker, "Strict-Transport-Security", "max-age=15724800; includeSubDomains");
		if (chance(maker, 50))
			header_random(maker, "Set-Cookie", "ak_bmsc%3d", 60 + below(maker, 30),
				      "%3b%20max-age%3d7200%3b%20path%3d%2f%3b%20domain%3d.example.com%3b%"
				      "20HttpOnly");
	}
	put(maker, "\",");
}

static void start_member(struct maker *maker)
{
	if (chance(maker, 25))
		text_format(maker->text, "\"start\":\"%lld.%03lld\",", (long long)(maker->start_ms / 1000),
			    (long long)(maker->start_ms % 1000));
	else
		text_format(maker->text, "\"start\":\"%lld\",", (long long)(maker->start_ms / 1000));
}

static void query_member(struct maker *maker)
{
	const char *attack = maker->rules[0]->attack;
	put(maker, "\"query\":\"");
	put(maker, attack);
	if (chance(maker, 60)) {
		put(maker, "&sid=");
		hex(maker, 12);
	}
	/* Text that looks like the offset context, and JSON escapes: traps for careless readers. */
	if (chance(maker, 1))
		put(maker, "&state={\\\"total\\\":7,\\\"offset\\\":\\\"0\\\",\\\"limit\\\":7}\\\\\\u00e9\\/");
	put(maker, "\",");
}

static void http_message(struct maker *maker)
{
	static const char *const methods[] = {
		"GET", "GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS"
	};
	static const char *const protocols[] = { "HTTP/1.1", "h2", "http/2" };
	int secure = chance(maker, 85);
	put(maker, "\"httpMessage\":{\"requestId\":\"");
	hex(maker, chance(maker, 50) ? 8 : 23);
	put(maker, "\",");
	start_member(maker);
	member(maker, "protocol", protocols[skewed(maker, 3)]);
	if (secure)
		member(maker, "tls", chance(maker, 70) ? "tls1.3" : "TLSv1.2");
	member(maker, "method", methods[below(maker, 8)]);
	member(maker, "host", maker->host);
	member(maker, "port", secure ? "443" : "80");
	member(maker, "path", maker->path);
	query_member(maker);
	request_headers(maker);
	member(maker, "status", maker->status);
	if (chance(maker, 97))
		text_format(maker->text, "\"bytes\":\"%u\",", maker->bytes);
	else
		member(maker, "bytes", "");
	response_headers(maker);
	close_object(maker, "},");
}

static void geo(struct maker *maker)
{
	const struct vocabulary_place *place = &vocabulary_places[skewed(maker, VOCABULARY_PLACE_COUNT)];
	put(maker, "\"geo\":{");
	member(maker, "continent", place->continent);
	member(maker, "country", place->country);
	member(maker, "city", place->city);
	member(maker, "regionCode", place->region);
	member(maker, "asn", place->asn);
	close_object(maker, "},");
}

static void optional_objects(struct maker *maker)
{
	if (chance(maker, maker->events->lean ? 10 : 40))
		text_format(maker->text, "\"botData\":{\"botScore\":\"%u\",\"responseSegment\":\"%u\"},",
			    below(maker, 101), below(maker, 5));
	if (chance(maker, 15))
		text_format(maker->text,
			    "\"clientData\":{\"appBundleId\":\"com.example.app\",\"appVersion\":\"1.%u\","
			    "\"sdkVersion\":\"4.7.1\",\"telemetryType\":\"2\"},",
			    below(maker, 30));
	if (!maker->events->lean && chance(maker, 15)) {
		put(maker, "\"userRiskData\":{\"uuid\":\"");
		hex(maker, 8);
		text_format(maker->text,
			    "-0821-413a-a4d6-8131770ec8d5\",\"status\":\"0\",\"score\":\"%u\",\"risk\":"
			    "\"udfp:1325gdg4g4343g/M"
			    "|unp:74256/"
			    "H\",\"trust\":\"ugp:US\",\"general\":\"duc_1h:%u|duc_1d:30\",\"allow\":\"0\"},",
			    below(maker, 101), below(maker, 20));
	}
	if (chance(maker, 5)) {
		put(maker, "\"custom\":\"");
		base64_letters(maker, 20 + below(maker, 60));
		put(maker, "%3d\",");
	}
}

/* What makes the line long is one member of many bytes, repetitive enough to compress. */
static void long_member(struct maker *maker)
{
	static const char filler[] = "long%20line%20";
	size_t bytes = maker->events->long_bytes;
	put(maker, "\"identity\":\"");
	for (size_t done = 0; done < bytes; done += sizeof filler - 1) {
		size_t left = bytes - done;
		text_put(maker->text, filler, left < sizeof filler - 1 ? left : sizeof filler - 1);
	}
	put(maker, "\",");
}

static int is_long(const struct events *events, uint64_t index)
{
	if (events->long_every == 0 || (index + 1) % events->long_every != 0)
		return 0;
	return events->long_count_max == 0 || (index + 1) / events->long_every <= events->long_count_max;
}

static void choose(struct maker *maker)
{
	static const char *const actions[] = { "deny", "alert", "monitor", "tarpit" };
	static const char *const statuses[] = { "403", "200", "404", "301", "500" };
	unsigned family = skewed(maker, VOCABULARY_RULE_COUNT);
	unsigned count =
		1 + (maker->events->lean ? 0
					 : skewed(maker, chance(maker, 40) ? RULES_PER_EVENT_MAX
									   : RULES_PER_EVENT_MAX - 1));
	for (unsigned i = 0; i < count; i++)
		maker->rules[i] = &vocabulary_rules[(family + i) % VOCABULARY_RULE_COUNT];
	maker->rule_count = count;
	maker->action = actions[skewed(maker, 4)];
	maker->host = vocabulary_hosts[skewed(maker, VOCABULARY_HOST_COUNT)];
	maker->path = vocabulary_paths[skewed(maker, VOCABULARY_PATH_COUNT)];
	maker->agent = maker->events->lean ? vocabulary_agents[5 + skewed(maker, 3)]
					   : vocabulary_agents[skewed(maker, VOCABULARY_AGENT_COUNT)];
	maker->status = statuses[skewed(maker, 5)];
	maker->bytes = chance(maker, 30) ? 266 : below(maker, 40000);
	maker->upper_escapes = chance(maker, 2);
	maker->raw_headers = chance(maker, 2);
}

void event_put(const struct events *events, const char *config_id, uint64_t index, int64_t stored_ns,
	       struct text *text)
{
	struct maker maker = { .events = events, .text = text, .config_id = config_id };
	uint64_t config_hash = 0;
	for (const char *c = config_id; *c; c++)
		config_hash = events_mix(config_hash ^ (unsigned char)*c);
	maker.state = events_mix(events_mix(events->seed) ^ config_hash) ^ events_mix(index);
	/* The request began up to 3 s before it was stored, so the feed is not ordered by it. */
	maker.start_ms = stored_ns / 1000000 - below(&maker, 3000);
	choose(&maker);
	put(&maker, "{\"type\":\"akamai_siem\",\"format\":\"json\",\"version\":\"1.0\",");
	attack_data(&maker);
	http_message(&maker);
	geo(&maker);
	optional_objects(&maker);
	if (is_long(events, index))
		long_member(&maker);
	close_object(&maker, "}");
}
