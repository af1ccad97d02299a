/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS in the kernel, as far as a socket is concerned: it is told a key, and gives records that are no data
 * with their type. What keys and records mean is not this room's business. All of it is rare (once a
 * connection, once a ticket), so plain system calls serve both engines. Documentation/networking/tls.rst of
 * the kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "ring/engine.h"

static const char protocol[] = "tls";

int ring_tls_probe(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	int code = setsockopt(fd, IPPROTO_TCP, TCP_ULP, protocol, sizeof protocol - 1) < 0 ? -errno : 0;
	close(fd);
	/* The module is there and asks for a connection first. */
	return code == -ENOTCONN ? 0 : code;
}

int ring_tls_receive_key(struct ring *ring, int fd, const void *key, size_t key_bytes, int first)
{
	CHECK_EQ(ring->magic, RING_MAGIC);
	if (first && setsockopt(fd, IPPROTO_TCP, TCP_ULP, protocol, sizeof protocol - 1) < 0)
		return -errno;
	/* TLS_RX_EXPECT_NO_PAD stays off, though it would save a copy of TLS 1.3's data: when a record is
	 * padded after all, Linux 6.1.176 gives the padding and loses the data (6.1.192 does not). */
	return setsockopt(fd, SOL_TLS, TLS_RX, key, (socklen_t)key_bytes) < 0 ? -errno : 0;
}

int ring_tls_receive_record(struct ring *ring, int fd, uint8_t *target, size_t bytes, uint8_t *ret_type)
{
	union {
		struct cmsghdr head; /* for its alignment */
		uint8_t room[CMSG_SPACE(sizeof(uint8_t))];
	} control = { 0 };
	struct iovec memory = { .iov_base = target, .iov_len = bytes };
	struct msghdr message = {
		.msg_iov = &memory,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof control.room,
	};
	CHECK_EQ(ring->magic, RING_MAGIC);
	ssize_t got;
	do {
		got = recvmsg(fd, &message, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	if (!head || head->cmsg_level != SOL_TLS || head->cmsg_type != TLS_GET_RECORD_TYPE)
		return got ? -EPROTO : -ENODATA;
	memcpy(ret_type, CMSG_DATA(head), sizeof *ret_type);
	return (int)got;
}
