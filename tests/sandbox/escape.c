/* SPDX-License-Identifier: Apache-2.0
 *
 * Native code in the hands of a program: each function does what an attacker would, and answers "ok" or
 * errno's name. What holds against it is not Lua but what lies underneath: the user, Landlock, seccomp.
 */
#define _GNU_SOURCE
#include "sandbox/escape.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int answer(lua_State *lua, long result)
{
	const char *name = result < 0 ? strerrorname_np(errno) : "ok";
	lua_pushstring(lua, name ? name : "unknown");
	return 1;
}

/* And closes what it took to try. */
static int answer_closing(lua_State *lua, long result, int fd)
{
	answer(lua, result);
	if (fd >= 0)
		close(fd);
	return 1;
}

static int answer_fd(lua_State *lua, int fd)
{
	return answer_closing(lua, fd, fd);
}

static int escape_read(lua_State *lua)
{
	return answer_fd(lua, open(luaL_checkstring(lua, 1), O_RDONLY | O_CLOEXEC));
}

static int escape_create(lua_State *lua)
{
	return answer_fd(lua, open(luaL_checkstring(lua, 1), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int escape_append(lua_State *lua)
{
	return answer_fd(lua, open(luaL_checkstring(lua, 1), O_WRONLY | O_APPEND | O_CLOEXEC));
}

static int escape_unlink(lua_State *lua)
{
	return answer(lua, unlink(luaL_checkstring(lua, 1)));
}

static int escape_symlink(lua_State *lua)
{
	return answer(lua, symlink(luaL_checkstring(lua, 1), luaL_checkstring(lua, 2)));
}

static int escape_link(lua_State *lua)
{
	return answer(lua, link(luaL_checkstring(lua, 1), luaL_checkstring(lua, 2)));
}

static int escape_mkdir(lua_State *lua)
{
	return answer(lua, mkdir(luaL_checkstring(lua, 1), 0700));
}

static int escape_rename(lua_State *lua)
{
	return answer(lua, rename(luaL_checkstring(lua, 1), luaL_checkstring(lua, 2)));
}

static int escape_chmod(lua_State *lua)
{
	return answer(lua, chmod(luaL_checkstring(lua, 1), 0777));
}

static struct sockaddr_in loopback(lua_State *lua, int index)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)luaL_checkinteger(lua, index)) };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

/* A server of its own: what a back door would open. */
static int escape_bind(lua_State *lua)
{
	struct sockaddr_in address = loopback(lua, 1);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long result = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof address);
	if (result == 0)
		result = listen(fd, 1);
	return answer_closing(lua, result, fd);
}

static int escape_connect(lua_State *lua)
{
	struct sockaddr_in address = loopback(lua, 1);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long result = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address);
	return answer_closing(lua, result, fd);
}

/* connect() by another name: TCP Fast Open. */
static int escape_fast_open(lua_State *lua)
{
	struct sockaddr_in address = loopback(lua, 1);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long result = fd < 0 ? -1
			     : sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&address,
				      sizeof address);
	return answer_closing(lua, result, fd);
}

static int escape_udp(lua_State *lua)
{
	return answer_fd(lua, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int escape_raw(lua_State *lua)
{
	return answer_fd(lua, socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}

static int escape_packet(lua_State *lua)
{
	return answer_fd(lua, socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
}

static int escape_unix(lua_State *lua)
{
	return answer_fd(lua, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int escape_netlink(lua_State *lua)
{
	return answer_fd(lua, socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

/* In a child, so that the process lives to tell; where no child can be made, in this one. */
static int escape_exec(lua_State *lua)
{
	const char *path = luaL_checkstring(lua, 1);
	char *arguments[] = { (char *)(uintptr_t)path, NULL };
	char *none[] = { NULL };
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (child < 0)
		return answer(lua, execve(path, arguments, none));
	if (child == 0) {
		execve(path, arguments, none);
		_exit(errno);
	}
	int status = 0;
	waitpid(child, &status, 0);
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	return answer(lua, errno ? -1 : 0);
}

static int escape_fork(lua_State *lua)
{
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (child == 0)
		_exit(0);
	answer(lua, child);
	if (child > 0)
		waitpid(child, NULL, 0);
	return 1;
}

static int escape_ptrace(lua_State *lua)
{
	pid_t parent = getppid();
	long result = ptrace(PTRACE_SEIZE, parent, NULL, NULL);
	answer(lua, result);
	if (result == 0)
		ptrace(PTRACE_DETACH, parent, NULL, NULL);
	return 1;
}

static int escape_read_parent(lua_State *lua)
{
	char bytes[16];
	struct iovec here = { bytes, sizeof bytes };
	struct iovec there = { (void *)(uintptr_t)&escape_open,
			       sizeof bytes }; /* the same program, hence the address */
	return answer(lua, process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}

static int escape_kill_parent(lua_State *lua)
{
	return answer(lua,
		      kill(getppid(), SIGURG)); /* ignored by default: only the right to send it counts */
}

static int escape_setuid(lua_State *lua)
{
	return answer(lua, setresuid(0, 0, 0));
}

static int escape_ring(lua_State *lua)
{
	struct io_uring_params parameters = { 0 };
	return answer_fd(lua, (int)syscall(SYS_io_uring_setup, 4, &parameters));
}

static int escape_bpf(lua_State *lua)
{
	char attributes[128] = { 0 };
	return answer_fd(lua, (int)syscall(SYS_bpf, 0, attributes, sizeof attributes));
}

static int escape_perf(lua_State *lua)
{
	struct perf_event_attr attributes = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attributes };
	attributes.config = PERF_COUNT_SW_CPU_CLOCK;
	return answer_fd(lua, (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}

static int escape_namespace(lua_State *lua)
{
	return answer(lua, unshare(CLONE_NEWNET));
}

static int escape_mount(lua_State *lua)
{
	/* Nothing that could work: who may not mount is refused before the arguments are looked at. */
	return answer(lua, mount(NULL, "/", NULL, 0, NULL));
}

static int escape_chroot(lua_State *lua)
{
	return answer(lua, chroot("/"));
}

void escape_open(lua_State *lua)
{
	static const luaL_Reg functions[] = {
		{ "read", escape_read },
		{ "create", escape_create },
		{ "append", escape_append },
		{ "unlink", escape_unlink },
		{ "symlink", escape_symlink },
		{ "link", escape_link },
		{ "mkdir", escape_mkdir },
		{ "rename", escape_rename },
		{ "chmod", escape_chmod },
		{ "bind", escape_bind },
		{ "connect", escape_connect },
		{ "fast_open", escape_fast_open },
		{ "udp", escape_udp },
		{ "raw", escape_raw },
		{ "packet", escape_packet },
		{ "unix", escape_unix },
		{ "netlink", escape_netlink },
		{ "exec", escape_exec },
		{ "fork", escape_fork },
		{ "ptrace", escape_ptrace },
		{ "read_parent", escape_read_parent },
		{ "kill_parent", escape_kill_parent },
		{ "setuid", escape_setuid },
		{ "ring", escape_ring },
		{ "bpf", escape_bpf },
		{ "perf", escape_perf },
		{ "namespace", escape_namespace },
		{ "mount", escape_mount },
		{ "chroot", escape_chroot },
		{ NULL, NULL },
	};
	luaL_newlib(lua, functions);
}
