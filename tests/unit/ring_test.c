/* SPDX-License-Identifier: Apache-2.0
 *
 * ring: every test of the table runs with io_uring receiving into plain memory, io_uring receiving into
 * registered memory, and poll. Peers are the other ends of sockets and pipes in this process, or a child.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "unit/ring_fixture.h"

TABLE_TEST(connects)
{
	int fd, peer;
	tcp_pair(f, &fd, &peer);
	ring_close_fd(f->ring, fd);
	uint8_t byte;
	EQ(read(peer, &byte, 1), 0);
	close(peer);
}

TABLE_TEST(connect_is_refused)
{
	struct sockaddr_in address;
	struct ring_operation operation = { 0 };
	close(listener_open(1, &address)); /* a port that nobody listens on */
	int fd = ring_socket(f->ring, AF_INET);
	ring_connect(f->ring, &operation, fd, (struct sockaddr *)&address, sizeof address);
	EQ(outcome(f, &operation), -ECONNREFUSED);
	ring_close_fd(f->ring, fd);
}

/* A listener whose queue is full drops further SYNs: the connection hangs like one to a black hole. */
TABLE_TEST(connect_hangs_and_is_cancelled)
{
	struct sockaddr_in address;
	struct ring_operation operation = { 0 };
	int listener = listener_open(0, &address);
	int fillers[3];
	for (int i = 0; i < 3; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fillers[i], (struct sockaddr *)&address, sizeof address);
	}
	int fd = ring_socket(f->ring, AF_INET);
	ring_connect(f->ring, &operation, fd, (struct sockaddr *)&address, sizeof address);
	times_out(f);
	EQ(operation.pending, 1);
	ring_cancel(f->ring, &operation);
	EQ(outcome(f, &operation), -ECANCELED);
	ring_close_fd(f->ring, fd);
	for (int i = 0; i < 3; i++)
		close(fillers[i]);
	close(listener);
}

TABLE_TEST(receives_a_stream)
{
	enum { TOTAL = 3000000 };
	struct peer peer;
	struct ring_operation operation = { 0 };
	uint64_t state = 5;
	int fd, peer_fd;
	tcp_pair(f, &fd, &peer_fd);
	peer_start(&peer, peer_fd, 0, TOTAL);
	size_t got = 0;
	for (;;) {
		/* Any place and size: inside the registered half, outside, and across its end. */
		size_t at = (size_t)(next_random(&state) % (MEMORY_BYTES - 1));
		size_t bytes = 1 + (size_t)(next_random(&state) % 70000);
		bytes = bytes < MEMORY_BYTES - at ? bytes : MEMORY_BYTES - at;
		ring_receive(f->ring, &operation, fd, f->memory + at, bytes);
		int result = outcome(f, &operation);
		GE(result, 0);
		LE(result, bytes);
		if (result == 0)
			break;
		EQ((uintptr_t)operation.bytes_at, (uintptr_t)(f->memory + at));
		EQ(pattern_errors(operation.bytes_at, got, (size_t)result), 0);
		got += (size_t)result;
	}
	EQ(got, TOTAL);
	pthread_join(peer.thread, NULL);
	ring_receive(f->ring, &operation, fd, f->memory, 1); /* the end is the end for ever */
	EQ(outcome(f, &operation), 0);
	ring_close_fd(f->ring, fd);
}

TABLE_TEST(sends_everything)
{
	struct peer peer;
	struct ring_operation operation = { 0 };
	int fd, peer_fd;
	tcp_pair(f, &fd, &peer_fd);
	peer_start(&peer, peer_fd, 1, 0);
	size_t bytes = 1, sent = 0;
	for (; bytes <= MEMORY_BYTES; bytes = bytes * 3 + 1) {
		pattern_fill(f->memory, sent, bytes);
		ring_send(f->ring, &operation, fd, f->memory, bytes);
		EQ(outcome(f, &operation), bytes);
		sent += bytes;
	}
	ring_close_fd(f->ring, fd);
	pthread_join(peer.thread, NULL);
	EQ(peer.errors, 0);
	EQ(peer.bytes, sent);
}

TABLE_TEST(reset_is_an_error)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct ring_operation operation = { 0 };
	int fd, peer;
	tcp_pair(f, &fd, &peer);
	ring_receive(f->ring, &operation, fd, f->memory, 100);
	times_out(f);
	EQ(setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
	close(peer); /* sends RST */
	EQ(outcome(f, &operation), -ECONNRESET);
	ring_send(f->ring, &operation, fd, f->memory, 100);
	EQ(outcome(f, &operation), -EPIPE);
	ring_close_fd(f->ring, fd);
}

TABLE_TEST(receive_is_cancelled)
{
	struct ring_operation operation = { 0 };
	int fd, peer;
	local_pair(&fd, &peer);
	for (int i = 0; i < 20; i++) {
		ring_receive(f->ring, &operation, fd, f->memory, 100);
		if (i % 2)
			EQ((uintptr_t)ring_wait(f->ring, 0), 0);
		ring_cancel(f->ring, &operation);
		ring_cancel(f->ring, &operation); /* twice does no harm */
		EQ(outcome(f, &operation), -ECANCELED);
	}
	/* The descriptor still works, and nothing was lost. */
	EQ(write(peer, "abc", 3), 3);
	ring_receive(f->ring, &operation, fd, f->memory, 100);
	EQ(outcome(f, &operation), 3);
	ring_close_fd(f->ring, fd);
	close(peer);
}

/* A cancel that comes too late must not touch what the same struct does next. */
TABLE_TEST(late_cancel_is_harmless)
{
	struct ring_operation first = { 0 }, second = { 0 };
	int fd, peer, other, other_peer;
	local_pair(&fd, &peer);
	local_pair(&other, &other_peer);
	EQ(write(peer, "a", 1), 1);
	EQ(write(other_peer, "b", 1), 1);
	ring_receive(f->ring, &first, fd, f->memory, 1);
	ring_receive(f->ring, &second, other, f->memory + 100, 1);
	struct ring_operation *done = ring_wait(f->ring, clock_monotonic_ns() + PATIENCE_NS);
	struct ring_operation *left = done == &first ? &second : &first;
	ring_cancel(f->ring, left); /* has ended already, or does so by this */
	int result = outcome(f, left);
	EQ(result == 1 || result == -ECANCELED, 1);
	if (result == -ECANCELED) {
		ring_receive(f->ring, left, left->fd, f->memory + 200, 1);
		EQ(outcome(f, left), 1);
	}
	ring_receive(f->ring, left, left->fd, f->memory, 1);
	times_out(f);
	EQ(write(left->fd == fd ? peer : other_peer, "c", 1), 1);
	EQ(outcome(f, left), 1);
	EQ(f->memory[0], 'c');
	ring_close_fd(f->ring, fd);
	ring_close_fd(f->ring, other);
	close(peer);
	close(other_peer);
}

TABLE_TEST(closes_with_pending_operations)
{
	struct ring_operation receive = { 0 }, send = { 0 }, other = { 0 };
	int fd, peer, other_fd, other_peer;
	tcp_pair(f, &fd, &peer);
	local_pair(&other_fd, &other_peer);
	for (int submitted = 0; submitted < 2; submitted++) {
		ring_receive(f->ring, &receive, fd, f->memory, 100);
		/* more than the socket's buffers take, and nobody reads */
		ring_send(f->ring, &send, fd, f->memory + MEMORY_BYTES / 2, MEMORY_BYTES / 2);
		ring_receive(f->ring, &other, other_fd, f->memory + 200, 100);
		if (submitted) {
			struct ring_operation *done = ring_wait(f->ring, clock_monotonic_ns() + SHORT_NS);
			EQ(done == NULL || done == &send, 1); /* the buffers may be large enough after all */
		}
		EQ(write(other_peer, "x", 1), 1);
		ring_close_fd(f->ring, fd);
		EQ(receive.pending, 0);
		EQ(send.pending, 0);
		EQ(other.pending, 1);
		EQ(fcntl(fd, F_GETFD), -1);
		EQ(outcome(f, &other), 1); /* only the other descriptor's comes back */
		times_out(f);
		close(peer);
		if (!submitted)
			tcp_pair(f, &fd, &peer);
	}
	ring_close_fd(f->ring, other_fd);
	close(other_peer);
}

/* What has completed but was not fetched is dropped with its descriptor, too; while it waits, what the kernel
 * holds for another descriptor can be taken back. */
TABLE_TEST(close_drops_what_is_ready)
{
	struct ring_operation first = { 0 }, second = { 0 }, held = { 0 };
	int fd, peer, other, other_peer, quiet, quiet_peer;
	local_pair(&fd, &peer);
	local_pair(&other, &other_peer);
	local_pair(&quiet, &quiet_peer);
	ring_receive(f->ring, &held, quiet, f->memory + 2, 1);
	times_out(f);
	EQ(write(peer, "a", 1), 1);
	EQ(write(other_peer, "b", 1), 1);
	ring_receive(f->ring, &first, fd, f->memory, 1);
	ring_receive(f->ring, &second, other, f->memory + 1, 1);
	struct ring_operation *done = ring_wait(f->ring, clock_monotonic_ns() + PATIENCE_NS);
	NE((uintptr_t)done, 0);
	struct ring_operation *left = done == &first ? &second : &first;
	ring_close_fd(f->ring, quiet);
	EQ(held.pending, 0);
	ring_close_fd(f->ring, left->fd);
	EQ(left->pending, 0);
	times_out(f);
	ring_close_fd(f->ring, done->fd);
	close(peer);
	close(other_peer);
	close(quiet_peer);
}

TABLE_TEST(finish_takes_back_everything)
{
	static struct ring_operation operations[4];
	int fd, peer, hung, hung_peer, fds[2];
	memset(operations, 0, sizeof operations);
	tcp_pair(f, &fd, &peer);
	local_pair(&hung, &hung_peer);
	EQ(pipe2(fds, O_CLOEXEC), 0);
	ring_receive(f->ring, &operations[0], fd, f->memory, 100);
	ring_wake(f->ring, &operations[1], hung);
	ring_write(f->ring, &operations[2], fds[1], f->memory, MEMORY_BYTES, UINT64_MAX);
	times_out(f);
	EQ(write(hung_peer, "x", 1), 1); /* completes, but is not fetched */
	ring_finish(f->ring);
	f->ring = NULL;
	for (int i = 0; i < 4; i++)
		EQ(operations[i].pending, 0);
	EQ(operations[2].result, -ECANCELED);
	const int all[] = { fd, peer, hung, hung_peer, fds[0], fds[1] };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		close(all[i]);
}

TABLE_TEST(writes_a_file)
{
	char path[] = "/tmp/akamai-prof-ring-XXXXXX";
	struct ring_operation operation = { 0 };
	uint8_t back[1000];
	int fd = mkstemp(path);
	GE(fd, 0);
	pattern_fill(f->memory, 0, MEMORY_BYTES);
	ring_write(f->ring, &operation, fd, f->memory, 600, UINT64_MAX);
	EQ(outcome(f, &operation), 600);
	ring_write(f->ring, &operation, fd, f->memory + 600, 400, UINT64_MAX);
	EQ(outcome(f, &operation), 400);
	EQ(pread(fd, back, sizeof back, 0), 1000);
	EQ(pattern_errors(back, 0, 1000), 0);
	ring_write(f->ring, &operation, fd, f->memory, 10, 500); /* in the middle; the position stays */
	EQ(outcome(f, &operation), 10);
	EQ(lseek(fd, 0, SEEK_CUR), 1000);
	EQ(pread(fd, back, sizeof back, 0), 1000);
	EQ(pattern_errors(back, 0, 500), 0);
	EQ(pattern_errors(back + 500, 0, 10), 0);
	EQ(pattern_errors(back + 510, 510, 490), 0);
	ring_fsync(f->ring, &operation, fd);
	EQ(outcome(f, &operation), 0);
	ring_write(f->ring, &operation, fd, f->memory, MEMORY_BYTES, 0);
	EQ(outcome(f, &operation), MEMORY_BYTES);
	ring_close_fd(f->ring, fd);
	unlink(path);
}

/* A megabyte through a pipe of 64 KB: many short writes, in blocking and in non-blocking mode. */
TABLE_TEST(writes_a_pipe)
{
	for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
		struct ring_operation operation = { 0 };
		struct peer peer;
		int fds[2];
		EQ(pipe2(fds, O_CLOEXEC), 0);
		EQ(fcntl(fds[1], F_SETFL, flags), 0);
		pattern_fill(f->memory, 0, MEMORY_BYTES);
		ring_write(f->ring, &operation, fds[1], f->memory, MEMORY_BYTES, UINT64_MAX);
		times_out(f);
		peer_start(&peer, fds[0], 1, 0);
		EQ(outcome(f, &operation), MEMORY_BYTES);
		EQ(fcntl(fds[1], F_GETFL) & O_NONBLOCK, flags); /* it is the caller's */
		ring_close_fd(f->ring, fds[1]);
		pthread_join(peer.thread, NULL);
		EQ(peer.bytes, MEMORY_BYTES);
		EQ(peer.errors, 0);
	}
}

/* The reader leaves half way: an error, and the count of what went out. */
TABLE_TEST(pipe_reader_leaves)
{
	struct ring_operation operation = { 0 };
	int fds[2];
	EQ(pipe2(fds, O_CLOEXEC), 0);
	int room_bytes = fcntl(fds[1], F_GETPIPE_SZ);
	ring_write(f->ring, &operation, fds[1], f->memory, MEMORY_BYTES, UINT64_MAX);
	times_out(f);
	close(fds[0]);
	EQ(outcome(f, &operation), -EPIPE);
	LE(operation.bytes_done, room_bytes);
	ring_close_fd(f->ring, fds[1]);
}

TABLE_TEST(pipe_write_is_cancelled)
{
	struct ring_operation operation = { 0 };
	uint8_t back[4096];
	int fds[2];
	EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	EQ(fcntl(fds[1], F_SETFL, 0), 0);
	ring_write(f->ring, &operation, fds[1], f->memory, MEMORY_BYTES, UINT64_MAX);
	times_out(f);
	ring_cancel(f->ring, &operation);
	EQ(outcome(f, &operation), -ECANCELED);
	size_t in_pipe = 0;
	for (ssize_t got; (got = read(fds[0], back, sizeof back)) > 0;)
		in_pipe += (size_t)got;
	GT(in_pipe, 0);
	LE(operation.bytes_done, in_pipe);
	ring_close_fd(f->ring, fds[1]);
	close(fds[0]);
}

TABLE_TEST(disk_is_full)
{
	struct ring_operation operation = { 0 };
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		SKIP("no /dev/full");
	ring_write(f->ring, &operation, fd, f->memory, 5000, UINT64_MAX);
	EQ(outcome(f, &operation), -ENOSPC);
	ring_close_fd(f->ring, fd);
}

TABLE_TEST(bad_descriptors_are_named)
{
	struct ring_operation operation = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ring_write(f->ring, &operation, fd, f->memory, 1, UINT64_MAX); /* open for reading only */
	EQ(outcome(f, &operation), -EBADF);
	close(fd);
	ring_receive(f->ring, &operation, fd, f->memory, 1);
	EQ(outcome(f, &operation), -EBADF);
	ring_wake(f->ring, &operation, fd);
	EQ(outcome(f, &operation), -EBADF);
	ring_fsync(f->ring, &operation, fd);
	EQ(outcome(f, &operation), -EBADF);
}

TABLE_TEST(wakes)
{
	struct ring_operation operation = { 0 };
	uint64_t value = 1;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring_wake(f->ring, &operation, fd);
	times_out(f);
	EQ(write(fd, &value, sizeof value), sizeof value);
	EQ(outcome(f, &operation), 0);
	EQ(read(fd, &value, sizeof value), sizeof value); /* it was only announced */
	ring_wake(f->ring, &operation, fd);
	times_out(f);
	ring_cancel(f->ring, &operation);
	EQ(outcome(f, &operation), -ECANCELED);
	ring_close_fd(f->ring, fd);
}

TABLE_TEST(signal_wakes)
{
	struct ring_operation operation = { 0 };
	struct signalfd_siginfo information;
	sigset_t set, before;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	EQ(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ring_wake(f->ring, &operation, fd);
	times_out(f);
	EQ(pthread_kill(pthread_self(), SIGUSR1), 0);
	EQ(outcome(f, &operation), 0);
	EQ(read(fd, &information, sizeof information), sizeof information);
	EQ(information.ssi_signo, SIGUSR1);
	ring_close_fd(f->ring, fd);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void on_signal(int number)
{
	(void)number;
}

static void *interrupter_run(void *argument)
{
	int *stop = argument;
	while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE)) {
		kill(getpid(), SIGUSR2);
		usleep(200);
	}
	return NULL;
}

/* Signals make ring_wait() return NULL early at most; no operation ends with EINTR. */
TABLE_TEST(signals_interrupt_no_operation)
{
	enum { TOTAL = 400000 };
	struct sigaction action = { .sa_handler = on_signal }, before;
	struct ring_operation operation = { 0 };
	struct peer peer;
	pthread_t interrupter;
	sigset_t set;
	int stop = 0, fds[2];
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	EQ(sigaction(SIGUSR2, &action, &before), 0);
	EQ(pipe2(fds, O_CLOEXEC), 0);
	EQ(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	pthread_sigmask(SIG_BLOCK, &set,
			NULL); /* the peer and the interrupter inherit this: we get them all */
	peer_start(&peer, fds[0], 1, 0);
	pthread_create(&interrupter, NULL, interrupter_run, &stop);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pattern_fill(f->memory, 0, TOTAL);
	ring_write(f->ring, &operation, fds[1], f->memory, TOTAL, UINT64_MAX);
	int result = outcome(f, &operation);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(interrupter, NULL);
	ring_close_fd(f->ring, fds[1]);
	pthread_join(peer.thread, NULL);
	sigaction(SIGUSR2, &before, NULL);
	EQ(result, TOTAL);
	EQ(peer.errors, 0);
	EQ(peer.bytes, TOTAL);
}

TABLE_TEST(deadlines_pass)
{
	int64_t start_ns = clock_monotonic_ns();
	EQ((uintptr_t)ring_wait(f->ring, 0), 0);
	EQ((uintptr_t)ring_wait(f->ring, 1), 0); /* long ago */
	EQ((uintptr_t)ring_wait(f->ring, start_ns + SHORT_NS), 0);
	GE(clock_monotonic_ns(), start_ns + SHORT_NS);
}

TEST_MAIN(TT(connects), TT(connect_is_refused), TT(connect_hangs_and_is_cancelled), TT(receives_a_stream),
	  TT(sends_everything), TT(reset_is_an_error), TT(receive_is_cancelled), TT(late_cancel_is_harmless),
	  TT(closes_with_pending_operations), TT(close_drops_what_is_ready), TT(finish_takes_back_everything),
	  TT(writes_a_file), TT(writes_a_pipe), TT(pipe_reader_leaves), TT(pipe_write_is_cancelled),
	  TT(disk_is_full), TT(bad_descriptors_are_named), TT(wakes), TT(signal_wakes),
	  TT(signals_interrupt_no_operation), TT(deadlines_pass))
