/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an .edgerc file. Either all four values come back, in the form that a request can carry, or a
 * sentence comes back and no secret stays behind; and the sentence never holds a value.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "akamai/credentials.h"

static void must(int condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "violated: %s\n", what);
		abort();
	}
}

static void must_be_token(const char *text, size_t size)
{
	size_t bytes = strnlen(text, size);
	must(bytes > 0 && bytes < size, "a value is there and ends");
	for (size_t i = 0; i < bytes; i++)
		must(text[i] > ' ' && text[i] < 0x7f && text[i] != ';', "a value is visible ASCII");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct credentials credentials;
	char error[CREDENTIALS_ERROR_BYTES_MAX];
	static const struct credentials none;
	memset(&credentials, 0x55, sizeof credentials);
	memset(error, 0x55, sizeof error);
	int result = edgerc_parse(span_of(data, bytes), "/x/.edgerc", "default", &credentials, error);
	must(strnlen(error, sizeof error) < sizeof error, "the sentence ends");
	if (result < 0) {
		must(error[0] != 0, "a failure has a sentence");
		must(memcmp(&credentials, &none, sizeof none) == 0, "a failure leaves nothing behind");
		for (const char *at = error; *at; at++)
			must(isprint((unsigned char)*at), "the sentence is printable");
		return 0;
	}
	must(error[0] == 0, "a success has no sentence");
	must_be_token(credentials.host, sizeof credentials.host);
	must_be_token(credentials.edgegrid.client_token, EDGEGRID_TOKEN_BYTES_MAX);
	must_be_token(credentials.edgegrid.client_secret, EDGEGRID_TOKEN_BYTES_MAX);
	must_be_token(credentials.edgegrid.access_token, EDGEGRID_TOKEN_BYTES_MAX);
	must(strcmp(credentials.source, "/x/.edgerc [default]") == 0, "the source is named");

	/* What was read, written down in quotes (a value may begin with '#'), is read the same. */
	char plain[4096];
	struct credentials again;
	snprintf(plain, sizeof plain,
		 "[default]\nhost=\"%s\"\nclient_token=\"%s\"\nclient_secret=\"%s\"\naccess_token=\"%s\"\n",
		 credentials.host, credentials.edgegrid.client_token, credentials.edgegrid.client_secret,
		 credentials.edgegrid.access_token);
	must(edgerc_parse(span_of_text(plain), "/x/.edgerc", "default", &again, error) == 0, "reads again");
	must(memcmp(&again, &credentials, sizeof again) == 0, "reads the same");
	return 0;
}
