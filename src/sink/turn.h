/* SPDX-License-Identifier: Apache-2.0
 *
 * turn: who of several sinks, each on a thread of its own, may write to the output that they share. Others
 * wait in a queue without waiting: their thread goes on, and its eventfd says when it is their turn. Whoever
 * has it keeps it until a line ends. Internal to sink.
 */
#ifndef SINK_TURN_H
#define SINK_TURN_H

#include "sink/sink.h"

/* One more sink. `wake_fd` (an eventfd that does not block) is written when it is its turn, or when the
 * output broke. Before threads are started. Returns the member's number. */
unsigned sink_turn_join(struct sink_turn *turn, int wake_fd);
/* 1: it is `member`'s turn; 0: it is in the queue for it. */
int sink_turn_take(struct sink_turn *turn, unsigned member);
/* `member` has written whole lines: the next in the queue has the turn. With nobody in it, it stays with whom
 * `wants_more`. */
void sink_turn_pass(struct sink_turn *turn, unsigned member, int wants_more);
/* Counts what was written, whoever wrote it. Returns the sum. */
uint64_t sink_turn_count(struct sink_turn *turn, uint64_t bytes);
/* The output is broken, for all. Only the first text is kept. */
void sink_turn_break(struct sink_turn *turn, enum fault fault, const char *text);
/* FAULT_NONE, or what a member broke with. */
enum fault sink_turn_fault(struct sink_turn *turn, char text[static SINK_ERROR_BYTES_MAX]);

#endif
