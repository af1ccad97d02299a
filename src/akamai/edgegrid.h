/* SPDX-License-Identifier: Apache-2.0
 *
 * EdgeGrid request signing (EG1-HMAC-SHA256), as Akamai's official clients do it and their published
 * vectors check it. Pure: time and nonce are arguments. No allocation.
 */
#ifndef AKAMAI_EDGEGRID_H
#define AKAMAI_EDGEGRID_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define EDGEGRID_TOKEN_BYTES_MAX 512	      /* real ones are under 64 */
#define EDGEGRID_HOST_BYTES_MAX 256	      /* DNS allows 253 */
#define EDGEGRID_AUTHORIZATION_BYTES_MAX 2048 /* two tokens, signature and names */
#define EDGEGRID_TIMESTAMP_BYTES 24	      /* "20140321T19:34:21+0000" and NUL */
#define EDGEGRID_NONCE_BYTES 37		      /* UUID version 4 and NUL */
#define EDGEGRID_HEADERS_TO_SIGN_MAX 16	      /* more than we send */
#define EDGEGRID_BODY_BYTES_MAX 131072	      /* default max_body: longer bodies are hashed cut */

/* All values NUL-terminated, used as ASCII text exactly as given. */
struct edgegrid_credentials {
	char client_token[EDGEGRID_TOKEN_BYTES_MAX];
	char client_secret[EDGEGRID_TOKEN_BYTES_MAX];
	char access_token[EDGEGRID_TOKEN_BYTES_MAX];
};

struct edgegrid_header {
	struct span name;
	struct span value;
};

struct edgegrid_request {
	const char *method;		       /* any case; signed upper case */
	const char *scheme;		       /* "https" */
	const char *host;		       /* equals the Host header sent; signed lower case */
	const char *target;		       /* path and query, byte for byte as sent */
	const struct edgegrid_header *headers; /* only those agreed in headers_to_sign, in that order */
	size_t header_count;
	struct span body;      /* hashed for POST only */
	size_t body_bytes_max; /* 0: EDGEGRID_BODY_BYTES_MAX */
};

void edgegrid_timestamp(int64_t unix_seconds, char text[static EDGEGRID_TIMESTAMP_BYTES]);
void edgegrid_nonce(char text[static EDGEGRID_NONCE_BYTES]);

/* Writes the value of the Authorization header. Returns its bytes (NUL-terminated), or 0 when it does
 * not fit. The derived key is wiped before returning. */
size_t edgegrid_authorization(const struct edgegrid_credentials *credentials,
			      const struct edgegrid_request *request, const char *timestamp,
			      const char *nonce, char *out, size_t out_bytes);

#endif
