/* SPDX-License-Identifier: Apache-2.0
 *
 * link: what supervisor and collector say to each other, over a SOCK_SEQPACKET pair. Both ends are the same
 * executable, but the collector's end may be in the hands of whoever sent it bytes: what it sends is
 * bounded, checked, and never more than a text or a number.
 *
 *	supervisor   GO (stage memory)  or QUIT
 *	collector    SYMBOLS for each program (see profiler_interpreter()), when there is stage memory
 *	collector    WORKER (slot NUMBER, thread number as text) for each thread, when there are several
 *	collector    DOCUMENT ... (run.json as it stands, now and then), FINISHED (all events are out)
 *	supervisor   PROFILE (JSON), PARAGRAPH (for a person)
 *	collector    STATE ... (of stream NUMBER, as JSON), DOCUMENT (the last one)
 *	supervisor   WRITTEN (0, or 1: it could not be)
 *	collector    prints its closing lines and ends
 */
#ifndef CLI_LINK_H
#define CLI_LINK_H

#include <stddef.h>
#include <stdint.h>

#define LINK_TEXT_BYTES_MAX ((size_t)8 << 20) /* run.json of 64 streams and 4096 samples is under 1 MB */

enum link_kind {
	LINK_GO = 1,
	LINK_QUIT,
	LINK_DOCUMENT,
	LINK_FINISHED,
	LINK_PROFILE,
	LINK_PARAGRAPH,
	LINK_WRITTEN,
	LINK_STATE,
	LINK_SYMBOLS,
	LINK_WORKER,
	LINK_KIND_COUNT,
};

/* What the number of a DOCUMENT says. */
enum link_document {
	LINK_DOCUMENT_FIRST,   /* to be kept in memory, for the case that no other comes */
	LINK_DOCUMENT_RUNNING, /* to be written */
	LINK_DOCUMENT_LAST,    /* to be written and answered */
};

/* One end. `text` gathers the parts of the message that is coming in. */
struct link {
	int fd;
	char *text;
	size_t bytes;
	uint32_t kind; /* of the message whose parts are coming in; 0: none */
};

struct link_message {
	enum link_kind kind;
	int32_t number;
	const char *text; /* NUL-terminated; lent until the next call */
	size_t bytes;
	int passed_fd; /* given; -1: none */
};

/* Two connected descriptors, closed on exec. 0 or -errno. */
int link_pair(int ret_fds[static 2]);
/* Waits while the other end's buffer is full. `passed_fd` (-1: none) stays the caller's. 0 or -errno
 * (-EPIPE: the other end is gone; -EMSGSIZE: longer than LINK_TEXT_BYTES_MAX). */
int link_send(struct link *link, enum link_kind kind, int32_t number, const char *text, size_t bytes,
	      int passed_fd);
/* Takes what is there. 1: a message; 0: not a whole one yet; -EPIPE: the other end is gone; -EPROTO: what
 * came is no message; other -errno. */
int link_receive(struct link *link, struct link_message *ret_message);
/* Waits for a message, through signals. 1, or as link_receive(). */
int link_wait(struct link *link, struct link_message *ret_message);
/* 1 when the other end is gone, whatever is left to read. */
int link_closed(const struct link *link);
/* Closes; accepts a zeroed struct with fd -1. */
void link_finish(struct link *link);

#endif
