/* SPDX-License-Identifier: Apache-2.0
 *
 * Host names to addresses, through the system's resolver. Blocking, allocates inside libc; called
 * at start and when every known address has failed, never per request.
 */
#ifndef RING_RESOLVE_H
#define RING_RESOLVE_H

#include <sys/socket.h>

#define RESOLVE_ADDRESSES_MAX 16 /* more than any API host publishes; the rest is ignored */

struct resolved {
	struct {
		struct sockaddr_storage address;
		socklen_t bytes;
	} entries[RESOLVE_ADDRESSES_MAX];
	unsigned count;
};

/* Returns 0, or a getaddrinfo(3) error code; resolve_error_text() words it. */
int resolve_host(const char *host, const char *port, struct resolved *ret_resolved);
const char *resolve_error_text(int code);

#endif
