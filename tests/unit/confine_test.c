/* SPDX-License-Identifier: Apache-2.0
 *
 * confine, from inside: children give their rights up and then try what they should not be able to do any
 * more, and do what must still work; once started as root, which becomes "nobody", once as an ordinary user.
 * What is refused was possible a moment before, so that it is confine that refuses it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "confine/parts.h"
#include "ring/ring.h"
#include "test.h"

#define PATIENCE_NS (60 * NS_PER_SECOND) /* a bound against hanging */
#define PATIENCE_MS 60000
#define ORDINARY_ID 12345 /* a user that no host has */

enum start { AS_ROOT, AS_USER };

/* What a test child has: two folders that everybody may write, one of which confine is told of. */
struct scene {
	char base[64], inside[80], outside[80], file[96], secret[96];
	int listeners[2]; /* of the allowed port and of another */
	struct sockaddr_in addresses[2];
};

#define DENIED(call, code)                                                                                   \
	do {                                                                                                 \
		errno = 0;                                                                                   \
		long denied_ = (long)(call);                                                                 \
		if (denied_ >= 0 || errno != (code))                                                         \
			FAIL("%s:%d: %s: %ld, %s, wanted %s", __FILE__, __LINE__, #call, denied_,            \
			     strerrorname_np(errno), #code);                                                 \
	} while (0)

static void file_make(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	GE(fd, 0);
	EQ(fchmod(fd, mode), 0);
	EQ(write(fd, "hello\n", 6), 6);
	close(fd);
}

static int listener_open(int type, struct sockaddr_in *ret_address)
{
	socklen_t bytes = sizeof *ret_address;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	*ret_address =
		(struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	GE(fd, 0);
	EQ(bind(fd, (struct sockaddr *)ret_address, sizeof *ret_address), 0);
	if (type == SOCK_STREAM)
		EQ(listen(fd, 4), 0);
	EQ(getsockname(fd, (struct sockaddr *)ret_address, &bytes), 0);
	return fd;
}

static void scene_open(struct scene *scene)
{
	snprintf(scene->base, sizeof scene->base, "/tmp/confine-test-XXXXXX");
	NE((uintptr_t)mkdtemp(scene->base), 0);
	EQ(chmod(scene->base, 0755), 0);
	snprintf(scene->inside, sizeof scene->inside, "%s/inside", scene->base);
	snprintf(scene->outside, sizeof scene->outside, "%s/outside", scene->base);
	snprintf(scene->file, sizeof scene->file, "%s/file", scene->outside);
	snprintf(scene->secret, sizeof scene->secret, "%s/other", scene->outside);
	EQ(mkdir(scene->inside, 0777), 0);
	EQ(mkdir(scene->outside, 0777), 0);
	EQ(chmod(scene->inside, 0777), 0);
	EQ(chmod(scene->outside, 0777), 0);
	file_make(scene->file, 0666);
	file_make(scene->secret, 0666);
	for (int i = 0; i < 2; i++)
		scene->listeners[i] = listener_open(SOCK_STREAM, &scene->addresses[i]);
}

static void scene_finish(struct scene *scene)
{
	char path[128];
	snprintf(path, sizeof path, "%s/new", scene->inside);
	unlink(path);
	unlink(scene->file);
	unlink(scene->secret);
	rmdir(scene->inside);
	rmdir(scene->outside);
	rmdir(scene->base);
	for (int i = 0; i < 2; i++)
		close(scene->listeners[i]);
}

static void become_ordinary(void)
{
	if (geteuid() != 0)
		return;
	EQ(setgroups(0, NULL), 0);
	EQ(setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID), 0);
	EQ(setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID), 0);
	EQ(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0); /* as after exec */
}

/* Runs `body` in a child; its failure or skip becomes ours. It ends as a program does, through exit(3), so
 * that what runs there (the sanitizer's leak check, too) works in confinement. */
static void in_child(void (*body)(struct scene *), enum start start)
{
	static struct scene scene;
	int fds[2];
	if (start == AS_ROOT && geteuid() != 0)
		SKIP("only root can give up being root");
	EQ(pipe(fds), 0);
	scene_open(&scene);
	fflush(stdout);
	pid_t child = fork();
	GE(child, 0);
	if (child == 0) {
		int how = setjmp(test_exit);
		if (how == 0) {
			unsetenv("SUDO_UID");
			unsetenv("SUDO_GID");
			if (start == AS_USER)
				become_ordinary();
			body(&scene);
		} else if (write(fds[1], test_message, sizeof test_message) < 0)
			how = 3;
		exit(how);
	}
	close(fds[1]);
	char message[sizeof test_message] = "";
	ssize_t got = read(fds[0], message, sizeof message);
	int status;
	close(fds[0]);
	EQ(waitpid(child, &status, 0), child);
	scene_finish(&scene);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		SKIP("%s", message);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		FAIL("%s (status 0x%x)", got > 0 ? message : "the child died", (unsigned)status);
}

/* Defines NAME_as_root and NAME_as_user around the body that follows. */
#define BOTH(name)                                                                                           \
	static void name##_body(struct scene *scene);                                                        \
	static void name##_as_root(void)                                                                     \
	{                                                                                                    \
		in_child(name##_body, AS_ROOT);                                                              \
	}                                                                                                    \
	static void name##_as_user(void)                                                                     \
	{                                                                                                    \
		in_child(name##_body, AS_USER);                                                              \
	}                                                                                                    \
	static void name##_body(struct scene *scene)
#define TB(name) T(name##_as_root), T(name##_as_user)

static struct confine_options options_of(const struct scene *scene)
{
	return (struct confine_options){
		.write_folders = { scene->inside },
		.connect_ports = { ntohs(scene->addresses[0].sin_port) },
	};
}

static struct confine_report enter_with(const struct confine_options *options)
{
	struct confine_report report;
	char error[CONFINE_ERROR_BYTES_MAX] = "";
	if (confine_enter(options, &report, error) < 0)
		FAIL("confine_enter: %s", error);
	EQ(report.applied, 1);
	return report;
}

static struct confine_report enter(const struct scene *scene)
{
	struct confine_options options = options_of(scene);
	return enter_with(&options);
}

static struct confine_report enter_with_landlock(const struct scene *scene)
{
	if (landlock_version() == 0)
		SKIP("this kernel or container has no Landlock");
	return enter(scene);
}

/* The value of a line of /proc/self/status, after the blank. */
static void status_value(const char *name, char *value, size_t value_bytes)
{
	char line[256];
	size_t name_length = strlen(name);
	FILE *file = fopen("/proc/self/status", "re");
	NE((uintptr_t)file, 0);
	value[0] = 0;
	while (fgets(line, sizeof line, file))
		if (strncmp(line, name, name_length) == 0 && line[name_length] == ':') {
			line[strcspn(line, "\n")] = 0;
			snprintf(value, value_bytes, "%s", line + name_length + 2);
		}
	fclose(file);
	if (!value[0])
		FAIL("/proc/self/status has no %s", name);
}

#define STATUS_IS(name, wanted)                                                                              \
	do {                                                                                                 \
		char value_[256];                                                                            \
		status_value((name), value_, sizeof value_);                                                 \
		EQ_TEXT(value_, wanted);                                                                     \
	} while (0)

BOTH(rights_are_gone)
{
	int was_root = geteuid() == 0;
	struct confine_report report = enter(scene);
	EQ(report.no_new_privileges, 1);
	EQ(report.seccomp, 1);
	EQ(report.user_changed, was_root);
	if (was_root)
		EQ_TEXT(report.user, "nobody");
	NE(getuid(), 0);
	STATUS_IS("NoNewPrivs", "1");
	STATUS_IS("Seccomp", "2");
	STATUS_IS("CapInh", "0000000000000000");
	STATUS_IS("CapPrm", "0000000000000000");
	STATUS_IS("CapEff", "0000000000000000");
	STATUS_IS("CapAmb", "0000000000000000");
	if (was_root) {
		STATUS_IS("CapBnd", "0000000000000000");
		STATUS_IS("Uid", "65534\t65534\t65534\t65534");
		STATUS_IS("Gid", "65534\t65534\t65534\t65534");
		STATUS_IS("Groups", " ");
	}
	DENIED(setuid(0), EPERM);
	DENIED(setresuid(0, 0, 0), EPERM);
	DENIED(setgid(0), EPERM);
	DENIED(setgroups(0, NULL), EPERM);
}

/* Memory with credentials in it: no dump, and no other process of "nobody" looks in. */
BOTH(memory_stays_private)
{
	int was_root = geteuid() == 0;
	struct rlimit limit;
	enter(scene);
	EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), was_root && !CONFINE_SANITIZED ? 0 : 1);
	EQ(getrlimit(RLIMIT_CORE, &limit), 0);
	LE(limit.rlim_max, 1);
	if (!CONFINE_SANITIZED)
		DENIED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM);
}

BOTH(other_files_are_closed)
{
	char path[128];
	snprintf(path, sizeof path, "%s/moved", scene->inside);
	int fd = open(scene->file, O_RDWR | O_CLOEXEC);
	GE(fd, 0);
	close(fd);
	fd = open("/proc/1/status", O_RDONLY | O_CLOEXEC);
	GE(fd, 0);
	close(fd);
	EQ(enter_with_landlock(scene).landlock_files, 1);
	DENIED(open("/etc/shadow", O_RDONLY), EACCES);
	DENIED(open("/etc/passwd", O_RDONLY), EACCES);
	DENIED(open("/", O_RDONLY | O_DIRECTORY), EACCES);
	DENIED(open("/proc/1/status", O_RDONLY), EACCES);
	DENIED(open("/proc/1/environ", O_RDONLY), EACCES);
	DENIED(open("/dev/null", O_RDWR), EACCES);
	DENIED(open(scene->file, O_RDONLY), EACCES);
	DENIED(open(scene->file, O_WRONLY), EACCES);
	DENIED(open(scene->file, O_WRONLY | O_TRUNC), EACCES);
	DENIED(unlink(scene->file), EACCES);
	DENIED(rename(scene->file, path), EACCES);
	DENIED(rename(scene->file, scene->secret), EACCES);
	snprintf(path, sizeof path, "%s/new", scene->outside);
	DENIED(open(path, O_WRONLY | O_CREAT, 0600), EACCES);
	/* Through the folder that is allowed. */
	snprintf(path, sizeof path, "%s/../outside/file", scene->inside);
	DENIED(open(path, O_RDONLY), EACCES);
}

/* A link that leads out was there before, or was made by somebody else. */
BOTH(links_lead_nowhere)
{
	char path[128];
	snprintf(path, sizeof path, "%s/new", scene->inside);
	EQ(symlink(scene->file, path), 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	GE(fd, 0);
	close(fd);
	enter_with_landlock(scene);
	DENIED(open(path, O_RDONLY), EACCES);
	DENIED(open(path, O_WRONLY), EACCES);
	DENIED(symlink(scene->file, "second"), EPERM);
	DENIED(link(scene->file, path), EPERM);
	DENIED(chmod(scene->inside, 0700), EPERM);
	DENIED(mkdir(path, 0700), EPERM);
	DENIED(mknod(path, S_IFIFO | 0600, 0), EPERM);
	EQ(unlink(path), 0);
}

BOTH(own_folder_is_open)
{
	char path[128], final[128], text[16] = "";
	snprintf(path, sizeof path, "%s/run.json.new", scene->inside);
	snprintf(final, sizeof final, "%s/new", scene->inside);
	struct confine_report report = enter(scene);
	if (report.landlock_connect && report.seccomp)
		EQ_TEXT(report.note, "");
	for (int round = 0; round < 2; round++) {
		FILE *file = fopen(path, "we");
		NE((uintptr_t)file, 0);
		GT(fprintf(file, "round %d", round), 0);
		EQ(fclose(file), 0);
		EQ(rename(path, final), 0);
	}
	int fd = open(final, O_RDWR | O_APPEND | O_CLOEXEC);
	GE(fd, 0);
	EQ(read(fd, text, sizeof text), 7);
	EQ_TEXT(text, "round 1");
	EQ(fsync(fd), 0);
	EQ(ftruncate(fd, 0), 0);
	close(fd);
	EQ(unlink(final), 0);
}

BOTH(named_files_can_be_read)
{
	char text[8] = "";
	struct confine_options options = options_of(scene);
	options.read_paths[0] = scene->file;
	struct confine_report report = enter_with(&options);
	int fd = open(scene->file, O_RDONLY | O_CLOEXEC);
	GE(fd, 0);
	EQ(read(fd, text, sizeof text), 6);
	close(fd);
	if (!report.landlock_files)
		SKIP("this kernel or container has no Landlock");
	DENIED(open(scene->file, O_WRONLY), EACCES);
	DENIED(open(scene->secret, O_RDONLY), EACCES);
}

/* Whoever may not write where he is to is told before the run, not at its end. */
static void closed_folder_is_noted_body(struct scene *scene)
{
	EQ(chmod(scene->inside, 0700), 0);
	struct confine_report report = enter(scene);
	HAS_TEXT(report.note, "nobody may not write in");
}

static void closed_folder_is_noted(void)
{
	in_child(closed_folder_is_noted_body, AS_ROOT);
}

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

BOTH(small_things_work)
{
	char text[64];
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

static void users_are_found_body(struct scene *scene)
{
	char error[CONFINE_ERROR_BYTES_MAX] = "";
	uid_t uid;
	gid_t gid;
	EQ(confine_find_user(NULL, &uid, &gid, error), 0);
	EQ(uid, 65534);
	EQ(confine_find_user("12345", &uid, &gid, error), 0);
	EQ(uid == 12345 && gid == 12345, 1);
	EQ(confine_find_user("daemon", &uid, &gid, error), 0);
	EQ(uid, 1);
	EQ(confine_find_user("no such user", &uid, &gid, error), -1);
	HAS_TEXT(error, "no such user");
	setenv("SUDO_UID", "4711", 1);
	setenv("SUDO_GID", "4712", 1);
	EQ(confine_find_user(NULL, &uid, &gid, error), 0);
	EQ(uid == 4711 && gid == 4712, 1);
	static const char *const wrong[] = { "0", "", "-1", "4294967295", "12x", "99999999999999999999" };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		setenv("SUDO_UID", wrong[i], 1);
		EQ(confine_find_user(NULL, &uid, &gid, error), 0);
		EQ(uid, 65534);
	}
	setenv("SUDO_UID", "4711", 1);
	struct confine_report report = enter(scene);
	EQ_TEXT(report.user, "4711");
	STATUS_IS("Uid", "4711\t4711\t4711\t4711");
	STATUS_IS("Gid", "4712\t4712\t4712\t4712");
}

static void users_are_found(void)
{
	in_child(users_are_found_body, AS_ROOT);
}

/* A set-uid program, or one whose caller kept root aside. */
static void saved_root_is_no_way_back_body(struct scene *scene)
{
	EQ(setresuid(ORDINARY_ID, ORDINARY_ID, 0), 0);
	enter(scene);
	STATUS_IS("Uid", "12345\t12345\t12345\t12345");
	STATUS_IS("CapPrm", "0000000000000000");
}

static void saved_root_is_no_way_back(void)
{
	in_child(saved_root_is_no_way_back_body, AS_ROOT);
}

/* As with file capabilities: an ordinary user that holds some. */
static void capabilities_of_users_go_body(struct scene *scene)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { 0 };
	EQ(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
	EQ(setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID), 0);
	EQ(syscall(SYS_capget, &header, sets), 0);
	sets[0].effective = sets[0].inheritable = sets[0].permitted =
		1U << CAP_NET_RAW | 1U << CAP_DAC_OVERRIDE;
	sets[1] = (struct __user_cap_data_struct){ 0 };
	EQ(syscall(SYS_capset, &header, sets), 0);
	EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0), 0);
	STATUS_IS("CapEff", "0000000000002002");
	EQ(enter(scene).user_changed, 0);
	STATUS_IS("CapEff", "0000000000000000");
	STATUS_IS("CapPrm", "0000000000000000");
	STATUS_IS("CapInh", "0000000000000000");
	STATUS_IS("CapAmb", "0000000000000000");
}

static void capabilities_of_users_go(void)
{
	in_child(capabilities_of_users_go_body, AS_ROOT);
}

/* In a container that takes CAP_SETUID away, root cannot become anybody; that is said, unless a user was
 * asked for. */
static void root_without_rights_is_noted_body(struct scene *scene)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	char error[CONFINE_ERROR_BYTES_MAX] = "";
	struct confine_report report;
	EQ(syscall(SYS_capset, &header, none), 0);
	struct confine_options options = options_of(scene);
	options.user = "nobody";
	EQ(confine_enter(&options, &report, error), -1);
	HAS_TEXT(error, "cannot become user nobody");
	HAS_TEXT(error, "CAP_SETUID");
	report = enter(scene);
	EQ(report.user_changed, 0);
	HAS_TEXT(report.note, "stays uid 0, without capabilities");
}

static void root_without_rights_is_noted(void)
{
	in_child(root_without_rights_is_noted_body, AS_ROOT);
}

static void fails_with(const struct confine_options *options, const char *text)
{
	struct confine_report report;
	char error[CONFINE_ERROR_BYTES_MAX] = "";
	EQ(confine_enter(options, &report, error), -1);
	EQ(report.applied, 0);
	HAS_TEXT(error, text);
}

static void *thread_wait(void *descriptor)
{
	char byte;
	return (void *)(intptr_t)read(*(int *)descriptor, &byte, 1);
}

BOTH(errors_say_what)
{
	int fds[2];
	pthread_t thread;
	struct confine_options options = options_of(scene);
	options.user = geteuid() == 0 ? "no such user" : "root";
	fails_with(&options, geteuid() == 0 ? "no such user" : "only root can become \"root\"");
	options.user = NULL;
	if (landlock_version() > 0) {
		options.write_folders[0] = "/nonexistent/folder";
		fails_with(&options, "/nonexistent/folder");
		options.write_folders[0] = scene->inside;
		options.read_paths[0] = "/nonexistent/file";
		fails_with(&options, "/nonexistent/file");
		options.read_paths[0] = NULL;
	}
	EQ(pipe(fds), 0);
	EQ(pthread_create(&thread, NULL, thread_wait, fds), 0);
	fails_with(&options, "2 threads run already");
	close(fds[1]);
	EQ(pthread_join(thread, NULL), 0);
	enter_with(&options);
}

/* What doctor shows is what enter does, and asking changes nothing. */
BOTH(probing_is_harmless)
{
	struct confine_report probed, report;
	uid_t uid = geteuid();
	confine_probe(&probed);
	EQ(probed.applied, 0);
	EQ(geteuid(), uid);
	STATUS_IS("NoNewPrivs", "0");
	STATUS_IS("Seccomp", "0");
	GE(open(scene->file, O_RDWR | O_CLOEXEC), 0);
	report = enter(scene);
	EQ_TEXT(probed.user, report.user);
	EQ(probed.user_changed, report.user_changed);
	EQ(probed.no_new_privileges, report.no_new_privileges);
	EQ(probed.landlock_abi, report.landlock_abi);
	EQ(probed.landlock_files, report.landlock_files);
	EQ(probed.landlock_connect, report.landlock_connect);
	EQ(probed.seccomp, report.seccomp);
}

/* Our own domain stops us from signalling others, not the supervisor from signalling us. */
BOTH(the_supervisor_may_end_us)
{
	int fds[2], status;
	char byte = 0;
	EQ(pipe(fds), 0);
	pid_t child = fork();
	GE(child, 0);
	if (child == 0) {
		if (setjmp(test_exit) == 0) {
			enter(scene);
			if (write(fds[1], "x", 1) == 1)
				for (;;)
					poll(NULL, 0, PATIENCE_MS);
		}
		_exit(1);
	}
	close(fds[1]);
	EQ(read(fds[0], &byte, 1), 1);
	EQ(byte, 'x');
	EQ(kill(child, SIGTERM), 0);
	EQ(waitpid(child, &status, 0), child);
	EQ(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, 1);
}

TEST_MAIN(TB(rights_are_gone), TB(memory_stays_private), TB(other_files_are_closed), TB(links_lead_nowhere),
	  TB(own_folder_is_open), TB(named_files_can_be_read), T(closed_folder_is_noted),
	  TB(no_programs_are_started), TB(other_calls_are_refused), TB(writable_memory_is_not_executable),
	  TB(libraries_of_the_resolver_load), TB(sockets_are_tcp_and_udp), TB(connects_to_the_port_only),
	  TB(an_open_io_uring_works), TB(the_poll_engine_works), TB(threads_work), TB(small_things_work),
	  TB(localhost_is_known), TB(names_are_asked_of_dns), T(users_are_found),
	  T(saved_root_is_no_way_back), T(capabilities_of_users_go), T(root_without_rights_is_noted),
	  TB(errors_say_what), TB(probing_is_harmless), TB(the_supervisor_may_end_us))
