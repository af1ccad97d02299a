/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/turn.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define NOBODY UINT32_MAX

struct sink_turn {
	pthread_mutex_t lock; /* for a few instructions, never while something is written */
	unsigned member_count;
	int wake_fds[SINK_MEMBERS_MAX];
	unsigned holder; /* NOBODY */
	/* Those that wait, first come first served; each is in it at most once. */
	unsigned queue[SINK_MEMBERS_MAX];
	unsigned queue_first, queue_count;
	uint8_t is_queued[SINK_MEMBERS_MAX];
	uint64_t bytes_written;
	enum fault fault;
	char text[SINK_ERROR_BYTES_MAX];
};

struct sink_turn *sink_turn_create(struct arena *arena)
{
	struct sink_turn *turn = arena_take(arena, sizeof *turn, 64);
	CHECK_EQ(pthread_mutex_init(&turn->lock, NULL), 0);
	turn->holder = NOBODY;
	return turn;
}

static void turn_lock(struct sink_turn *turn)
{
	CHECK_EQ(pthread_mutex_lock(&turn->lock), 0);
}

static void turn_unlock(struct sink_turn *turn)
{
	CHECK_EQ(pthread_mutex_unlock(&turn->lock), 0);
}

/* EAGAIN: so many calls wait to be heard already that one more makes no difference. */
static void wake(int fd)
{
	uint64_t one = 1;
	ssize_t moved;
	do
		moved = write(fd, &one, sizeof one);
	while (moved < 0 && errno == EINTR);
	if (moved < 0)
		CHECK_EQ(errno, EAGAIN);
}

unsigned sink_turn_join(struct sink_turn *turn, int wake_fd)
{
	CHECK_LT(turn->member_count, (unsigned)SINK_MEMBERS_MAX);
	CHECK_GE(wake_fd, 0);
	turn->wake_fds[turn->member_count] = wake_fd;
	return turn->member_count++;
}

int sink_turn_take(struct sink_turn *turn, unsigned member)
{
	turn_lock(turn);
	if (turn->holder == NOBODY)
		turn->holder = member;
	int has_it = turn->holder == member;
	if (!has_it && !turn->is_queued[member]) {
		CHECK_LT(turn->queue_count, turn->member_count);
		turn->queue[(turn->queue_first + turn->queue_count++) % SINK_MEMBERS_MAX] = member;
		turn->is_queued[member] = 1;
	}
	turn_unlock(turn);
	return has_it;
}

void sink_turn_pass(struct sink_turn *turn, unsigned member, int wants_more)
{
	int wake_fd = -1;
	turn_lock(turn);
	CHECK_EQ(turn->holder, member);
	if (turn->queue_count > 0) {
		turn->holder = turn->queue[turn->queue_first];
		turn->queue_first = (turn->queue_first + 1) % SINK_MEMBERS_MAX;
		turn->queue_count--;
		turn->is_queued[turn->holder] = 0;
		wake_fd = turn->wake_fds[turn->holder];
	} else if (!wants_more) {
		turn->holder = NOBODY;
	}
	turn_unlock(turn);
	if (wake_fd >= 0)
		wake(wake_fd);
}

uint64_t sink_turn_count(struct sink_turn *turn, uint64_t bytes)
{
	turn_lock(turn);
	turn->bytes_written += bytes;
	uint64_t sum = turn->bytes_written;
	turn_unlock(turn);
	return sum;
}

void sink_turn_break(struct sink_turn *turn, enum fault fault, const char *text)
{
	turn_lock(turn);
	int first = turn->fault == FAULT_NONE;
	if (first) {
		turn->fault = fault;
		memcpy(turn->text, text, strnlen(text, sizeof turn->text - 1));
	}
	turn_unlock(turn);
	for (unsigned i = 0; first && i < turn->member_count; i++)
		wake(turn->wake_fds[i]);
}

enum fault sink_turn_fault(struct sink_turn *turn, char text[static SINK_ERROR_BYTES_MAX])
{
	turn_lock(turn);
	enum fault fault = turn->fault;
	if (fault != FAULT_NONE)
		memcpy(text, turn->text, sizeof turn->text);
	turn_unlock(turn);
	return fault;
}
