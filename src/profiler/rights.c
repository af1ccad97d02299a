/* SPDX-License-Identifier: Apache-2.0
 *
 * What profiling needs of this host and of this process, and what to do about what is missing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "profiler/internal.h"

/* linux/capability.h; bits of CapEff in /proc/self/status. */
enum { RIGHT_SYS_PTRACE = 19, RIGHT_SYS_ADMIN = 21, RIGHT_SYSLOG = 34, RIGHT_PERFMON = 38, RIGHT_BPF = 39 };

int profiler_error(char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, PROFILER_ERROR_BYTES_MAX, format, arguments);
	va_end(arguments);
	return -1;
}

static uint64_t rights_effective(void)
{
	uint64_t rights = 0;
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, "CapEff:", 7) == 0)
			rights = strtoull(line + 7, NULL, 16);
	if (file)
		fclose(file);
	return rights;
}

static int right_held(uint64_t rights, int number)
{
	return (rights >> number & 1) || (rights >> RIGHT_SYS_ADMIN & 1);
}

/* "CAP_BPF, CAP_PERFMON" of those that are needed and not there. */
static int rights_missing(char *text, size_t bytes)
{
	static const struct {
		int number;
		const char *name;
	} needed[] = { { RIGHT_BPF, "CAP_BPF" }, { RIGHT_PERFMON, "CAP_PERFMON" } };
	uint64_t rights = rights_effective();
	int count = 0;
	text[0] = 0;
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		if (right_held(rights, needed[i].number))
			continue;
		size_t used = strlen(text);
		snprintf(text + used, bytes - used, "%s%s", count++ ? " and " : "", needed[i].name);
	}
	return count;
}

static void own_path(char *path, size_t bytes)
{
	ssize_t count = readlink("/proc/self/exe", path, bytes - 1);
	path[count > 0 ? count : 0] = 0;
}

int rights_check(char error[static PROFILER_ERROR_BYTES_MAX])
{
	char missing[128];
	char path[1024];
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return profiler_error(error,
				      "profiling needs the kernel's type information, but "
				      "/sys/kernel/btf/vmlinux cannot be read (%s): use a kernel built "
				      "with CONFIG_DEBUG_INFO_BTF (Debian's have it)",
				      strerror(errno));
	if (!rights_missing(missing, sizeof missing))
		return 0;
	own_path(path, sizeof path);
	return profiler_error(
		error,
		"profiling needs %s, which this process does not have. Run it with sudo, or give "
		"the program the right once:\n"
		"  sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_syslog+ep %s",
		missing, path[0] ? path : "akamai-prof");
}

static int file_number(const char *path, long *ret_number)
{
	char text[32];
	FILE *file = fopen(path, "re");
	char *got = file ? fgets(text, sizeof text, file) : NULL;
	if (file)
		fclose(file);
	if (!got)
		return -1;
	*ret_number = strtol(text, NULL, 10);
	return 0;
}

int rights_explain(const char *what, int code, char error[static PROFILER_ERROR_BYTES_MAX])
{
	struct utsname names;
	uname(&names);
	const char *why = "akamai-prof doctor says what this host lacks";
	if (code == EPERM || code == EACCES)
		why = "a container's seccomp profile or the kernel's lockdown may forbid bpf(2) and "
		      "perf_event_open(2); akamai-prof doctor says more";
	else if (code == EMFILE || code == ENFILE)
		why = "raise the limit of open files (ulimit -n; a few hundred are enough)";
	else if (code == ENOMEM || code == E2BIG)
		why = "raise the memory limit (ulimit -l, or the cgroup's)";
	else if (code == EINVAL || code == ENOTSUP || code == ENOENT || code == ESRCH)
		why = "Linux 6.1 or newer is needed, with BTF, uprobes and perf events";
	return profiler_error(error, "%s on Linux %.64s: %s; %s", what, names.release, strerror(code), why);
}

int rights_refused(pid_t pid, char error[static PROFILER_ERROR_BYTES_MAX])
{
	return profiler_error(error,
			      "pid %d may not be profiled by this user: run with sudo, or as the user who "
			      "started it",
			      (int)pid);
}

/* ---- doctor ---- */

typedef void say_function(void *owner, enum profiler_verdict verdict, const char *what, const char *text);

static void probe_rights(say_function *say, void *owner)
{
	char missing[128];
	char text[512];
	char path[256];
	own_path(path, sizeof path);
	if (rights_missing(missing, sizeof missing)) {
		snprintf(text, sizeof text,
			 "%s missing: run with sudo, or setcap "
			 "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_syslog+ep "
			 "%s",
			 missing, path);
		say(owner, PROFILER_MISSING, "capabilities", text);
		return;
	}
	uint64_t rights = rights_effective();
	if (!right_held(rights, RIGHT_SYS_PTRACE) && !(rights >> RIGHT_SYS_PTRACE & 1))
		say(owner, PROFILER_DEGRADED, "capabilities",
		    "CAP_BPF and CAP_PERFMON; without CAP_SYS_PTRACE only own processes can be recorded");
	else
		say(owner, PROFILER_OK, "capabilities", "CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE");
}

static void probe_sysctl(say_function *say, void *owner, const char *what, const char *name, long limit,
			 const char *fine, const char *advice)
{
	char path[128];
	char text[256];
	long number;
	snprintf(path, sizeof path, "/proc/sys/kernel/%s", name);
	if (file_number(path, &number) < 0)
		return;
	snprintf(text, sizeof text, "kernel.%s is %ld: %s", name, number, number > limit ? advice : fine);
	say(owner, number > limit ? PROFILER_DEGRADED : PROFILER_OK, what, text);
}

static void probe_lockdown(say_function *say, void *owner)
{
	char text[128] = "";
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");
	if (!file) {
		say(owner, PROFILER_OK, "lockdown", "not visible here (securityfs is not mounted), or none");
		return;
	}
	char *got = fgets(text, sizeof text, file);
	fclose(file);
	text[strcspn(text, "\n")] = 0;
	if (got && strstr(text, "[confidentiality]"))
		say(owner, PROFILER_MISSING, "lockdown",
		    "confidentiality: eBPF may not read memory; boot with lockdown=integrity");
	else
		say(owner, PROFILER_OK, "lockdown", text);
}

static void probe_load(say_function *say, void *owner)
{
	char error[PROFILER_ERROR_BYTES_MAX];
	struct profiler_options options = { .hz = PROFILER_HZ_DEFAULT, .heap_rate_bytes = 1 };
	struct profiler *profiler = profiler_create(&options, error);
	if (!profiler) {
		say(owner, PROFILER_MISSING, "profiler", error);
		return;
	}
	char text[256];
	struct profiler_summary summary;
	if (profiler_attach(profiler, getpid(), 0, error) < 0) {
		say(owner, PROFILER_MISSING, "profiler", error);
	} else {
		profiler_summary(profiler, &summary);
		snprintf(text, sizeof text, "all programs load and attach; CPU samples by %s%s",
			 summary.cpu_event,
			 strcmp(summary.cpu_event, "cycles") == 0
				 ? ""
				 : " (no hardware counters here: parts of the kernel with interrupts off "
				   "are not seen)");
		say(owner, PROFILER_OK, "profiler", text);
		say(owner, summary.heap_tracked ? PROFILER_OK : PROFILER_DEGRADED, "heap probes",
		    summary.heap_allocators);
	}
	profiler_destroy(profiler);
}

void profiler_probe(say_function *say, void *owner)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0)
		say(owner, PROFILER_OK, "BTF", "/sys/kernel/btf/vmlinux");
	else
		say(owner, PROFILER_MISSING, "BTF",
		    "/sys/kernel/btf/vmlinux cannot be read: use a kernel with CONFIG_DEBUG_INFO_BTF");
	probe_rights(say, owner);
	probe_sysctl(say, owner, "perf events", "perf_event_paranoid", 2, "allowed with CAP_PERFMON",
		     "above 2 some distributions forbid them without CAP_PERFMON; sysctl "
		     "kernel.perf_event_paranoid=2");
	probe_sysctl(say, owner, "kernel names", "kptr_restrict", 1,
		     "kernel functions have names, given CAP_SYSLOG",
		     "kernel functions have no names; sysctl kernel.kptr_restrict=1");
	long unprivileged;
	if (file_number("/proc/sys/kernel/unprivileged_bpf_disabled", &unprivileged) == 0)
		say(owner, PROFILER_OK, "eBPF",
		    unprivileged ? "needs CAP_BPF (kernel.unprivileged_bpf_disabled)"
				 : "some of it is open to every user; sysctl "
				   "kernel.unprivileged_bpf_disabled=2 would be safer");
	probe_lockdown(say, owner);
	char missing[128];
	if (!rights_missing(missing, sizeof missing))
		probe_load(say, owner);
}
