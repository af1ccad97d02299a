/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Packets are far smaller than the smallest default socket buffer (net.core.wmem_default, 208 KiB), so that
 * several are on their way at once. */
enum { LINK_PART_BYTES = 32768, LINK_VERSION = 1 };
#define LINK_MAGIC UINT32_C(0x414b4c4b)

struct link_head {
	uint32_t magic;
	uint16_t version;
	uint16_t kind;
	int32_t number;
	uint32_t more; /* 1: further parts follow */
};
_Static_assert(sizeof(struct link_head) == 16, "no holes");

int link_pair(int ret_fds[static 2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

static int link_send_part(int fd, const struct link_head *head, const char *text, size_t bytes, int passed_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec parts[2] = {
		{ .iov_base = (void *)(uintptr_t)head, .iov_len = sizeof *head },
		{ .iov_base = (void *)(uintptr_t)text, .iov_len = bytes },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = bytes ? 2 : 1 };
	if (passed_fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof passed_fd);
		memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof passed_fd);
	}
	ssize_t sent;
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

int link_send(struct link *link, enum link_kind kind, int32_t number, const char *text, size_t bytes,
	      int passed_fd)
{
	if (bytes > LINK_TEXT_BYTES_MAX)
		return -EMSGSIZE;
	struct link_head head = {
		.magic = LINK_MAGIC, .version = LINK_VERSION, .kind = (uint16_t)kind, .number = number
	};
	do {
		size_t part_bytes = bytes < LINK_PART_BYTES ? bytes : LINK_PART_BYTES;
		head.more = bytes > part_bytes;
		int code = link_send_part(link->fd, &head, text, part_bytes, passed_fd);
		if (code < 0)
			return code;
		passed_fd = -1;
		text += part_bytes;
		bytes -= part_bytes;
	} while (head.more);
	return 0;
}

/* The descriptor that came along, -1 when none did. */
static int link_passed_fd(struct msghdr *message)
{
	int fd = -1;
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(header), sizeof fd);
	return fd;
}

/* Whether this part goes on with what has come so far, and fits. */
static int link_part_fits(const struct link *link, const struct link_head *head, size_t bytes)
{
	if (head->magic != LINK_MAGIC || head->version != LINK_VERSION || head->kind == 0 ||
	    head->kind >= LINK_KIND_COUNT)
		return 0;
	if (link->kind != 0 && link->kind != head->kind)
		return 0;
	return link->bytes + bytes <= LINK_TEXT_BYTES_MAX;
}

/* One packet. Returns its length or -errno. */
static ssize_t link_receive_part(int fd, struct link_head *head, char *part, int *ret_passed_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec parts[2] = {
		{ .iov_base = head, .iov_len = sizeof *head },
		{ .iov_base = part, .iov_len = LINK_PART_BYTES },
	};
	struct msghdr message = {
		.msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control
	};
	ssize_t got;
	do
		got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (got == 0)
		return -EPIPE;
	*ret_passed_fd = link_passed_fd(&message);
	return (size_t)got < sizeof *head || message.msg_flags & MSG_TRUNC ? -EPROTO : got;
}

static void descriptor_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int link_receive(struct link *link, struct link_message *ret_message)
{
	struct link_head head = { 0 };
	char part[LINK_PART_BYTES];
	for (;;) {
		int passed_fd = -1;
		ssize_t got = link_receive_part(link->fd, &head, part, &passed_fd);
		if (got == -EAGAIN || got == -EWOULDBLOCK)
			return 0;
		size_t bytes = got < 0 ? 0 : (size_t)got - sizeof head;
		if (got >= 0 && !link_part_fits(link, &head, bytes))
			got = -EPROTO;
		/* Descriptors come with the last part only, since texts have none. */
		if (got < 0 || head.more)
			descriptor_close(passed_fd);
		if (got < 0)
			return (int)got;
		char *text = realloc(link->text, link->bytes + bytes + 1);
		if (!text) {
			descriptor_close(head.more ? -1 : passed_fd);
			return -ENOMEM;
		}
		link->text = text;
		memcpy(text + link->bytes, part, bytes);
		link->bytes += bytes;
		text[link->bytes] = 0;
		link->kind = head.kind;
		if (head.more)
			continue;
		*ret_message = (struct link_message){
			.kind = (enum link_kind)head.kind,
			.number = head.number,
			.text = text,
			.bytes = link->bytes,
			.passed_fd = passed_fd,
		};
		link->bytes = 0;
		link->kind = 0;
		return 1;
	}
}

int link_wait(struct link *link, struct link_message *ret_message)
{
	for (;;) {
		int code = link_receive(link, ret_message);
		if (code)
			return code;
		struct pollfd wanted = { .fd = link->fd, .events = POLLIN };
		if (poll(&wanted, 1, -1) < 0 && errno != EINTR)
			return -errno;
	}
}

int link_closed(const struct link *link)
{
	struct pollfd wanted = { .fd = link->fd };
	return poll(&wanted, 1, 0) > 0 && (wanted.revents & (POLLHUP | POLLERR)) != 0;
}

void link_finish(struct link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	free(link->text);
	*link = (struct link){ .fd = -1 };
}
