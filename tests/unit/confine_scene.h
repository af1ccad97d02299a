/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of confine share: folders, ports, and a child that gives its rights up, once started as
 * root, which becomes "nobody", once as an ordinary user. What is refused to it was possible a moment before,
 * so that it is confine that refuses it.
 */
#ifndef TESTS_CONFINE_SCENE_H
#define TESTS_CONFINE_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine/parts.h"
#include "test.h"

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

__attribute__((unused)) static struct confine_report enter_with_landlock(const struct scene *scene)
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

#endif
