/* SPDX-License-Identifier: Apache-2.0
 *
 * What supervisor and collector say to each other: whole at every size, and refused when it is no message,
 * since the collector's end may be in strange hands.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/link.h"
#include "test.h"

/* The head of a packet, as link.c lays it out. */
struct head {
	uint32_t magic;
	uint16_t version, kind;
	int32_t number;
	uint32_t more;
};
#define MAGIC UINT32_C(0x414b4c4b)

static void pair_open(struct link *left, struct link *right)
{
	int fds[2];
	EQ(link_pair(fds), 0);
	*left = (struct link){ .fd = fds[0] };
	*right = (struct link){ .fd = fds[1] };
}

static char letter(size_t at)
{
	return (char)('a' + at % 26);
}

/* Sends from a child, since a long message waits for its reader. */
static pid_t send_text(struct link *link, size_t bytes)
{
	pid_t child = fork();
	if (child)
		return child;
	char *text = malloc(bytes + 1);
	for (size_t i = 0; i < bytes; i++)
		text[i] = letter(i);
	int code = link_send(link, LINK_DOCUMENT, -7, text, bytes, -1);
	_exit(code == 0 ? 0 : 1);
}

static void every_size_arrives_whole(void)
{
	static const size_t sizes[] = { 0, 1, 32767, 32768, 32769, 65536, 1 << 20, LINK_TEXT_BYTES_MAX };
	struct link left, right;
	pair_open(&left, &right);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct link_message message;
		int status;
		pid_t child = send_text(&left, sizes[i]);
		EQ(link_wait(&right, &message), 1);
		EQ(waitpid(child, &status, 0), child);
		EQ(status, 0);
		EQ(message.kind, LINK_DOCUMENT);
		EQ(message.number, -7);
		EQ(message.passed_fd, -1);
		EQ(message.bytes, sizes[i]);
		EQ(message.text[sizes[i]], 0);
		for (size_t at = 0; at < sizes[i]; at++)
			if (message.text[at] != letter(at))
				EQ(at, sizes[i]);
		EQ(link_receive(&right, &message), 0);
	}
	link_finish(&left);
	link_finish(&right);
}

static void a_message_that_is_too_long_is_not_sent(void)
{
	struct link left, right;
	struct link_message message;
	pair_open(&left, &right);
	EQ(link_send(&left, LINK_DOCUMENT, 0, NULL, LINK_TEXT_BYTES_MAX + 1, -1), -EMSGSIZE);
	EQ(link_receive(&right, &message), 0);
	link_finish(&left);
	link_finish(&right);
}

static void a_descriptor_comes_along(void)
{
	struct link left, right;
	struct link_message message;
	struct stat given, taken;
	int pipe_fds[2];
	pair_open(&left, &right);
	EQ(pipe(pipe_fds), 0);
	EQ(link_send(&left, LINK_GO, 0, NULL, 0, pipe_fds[0]), 0);
	EQ(link_receive(&right, &message), 1);
	EQ(message.kind, LINK_GO);
	NE(message.passed_fd, -1);
	EQ(fstat(pipe_fds[0], &given), 0);
	EQ(fstat(message.passed_fd, &taken), 0);
	EQ(given.st_ino, taken.st_ino);
	NE(fcntl(message.passed_fd, F_GETFD) & FD_CLOEXEC, 0);
	close(message.passed_fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	link_finish(&left);
	link_finish(&right);
}

static void the_other_end_goes_away(void)
{
	struct link left, right;
	struct link_message message;
	pair_open(&left, &right);
	EQ(link_closed(&left), 0);
	EQ(link_send(&right, LINK_FINISHED, 3, NULL, 0, -1), 0);
	link_finish(&right);
	EQ(link_closed(&left), 1);
	EQ(link_receive(&left, &message), 1); /* what it said before still counts */
	EQ(message.number, 3);
	EQ(link_receive(&left, &message), -EPIPE);
	EQ(link_send(&left, LINK_GO, 0, NULL, 0, -1), -EPIPE);
	link_finish(&left);
}

/* What becomes of one packet. */
static int verdict_of(const void *packet, size_t bytes)
{
	struct link left, right;
	struct link_message message;
	pair_open(&left, &right);
	EQ(send(left.fd, packet, bytes, 0), (ssize_t)bytes);
	int code = link_receive(&right, &message);
	link_finish(&left);
	link_finish(&right);
	return code;
}

static void what_is_no_message_is_refused(void)
{
	struct head good = { MAGIC, 1, LINK_DOCUMENT, 0, 0 };
	struct head bad;
	EQ(verdict_of(&good, sizeof good), 1);
	EQ(verdict_of(&good, sizeof good - 1), -EPROTO);
	EQ(verdict_of("x", 1), -EPROTO);
	bad = good, bad.magic++;
	EQ(verdict_of(&bad, sizeof bad), -EPROTO);
	bad = good, bad.version++;
	EQ(verdict_of(&bad, sizeof bad), -EPROTO);
	bad = good, bad.kind = 0;
	EQ(verdict_of(&bad, sizeof bad), -EPROTO);
	bad = good, bad.kind = LINK_KIND_COUNT;
	EQ(verdict_of(&bad, sizeof bad), -EPROTO);
	char large[sizeof good + 32769] = { 0 };
	memcpy(large, &good, sizeof good);
	EQ(verdict_of(large, sizeof large - 1), 1);
	EQ(verdict_of(large, sizeof large), -EPROTO); /* cut by the receiver: longer than a part may be */
	good.more = 1;
	EQ(verdict_of(&good, sizeof good), 0);
}

static void parts_of_two_messages_do_not_mix(void)
{
	struct link left, right;
	struct link_message message;
	struct head head = { MAGIC, 1, LINK_DOCUMENT, 0, 1 };
	pair_open(&left, &right);
	EQ(send(left.fd, &head, sizeof head, 0), (ssize_t)sizeof head);
	EQ(link_receive(&right, &message), 0);
	head.kind = LINK_FINISHED;
	EQ(send(left.fd, &head, sizeof head, 0), (ssize_t)sizeof head);
	EQ(link_receive(&right, &message), -EPROTO);
	link_finish(&left);
	link_finish(&right);
}

static void a_message_without_end_is_refused(void)
{
	struct link left, right;
	struct link_message message;
	pair_open(&left, &right);
	pid_t child = fork();
	if (child == 0) {
		char packet[sizeof(struct head) + 32768] = { 0 };
		close(right.fd);
		memcpy(packet, &(struct head){ MAGIC, 1, LINK_DOCUMENT, 0, 1 }, sizeof(struct head));
		while (send(left.fd, packet, sizeof packet, MSG_NOSIGNAL) > 0)
			;
		_exit(0);
	}
	EQ(link_wait(&right, &message), -EPROTO);
	link_finish(&right);
	link_finish(&left);
	EQ(waitpid(child, NULL, 0), child);
}

static void descriptors_with_parts_are_closed(void)
{
	struct link left, right;
	struct link_message message;
	int pipe_fds[2];
	pair_open(&left, &right);
	EQ(pipe(pipe_fds), 0);
	/* A long text with a descriptor in its first part, which no sender of ours makes. */
	char text[40000] = { 0 };
	EQ(link_send(&left, LINK_DOCUMENT, 0, text, sizeof text, pipe_fds[1]), 0);
	close(pipe_fds[1]);
	EQ(link_receive(&right, &message), 1);
	EQ(message.passed_fd, -1);
	EQ(read(pipe_fds[0], text, 1), (ssize_t)0); /* nobody holds the writing end any more */
	close(pipe_fds[0]);
	link_finish(&left);
	link_finish(&right);
}

TEST_MAIN(T(every_size_arrives_whole), T(a_message_that_is_too_long_is_not_sent), T(a_descriptor_comes_along),
	  T(the_other_end_goes_away), T(what_is_no_message_is_refused), T(parts_of_two_messages_do_not_mix),
	  T(a_message_without_end_is_refused), T(descriptors_with_parts_are_closed))
