/* SPDX-License-Identifier: Apache-2.0
 *
 * Host names to addresses through getaddrinfo(3), in the order that RFC 6724 gives them.
 */
#define _GNU_SOURCE
#include "ring/resolve.h"

#include <netdb.h>
#include <string.h>

int resolve_host(const char *host, const char *port, struct resolved *ret_resolved)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *list = NULL;
	*ret_resolved = (struct resolved){ 0 };
	int code = getaddrinfo(host, port, &hints, &list);
	if (code != 0)
		return code;
	for (const struct addrinfo *at = list; at && ret_resolved->count < RESOLVE_ADDRESSES_MAX;
	     at = at->ai_next) {
		if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
			continue;
		memcpy(&ret_resolved->entries[ret_resolved->count].address, at->ai_addr, at->ai_addrlen);
		ret_resolved->entries[ret_resolved->count].bytes = at->ai_addrlen;
		ret_resolved->count++;
	}
	freeaddrinfo(list);
	return ret_resolved->count ? 0 : EAI_NONAME;
}

const char *resolve_error_text(int code)
{
	return gai_strerror(code);
}
