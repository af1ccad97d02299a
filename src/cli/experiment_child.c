/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes of the experiment: their command lines, their start and their end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/experiment.h"
#include "cli/simulate.h"

#define STOP_NS (5 * NS_PER_SECOND) /* for a process to end after SIGTERM */
#define TAIL_BYTES_MAX 4096
#define TAIL_LINES_MAX 8

static char *must(char *text)
{
	if (!text) {
		fputs("akamai-prof: experiment: out of memory\n", stderr);
		abort();
	}
	return text;
}

void words_add(struct experiment_words *words, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	va_start(arguments, format);
	int bytes = vasprintf(&text, format, arguments);
	va_end(arguments);
	CHECK_LT(words->count, (size_t)EXPERIMENT_WORDS_MAX);
	words->items[words->count++] = must(bytes < 0 ? NULL : text);
}

void words_add_flag(struct experiment_words *words, const char *name, const char *value)
{
	words_add(words, "-%s", name);
	words_add(words, "%s", value);
}

void words_add_config_ids(struct experiment_words *words, const struct experiment_settings *settings,
			  unsigned count)
{
	char ids[EXPERIMENT_IDS_BYTES_MAX] = "";
	for (unsigned i = 0; i < count; i++) {
		size_t used = strlen(ids);
		if (settings->url)
			snprintf(ids + used, sizeof ids - used, "%s%s", i ? "," : "", settings->ids[i]);
		else
			snprintf(ids + used, sizeof ids - used, "%s%u", i ? "," : "", i + 1);
	}
	words_add_flag(words, "config-id", ids);
}

static int is_plain(const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,=+@%";
	return word[0] && word[strspn(word, plain)] == 0;
}

void words_print(const struct experiment_words *words, FILE *out)
{
	for (size_t i = 0; i < words->count; i++) {
		fputs(i ? " " : "", out);
		if (is_plain(words->items[i])) {
			fputs(words->items[i], out);
			continue;
		}
		fputc('\'', out);
		for (const char *at = words->items[i]; *at; at++) {
			if (*at == '\'')
				fputs("'\\''", out);
			else
				fputc(*at, out);
		}
		fputc('\'', out);
	}
}

void words_finish(struct experiment_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->items[i]);
	*words = (struct experiment_words){ 0 };
}

/* In the child. What fails is said in its log. */
static __attribute__((noreturn)) void child_become(struct experiment_words *words, int log_fd,
						   const cpu_set_t *cpus, pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	setpgid(0, 0);
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null_fd, STDIN_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	if (cpus && sched_setaffinity(0, sizeof *cpus, cpus) < 0)
		fprintf(stderr, "note: not pinned: %s\n", strerror(errno));
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Whoever kills us ends what we started. (An executable with file capabilities forgets this when it
	 * is executed, see prctl(2); then -duration ends the runner, and the simulator, which has none, is
	 * executed directly and remembers.) */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	if (words->count > 1 && strcmp(words->items[1], "simulate") == 0)
		_exit(simulate(words->items + 1));
	/* Not by its path: another build may have taken the place of this one since the experiment began. */
	execv("/proc/self/exe", words->items);
	fprintf(stderr, "akamai-prof: cannot execute /proc/self/exe: %s\n", strerror(errno));
	fflush(stderr);
	_exit(127);
}

int child_start(struct experiment_child *child, struct experiment_words *words, const char *log_path,
		const cpu_set_t *cpus, char error[static EXPERIMENT_ERROR_BYTES_MAX])
{
	*child = (struct experiment_child){ .pid_fd = -1 };
	int log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (log_fd < 0) {
		snprintf(error, EXPERIMENT_ERROR_BYTES_MAX,
			 "cannot write %.1000s: %s; name another folder with -out", log_path,
			 strerror(errno));
		return -1;
	}
	pid_t self = getpid();
	fflush(NULL);
	child->pid = fork();
	if (child->pid == 0)
		child_become(words, log_fd, cpus, self);
	int code = errno;
	close(log_fd);
	if (child->pid < 0) {
		child->pid = 0;
		snprintf(error, EXPERIMENT_ERROR_BYTES_MAX, "cannot start a process: %s", strerror(code));
		return -1;
	}
	setpgid(child->pid, child->pid); /* whoever comes first */
	child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pid_fd >= 0)
		return 0;
	snprintf(error, EXPERIMENT_ERROR_BYTES_MAX, "cannot watch a process: %s", strerror(errno));
	child_stop(child);
	return -1;
}

static void child_reap(struct experiment_child *child)
{
	while (waitpid(child->pid, &child->wait_status, 0) < 0)
		if (errno != EINTR)
			break;
	child->ended = 1;
	if (child->pid_fd >= 0)
		close(child->pid_fd);
	child->pid_fd = -1;
}

int child_ended(struct experiment_child *child, int64_t until_ns)
{
	while (child->pid > 0 && !child->ended) {
		int64_t left_ms = (until_ns - clock_monotonic_ns()) / NS_PER_MS;
		struct pollfd wanted = { .fd = child->pid_fd, .events = POLLIN };
		if (poll(&wanted, 1, left_ms > 0 ? (int)(left_ms < 60000 ? left_ms : 60000) : 0) > 0)
			child_reap(child);
		else if (left_ms <= 0)
			return 0;
	}
	return 1;
}

void child_stop(struct experiment_child *child)
{
	if (child->pid <= 0 || child->ended)
		return;
	kill(child->pid, SIGTERM);
	if (child->pid_fd >= 0 && child_ended(child, clock_monotonic_ns() + STOP_NS))
		return;
	kill(-child->pid, SIGKILL); /* its group: what it started, too */
	child_reap(child);
}

double child_cpu_seconds(const struct experiment_child *child)
{
	clockid_t clock;
	struct timespec time;
	if (child->pid <= 0 || child->ended || clock_getcpuclockid(child->pid, &clock) != 0 ||
	    clock_gettime(clock, &time) < 0)
		return NAN;
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

const char *child_end_text(const struct experiment_child *child, char *text, size_t text_bytes)
{
	if (WIFSIGNALED(child->wait_status))
		snprintf(text, text_bytes, "was ended by signal %d (%s)", WTERMSIG(child->wait_status),
			 strsignal(WTERMSIG(child->wait_status)));
	else
		snprintf(text, text_bytes, "exited with status %d", WEXITSTATUS(child->wait_status));
	return text;
}

void log_print_tail(const char *path, FILE *out)
{
	char text[TAIL_BYTES_MAX + 1];
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	off_t from = fd >= 0 && fstat(fd, &status) == 0 && status.st_size > TAIL_BYTES_MAX
			     ? status.st_size - TAIL_BYTES_MAX
			     : 0;
	ssize_t bytes = fd >= 0 ? pread(fd, text, TAIL_BYTES_MAX, from) : -1;
	if (fd >= 0)
		close(fd);
	while (bytes > 0 && text[bytes - 1] == '\n')
		bytes--;
	if (bytes <= 0) {
		fputs("    (it said nothing)\n", out);
		return;
	}
	text[bytes] = 0;
	const char *at = text + bytes;
	for (int lines = 0; at > text; at--)
		if (at[-1] == '\n' && ++lines == TAIL_LINES_MAX)
			break;
	while (*at) {
		size_t line_bytes = strcspn(at, "\n");
		fputs("    | ", out);
		for (size_t i = 0; i < line_bytes; i++) /* a server's words must not steer a terminal */
			fputc((unsigned char)at[i] < ' ' || at[i] == 0x7f ? ' ' : at[i], out);
		fputc('\n', out);
		at += line_bytes + (at[line_bytes] == '\n');
	}
}
