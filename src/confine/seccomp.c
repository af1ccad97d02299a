/* SPDX-License-Identifier: Apache-2.0
 *
 * The allow-list of system calls; the only file that includes libseccomp. What is not on it fails with
 * EPERM rather than killing: a call that was forgotten becomes an error with a name, not a dead collector.
 *
 * Who needs what: ring (io_uring_enter, and the poll engine's calls), libc's resolver (UDP and TCP sockets;
 * it does without netlink and without the sockets of nscd and systemd-resolved, and then asks the DNS servers
 * of resolv.conf, which systemd-resolved is one of), dlopen of NSS modules, malloc, threads, clocks, and the
 * files that Landlock allows. Unix sockets are out although they would be handy: what listens on them (the
 * session bus, a container engine) starts programs on request.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine/parts.h"

#define INT_BITS 0xffffffffU /* of an int argument; the kernel ignores the upper half of the register */

/* Newer than some headers. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef IORING_REGISTER_USE_REGISTERED_RING
#define IORING_REGISTER_USE_REGISTERED_RING (1U << 31)
#endif

static const int calls_allowed[] = {
	/* memory; mmap and mprotect have conditions */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	/* threads and signals; clone and tgkill have conditions */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getcpu),
	/* who and where we are, time, chance */
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getresuid),
	SCMP_SYS(getresgid),
	SCMP_SYS(getgroups),
	SCMP_SYS(capget),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrlimit),
	SCMP_SYS(getrusage),
	SCMP_SYS(times),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	/* descriptors; fcntl and ioctl have conditions */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(preadv2),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(lseek),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* files: which ones is Landlock's */
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	/* sockets; making them, sending and setting options have conditions. No bind, listen, accept. */
	SCMP_SYS(connect),
	SCMP_SYS(shutdown),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* New rings would have no restrictions; the one that is there has (ring/uring.c). */
	SCMP_SYS(io_uring_enter),
#if defined(__x86_64__)
	/* uretprobe and uprobe, which the kernel itself puts into probed functions (Linux 6.11 and 6.18): the
	 * profiler's probes on malloc. Elsewhere they do nothing but SIGILL. */
	335,
	336,
#endif
};

/* What AddressSanitizer's runtime calls besides, most of it for the leak check at the end. */
static const int calls_of_sanitizer[] = {
	SCMP_SYS(ptrace),	    SCMP_SYS(wait4),	  SCMP_SYS(kill),     SCMP_SYS(tgkill),
	SCMP_SYS(getdents),	    SCMP_SYS(getdents64), SCMP_SYS(prctl),    SCMP_SYS(mincore),
	SCMP_SYS(prlimit64),	    SCMP_SYS(mmap),	  SCMP_SYS(mprotect), SCMP_SYS(pipe2),
	SCMP_SYS(process_vm_readv),
};

/* A call that is allowed when its arguments are right; several rules for one call are alternatives. */
struct rule {
	int call;
	unsigned count;
	struct scmp_arg_cmp arguments[3];
};

#define ARGUMENT(index, mask, value)                                                                         \
	{                                                                                                    \
		(index), SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value)                     \
	}
#define INT_IS(index, value) ARGUMENT(index, INT_BITS, value)
#define IF_INT_IS(name, index, value)                                                                        \
	{                                                                                                    \
		SCMP_SYS(name), 1,                                                                           \
		{                                                                                            \
			INT_IS(index, value)                                                                 \
		}                                                                                            \
	}
#define SOCKET(family, type, protocol)                                                                       \
	{                                                                                                    \
		SCMP_SYS(socket), 3,                                                                         \
		{                                                                                            \
			INT_IS(0, family),                                                                   \
				ARGUMENT(1, INT_BITS & ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK), type),     \
				INT_IS(2, protocol)                                                          \
		}                                                                                            \
	}
#define SOCKET_OPTION(level, option)                                                                         \
	{                                                                                                    \
		SCMP_SYS(setsockopt), 2,                                                                     \
		{                                                                                            \
			INT_IS(1, level), INT_IS(2, option)                                                  \
		}                                                                                            \
	}
#define CLONE_NAMESPACES                                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |        \
	 CLONE_NEWNET)

static const struct rule rules[] = {
	/* Memory that is executable is never writable: only files can be mapped so, as dlopen does. */
	{ SCMP_SYS(mmap), 1, { ARGUMENT(2, PROT_EXEC, 0) } },
	{ SCMP_SYS(mmap),
	  2,
	  { ARGUMENT(2, PROT_EXEC | PROT_WRITE, PROT_EXEC),
	    ARGUMENT(3, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS, MAP_PRIVATE) } },
	{ SCMP_SYS(mprotect), 1, { ARGUMENT(2, PROT_EXEC, 0) } },
	/* Threads, no processes. */
	{ SCMP_SYS(clone), 1, { ARGUMENT(0, CLONE_THREAD | CLONE_NAMESPACES, CLONE_THREAD) } },
	{ SCMP_SYS(prlimit64), 1, { ARGUMENT(2, UINT64_MAX, 0) } }, /* reading */
	IF_INT_IS(fcntl, 1, F_GETFD),
	IF_INT_IS(fcntl, 1, F_SETFD),
	IF_INT_IS(fcntl, 1, F_GETFL),
	IF_INT_IS(fcntl, 1, F_SETFL),
	IF_INT_IS(fcntl, 1, F_DUPFD_CLOEXEC),
	/* Is it a terminal and how wide; the resolver: how long is the answer, which number has an interface.
	 */
	IF_INT_IS(ioctl, 1, TCGETS),
	IF_INT_IS(ioctl, 1, TIOCGWINSZ),
	IF_INT_IS(ioctl, 1, FIONREAD),
	IF_INT_IS(ioctl, 1, SIOCGIFINDEX),
	IF_INT_IS(prctl, 0, PR_SET_PDEATHSIG),
	IF_INT_IS(prctl, 0, PR_GET_PDEATHSIG),
	IF_INT_IS(prctl, 0, PR_SET_NAME),
	IF_INT_IS(prctl, 0, PR_GET_NAME),
	IF_INT_IS(prctl, 0, PR_SET_VMA), /* names of malloc's mappings */
	IF_INT_IS(prctl, 0, PR_GET_DUMPABLE),
	IF_INT_IS(prctl, 0, PR_GET_NO_NEW_PRIVS),
	IF_INT_IS(prctl, 0, PR_GET_SECCOMP),
	/* No raw, ping, netlink, Unix or other sockets. */
	SOCKET(AF_INET, SOCK_STREAM, 0),
	SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET, SOCK_DGRAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET6, SOCK_STREAM, 0),
	SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET6, SOCK_DGRAM, 0),
	SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET_OPTION(IPPROTO_TCP, TCP_NODELAY),
	SOCKET_OPTION(SOL_SOCKET, SO_KEEPALIVE),
	SOCKET_OPTION(SOL_SOCKET, SO_RCVBUF),
	SOCKET_OPTION(SOL_SOCKET, SO_SNDBUF),
	SOCKET_OPTION(IPPROTO_IP, IP_RECVERR), /* the resolver's, also the next three */
	SOCKET_OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
	SOCKET_OPTION(IPPROTO_IPV6, IPV6_RECVERR),
	SOCKET_OPTION(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	/* Fast open connects without connect(2), past Landlock. */
	{ SCMP_SYS(sendto), 1, { ARGUMENT(3, MSG_FASTOPEN, 0) } },
	{ SCMP_SYS(sendmsg), 1, { ARGUMENT(2, MSG_FASTOPEN, 0) } },
	{ SCMP_SYS(sendmmsg), 1, { ARGUMENT(3, MSG_FASTOPEN, 0) } },
	/* At the end; with later liburing the ring is named by its registered number. */
	{ SCMP_SYS(io_uring_register),
	  1,
	  { ARGUMENT(1, INT_BITS & ~IORING_REGISTER_USE_REGISTERED_RING, IORING_UNREGISTER_RING_FDS) } },
};

/* -workers: a ring is bound to its thread by enabling it. That works once, and only for a ring that is there
 * and has its restrictions, which do not allow it again. */
static const struct rule rules_ring_threads[] = {
	{ SCMP_SYS(io_uring_register), 1, { INT_IS(1, IORING_REGISTER_ENABLE_RINGS) } },
};

/* -tls ktls: a socket is told the key of what it receives. Sending stays with us, so TLS_TX is not here. */
static const struct rule rules_kernel_tls[] = {
	SOCKET_OPTION(IPPROTO_TCP, TCP_ULP),
	SOCKET_OPTION(SOL_TLS, TLS_RX),
};

/* Newer ways to do what is allowed, which libc tries first: it takes ENOSYS for "do it the old way", while
 * EPERM would be an error. The filter cannot look at their arguments. */
static const int calls_unknown[] = { SCMP_SYS(clone3), SCMP_SYS(openat2) };

static int rule_failed(int code, int call, char *error)
{
	return confine_fail(error, "seccomp: no rule can be made for system call %d: %s", call,
			    strerror(-code));
}

static int add_calls(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count, char *error)
{
	for (size_t i = 0; i < count; i++) {
		int code = seccomp_rule_add(filter, action, calls[i], 0);
		if (code < 0)
			return rule_failed(code, calls[i], error);
	}
	return 0;
}

static int add_conditions(scmp_filter_ctx filter, const struct rule *added, size_t count, char *error)
{
	for (size_t i = 0; i < count; i++) {
		int code = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, added[i].call, added[i].count,
						  added[i].arguments);
		if (code < 0)
			return rule_failed(code, added[i].call, error);
	}
	return 0;
}

static int add_rules(scmp_filter_ctx filter, const struct confine_options *options, char *error)
{
	if (add_calls(filter, SCMP_ACT_ALLOW, calls_allowed, sizeof calls_allowed / sizeof *calls_allowed,
		      error) < 0 ||
	    add_calls(filter, SCMP_ACT_ERRNO(ENOSYS), calls_unknown,
		      sizeof calls_unknown / sizeof *calls_unknown, error) < 0)
		return -1;
	if (add_conditions(filter, rules, sizeof rules / sizeof *rules, error) < 0 ||
	    (options->ring_threads &&
	     add_conditions(filter, rules_ring_threads,
			    sizeof rules_ring_threads / sizeof *rules_ring_threads, error) < 0) ||
	    (options->kernel_tls &&
	     add_conditions(filter, rules_kernel_tls, sizeof rules_kernel_tls / sizeof *rules_kernel_tls,
			    error) < 0))
		return -1;
	/* To ourselves only: abort(3) and raise(3). Our number is known and there are no children. */
	struct scmp_arg_cmp own = ARGUMENT(0, INT_BITS, getpid());
	int code = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &own);
	if (code < 0)
		return rule_failed(code, SCMP_SYS(tgkill), error);
	if (!CONFINE_SANITIZED)
		return 0;
	struct scmp_arg_cmp no_namespace = ARGUMENT(0, CLONE_NAMESPACES, 0);
	code = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, &no_namespace);
	if (code < 0)
		return rule_failed(code, SCMP_SYS(clone), error);
	return add_calls(filter, SCMP_ACT_ALLOW, calls_of_sanitizer,
			 sizeof calls_of_sanitizer / sizeof *calls_of_sanitizer, error);
}

static int filter_load(scmp_filter_ctx filter, char *error)
{
	/* int 0x80 and the x32 calls bypass a list by number; nothing of ours makes them. */
	int code = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (code == 0) /* is set already */
		code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
	if (code == 0)
		code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Before Linux 5.16 a filter slows the whole process down by switching speculation off (SSBD),
	 * against foreign code inside: we run none. Both are of libseccomp 2.5 and only about speed. */
	if (code == 0) {
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* binary search */
		seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1); /* real error numbers */
		code = seccomp_load(filter);
	}
	if (code != 0)
		return confine_fail(error, "seccomp: the filter cannot be put into force: %s",
				    code < 0 ? strerror(-code) : "another thread has one already");
	return 0;
}

int seccomp_available(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int seccomp_enforce(const struct confine_options *options, struct confine_report *report,
		    char error[static CONFINE_ERROR_BYTES_MAX])
{
	if (!seccomp_available()) {
		confine_note(report, "system calls are not restricted: the kernel has no seccomp filters");
		return 0;
	}
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return confine_fail(error, "seccomp: out of memory");
	int code = add_rules(filter, options, error) < 0 ? -1 : filter_load(filter, error);
	seccomp_release(filter);
	report->seccomp = code == 0;
	return code;
}
