/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request to its answer: the gateway's checks, the service's rules, the ordered faults.
 * Shapes and texts of errors: protocol, "Errors".
 */
#define _GNU_SOURCE
#include "simulator/body.h"
#include "simulator/request.h"
#include "simulator/server.h"

#include "base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_DEFAULT 10000
#define LIMIT_MAX 600000
#define NS_PER_S 1000000000

struct answer {
	struct server *server;
	struct connection *connection;
	struct request *request;
	struct truth_request record;
	int64_t now_ns;
	int keep;
};

struct problem {
	int status;
	const char *reason;
	const char *type;
	const char *title;
	const char *detail;
	int gateway; /* the gateway's shape has "status" and another content type */
};

#define SERVICE "https://problems.cloudsecurity.akamaiapis.net/siem/v1/"
#define GATEWAY "https://problems.luna.akamaiapis.net/-/pep-authn/"
#define ILLEGAL "Missing mandatory parameter(s) or illegal parameter(s) in the request"

static const struct problem problem_parameters = { 400,	    "Bad Request", SERVICE "missing-parameters",
						   ILLEGAL, ILLEGAL,	   0 };
static const struct problem problem_combination = { 400,
						    "Bad Request",
						    SERVICE "missing-parameters",
						    ILLEGAL,
						    ILLEGAL ": either offset or from is needed, not both",
						    0 };
static const struct problem problem_range = { 400,
					      "Bad Request",
					      SERVICE "missing-parameters",
					      ILLEGAL,
					      ILLEGAL ": from is out of range, at most 12 hours in the past",
					      0 };
static const struct problem problem_offset = { 400,
					       "Bad Request",
					       SERVICE "missing-parameters",
					       ILLEGAL,
					       ILLEGAL ": offset is not valid for this configuration",
					       0 };
static const struct problem problem_forbidden = {
	403,
	"Forbidden",
	SERVICE "unauthorized",
	"Unauthorized",
	"The specified user is unauthorized to access the requested data",
	0
};
static const struct problem problem_unknown = { 404,
						"Not Found",
						SERVICE "not-found",
						"Not found",
						"The data for the object requested does not exist",
						0 };
static const struct problem problem_expired = { 416,
						"Range Not Satisfiable",
						SERVICE "offset-too-old",
						"Expired offset parameter in the request",
						"Expired offset parameter in the request",
						0 };
static const struct problem problem_many = { 429,
					     "Too Many Requests",
					     SERVICE "too-many-requests",
					     "Too many requests",
					     "Too many requests made from clients of this account",
					     0 };
static const struct problem problem_error = { 500,     "Internal Server Error", SERVICE "error",
					      "Error", "Internal server error", 0 };
static const struct problem problem_unavailable = {
	503,
	"Service Unavailable",
	SERVICE "service-unavailable",
	"Service unavailable",
	"There is no available backend system to respond to the request",
	0
};
static const struct problem problem_timestamp = { 400,		 "Bad Request",	      GATEWAY "request-error",
						  "Bad request", "Invalid timestamp", 1 };
static const struct problem problem_nonce = {
	401, "Unauthorized", GATEWAY "deny", "Not authorized", "Invalid authorization: nonce already used", 1
};
static const struct problem problem_signature = {
	401, "Unauthorized", GATEWAY "deny", "Not authorized", "The signature does not match", 1
};
static const struct problem problem_tokens = {
	401, "Unauthorized", GATEWAY "deny", "Not authorized", "Inactive client token or access token", 1
};
static const struct problem problem_malformed = {
	401, "Unauthorized", GATEWAY "deny", "Not authorized", "Invalid authorization header", 1
};
static const struct problem problem_missing = {
	401, "Unauthorized", GATEWAY "deny", "Not authorized", "Missing authorization header", 1
};
static const struct problem problem_request = {
	400, "Bad Request", GATEWAY "request-error", "Bad request", "The request cannot be read", 1
};
static const struct problem problem_method = {
	405, "Method Not Allowed", GATEWAY "request-error", "Method not allowed", "Only GET is supported", 1
};
static const struct problem problem_path = {
	404, "Not Found", GATEWAY "request-error", "Not found", "The path is none of this API", 1
};

static void json_text_put(struct text *text, const char *value)
{
	for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
		if (*c == '"' || *c == '\\')
			text_format(text, "\\%c", *c);
		else if (*c < 32 || *c > 126)
			text_format(text, "\\u%04x", *c);
		else
			text_put(text, c, 1);
	}
}

/* Status line and the headers that every answer has. The head stays open. */
static void head_put(const struct answer *answer, struct text *text, int status, const char *reason,
		     const char *content_type)
{
	char date[64];
	struct tm tm;
	time_t seconds = (time_t)(answer->now_ns / NS_PER_S);
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	text_format(text,
		    "HTTP/1.1 %d %s\r\nServer: akamai-prof-simulator/" AKAMAI_PROF_VERSION
		    "\r\nDate: %s\r\nContent-Type: %s\r\nVary: Accept-Encoding\r\n%s",
		    status, reason, date, content_type, answer->keep ? "" : "Connection: close\r\n");
}

/* A whole small answer. */
static void small_send(struct answer *answer, int status, const char *reason, const char *content_type,
		       const char *extra_headers, const struct text *body)
{
	struct text head = { 0 };
	head_put(answer, &head, status, reason, content_type);
	text_format(&head, "%sContent-Length: %zu\r\n\r\n", extra_headers, body->bytes);
	answer->record.status = status;
	answer->record.complete = connection_write(answer->connection, head.base, head.bytes) == 0 &&
				  connection_write(answer->connection, body->base, body->bytes) == 0 &&
				  connection_flush(answer->connection) == 0;
	answer->record.body_bytes = body->bytes;
	answer->keep &= answer->record.complete;
	text_finish(&head);
}

static void problem_send(struct answer *answer, const struct problem *problem, const char *extra_headers)
{
	struct text body = { 0 };
	char stamp[64];
	struct tm tm;
	time_t seconds = (time_t)(answer->now_ns / NS_PER_S);
	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
	const char *host = request_header(answer->request, "host");
	text_format(&body, "{\n  \"type\": \"%s\",\n  \"title\": \"%s\",\n  \"instance\": \"https://",
		    problem->type, problem->title);
	json_text_put(&body, host ? host : "localhost");
	json_text_put(&body, answer->request->target ? answer->request->target : "/");
	text_format(&body, "\",\n  \"detail\": \"%s\",\n", problem->detail);
	if (problem->gateway)
		text_format(&body, "  \"status\": %d,\n", problem->status);
	text_put_string(&body, "  \"method\": \"");
	json_text_put(&body, answer->request->method ? answer->request->method : "");
	text_format(&body,
		    "\",\n  \"serverIp\": \"%s\",\n  \"clientIp\": \"%s\",\n  \"requestId\": \"%llx%llx\",\n"
		    "  \"requestTime\": \"%s\"\n}",
		    answer->connection->local, answer->connection->peer,
		    (unsigned long long)answer->record.connection_number + 0x9ab12,
		    (unsigned long long)answer->record.request_number, stamp);
	small_send(answer, problem->status, problem->reason, "application/problem+json", extra_headers,
		   &body);
	text_finish(&body);
}

static void html_send(struct answer *answer)
{
	struct text body = { 0 };
	text_put_string(&body, "<!DOCTYPE html>\n<html><head><title>Scheduled maintenance</title></head>\n"
			       "<body><h1>We will be back soon</h1></body></html>\n");
	small_send(answer, 200, "OK", "text/html", "", &body);
	text_finish(&body);
}

static void redirect_send(struct answer *answer, const char *location)
{
	struct text body = { 0 }, header = { 0 };
	text_put_string(&body, "moved\n");
	text_format(&header, "Location: %s\r\n", location);
	small_send(answer, 302, "Found", "text/plain", header.base, &body);
	text_finish(&body);
	text_finish(&header);
}

static void rate_limit_send(struct answer *answer, int64_t wait_ns)
{
	struct text header = { 0 };
	text_put_string(&header, "");
	text_reserve(&header, 64);
	header.base[0] = 0;
	if (wait_ns > 0)
		text_format(&header, "Retry-After: %lld\r\n",
			    (long long)((wait_ns + NS_PER_S - 1) / NS_PER_S));
	problem_send(answer, &problem_many, header.base);
	text_finish(&header);
}

static void garbage_send(struct answer *answer)
{
	static const char garbage[] = "\x16\x03\x01 220 mail.example.com ESMTP ready\r\n\r\n\0\xff\xfe";
	connection_write(answer->connection, garbage, sizeof garbage - 1);
	answer->record.status = 0;
	answer->keep = 0;
	connection_end(answer->connection, CONNECTION_END_CLEAN);
}

/* A fault that takes the answer's place. */
static void fault_send(struct answer *answer, const struct fault_plan *plan)
{
	answer->record.trouble = plan->trouble;
	switch (plan->trouble) {
	case TROUBLE_OFFSET_TOO_OLD:
		problem_send(answer, &problem_expired, "");
		break;
	case TROUBLE_RATE_LIMIT:
		rate_limit_send(answer, plan->number);
		break;
	case TROUBLE_ERROR_500:
		problem_send(answer, &problem_error, "");
		break;
	case TROUBLE_ERROR_503:
		problem_send(answer, &problem_unavailable, "");
		break;
	case TROUBLE_NONCE_USED:
		problem_send(answer, &problem_nonce, "");
		break;
	case TROUBLE_BAD_TIMESTAMP:
		problem_send(answer, &problem_timestamp, "");
		break;
	case TROUBLE_HTML:
		html_send(answer);
		break;
	case TROUBLE_REDIRECT:
		redirect_send(answer, plan->text);
		break;
	default:
		garbage_send(answer);
		break;
	}
}

/* The API gateway: NULL when the request may pass. */
static const struct problem *gate_problem(struct answer *answer)
{
	static const struct problem *const problems[] = {
		[GATE_PASSED] = NULL,
		[GATE_MISSING] = &problem_missing,
		[GATE_MALFORMED] = &problem_malformed,
		[GATE_TOKENS] = &problem_tokens,
		[GATE_TIMESTAMP] = &problem_timestamp,
		[GATE_SIGNATURE] = &problem_signature,
		[GATE_NONCE] = &problem_nonce,
	};
	if (answer->server->options->no_auth)
		return NULL;
	enum gate_result result = gate_check(&answer->server->gate, answer->request, answer->now_ns);
	answer->record.signature_right = result == GATE_PASSED || result == GATE_NONCE;
	return problems[result];
}

static const struct problem *feed_problem(struct answer *answer, struct feed **ret_feed)
{
	switch (feed_find(&answer->server->feeds, answer->request->ids, ret_feed)) {
	case FEED_FOUND:
		return NULL;
	case FEED_UNKNOWN:
		return &problem_unknown;
	case FEED_FORBIDDEN:
		return &problem_forbidden;
	case FEED_MALFORMED:
		break;
	}
	return &problem_parameters;
}

/* Offset mode. NULL reads from the oldest event kept. */
static const struct problem *offset_problem(const struct answer *answer, const struct feed *feed,
					    uint64_t *ret_start)
{
	int64_t oldest_ns = answer->now_ns - OPTIONS_SEARCH_DEPTH_NS;
	if (strcasecmp(answer->request->offset, "null") == 0) {
		*ret_start = feed_count_before(feed, oldest_ns);
		return NULL;
	}
	if (feed_token_parse(feed, answer->request->offset, ret_start) < 0)
		return &problem_offset;
	/* The position is after event start - 1: expired when the next one is gone already. */
	return *ret_start < feed->total && feed_stored_ns(feed, *ret_start) < oldest_ns ? &problem_expired
											: NULL;
}

/* Which events: [*ret_start, *ret_end) before the limit. NULL when the parameters are right. */
static const struct problem *range_problem(const struct answer *answer, const struct feed *feed,
					   uint64_t *ret_start, uint64_t *ret_end)
{
	const struct request *request = answer->request;
	int64_t visible_ns = answer->now_ns - FEED_WITHHELD_NS;
	*ret_end = feed_count_before(feed, visible_ns);
	if (request->unknown_parameter || (request->has_limit && request->limit <= 0))
		return &problem_parameters;
	if (request->has_offset)
		return request->has_from || request->has_to ? &problem_combination
							    : offset_problem(answer, feed, ret_start);
	if (!request->has_from)
		return &problem_combination;
	if (request->from_s < 0 || (request->has_to && request->to_s <= request->from_s) ||
	    request->from_s > answer->now_ns / NS_PER_S)
		return &problem_parameters;
	if (request->from_s < (answer->now_ns - OPTIONS_SEARCH_DEPTH_NS) / NS_PER_S)
		return &problem_range;
	*ret_start = feed_count_before(feed, request->from_s * NS_PER_S);
	if (request->has_to && request->to_s * NS_PER_S < visible_ns)
		*ret_end = feed_count_before(feed, request->to_s * NS_PER_S);
	return NULL;
}

static void page_send(struct answer *answer, struct page *page, const struct fault_plan *plan)
{
	const struct options *options = answer->server->options;
	struct text head = { 0 };
	enum framing framing = (enum framing)options->framing;
	if (plan && plan->trouble == TROUBLE_TINY_CHUNKS)
		framing = FRAMING_CHUNKED;
	if (strcmp(answer->request->version, "HTTP/1.1") != 0 && framing == FRAMING_CHUNKED)
		framing = FRAMING_LENGTH;
	if (framing == FRAMING_CLOSE)
		answer->keep = 0;
	if (plan && plan->trouble == TROUBLE_INTERIM)
		text_put_string(&head, "HTTP/1.1 100 Continue\r\n\r\n"
				       "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
	head_put(answer, &head, 200, "OK", "application/json");
	if (page->gzip)
		text_put_string(&head, "Content-Encoding: gzip\r\n");
	if (framing == FRAMING_CHUNKED)
		text_put_string(&head, "Transfer-Encoding: chunked\r\n");
	if (framing == FRAMING_LENGTH)
		text_format(&head, "Content-Length: %zu\r\n", page->body_bytes);
	text_put_string(&head, "\r\n");
	answer->record.status = 200;
	answer->record.body_bytes = page->body_bytes;
	answer->connection->deadline_ns = clock_monotonic_ns() + options->answer_limit_ns;
	answer->record.complete = connection_write(answer->connection, head.base, head.bytes) == 0 &&
				  body_send(answer->connection, options, page, framing, plan) == 0;
	answer->connection->deadline_ns = 0;
	answer->keep &= answer->record.complete;
	text_finish(&head);
}

static void page_answer(struct answer *answer, struct feed *feed, uint64_t start, uint64_t end)
{
	struct server *server = answer->server;
	struct page page = { .blocks = &server->blocks, .feed = feed };
	int64_t limit = answer->request->has_limit ? answer->request->limit : LIMIT_DEFAULT;
	page.gzip = !server->options->no_gzip && request_accepts_gzip(answer->request);
	page_choose(&page, server->options, start, end, (uint64_t)(limit < LIMIT_MAX ? limit : LIMIT_MAX));
	unsigned places = 1u << PLACE_PAGE;
	places |= page.gzip ? 1u << PLACE_GZIP : 0;
	places |= connection_is_tls13(answer->connection) ? 1u << PLACE_TLS13 : 0;
	const struct fault_plan *plan = page.count ? faults_next(&server->faults, places) : NULL;
	answer->record.trouble = plan ? plan->trouble : TROUBLE_NONE;
	answer->record.first = page.first;
	answer->record.events = page.count;
	page_build(&page, server->options, plan);
	page_send(answer, &page, plan);
	page_finish(&page);
}

static void api_answer(struct answer *answer)
{
	struct feed *feed = NULL;
	uint64_t start = 0, end = 0;
	const struct problem *problem = gate_problem(answer);
	if (!problem) {
		unsigned places = 1u << PLACE_REQUEST;
		if (answer->request->has_offset && strcasecmp(answer->request->offset, "null") != 0)
			places |= 1u << PLACE_OFFSET;
		problem = feed_problem(answer, &feed);
		answer->record.feed = feed;
		const struct fault_plan *plan = problem ? NULL : faults_next(&answer->server->faults, places);
		if (plan) {
			fault_send(answer, plan);
			return;
		}
	}
	if (!problem)
		problem = range_problem(answer, feed, &start, &end);
	if (problem)
		problem_send(answer, problem, "");
	else
		page_answer(answer, feed, start, end);
}

static void record_fill(struct answer *answer)
{
	const struct request *request = answer->request;
	struct truth_request *record = &answer->record;
	record->mode = request->has_offset ? "offset" : request->has_from ? "time" : "none";
	record->ids = request->is_config ? request->ids : NULL;
	record->offset = request->has_offset ? request->offset : NULL;
	record->from_s = request->has_from ? request->from_s : -1;
	record->to_s = request->has_to ? request->to_s : -1;
	record->limit = request->has_limit ? request->limit : -1;
	record->time_ns = answer->now_ns;
}

/* Counts the request; ends the program after --max-requests of them. */
static void request_count(struct server *server)
{
	uint64_t count = __atomic_add_fetch(&server->request_count, 1, __ATOMIC_RELAXED);
	if (server->options->max_requests && count == server->options->max_requests)
		kill(getpid(), SIGTERM);
}

static int answer_one(struct server *server, struct connection *connection, struct request *request,
		      uint64_t connection_number, uint64_t request_number)
{
	enum request_result result = request_read(request, connection);
	if (result == REQUEST_END)
		return 0;
	struct answer answer = {
		.server = server,
		.connection = connection,
		.request = request,
		.now_ns = server_now_ns(server),
		.record = { .connection_number = connection_number, .request_number = request_number },
		.keep = result == REQUEST_COMPLETE && request_keeps_alive(request),
	};
	int64_t start_ns = clock_monotonic_ns();
	__atomic_add_fetch(&server->requests_begun, 1, __ATOMIC_RELAXED);
	record_fill(&answer);
	if (result == REQUEST_MALFORMED) {
		request->target = request->method = NULL;
		problem_send(&answer, &problem_request, "");
	} else if (!request->is_config) {
		problem_send(&answer, &problem_path, "");
	} else if (strcmp(request->method, "GET") != 0) {
		/* A body may follow that nobody reads. */
		answer.keep = 0;
		problem_send(&answer, &problem_method, "Allow: GET\r\n");
	} else {
		api_answer(&answer);
	}
	answer.record.duration_ns = clock_monotonic_ns() - start_ns;
	truth_request_add(&server->truth, &answer.record);
	request_count(server);
	return answer.keep;
}

void answer_connection(struct server *server, struct connection *connection, uint64_t connection_number)
{
	struct request *request = memory_take(sizeof *request);
	uint64_t request_number = 1;
	while (answer_one(server, connection, request, connection_number, request_number))
		request_number++;
	free(request);
}
