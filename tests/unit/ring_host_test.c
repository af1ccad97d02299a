/* SPDX-License-Identifier: Apache-2.0
 *
 * ring on hosts that deny something: seccomp filters over io_uring, no lockable memory. Each case is a child
 * process that gives the thing up first. Also the texts for all causes, and name resolution.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ring/engine.h"
#include "ring/resolve.h"
#include "test.h"

#define PATIENCE_NS (60 * NS_PER_SECOND) /* a bound against hanging */

/* Runs `body` in a child; its failure or skip becomes ours. */
static void in_child(void (*body)(int), int argument)
{
	int fds[2];
	EQ(pipe(fds), 0);
	fflush(stdout);
	pid_t child = fork();
	GE(child, 0);
	if (child == 0) {
		int how = setjmp(test_exit);
		if (how == 0)
			body(argument);
		else if (write(fds[1], test_message, sizeof test_message) < 0)
			how = 3;
		_exit(how);
	}
	close(fds[1]);
	char message[sizeof test_message] = "the child died";
	ssize_t got = read(fds[0], message, sizeof message);
	int status;
	close(fds[0]);
	EQ(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		SKIP("%s", message);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		FAIL("%s", got >= 0 ? message : "?");
}

/* From now on the system call `number` fails with `error`. */
static void forbid(unsigned number, int error)
{
	struct sock_filter instructions[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof instructions / sizeof *instructions, instructions };
	EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		SKIP("no seccomp filters here: %s", strerrorname_np(errno));
}

/* One receive over a socket pair, into the start of `memory`. */
static void receives(struct ring *ring, uint8_t *memory)
{
	struct ring_operation operation = { 0 };
	int fds[2];
	EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ring_receive(ring, &operation, fds[0], memory, 100);
	EQ(write(fds[1], "hello", 5), 5);
	EQ((uintptr_t)ring_wait(ring, clock_monotonic_ns() + PATIENCE_NS), (uintptr_t)&operation);
	EQ(operation.result, 5);
	EQ(memcmp(memory, "hello", 5), 0);
	ring_close_fd(ring, fds[0]);
	close(fds[1]);
}

/* URING fails and AUTO falls back, both with `error` and a text that has `cause`. */
static void falls_back(int error, const char *cause)
{
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct ring_options options = { .engine = RING_ENGINE_URING, .operations_max = 8 };
	EQ(arena_open(&arena, 1 << 20), 0);
	uint8_t *memory = arena_take(&arena, 4096, 4096);
	EQ(ring_open(&options, &arena, &ring, &report), -error);
	EQ((uintptr_t)ring, 0);
	EQ(report.setup_errno, error);
	HAS_TEXT(report.notice, cause);
	HAS_TEXT(report.notice, ", or choose the poll engine.");

	options.engine = RING_ENGINE_AUTO;
	EQ(ring_open(&options, &arena, &ring, &report), 0);
	EQ(report.engine, RING_ENGINE_POLL);
	EQ(report.receive_mode, RING_RECEIVE_PLAIN);
	EQ(report.setup_errno, error);
	HAS_TEXT(report.notice, cause);
	HAS_TEXT(report.notice, "; going on with poll, at about the same throughput.");
	ring_register_buffer(ring, memory, 4096);
	EQ(ring_report_of(ring)->registered_buffers, 0);
	EQ(ring_report_of(ring)->registered_buffers_errno, 0);
	receives(ring, memory);
	ring_finish(ring);

	options.engine = RING_ENGINE_POLL; /* who asks for poll gets no notice */
	EQ(ring_open(&options, &arena, &ring, &report), 0);
	EQ_TEXT(report.notice, "");
	ring_finish(ring);
	arena_finish(&arena);
}

static void sysctl_must_allow(void)
{
	if (ring_obstacles_read().uring_disabled)
		SKIP("kernel.io_uring_disabled is set");
}

static void setup_forbidden_in_child(int error)
{
	forbid(__NR_io_uring_setup, error);
	EQ(ring_obstacles_read().seccomp_filtered, 1);
	falls_back(error, error == EPERM    ? "blocked by a seccomp filter (EPERM)"
			  : error == ENOSYS ? "blocked by a seccomp filter (ENOSYS)"
					    : "This kernel offers no io_uring that can be used (EINVAL)");
}

static void seccomp_eperm_falls_back(void)
{
	sysctl_must_allow();
	in_child(setup_forbidden_in_child, EPERM);
}

static void seccomp_enosys_falls_back(void)
{
	sysctl_must_allow();
	in_child(setup_forbidden_in_child, ENOSYS);
}

/* Every set of flags is tried, then poll. */
static void unknown_flags_fall_back(void)
{
	in_child(setup_forbidden_in_child, EINVAL);
}

static void uring_must_work(void)
{
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct ring_options options = { .engine = RING_ENGINE_URING, .operations_max = 8 };
	EQ(arena_open(&arena, 1 << 20), 0);
	if (ring_open(&options, &arena, &ring, &report) < 0)
		SKIP("%s", report.notice);
	ring_finish(ring);
	arena_finish(&arena);
}

static void call_forbidden_in_child(int number)
{
	forbid((unsigned)number, EPERM);
	falls_back(EPERM, "blocked by a seccomp filter (EPERM)");
}

static void seccomp_on_register_falls_back(void)
{
	uring_must_work();
	in_child(call_forbidden_in_child, __NR_io_uring_register);
}

static void seccomp_on_enter_falls_back(void)
{
	uring_must_work();
	in_child(call_forbidden_in_child, __NR_io_uring_enter);
}

/* Gives up CAP_IPC_LOCK with the identity. Locked memory is counted per user, so one that nobody else uses.
 */
static void limit_memlock(rlim_t bytes)
{
	struct rlimit limit = { bytes, bytes };
	unsigned own = 100000 + (unsigned)getpid() % 100000;
	EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (geteuid() == 0 && (setresgid(65534, 65534, 65534) < 0 ||
			       (setresuid(own, own, own) < 0 && setresuid(65534, 65534, 65534) < 0)))
		SKIP("the identity cannot be given up: %s", strerrorname_np(errno));
}

/* Room for the ring itself (charged since Linux 6.14), not for the buffer. */
static void some_memlock_in_child(int limit_bytes)
{
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct ring_options options = { .receive_mode = RING_RECEIVE_FIXED, .operations_max = 8 };
	limit_memlock((rlim_t)limit_bytes);
	EQ(arena_open(&arena, 1 << 20), 0);
	uint8_t *memory = arena_take(&arena, 1 << 18, 4096);
	EQ(ring_open(&options, &arena, &ring, &report), 0);
	if (report.engine != RING_ENGINE_URING)
		SKIP("%s", report.notice);
	EQ_TEXT(report.notice, "");
	ring_register_buffer(ring, memory, 1 << 18);
	ring_register_buffer(ring, memory, 4096); /* plain now: no further attempt, no harm */
	report = *ring_report_of(ring);
	EQ(report.registered_buffers, 0);
	EQ(report.registered_bytes, 0);
	EQ(report.registered_buffers_errno, ENOMEM);
	EQ(report.receive_mode, RING_RECEIVE_PLAIN);
	HAS_TEXT(report.notice, "ENOMEM: RLIMIT_MEMLOCK is 131072 bytes per user");
	HAS_TEXT(report.notice, "Raise `ulimit -l` or grant CAP_IPC_LOCK");
	receives(ring, memory);
	ring_finish(ring);
	arena_finish(&arena);
}

static void little_lockable_memory_receives_plainly(void)
{
	in_child(some_memlock_in_child, 131072);
}

static void no_memlock_in_child(int limit_bytes)
{
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct ring_options options = { .receive_mode = RING_RECEIVE_FIXED, .operations_max = 8 };
	limit_memlock((rlim_t)limit_bytes);
	EQ(arena_open(&arena, 1 << 20), 0);
	uint8_t *memory = arena_take(&arena, 1 << 18, 4096);
	EQ(ring_open(&options, &arena, &ring, &report), 0);
	if (report.engine == RING_ENGINE_POLL && report.setup_errno == ENOMEM)
		HAS_TEXT(report.notice, "RLIMIT_MEMLOCK is 0 bytes");
	ring_register_buffer(ring, memory, 1 << 18);
	EQ(ring_report_of(ring)->registered_buffers, 0);
	EQ(ring_report_of(ring)->receive_mode, RING_RECEIVE_PLAIN);
	NE(strlen(ring_report_of(ring)->notice), 0);
	receives(ring, memory);
	ring_finish(ring);
	arena_finish(&arena);
}

static void no_lockable_memory_still_works(void)
{
	in_child(no_memlock_in_child, 0);
}

static void uring_reports_what_it_has(void)
{
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct ring_options options = { .engine = RING_ENGINE_URING, .operations_max = 8 };
	EQ(arena_open(&arena, 1 << 20), 0);
	uint8_t *memory = arena_take(&arena, 8192, 4096);
	if (ring_open(&options, &arena, &ring, &report) < 0)
		SKIP("%s", report.notice);
	EQ(report.engine, RING_ENGINE_URING);
	EQ(report.setup_errno, 0);
	EQ_TEXT(report.notice, "");
	NE(report.features, 0);
	EQ(report.single_issuer, 1); /* Linux 6.1, the oldest that we serve */
	EQ(report.defer_taskrun, 1);
	EQ(report.registered_ring, 1);
	ring_register_buffer(ring, memory, 4096);
	ring_register_buffer(ring, memory + 4096, 4096);
	if (ring_report_of(ring)->registered_buffers_errno == 0) {
		EQ(ring_report_of(ring)->registered_buffers, 2);
		EQ(ring_report_of(ring)->registered_bytes, 8192);
		EQ(ring_report_of(ring)->receive_mode, RING_RECEIVE_FIXED);
	}
	receives(ring, memory);
	ring_finish(ring);
	arena_finish(&arena);
}

static void notices_name_cause_and_cure(void)
{
	static const struct {
		int error;
		struct ring_obstacles obstacles;
		const char *cause, *cure;
	} table[] = {
		{ EPERM,
		  { .uring_disabled = 2 },
		  "EPERM: kernel.io_uring_disabled is 2",
		  "sysctl -w kernel.io_uring_disabled=0" },
		{ EPERM,
		  { .uring_disabled = 2, .seccomp_filtered = 1 },
		  "kernel.io_uring_disabled is 2",
		  "sysctl -w kernel.io_uring_disabled=0" },
		{ EPERM, { .uring_disabled = 1 }, "kernel.io_uring_disabled is 1", "kernel.io_uring_group" },
		{ EPERM, { .seccomp_filtered = 1 }, "seccomp filter (EPERM)", "--security-opt seccomp=" },
		{ ENOSYS, { .seccomp_filtered = 1 }, "seccomp filter (ENOSYS)", "--security-opt seccomp=" },
		{ EPERM, { 0 }, "security module", "(EPERM)" },
		{ ENOSYS, { 0 }, "This kernel offers no io_uring", "Linux 6.1" },
		{ EOPNOTSUPP, { 0 }, "This kernel offers no io_uring", "Linux 6.1" },
		{ ENOMEM, { .memlock_bytes = 65536 }, "RLIMIT_MEMLOCK is 65536 bytes", "ulimit -l" },
		{ EMFILE, { 0 }, "no file descriptor left", "ulimit -n" },
		{ EIO, { 0 }, "EIO: Input/output error", "" },
	};
	char text[sizeof(struct ring_report){ 0 }.notice];
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		for (int insists = 0; insists < 2; insists++) {
			ring_notice_setup(text, sizeof text, table[i].error, insists, &table[i].obstacles);
			HAS_TEXT(text, table[i].cause);
			HAS_TEXT(text, table[i].cure);
			HAS_TEXT(text, insists ? "the poll engine." : "going on with poll");
			EQ(text[strlen(text) - 1], '.'); /* all of it fits */
			EQ((uintptr_t)strchr(text, '\n'), 0);
		}
	}
	ring_notice_register(text, sizeof text, EINVAL, &(struct ring_obstacles){ 0 });
	HAS_TEXT(text, "(EINVAL); going on with plain receives");
}

static void resolves_numbers_and_no_such_name(void)
{
	struct resolved resolved;
	EQ(resolve_host("127.0.0.1", "443", &resolved), 0);
	EQ(resolved.count, 1);
	EQ(resolved.entries[0].bytes, sizeof(struct sockaddr_in));
	const struct sockaddr_in *address = (const struct sockaddr_in *)&resolved.entries[0].address;
	EQ(address->sin_port, htons(443));
	EQ(address->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	EQ(resolve_host("::1", "80", &resolved), 0);
	EQ(resolved.entries[0].address.ss_family, AF_INET6);
	int code = resolve_host("not.a.host.invalid", "443", &resolved);
	NE(code, 0);
	EQ(resolved.count, 0);
	NE(strlen(resolve_error_text(code)), 0);
	NE(resolve_host("127.0.0.1", "https", &resolved), 0); /* ports are numbers */
}

static void resolves_a_name_of_the_hosts_file(void)
{
	struct resolved resolved;
	/* A bare root folder has none, and glibc knows no name by itself. */
	if (access("/etc/hosts", R_OK) < 0)
		SKIP("no /etc/hosts here");
	EQ(resolve_host("localhost", "80", &resolved), 0);
	GE(resolved.count, 1);
}

TEST_MAIN(T(seccomp_eperm_falls_back), T(seccomp_enosys_falls_back), T(unknown_flags_fall_back),
	  T(seccomp_on_register_falls_back), T(seccomp_on_enter_falls_back),
	  T(little_lockable_memory_receives_plainly), T(no_lockable_memory_still_works),
	  T(uring_reports_what_it_has), T(notices_name_cause_and_cure), T(resolves_numbers_and_no_such_name),
	  T(resolves_a_name_of_the_hosts_file))
