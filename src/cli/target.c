/* SPDX-License-Identifier: Apache-2.0
 *
 * What record looks at: a process that runs already, or a command that is started once the profiler watches.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/record_command.h"

#define TASK_KERNEL_THREAD 0x00200000UL /* PF_KTHREAD: field 9 of /proc/PID/stat, proc(5) */
#define DISMISS_NS (5 * NS_PER_SECOND)	/* for a command to end after ctrl-C, and after SIGTERM */

/* A file of /proc/PID into `text`, NUL-terminated. Bytes, or -errno. */
static ssize_t proc_read(pid_t pid, const char *name, char *text, size_t text_bytes)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -errno : 0;
	while (fd >= 0 && (size_t)bytes < text_bytes - 1) {
		ssize_t got = read(fd, text + bytes, text_bytes - 1 - (size_t)bytes);
		if (got < 0)
			bytes = -errno;
		if (got <= 0)
			break;
		bytes += got;
	}
	if (fd >= 0)
		close(fd);
	text[bytes > 0 ? bytes : 0] = 0;
	return bytes;
}

/* The number behind "\nNAME:" in /proc/PID/status; -1: it is not there. */
static long status_number(const char *status, const char *name)
{
	char wanted[32];
	snprintf(wanted, sizeof wanted, "\n%s:", name);
	const char *field = strstr(status, wanted);
	return field ? strtol(field + strlen(wanted), NULL, 10) : -1;
}

/* Field 3 (state) and field 9 (flags) of /proc/PID/stat: behind the command's name, which may hold blanks and
 * parentheses. */
static int stat_parse(const char *stat, char *ret_state, unsigned long *ret_flags)
{
	const char *at = strrchr(stat, ')');
	if (!at || at[1] != ' ' || !at[2])
		return -1;
	*ret_state = at[2];
	at += 3;
	for (int field = 4; field <= 9; field++) {
		char *end;
		*ret_flags = strtoul(at, &end, 10);
		if (end == at)
			return -1;
		at = end;
	}
	return 0;
}

/* What can be said of a process that we may not look at. */
static int target_forbidden(pid_t pid, long owner, int code, char *error)
{
	const struct passwd *entry = owner >= 0 ? getpwuid((uid_t)owner) : NULL;
	snprintf(error, RECORD_ERROR_BYTES_MAX,
		 "process %d belongs to %s%s (uid %ld) and is not ours to trace (%s): %s", (int)pid,
		 entry ? "user " : "another user", entry ? entry->pw_name : "", owner, strerror(-code),
		 geteuid() == 0 ? "root without CAP_SYS_PTRACE (in a container), or a security module's rule"
				: "run record as root");
	return -1;
}

int target_open(struct record_target *target, pid_t pid, char error[static RECORD_ERROR_BYTES_MAX])
{
	char stat[1024];
	char status[8192];
	char maps[256];
	char state;
	unsigned long flags;
	*target = (struct record_target){ .pid = pid, .pid_fd = -1, .go_fd = -1, .error_fd = -1 };
	if (proc_read(pid, "stat", stat, sizeof stat) <= 0 || stat_parse(stat, &state, &flags) < 0 ||
	    proc_read(pid, "status", status, sizeof status) <= 0) {
		snprintf(error, RECORD_ERROR_BYTES_MAX, "there is no process %d on this host", (int)pid);
		return -1;
	}
	long group = status_number(status, "Tgid");
	if (flags & TASK_KERNEL_THREAD)
		snprintf(error, RECORD_ERROR_BYTES_MAX,
			 "process %d is a thread of the kernel: it has no program to profile", (int)pid);
	else if (state == 'Z' || state == 'X')
		snprintf(error, RECORD_ERROR_BYTES_MAX,
			 "process %d has ended already (a zombie that its parent has not collected)",
			 (int)pid);
	else if (group > 0 && group != pid)
		snprintf(error, RECORD_ERROR_BYTES_MAX,
			 "%d is a thread of process %ld: -p %ld profiles all of its threads", (int)pid, group,
			 group);
	else if (pid == getpid())
		snprintf(error, RECORD_ERROR_BYTES_MAX, "process %d is this record itself", (int)pid);
	else {
		ssize_t code = proc_read(pid, "maps", maps, sizeof maps);
		if (code == -EACCES || code == -EPERM)
			return target_forbidden(pid, status_number(status, "Uid"), (int)code, error);
		target->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (target->pid_fd >= 0) {
			target_describe(target);
			return 0;
		}
		snprintf(error, RECORD_ERROR_BYTES_MAX, "process %d cannot be watched: %s", (int)pid,
			 strerror(errno));
	}
	return -1;
}

void target_describe(struct record_target *target)
{
	char words[32768];
	if (proc_read(target->pid, "comm", target->comm, sizeof target->comm) > 0)
		target->comm[strcspn(target->comm, "\n")] = 0;
	ssize_t bytes = proc_read(target->pid, "cmdline", words, sizeof words);
	for (size_t i = 0; i < target->word_count; i++)
		free(target->words[i]);
	target->word_count = 0;
	for (ssize_t at = 0; at < bytes && target->word_count < RECORD_WORDS_MAX;
	     at += (ssize_t)strlen(words + at) + 1) {
		char *word = strndup(words + at, RECORD_WORD_BYTES_MAX);
		if (!word)
			return;
		target->words[target->word_count++] = word;
	}
}

/* Becomes the user, with its groups. 0, or -errno. */
static int user_become(const struct passwd *user)
{
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return -errno;
	setenv("USER", user->pw_name, 1);
	setenv("LOGNAME", user->pw_name, 1);
	setenv("HOME", user->pw_dir, 1);
	return 0;
}

/* The child: waits for the word, executes, and says so when it cannot. */
static __attribute__((noreturn)) void child_run(int go_fd, int error_fd, char **command,
						const struct passwd *user)
{
	char word;
	sigset_t none;
	ssize_t got;
	/* At once, so that what the change of user takes (files of NSS modules) is not in the profile. */
	int code = user ? user_become(user) : 0;
	do
		got = read(go_fd, &word, 1);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(0); /* called off */
	if (code == 0) {
		sigemptyset(&none);
		signal(SIGPIPE, SIG_DFL);
		signal(SIGXFSZ, SIG_DFL);
		sigprocmask(SIG_SETMASK, &none, NULL);
		/* The profiler stops the command for a moment at each new piece of code: if the recorder is
		 * killed just then, the command goes on. */
		prctl(PR_SET_PDEATHSIG, SIGCONT);
		execvp(command[0], command);
		code = -errno;
	}
	if (write(error_fd, &code, sizeof code) != sizeof code)
		_exit(RECORD_NOT_EXECUTABLE); /* record itself is gone */
	_exit(RECORD_NOT_FOUND);
}

static const struct passwd *user_find(const char *name, char *error)
{
	char *end;
	errno = 0;
	const struct passwd *user = getpwnam(name);
	unsigned long number = strtoul(name, &end, 10);
	if (!user && end != name && *end == 0 && number <= INT32_MAX)
		user = getpwuid((uid_t)number);
	if (!user)
		snprintf(error, RECORD_ERROR_BYTES_MAX, "-user %.80s: there is no such user", name);
	else if (geteuid() != 0) {
		snprintf(error, RECORD_ERROR_BYTES_MAX,
			 "-user %.80s: only root can run a command as another user", name);
		user = NULL;
	}
	return user;
}

int target_start(struct record_target *target, char **command, const char *user,
		 char error[static RECORD_ERROR_BYTES_MAX])
{
	int go[2], errors[2];
	*target = (struct record_target){ .pid_fd = -1, .own_child = 1, .go_fd = -1, .error_fd = -1 };
	const struct passwd *entry = user ? user_find(user, error) : NULL;
	if (user && !entry)
		return -1;
	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0) {
		snprintf(error, RECORD_ERROR_BYTES_MAX, "no pipe: %s", strerror(errno));
		return -1;
	}
	fflush(NULL);
	target->pid = fork();
	if (target->pid == 0) {
		close(go[1]);
		close(errors[0]);
		child_run(go[0], errors[1], command, entry);
	}
	int code = errno;
	close(go[0]);
	close(errors[1]);
	target->go_fd = go[1];
	target->error_fd = errors[0];
	if (target->pid > 0)
		target->pid_fd = (int)syscall(SYS_pidfd_open, target->pid, 0);
	if (target->pid_fd >= 0)
		return 0;
	snprintf(error, RECORD_ERROR_BYTES_MAX, "cannot start a process: %s",
		 strerror(target->pid > 0 ? errno : code));
	return -1;
}

int target_go(struct record_target *target, const char *name, struct profiler *profiler,
	      char error[static RECORD_ERROR_BYTES_MAX])
{
	int code = 0;
	ssize_t got;
	if (write(target->go_fd, "g", 1) != 1) {
		snprintf(error, RECORD_ERROR_BYTES_MAX, "%.1000s was ended before it could begin", name);
		return 1;
	}
	close(target->go_fd);
	target->go_fd = -1;
	/* Its end is closed by the exec. Until then the profiler may hold the child at any mapping of code.
	 */
	struct pollfd wanted = { .fd = target->error_fd, .events = POLLIN };
	while (poll(&wanted, 1, 5) <= 0)
		profiler_poll(profiler, 0);
	do
		got = read(target->error_fd, &code, sizeof code);
	while (got < 0 && errno == EINTR);
	close(target->error_fd);
	target->error_fd = -1;
	if (got != sizeof code)
		return 0;
	target_reap(target);
	snprintf(error, RECORD_ERROR_BYTES_MAX, "cannot run %.1000s: %s", name,
		 code == -ENOENT ? "there is no such command" : strerror(-code));
	return code == -ENOENT ? RECORD_NOT_FOUND : RECORD_NOT_EXECUTABLE;
}

void target_reap(struct record_target *target)
{
	if (!target->own_child || target->ended)
		return;
	while (waitpid(target->pid, &target->wait_status, 0) < 0)
		if (errno != EINTR)
			return;
	target->ended = 1;
}

/* Whether it ends by itself within that time. */
static int target_wait(const struct record_target *target, int64_t wait_ns)
{
	int64_t until_ns = clock_monotonic_ns() + wait_ns;
	for (;;) {
		int64_t left_ms = (until_ns - clock_monotonic_ns()) / NS_PER_MS;
		struct pollfd wanted = { .fd = target->pid_fd, .events = POLLIN };
		if (left_ms < 0)
			return 0;
		if (poll(&wanted, 1, (int)left_ms) > 0)
			return 1;
	}
}

void target_dismiss(struct record_target *target, int knows)
{
	if (!target->own_child || target->ended || target->pid <= 0)
		return;
	int ended = 0;
	if (target->go_fd >= 0) { /* it waits for a word that will not come */
		close(target->go_fd);
		target->go_fd = -1;
	} else {
		ended = knows && target_wait(target, DISMISS_NS);
		if (!ended) {
			kill(target->pid, SIGTERM);
			kill(target->pid, SIGCONT); /* a stopped one would not notice */
		}
	}
	if (ended || target_wait(target, DISMISS_NS))
		target_reap(target);
}

const char *target_end_text(const struct record_target *target, char *text, size_t text_bytes)
{
	if (!target->ended)
		snprintf(text, text_bytes, "still runs");
	else if (WIFSIGNALED(target->wait_status))
		snprintf(text, text_bytes, "was ended by signal %d (%s)", WTERMSIG(target->wait_status),
			 strsignal(WTERMSIG(target->wait_status)));
	else
		snprintf(text, text_bytes, "exited with status %d", WEXITSTATUS(target->wait_status));
	return text;
}

void target_close(struct record_target *target)
{
	int fds[] = { target->pid_fd, target->go_fd, target->error_fd };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (size_t i = 0; i < target->word_count; i++)
		free(target->words[i]);
	target->word_count = 0;
}
