/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "confine/confine.h"
#include "control/control.h"
#include "inflate/inflate.h"
#include "profiler/profiler.h"
#include "ring/ring.h"
#include "scan/scan.h"

static const char *const verdict_names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_DEGRADED] = "degraded",
	[DOCTOR_MISSING] = "missing",
};

const char *doctor_verdict_name(enum doctor_verdict verdict)
{
	return verdict_names[verdict];
}

static void say(struct doctor *doctor, enum doctor_verdict verdict, const char *what, const char *text)
{
	if (doctor->count == DOCTOR_FINDINGS_MAX)
		return;
	struct doctor_finding *finding = &doctor->findings[doctor->count++];
	finding->verdict = verdict;
	snprintf(finding->what, sizeof finding->what, "%s", what);
	snprintf(finding->text, sizeof finding->text, "%s", text);
	for (char *at = finding->text; (at = strchr(at, '\n'));)
		*at = ' ';
}

static void doctor_ring(struct doctor *doctor)
{
	struct arena arena = { 0 };
	struct ring *ring = NULL;
	struct ring_report report = { 0 };
	struct ring_options options = { .engine = RING_ENGINE_AUTO, .operations_max = 16 };
	char text[256];
	if (arena_open(&arena, 8 << 20) < 0 || ring_open(&options, &arena, &ring, &report) < 0) {
		say(doctor, DOCTOR_DEGRADED, "io_uring", report.notice);
		arena_finish(&arena);
		return;
	}
	uint8_t *region = arena_take(&arena, 1 << 18, 4096);
	ring_register_buffer(ring, region, 1 << 18);
	report = *ring_report_of(ring);
	if (report.engine != RING_ENGINE_URING) {
		say(doctor, DOCTOR_DEGRADED, "io_uring", report.notice);
	} else {
		snprintf(text, sizeof text, "available;%s%s%s%s features 0x%x",
			 report.single_issuer ? " SINGLE_ISSUER" : "",
			 report.defer_taskrun ? " DEFER_TASKRUN" : "",
			 report.coop_taskrun ? " COOP_TASKRUN" : "", report.no_sqarray ? " NO_SQARRAY" : "",
			 report.features);
		say(doctor, DOCTOR_OK, "io_uring", text);
		if (report.restricted)
			say(doctor, DOCTOR_OK, "restrictions",
			    "the kernel keeps a ring to what the collector uses");
		else
			say(doctor, DOCTOR_DEGRADED, "restrictions",
			    "this kernel cannot restrict a ring (Linux 5.10 can); the collector runs "
			    "without");
		snprintf(text, sizeof text, "not registered (%s): plain receives are used; raise ulimit -l",
			 strerror(report.registered_buffers_errno));
		say(doctor, report.registered_buffers ? DOCTOR_OK : DOCTOR_DEGRADED, "buffers",
		    report.registered_buffers ? "registered with the kernel" : text);
	}
	ring_finish(ring);
	arena_finish(&arena);
}

static void doctor_memlock(struct doctor *doctor)
{
	struct rlimit limit;
	char text[128];
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		snprintf(text, sizeof text, "no limit");
	else
		snprintf(text, sizeof text, "%llu KiB; each stream registers 256 KiB%s",
			 (unsigned long long)limit.rlim_cur / 1024,
			 limit.rlim_cur < 262144 ? ": raise ulimit -l" : "");
	say(doctor, limit.rlim_cur < 262144 ? DOCTOR_DEGRADED : DOCTOR_OK, "memlock", text);
}

/* The first line of a small file; "" when it cannot be read. */
static void line_read(const char *path, char *text, size_t text_bytes)
{
	FILE *file = fopen(path, "re");
	char *got = file ? fgets(text, (int)text_bytes, file) : NULL;
	text[got ? strcspn(text, "\n") : 0] = 0;
	if (file)
		fclose(file);
}

/* Whether the kernel has it is asked the way it would be used, which loads the module where that is allowed.
 */
static void doctor_ktls(struct doctor *doctor)
{
	char ulps[128];
	char text[256];
	int code = ring_tls_probe();
	line_read("/proc/sys/net/ipv4/tcp_available_ulp", ulps, sizeof ulps);
	if (code == 0)
		snprintf(text, sizeof text,
			 "the kernel has the tls module: -tls ktls lets it open records (auto does not: user "
			 "space is faster)");
	else
		snprintf(text, sizeof text,
			 "no \"tls\" among TCP's upper-layer protocols (%s): %s; -tls ktls would go on in "
			 "user "
			 "space, as auto does",
			 ulps[0] ? ulps : "none listed",
			 code == -ENOENT ? "modprobe tls, as root, if this kernel has it (CONFIG_TLS)"
					 : strerror(-code));
	say(doctor, code == 0 ? DOCTOR_OK : DOCTOR_DEGRADED, "kTLS", text);
}

static void doctor_cpu(struct doctor *doctor)
{
	char text[256];
	const struct scan_kernel *kernel = scan_kernel_pick(NULL);
	snprintf(text, sizeof text, "%ld online; scan %s, JSON %s", sysconf(_SC_NPROCESSORS_ONLN),
		 kernel->name, control_implementation_name());
	say(doctor, DOCTOR_OK, "CPU", text);
}

/* What the decoder's assembly needs and this x86-64 lacks; "": nothing. */
static void inflate_lacks(char *text, size_t text_bytes)
{
#if defined(__x86_64__)
	snprintf(text, text_bytes, "%s%s%s", __builtin_cpu_supports("avx2") ? "" : " AVX2",
		 __builtin_cpu_supports("bmi2") ? "" : " BMI2", __builtin_cpu_supports("bmi") ? "" : " BMI1");
#else
	text[0] = 0;
	(void)text_bytes;
#endif
}

static void doctor_inflate(struct doctor *doctor)
{
	struct arena arena = { 0 };
	char text[256], lacks[64];
	if (arena_open(&arena, 1 << 20) < 0)
		return;
	const char *name = inflate_engine_name(inflate_create(INFLATE_ENGINE_AUTO, &arena));
	inflate_lacks(lacks, sizeof lacks);
	if (lacks[0])
		snprintf(text, sizeof text,
			 "%s, our decoder in C: this processor lacks%s, which its assembly needs "
			 "(akamai-prof inflate -bench FILE.gz says whether -inflate isal is faster)",
			 name, lacks);
	else if (strcmp(name, "own-c") == 0)
		snprintf(text, sizeof text, "%s, our decoder in C: its assembly is for x86-64", name);
	else
		snprintf(text, sizeof text, "%s, our decoder in assembly: this processor has AVX2 and BMI2",
			 name);
	say(doctor, lacks[0] ? DOCTOR_DEGRADED : DOCTOR_OK, "inflate", text);
	arena_finish(&arena);
}

static void doctor_trust(struct doctor *doctor)
{
	static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";
	if (access(bundle, R_OK) == 0)
		say(doctor, DOCTOR_OK, "trust", bundle);
	else
		say(doctor, DOCTOR_DEGRADED, "trust",
		    "/etc/ssl/certs/ca-certificates.crt cannot be read: install ca-certificates, or use "
		    "-ca-file");
}

/* Signatures carry the time, and the server refuses those that are off; the collector corrects itself then.
 */
static void doctor_clock(struct doctor *doctor)
{
	struct timex clock = { 0 };
	char text[256];
	int state = adjtimex(&clock);
	if (state < 0)
		return;
	int apart = state == TIME_ERROR || (clock.status & STA_UNSYNC);
	snprintf(text, sizeof text, "%s (estimated error %.3f s)%s",
		 apart ? "nobody keeps it synchronised" : "synchronised", (double)clock.esterror / 1e6,
		 apart ? ": run chrony or systemd-timesyncd; signatures that are off by much are refused"
		       : "");
	say(doctor, apart ? DOCTOR_DEGRADED : DOCTOR_OK, "clock", text);
}

/* The libraries that are mapped, by the names of their files: those carry the versions. */
static void doctor_libraries(struct doctor *doctor)
{
	static const char *const wanted[] = { "libisal",    "libdeflate", "libsimdjson", "liburing",
					      "libbpf",	    "libdw",	  "libelf",	 "libjson-c",
					      "libseccomp", "libcrypto",  "libc." };
	char text[512] = "";
	char line[4400];
	FILE *file = fopen("/proc/self/maps", "re");
	while (file && fgets(line, sizeof line, file)) {
		char *name = strrchr(line, '/');
		line[strcspn(line, "\n")] = 0;
		for (size_t i = 0; name && i < sizeof wanted / sizeof *wanted; i++) {
			size_t used = strlen(text);
			if (strncmp(name + 1, wanted[i], strlen(wanted[i])) == 0 && !strstr(text, name + 1))
				snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "", name + 1);
		}
	}
	if (file)
		fclose(file);
	say(doctor, DOCTOR_OK, "libraries", text);
}

static void doctor_confine(struct doctor *doctor)
{
	struct confine_report report;
	char text[256];
	confine_probe(&report);
	snprintf(text, sizeof text, "collects as %s%s", report.user,
		 report.user_changed ? "" : " (started as root it would change to another user)");
	say(doctor, DOCTOR_OK, "user", text);
	snprintf(text, sizeof text, "ABI %d: %s", report.landlock_abi,
		 report.landlock_connect ? "files and connects are restricted"
		 : report.landlock_files
			 ? "files are restricted; connects from Linux 6.7 on"
			 : "not in this kernel (lsm=landlock,... on its command line; Linux 5.13)");
	say(doctor,
	    report.landlock_connect ? DOCTOR_OK
	    : report.landlock_files ? DOCTOR_DEGRADED
				    : DOCTOR_MISSING,
	    "Landlock", text);
	say(doctor, report.seccomp ? DOCTOR_OK : DOCTOR_MISSING, "seccomp",
	    report.seccomp ? "filters work" : "no filters in this kernel (CONFIG_SECCOMP_FILTER)");
	if (report.note[0])
		say(doctor, DOCTOR_DEGRADED, "confinement", report.note);
}

static void doctor_profiler(void *owner, enum profiler_verdict verdict, const char *what, const char *text)
{
	static const enum doctor_verdict verdicts[] = {
		[PROFILER_OK] = DOCTOR_OK,
		[PROFILER_DEGRADED] = DOCTOR_DEGRADED,
		[PROFILER_MISSING] = DOCTOR_MISSING,
	};
	say(owner, verdicts[verdict], what, text);
}

static void doctor_look(struct doctor *doctor)
{
	struct utsname names = { 0 };
	char text[256];
	uname(&names);
	snprintf(text, sizeof text, "Linux %.100s %.60s", names.release, names.machine);
	say(doctor, DOCTOR_OK, "kernel", text);
	doctor_cpu(doctor);
	doctor_inflate(doctor);
	doctor_ring(doctor);
	doctor_memlock(doctor);
	doctor_ktls(doctor);
	doctor_trust(doctor);
	doctor_clock(doctor);
	doctor_confine(doctor);
	profiler_probe(doctor_profiler, doctor);
	doctor_libraries(doctor);
}

int doctor(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	word += strspn(word, "-");
	if (argc == 2 && (strcmp(word, "help") == 0 || strcmp(word, "h") == 0)) {
		puts("usage: akamai-prof doctor [-json]\n\nSays what this host can and cannot do for the "
		     "collector and "
		     "the profiler, and what to do about\nit: ok, degraded (it works, but worse) or missing "
		     "(a part does "
		     "not work).\n\n  -json                       as JSON on stdout");
		return 0;
	}
	int json = argc == 2 && strcmp(word, "json") == 0;
	if (argc > 1 && !json) {
		fprintf(stderr, "akamai-prof: doctor takes -json or nothing, not \"%s\"\n", argv[1]);
		return 2;
	}
	struct doctor *doctor = calloc(1, sizeof *doctor);
	if (!doctor)
		return 1;
	doctor_look(doctor);
	char *text = json ? doctor_json(doctor) : NULL;
	if (text)
		puts(text);
	for (size_t i = 0; !json && i < doctor->count; i++)
		printf("%-8s  %-14s %s\n", doctor_verdict_name(doctor->findings[i].verdict),
		       doctor->findings[i].what, doctor->findings[i].text);
	free(text);
	free(doctor);
	return 0;
}
