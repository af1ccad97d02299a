/* SPDX-License-Identifier: Apache-2.0
 *
 * confine: who a confined process is and what files it reaches, tried from inside; and the errors. System
 * calls, sockets and what must go on working are in confine_calls_test.c.
 */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "confine_scene.h"

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

/* A thread that was joined is in /proc for another moment: the kernel wakes who joins before it takes it
 * off. */
static void wait_until_alone(void)
{
	char status[4096];
	do {
		int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
		GE(fd, 0);
		ssize_t bytes = read(fd, status, sizeof status - 1);
		close(fd);
		GT(bytes, 0);
		status[bytes] = '\0';
	} while (!strstr(status, "\nThreads:\t1\n"));
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
	wait_until_alone();
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
					poll(NULL, 0, -1);
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
	  TB(own_folder_is_open), TB(named_files_can_be_read), T(closed_folder_is_noted), T(users_are_found),
	  T(saved_root_is_no_way_back), T(capabilities_of_users_go), T(root_without_rights_is_noted),
	  TB(errors_say_what), TB(probing_is_harmless), TB(the_supervisor_may_end_us))
