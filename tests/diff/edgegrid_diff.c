/* SPDX-License-Identifier: Apache-2.0
 *
 * EdgeGrid signing against the official vectors, and against python's hmac on random requests. Python reads
 * the vectors and makes the requests; a record comes over a pipe as one line of fields in hexadecimal:
 * name, secret, client token, access token, timestamp, nonce, method, scheme, host, target, body, max_body,
 * wanted Authorization, then header names and values in turn.
 */
#define _GNU_SOURCE
#include "test.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "akamai/edgegrid.h"

enum { FIELDS_MAX = 13 + 2 * EDGEGRID_HEADERS_TO_SIGN_MAX };

/* Shared by both scripts: emit() writes a record. */
#define PYTHON_EMIT                                                                                          \
	"import sys, json\n"                                                                                 \
	"def emit(*fields):\n"                                                                               \
	"    print('\\t'.join('x' + str(f).encode('latin-1').hex() for f in fields))\n"

static const char python_vectors[] = PYTHON_EMIT
	"data = json.load(open(sys.argv[1]))\n"
	"c = data['credentials']\n"
	"for v in data['vectors'] + data['derived']:\n"
	"    body = v.get('body', '')\n"
	"    if 'body_repeat' in v:\n"
	"        body = v['body_repeat']['char'] * v['body_repeat']['count']\n"
	"    given = dict((k.lower(), x) for k, x in v.get('headers', []))\n"
	"    signed = [(n, given[n.lower()]) for n in c['headers_to_sign'] if n.lower() in given]\n"
	"    emit(v['name'], c['client_secret'], c['client_token'], c['access_token'], c['timestamp'],\n"
	"         c['nonce'], v['method'], c['scheme'], c['host'], v['path_signed'], body, c['max_body'],\n"
	"         v['expected_authorization'], *[f for pair in signed for f in pair])\n";

/* A second writing of the rules; nothing is shared with the first but the specification. */
static const char python_random[] = PYTHON_EMIT
	"import random, hmac, hashlib, base64, re\n"
	"r = random.Random(int(sys.argv[1]))\n"
	"def text(alphabet, low, high):\n"
	"    return ''.join(r.choice(alphabet) for _ in range(r.randint(low, high)))\n"
	"letters = 'abcXYZ019+/=-_.'\n"
	"def b64(x):\n"
	"    return base64.b64encode(x).decode()\n"
	"def mac(key, message):\n"
	"    return b64(hmac.new(key.encode('latin-1'), message.encode('latin-1'), "
	"hashlib.sha256).digest())\n"
	"for i in range(int(sys.argv[2])):\n"
	"    secret, ct, at = (text(letters, 0, 140) for _ in range(3))\n"
	"    ts, nonce = text('0123456789T:+', 1, 22), text('0123456789abcdef-', 1, 36)\n"
	"    method = r.choice(['GET', 'get', 'POST', 'pOsT', 'PUT', 'POS', 'POSTS', 'PATCH'])\n"
	"    scheme, host = r.choice(['https', 'HTTP']), text(letters, 1, 200)\n"
	"    target = '/' + text(letters + '%;?&', 0, 3000)\n"
	"    body = text([chr(x) for x in range(256)], 0, 300) if r.random() < .7 else ''\n"
	"    limit = r.choice([0, 1, 100, 150])\n"
	"    heads = [(text('X-aB', 1, 90), text('aB \\t\\n\"', 0, 90)) for _ in range(r.randint(0, 3))]\n"
	"    canonical = '\\t'.join(n.lower() + ':' + re.sub(r'\\s+', ' ', v.strip()) for n, v in heads)\n"
	"    content = ''\n"
	"    if method.upper() == 'POST' and body:\n"
	"        cut = body.encode('latin-1')[:limit or 131072]\n"
	"        content = b64(hashlib.sha256(cut).digest())\n"
	"    auth = ('EG1-HMAC-SHA256 client_token=%s;access_token=%s;timestamp=%s;nonce=%s;'\n"
	"            % (ct, at, ts, nonce))\n"
	"    data = '\\t'.join([method.upper(), scheme.lower(), host.lower(), target, canonical, content, "
	"auth])\n"
	"    emit('random %d' % i, secret, ct, at, ts, nonce, method, scheme, host, target, body, limit,\n"
	"         auth + 'signature=' + mac(mac(secret, ts), data), *[f for pair in heads for f in pair])\n";

struct record {
	char *fields[FIELDS_MAX];
	size_t bytes[FIELDS_MAX];
	size_t count;
};

/* Starts python; its output comes from *ret_file. */
static pid_t python_start(const char *script, const char *first, const char *second, FILE **ret_file)
{
	extern char **environ;
	char *arguments[] = { (char *)"python3", (char *)"-c",	 (char *)script,
			      (char *)first,	 (char *)second, NULL };
	int ends[2];
	EQ(pipe2(ends, O_CLOEXEC), 0);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	pid_t pid;
	int error = posix_spawnp(&pid, "python3", &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (error)
		SKIP("no python3");
	*ret_file = fdopen(ends[0], "r");
	return pid;
}

static void record_read(char *line, struct record *record)
{
	record->count = 0;
	char *save = NULL;
	for (char *hex = strtok_r(line, "\t\n", &save); hex; hex = strtok_r(NULL, "\t\n", &save)) {
		LT(record->count, FIELDS_MAX);
		char *to = hex;
		record->fields[record->count] = to;
		for (const char *from = hex + 1; from[0]; from += 2) {
			unsigned byte;
			EQ(sscanf(from, "%2x", &byte), 1);
			*to++ = (char)byte;
		}
		record->bytes[record->count++] = (size_t)(to - hex);
		*to = 0; /* in the place of "x" or of a digit that was read */
	}
}

static void record_check(const struct record *record)
{
	GE(record->count, 13);
	struct edgegrid_credentials credentials = { 0 };
	snprintf(credentials.client_secret, sizeof credentials.client_secret, "%s", record->fields[1]);
	snprintf(credentials.client_token, sizeof credentials.client_token, "%s", record->fields[2]);
	snprintf(credentials.access_token, sizeof credentials.access_token, "%s", record->fields[3]);
	struct edgegrid_header headers[EDGEGRID_HEADERS_TO_SIGN_MAX];
	size_t count = 0;
	for (size_t i = 13; i + 1 < record->count; i += 2, count++)
		headers[count] = (struct edgegrid_header){
			.name = span_of(record->fields[i], record->bytes[i]),
			.value = span_of(record->fields[i + 1], record->bytes[i + 1]),
		};
	struct edgegrid_request request = {
		.method = record->fields[6],
		.scheme = record->fields[7],
		.host = record->fields[8],
		.target = record->fields[9],
		.headers = headers,
		.header_count = count,
		.body = span_of(record->fields[10], record->bytes[10]),
		.body_bytes_max = (size_t)atoi(record->fields[11]),
	};
	char out[EDGEGRID_AUTHORIZATION_BYTES_MAX];
	size_t bytes = edgegrid_authorization(&credentials, &request, record->fields[4], record->fields[5],
					      out, sizeof out);
	if (bytes != strlen(out) || strcmp(out, record->fields[12]) != 0)
		FAIL("%s: got %s, wanted %s", record->fields[0], out, record->fields[12]);
}

/* Returns how many records were checked. */
static unsigned python_check(const char *script, const char *first, const char *second)
{
	FILE *file;
	pid_t pid = python_start(script, first, second, &file);
	char *line = NULL;
	size_t size = 0;
	unsigned count = 0;
	for (; getline(&line, &size, file) > 0; count++) {
		struct record record;
		record_read(line, &record);
		record_check(&record);
	}
	free(line);
	fclose(file);
	int status;
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, 0);
	return count;
}

static void official_vectors(void)
{
	const char *folder = getenv("AKAMAI_PROF_SHARED_DATA");
	char path[4096];
	snprintf(path, sizeof path, "%s/edgegrid-vectors.json", folder ? folder : "");
	if (!folder || access(path, R_OK) < 0)
		SKIP("no edgegrid-vectors.json");
	GE(python_check(python_vectors, path, ""), 17);
}

static void random_requests_as_python_signs_them(void)
{
	EQ(python_check(python_random, "20140321", "500"), 500);
}

TEST_MAIN(T(official_vectors), T(random_requests_as_python_signs_them))
