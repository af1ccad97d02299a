/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "control/control.h"
#include "ring/ring.h"
#include "scan/scan.h"

enum verdict {
	GOOD,
	FALLBACK,
};

static void say(enum verdict verdict, const char *what, const char *text)
{
	static const char *const marks[] = { "ok  ", "note" };
	printf("%s  %-12s %s\n", marks[verdict], what, text);
}

static void doctor_ring(void)
{
	struct arena arena = { 0 };
	struct ring *ring = NULL;
	struct ring_report report = { 0 };
	struct ring_options options = { .engine = RING_ENGINE_AUTO, .operations_max = 16 };
	char text[256];
	if (arena_open(&arena, 8 << 20) < 0 || ring_open(&options, &arena, &ring, &report) < 0) {
		say(FALLBACK, "io_uring", report.notice);
		arena_finish(&arena);
		return;
	}
	uint8_t *region = arena_take(&arena, 1 << 18, 4096);
	ring_register_buffer(ring, region, 1 << 18);
	report = *ring_report_of(ring);
	if (report.engine != RING_ENGINE_URING) {
		say(FALLBACK, "io_uring", report.notice);
	} else {
		snprintf(text, sizeof text, "available;%s%s%s features 0x%x",
			 report.single_issuer ? " SINGLE_ISSUER" : "",
			 report.defer_taskrun ? " DEFER_TASKRUN" : "", report.no_sqarray ? " NO_SQARRAY" : "",
			 report.features);
		say(GOOD, "io_uring", text);
		if (report.registered_buffers)
			say(GOOD, "buffers", "registered with the kernel");
		else {
			snprintf(text, sizeof text,
				 "not registered (%s): plain receives are used; raise ulimit -l",
				 strerror(report.registered_buffers_errno));
			say(FALLBACK, "buffers", text);
		}
	}
	ring_finish(ring);
	arena_finish(&arena);
}

static void doctor_memlock(void)
{
	struct rlimit limit;
	char text[128];
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		snprintf(text, sizeof text, "no limit");
	else
		snprintf(text, sizeof text, "%llu KiB; each stream registers 256 KiB",
			 (unsigned long long)limit.rlim_cur / 1024);
	say(limit.rlim_cur < 262144 ? FALLBACK : GOOD, "memlock", text);
}

/* Not used yet; whether the kernel has it is asked the way it would be used. */
static void doctor_ktls(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	errno = 0;
	/* On a socket that is not connected a kernel with the tls module says ENOTCONN, one without ENOENT.
	 */
	setsockopt(fd, SOL_TCP, TCP_ULP, "tls", 3);
	if (errno == ENOENT)
		say(FALLBACK, "kTLS",
		    "not in this kernel (modprobe tls); TLS is opened in user space anyway");
	else
		say(GOOD, "kTLS", "the kernel has it; TLS is opened in user space in this version");
	close(fd);
}

static void doctor_cpu(void)
{
	char text[256];
	const struct scan_kernel *kernel = scan_kernel_pick(NULL);
	snprintf(text, sizeof text, "scan %s, JSON %s", kernel->name, control_implementation_name());
	say(GOOD, "CPU", text);
}

static void doctor_trust(void)
{
	static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";
	if (access(bundle, R_OK) == 0)
		say(GOOD, "trust", bundle);
	else
		say(FALLBACK, "trust",
		    "/etc/ssl/certs/ca-certificates.crt cannot be read: install ca-certificates, or use "
		    "-ca-file");
}

int doctor(int argc, char **argv)
{
	if (argc > 1 && strstr(argv[1], "help")) {
		puts("usage: akamai-prof doctor\n\nSays what this host can and cannot do for the collector, "
		     "and what to do "
		     "about it.");
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "akamai-prof: doctor takes no arguments, not \"%s\"\n", argv[1]);
		return 2;
	}
	struct utsname names;
	char text[256];
	uname(&names);
	snprintf(text, sizeof text, "Linux %.100s %.60s", names.release, names.machine);
	say(GOOD, "kernel", text);
	doctor_ring();
	doctor_memlock();
	doctor_ktls();
	doctor_cpu();
	doctor_trust();
	return 0;
}
