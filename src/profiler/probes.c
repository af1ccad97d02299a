/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets probes on functions of one file for one process. Where the kernel has session links (Linux 6.13) it is
 * two links for an allocator instead of seventeen, set and taken off in a fraction of the time, and a call
 * that is not sampled does not pay for its return. Elsewhere every probe is a perf event of its own. ("Multi"
 * links are older, but before 6.10 they saw one thread of the process only, and that cannot be asked.)
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "profiler/internal.h"

/* linux/bpf.h of Linux 6.13; Debian 12's is older. */
enum { ATTACH_UPROBE_MULTI = 48, ATTACH_UPROBE_SESSION = 57 };

/* The BPF_LINK_CREATE part of union bpf_attr, as it is with attach type 48. */
struct multi_link {
	uint32_t program_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, reference_counters, cookies;
	uint32_t count, multi_flags, pid, spare;
};

_Static_assert(offsetof(struct multi_link, path) == 16, "as linux/bpf.h has it");

static int multi_create(struct multi_link *link)
{
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, link, sizeof *link);
	return fd < 0 ? -errno : fd;
}

/* A kernel that knows session links finds out that "/" is no file to probe; others do not get that far. */
static int probes_session_works(void)
{
	struct bpf_insn code[] = { { .code = 0xb7 }, { .code = 0x95 } }; /* r0 = 0; exit */
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = (enum bpf_attach_type)ATTACH_UPROBE_SESSION);
	uint64_t offset = 0;
	int program_fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "probe", "GPL", code, 2, &options);
	struct multi_link link = { .program_fd = (uint32_t)program_fd,
				   .attach_type = ATTACH_UPROBE_SESSION,
				   .path = (uint64_t)(uintptr_t) "/",
				   .offsets = (uint64_t)(uintptr_t)&offset,
				   .count = 1 };
	if (program_fd < 0)
		return 0;
	int code_or_fd = multi_create(&link);
	if (code_or_fd >= 0)
		close(code_or_fd);
	close(program_fd);
	return code_or_fd == -EBADF;
}

void probes_prepare(struct profiler *profiler)
{
	int multi = profiler->multi = probes_session_works();
	struct bpf_program *both = program_named(profiler, "on_allocator");
	bpf_program__set_autoload(both, multi);
	bpf_program__set_autoload(program_named(profiler, "on_allocator_entry"), !multi);
	bpf_program__set_autoload(program_named(profiler, "on_allocator_return"), !multi);
	if (!multi)
		return;
	bpf_program__set_expected_attach_type(both, (enum bpf_attach_type)ATTACH_UPROBE_SESSION);
	bpf_program__set_expected_attach_type(program_named(profiler, "on_free"),
					      (enum bpf_attach_type)ATTACH_UPROBE_MULTI);
}

static int set_together(struct profiler *profiler, const char *name, const struct probe_target *target)
{
	struct bpf_program *program = program_named(profiler, name);
	struct multi_link link = {
		.program_fd = (uint32_t)bpf_program__fd(program),
		.attach_type = bpf_program__expected_attach_type(program),
		.path = (uint64_t)(uintptr_t)target->path,
		.offsets = (uint64_t)(uintptr_t)target->offsets,
		.cookies = (uint64_t)(uintptr_t)target->cookies,
		.count = (uint32_t)target->count,
		.pid = (uint32_t)target->pid,
	};
	int fd = multi_create(&link);
	if (fd < 0)
		return fd;
	profiler->heap_was_tracked = 1;
	links_keep(&profiler->heap_links, NULL, fd, target->pid);
	return 0;
}

static int set_one(struct profiler *profiler, const char *program, const struct probe_target *target,
		   size_t index, int is_return)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options, .bpf_cookie = target->cookies[index], .retprobe = is_return);
	struct bpf_link *link =
		bpf_program__attach_uprobe_opts(program_named(profiler, program), target->pid, target->path,
						target->offsets[index], &options);
	if (!link)
		return -errno;
	profiler->heap_was_tracked = 1;
	links_keep(&profiler->heap_links, link, -1, target->pid);
	return 0;
}

static int set_each(struct profiler *profiler, const char *program, const struct probe_target *target,
		    int is_return)
{
	int code = 0;
	for (size_t i = 0; !code && i < target->count; i++)
		code = set_one(profiler, program, target, i, is_return);
	return code;
}

int probes_set_free(struct profiler *profiler, const struct probe_target *target)
{
	return profiler->multi ? set_together(profiler, "on_free", target)
			       : set_each(profiler, "on_free", target, 0);
}

int probes_set_calls(struct profiler *profiler, const struct probe_target *target)
{
	if (profiler->multi)
		return set_together(profiler, "on_allocator", target);
	/* The return first: what is seen to begin is then seen to end. */
	int code = set_each(profiler, "on_allocator_return", target, 1);
	return code ? code : set_each(profiler, "on_allocator_entry", target, 0);
}
