/* SPDX-License-Identifier: Apache-2.0
 *
 * confine: system calls and sockets that are refused to a confined process, and what must go on working:
 * rings, threads, names, small things of libc.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <linux/io_uring.h>
#include <linux/tls.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

#include "base/clock.h"
#include "confine_scene.h"
#include "ring/ring.h"

#define PATIENCE_NS (60 * NS_PER_SECOND) /* a bound against hanging */
#define SOL_TLS_ 282			 /* newer than some headers */

BOTH(no_programs_are_started)
{
	char *const arguments[] = { (char[]){ "true" }, NULL };
	enter(scene);
	DENIED(execve("/bin/true", arguments, NULL), EPERM);
	int fd = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
	GE(fd, 0);
	DENIED(syscall(SYS_execveat, fd, "", arguments, NULL, AT_EMPTY_PATH), EPERM);
	close(fd);
	DENIED(syscall(SYS_clone3, NULL, 0), ENOSYS);
	if (CONFINE_SANITIZED)
		return; /* the leak check makes a process */
	DENIED(fork(), EPERM);
	DENIED(vfork(), EPERM);
	EQ(system("true"), 127 << 8); /* as when there is no shell */
	DENIED(unshare(CLONE_NEWUSER), EPERM);
}

/* With arguments that without confinement succeed, or fail in another way. */
BOTH(other_calls_are_refused)
{
	char byte = 0;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	pid_t parent = getppid();
	struct confine_report report = enter(scene);
	DENIED(unshare(0), EPERM);
	DENIED(setns(-1, 0), EPERM);
	DENIED(syscall(SYS_bpf, -1, NULL, 0), EPERM);
	DENIED(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0), EPERM);
	DENIED(syscall(SYS_keyctl, 0, -3, 0), EPERM);
	DENIED(syscall(SYS_add_key, NULL, NULL, NULL, 0, -3), EPERM);
	DENIED(syscall(SYS_io_uring_setup, 0, NULL), EPERM);
	DENIED(syscall(SYS_userfaultfd, -1), EPERM);
	DENIED(syscall(SYS_memfd_create, "x", 0), EPERM);
	DENIED(syscall(SYS_pidfd_open, getpid(), 0), EPERM);
	DENIED(syscall(SYS_kexec_load, 0, 0, NULL, 0), EPERM);
	DENIED(syscall(SYS_name_to_handle_at, -1, "x", NULL, NULL, 0), EPERM);
	DENIED(syscall(SYS_personality, 0xffffffff), EPERM);
	DENIED(syscall(SYS_process_vm_writev, getpid(), &part, 1, &part, 1, 0), EPERM);
	DENIED(mount(NULL, "/", NULL, 0, NULL), EPERM);
	DENIED(chroot("/"), EPERM);
	DENIED(ioctl(0, TIOCSTI, &byte), EPERM);
	DENIED(fcntl(0, F_SETOWN, parent), EPERM);
	/* Under AddressSanitizer these three are Landlock's. */
	if (CONFINE_SANITIZED && report.landlock_abi < 6)
		SKIP("AddressSanitizer's runtime needs ptrace and kill, and Landlock does not scope them "
		     "here");
	DENIED(ptrace(PTRACE_ATTACH, parent, NULL, NULL), EPERM);
	DENIED(kill(parent, 0), EPERM);
	DENIED(kill(1, 0), EPERM);
}

BOTH(writable_memory_is_not_executable)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	if (CONFINE_SANITIZED)
		SKIP("AddressSanitizer's runtime maps as it likes");
	enter(scene);
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NE((uintptr_t)page, (uintptr_t)MAP_FAILED);
	DENIED(mprotect(page, bytes, PROT_READ | PROT_EXEC), EPERM);
	EQ(mprotect(page, bytes, PROT_READ), 0);
	EQ(munmap(page, bytes), 0);
	DENIED(mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EPERM);
	int fd = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
	GE(fd, 0);
	DENIED(mmap(NULL, bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd, 0), EPERM);
	DENIED(mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0), EPERM);
	close(fd);
}

/* Which one, libc decides by nsswitch.conf. */
BOTH(libraries_of_the_resolver_load)
{
	enter(scene);
	void *library = dlopen("libnss_compat.so.2", RTLD_NOW);
	if (!library)
		FAIL("%s", dlerror());
	dlclose(library);
}

BOTH(sockets_are_tcp_and_udp)
{
	static const struct {
		int family, type, protocol;
	} refused[] = {
		{ AF_INET, SOCK_RAW, IPPROTO_TCP },
		{ AF_INET, SOCK_RAW, IPPROTO_ICMP },
		{ AF_INET6, SOCK_RAW, IPPROTO_TCP },
		{ AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
		{ AF_INET, SOCK_STREAM, 262 /* MPTCP */ },
		{ AF_INET, SOCK_SEQPACKET, 0 },
		{ AF_PACKET, SOCK_RAW, 0 },
		{ AF_NETLINK, SOCK_RAW, 0 },
		{ AF_UNIX, SOCK_STREAM, 0 },
		{ AF_UNIX, SOCK_DGRAM, 0 },
		{ AF_ALG, SOCK_SEQPACKET, 0 },
		{ AF_VSOCK, SOCK_STREAM, 0 },
	};
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fds[2];
	enter(scene);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		DENIED(socket(refused[i].family, refused[i].type, refused[i].protocol), EPERM);
	DENIED(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), EPERM);
	for (int family = 0; family < 2; family++)
		for (int type = 0; type < 2; type++) {
			int fd = socket(family ? AF_INET6 : AF_INET,
					(type ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
			if (fd < 0 && family && errno == EAFNOSUPPORT)
				continue;
			GE(fd, 0);
			DENIED(bind(fd, (struct sockaddr *)&any, sizeof any), EPERM);
			DENIED(listen(fd, 1), EPERM);
			close(fd);
		}
	DENIED(accept(scene->listeners[0], NULL, NULL), EPERM);
	DENIED(setsockopt(scene->listeners[0], SOL_SOCKET, SO_REUSEPORT, fds, sizeof *fds), EPERM);
}

/* Everything that <linux/tls.h> and TCP know to set on this socket; `wanted` are those that may be. */
static void check_kernel_tls(int fd, int wanted)
{
	static const struct {
		int level, option, wanted;
	} options[] = {
		{ SOL_TLS_, TLS_TX, 0 },
		{ SOL_TLS_, TLS_RX, 1 },
		{ SOL_TLS_, 3 /* TLS_TX_ZEROCOPY_RO */, 0 },
		{ SOL_TLS_, 4 /* TLS_RX_EXPECT_NO_PAD */, 0 },
		{ SOL_TLS_, 5, 0 },
		{ IPPROTO_TCP, TCP_ULP, 1 },
		{ IPPROTO_TCP, TCP_CONGESTION, 0 },
		{ IPPROTO_TCP, TCP_REPAIR, 0 },
		{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0 },
	};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		errno = 0;
		long done = setsockopt(fd, options[i].level, options[i].option, "tls", 3);
		/* What is allowed fails, too, on a socket without a peer; but it is the kernel that says so.
		 */
		if (done >= 0 || (errno == EPERM) == (wanted && options[i].wanted))
			FAIL("level %d, option %d: %ld, %s", options[i].level, options[i].option, done,
			     strerrorname_np(errno));
	}
}

BOTH(keys_for_the_kernel_are_refused)
{
	enter(scene);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check_kernel_tls(fd, 0);
	close(fd);
}

BOTH(keys_for_the_kernel_are_possible)
{
	struct confine_options options = options_of(scene);
	options.kernel_tls = 1;
	enter_with(&options);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check_kernel_tls(fd, 1);
	close(fd);
}

BOTH(connects_to_the_port_only)
{
	struct confine_report report = enter(scene);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	GE(fd, 0);
	if (report.landlock_connect) {
		DENIED(connect(fd, (struct sockaddr *)&scene->addresses[1], sizeof scene->addresses[1]),
		       EACCES);
		DENIED(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&scene->addresses[1],
			      sizeof scene->addresses[1]),
		       EPERM);
	}
	EQ(connect(fd, (struct sockaddr *)&scene->addresses[0], sizeof scene->addresses[0]), 0);
	close(fd);
	if (!report.landlock_connect)
		SKIP("Landlock restricts connects from Linux 6.7; this kernel has version %d",
		     report.landlock_abi);
}

/* A peer outside takes one connection and echoes five bytes. */
static pid_t echo_start(int listener)
{
	pid_t child = fork();
	GE(child, 0);
	if (child == 0) {
		char bytes[5];
		alarm(60);
		int fd = accept(listener, NULL, NULL);
		if (recv(fd, bytes, sizeof bytes, MSG_WAITALL) == 5 && send(fd, bytes, sizeof bytes, 0) == 5)
			_exit(0);
		_exit(1);
	}
	return child;
}

static int outcome(struct ring *ring, struct ring_operation *operation)
{
	struct ring_operation *done = ring_wait(ring, clock_monotonic_ns() + PATIENCE_NS);
	EQ((uintptr_t)done, (uintptr_t)operation);
	return operation->result;
}

static void rings_work(struct scene *scene, enum ring_engine engine)
{
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct ring_options options = { .engine = engine, .operations_max = 8 };
	struct ring_operation operation = { 0 };
	char path[128];
	snprintf(path, sizeof path, "%s/new", scene->inside);
	EQ(arena_open(&arena, 1 << 20), 0);
	uint8_t *memory = arena_take(&arena, 8192, 4096);
	if (ring_open(&options, &arena, &ring, &report) < 0)
		SKIP("%s", report.notice);
	ring_register_buffer(ring, memory, 4096);
	echo_start(scene->listeners[0]);
	struct confine_report confined = enter(scene);
	int fd = ring_socket(ring, AF_INET);
	GE(fd, 0);
	if (confined.landlock_connect) {
		ring_connect(ring, &operation, fd, (struct sockaddr *)&scene->addresses[1],
			     sizeof scene->addresses[1]);
		EQ(outcome(ring, &operation), -EACCES);
	}
	ring_connect(ring, &operation, fd, (struct sockaddr *)&scene->addresses[0],
		     sizeof scene->addresses[0]);
	EQ(outcome(ring, &operation), 0);
	memcpy(memory + 4096, "hello", 5);
	ring_send(ring, &operation, fd, memory + 4096, 5);
	EQ(outcome(ring, &operation), 5);
	ring_receive(ring, &operation, fd, memory, 5);
	EQ(outcome(ring, &operation), 5);
	EQ_BYTES(memory, 5, "hello", 5);
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	GE(file, 0);
	ring_write(ring, &operation, file, memory, 5, 0);
	EQ(outcome(ring, &operation), 5);
	ring_fsync(ring, &operation, file);
	EQ(outcome(ring, &operation), 0);
	ring_close_fd(ring, file);
	ring_close_fd(ring, fd);
	ring_finish(ring);
	arena_finish(&arena);
}

BOTH(an_open_io_uring_works)
{
	rings_work(scene, RING_ENGINE_URING);
}

BOTH(the_poll_engine_works)
{
	rings_work(scene, RING_ENGINE_POLL);
}

static void *thread_main(void *argument)
{
	struct timespec moment = { .tv_nsec = 1000 };
	int *value = malloc(sizeof *value);
	if (!value || nanosleep(&moment, NULL) < 0 || pthread_setname_np(pthread_self(), "worker") != 0)
		return NULL;
	/* What was given up is given up here, too. */
	*value = open((const char *)argument, O_RDONLY) < 0 ? errno : 0;
	return value;
}

BOTH(threads_work)
{
	pthread_t threads[8];
	enter_with_landlock(scene);
	for (int i = 0; i < 8; i++)
		EQ(pthread_create(&threads[i], NULL, thread_main, scene->file), 0);
	for (int i = 0; i < 8; i++) {
		void *value;
		EQ(pthread_join(threads[i], &value), 0);
		NE((uintptr_t)value, 0);
		EQ(*(int *)value, EACCES);
		free(value);
	}
}

static int eventfd_made(void)
{
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	GE(fd, 0);
	return fd;
}

struct handed_over {
	struct ring *ring;
	int fd; /* readable */
	int result;
};

static void *takes_over(void *argument)
{
	struct handed_over *handed = argument;
	struct ring_operation operation = { 0 };
	handed->result = ring_take_over(handed->ring);
	if (handed->result == 0) {
		ring_wake(handed->ring, &operation, handed->fd);
		handed->result = outcome(handed->ring, &operation);
	}
	ring_finish(handed->ring);
	return NULL;
}

static int taken_over(const struct confine_options *options)
{
	struct arena arena;
	struct ring_report report;
	struct ring_options ring = { .engine = RING_ENGINE_URING, .operations_max = 8, .handed_over = 1 };
	struct handed_over handed = { .fd = eventfd_made() };
	pthread_t thread;
	EQ(arena_open(&arena, 1 << 20), 0);
	if (ring_open(&ring, &arena, &handed.ring, &report) < 0)
		SKIP("%s", report.notice);
	enter_with(options);
	EQ(pthread_create(&thread, NULL, takes_over, &handed), 0);
	EQ(pthread_join(thread, NULL), 0);
	arena_finish(&arena);
	close(handed.fd);
	return handed.result;
}

/* Made before, by another thread. Nothing else can be registered, and no other ring can be made. */
BOTH(a_thread_takes_a_ring_over)
{
	struct confine_options options = options_of(scene);
	int no_ring = eventfd_made();
	options.ring_threads = 1;
	EQ(taken_over(&options), 0);
	DENIED(syscall(SYS_io_uring_setup, 8, NULL), EPERM);
	for (unsigned operation = 0; operation < 64; operation++)
		if (operation != IORING_REGISTER_ENABLE_RINGS && operation != IORING_UNREGISTER_RING_FDS)
			DENIED(syscall(SYS_io_uring_register, -1, operation, NULL, 0), EPERM);
	DENIED(syscall(SYS_io_uring_register, no_ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0),
	       EOPNOTSUPP); /* passes, and is no ring */
}

BOTH(no_ring_is_taken_over_unasked)
{
	struct confine_options options = options_of(scene);
	EQ(taken_over(&options), -EPERM);
}

BOTH(small_things_work)
{
	char text[256];
	struct tm parts;
	time_t now = time(NULL);
	uint8_t random[8];
	enter(scene);
	status_value("VmHWM", text, sizeof text);
	GT(strtoull(text, NULL, 10), 0);
	NE((uintptr_t)localtime_r(&now, &parts), 0);
	EQ(getentropy(random, sizeof random), 0);
	GT(sysconf(_SC_NPROCESSORS_ONLN), 0);
	GT(sysconf(_SC_PHYS_PAGES), 0);
	void *memory = malloc(64 << 20);
	NE((uintptr_t)memory, 0);
	memset(memory, 1, 64 << 20);
	free(memory);
	signal(SIGTERM, SIG_IGN);
	EQ(raise(SIGTERM), 0);
	EQ(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), 0); /* the caller's, after confine */
	isatty(0);
	struct pollfd nothing = { .fd = -1 };
	EQ(poll(&nothing, 1, 1), 0);
}

static void looks_up(const char *name, const char *wanted)
{
	char text[64];
	struct addrinfo *list, hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET };
	int code = getaddrinfo(name, "443", &hints, &list);
	if (code != 0)
		FAIL("%s: %s", name, gai_strerror(code));
	struct sockaddr_in *address = (struct sockaddr_in *)(void *)list->ai_addr;
	inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
	freeaddrinfo(list);
	EQ_TEXT(text, wanted);
}

BOTH(localhost_is_known)
{
	if (access("/etc/hosts", R_OK) < 0)
		SKIP("no /etc/hosts here");
	looks_up("localhost", "127.0.0.1");
	enter(scene);
	looks_up("localhost", "127.0.0.1");
}

/* A name server that knows 192.0.2.7 for everything (RFC 1035 section 4.1). */
static void name_server(int fd, pid_t client)
{
	static const uint8_t answer[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7 };
	uint8_t packet[600];
	struct sockaddr_in from;
	/* Its death sends no signal to a process of another user. */
	while (getppid() == client) {
		struct pollfd readable = { .fd = fd, .events = POLLIN };
		socklen_t from_bytes = sizeof from;
		if (poll(&readable, 1, 20) <= 0)
			continue;
		ssize_t got = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&from, &from_bytes);
		size_t end = 12; /* of the question: labels, their end, type and class */
		while (got > 12 && end < (size_t)got && packet[end])
			end += packet[end] + 1u;
		end += 5;
		if (got < 12 || end > (size_t)got)
			_exit(1);
		int is_address = packet[end - 3] == 1;
		packet[2] |= 0x80; /* an answer */
		packet[3] = 0x80;
		memset(packet + 6, 0, 6);
		packet[7] = (uint8_t)is_address;
		memcpy(packet + end, answer, sizeof answer);
		sendto(fd, packet, end + (is_address ? sizeof answer : 0), 0, (struct sockaddr *)&from,
		       from_bytes);
	}
	_exit(0);
}

static void name_server_use(const struct sockaddr_in *server)
{
	EQ(res_init(), 0);
	_res.nscount = 1;
	_res.nsaddr_list[0] = *server;
}

BOTH(names_are_asked_of_dns)
{
	struct sockaddr_in server;
	int fd = listener_open(SOCK_DGRAM, &server);
	struct addrinfo *list;
	pid_t parent = getpid(), child = fork();
	GE(child, 0);
	if (child == 0)
		name_server(fd, parent);
	name_server_use(&server);
	if (getaddrinfo("events.example.net", "443", NULL, &list) != 0)
		SKIP("this host's nsswitch.conf does not ask DNS first");
	freeaddrinfo(list);
	enter(scene);
	name_server_use(&server);
	looks_up("logs.example.net", "192.0.2.7");
}

TEST_MAIN(TB(no_programs_are_started), TB(other_calls_are_refused), TB(writable_memory_is_not_executable),
	  TB(libraries_of_the_resolver_load), TB(sockets_are_tcp_and_udp),
	  TB(keys_for_the_kernel_are_refused), TB(keys_for_the_kernel_are_possible),
	  TB(connects_to_the_port_only), TB(an_open_io_uring_works), TB(the_poll_engine_works),
	  TB(threads_work), TB(a_thread_takes_a_ring_over), TB(no_ring_is_taken_over_unasked),
	  TB(small_things_work), TB(localhost_is_known), TB(names_are_asked_of_dns))
