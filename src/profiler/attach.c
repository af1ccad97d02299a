/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts the programs where they are called, and keeps what holds them there. Tracepoints are reached through
 * BTF: neither tracefs nor kprobes are needed.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "profiler/internal.h"

#ifdef __x86_64__
#define CALL_PREFIX "__x64_sys_" /* as the kernel names the functions of its calls */
#else
#define CALL_PREFIX "__arm64_sys_"
#endif

void links_keep(struct links *links, struct bpf_link *link, int fd, pid_t pid)
{
	links->items = room_for(links->items, &links->max, links->count, 1, sizeof *links->items);
	links->items[links->count++] = (struct held){ .link = link, .fd = fd, .pid = pid };
}

/* Every release waits until no CPU can be in the program any more, tens of milliseconds each; waits that
 * happen at the same time are one. */
#define RELEASE_THREADS 24

static void *release_some(void *context)
{
	struct links *links = context;
	size_t i;
	while ((i = __atomic_fetch_add(&links->released, 1, __ATOMIC_RELAXED)) < links->count) {
		if (links->items[i].link)
			bpf_link__destroy(links->items[i].link);
		else
			close(links->items[i].fd);
	}
	return NULL;
}

void links_release(struct links *links)
{
	pthread_t threads[RELEASE_THREADS];
	size_t count = 0;
	while (count < RELEASE_THREADS && count + 1 < links->count &&
	       pthread_create(&threads[count], NULL, release_some, links) == 0)
		count++;
	release_some(links);
	while (count > 0)
		pthread_join(threads[--count], NULL);
	free(links->items);
	*links = (struct links){ 0 };
}

void links_end(struct profiler *profiler, pid_t pid)
{
	struct links *links = &profiler->heap_links;
	for (size_t i = 0; i < links->count;) {
		if (links->items[i].pid != pid) {
			i++;
			continue;
		}
		links_keep(&profiler->ended_links, links->items[i].link, links->items[i].fd, pid);
		links->items[i] = links->items[--links->count];
	}
}

/* Waited for together, so not one by one. */
#define REAP_LINKS 64

static void *reap(void *context)
{
	struct profiler *profiler = context;
	links_release(&profiler->reaped_links);
	__atomic_store_n(&profiler->reaped, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void reap_join(struct profiler *profiler)
{
	if (profiler->reaping)
		pthread_join(profiler->reap_thread, NULL);
	profiler->reaping = 0;
}

void links_reap(struct profiler *profiler)
{
	if (profiler->ended_links.count < REAP_LINKS ||
	    (profiler->reaping && !__atomic_load_n(&profiler->reaped, __ATOMIC_ACQUIRE)))
		return;
	reap_join(profiler);
	profiler->reaped_links = profiler->ended_links;
	profiler->ended_links = (struct links){ 0 };
	profiler->reaped = 0;
	profiler->reaping = pthread_create(&profiler->reap_thread, NULL, reap, profiler) == 0;
	if (!profiler->reaping)
		links_release(&profiler->reaped_links);
}

static void *release_all(void *context)
{
	struct profiler *profiler = context;
	reap_join(profiler);
	links_release(&profiler->ended_links);
	links_release(&profiler->heap_links);
	links_release(&profiler->links);
	return NULL;
}

void links_release_begin(struct profiler *profiler)
{
	profiler->releasing = pthread_create(&profiler->release_thread, NULL, release_all, profiler) == 0;
	if (!profiler->releasing)
		release_all(profiler);
}

void links_release_end(struct profiler *profiler)
{
	if (profiler->releasing)
		pthread_join(profiler->release_thread, NULL);
	profiler->releasing = 0;
}

static const char *const call_programs[] = { "on_call_mmap", "on_call_munmap", "on_call_mremap",
					     "on_call_brk", NULL };

/* Whether the kernel can call a program at the end of one of its functions: it needs ftrace, which some
 * kernels for virtual machines leave out. Found out by doing it. */
static int function_traceable(const struct btf *types, const char *name)
{
	struct bpf_insn code[] = { { .code = 0xb7 }, { .code = 0x95 } }; /* r0 = 0; exit */
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FEXIT);
	int type_id = btf__find_by_name_kind(types, name, BTF_KIND_FUNC);
	if (type_id < 0)
		return 0;
	options.attach_btf_id = (uint32_t)type_id;
	int program_fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "probe", "GPL", code, 2, &options);
	int link_fd = program_fd < 0 ? -1 : bpf_raw_tracepoint_open(NULL, program_fd);
	if (link_fd >= 0)
		close(link_fd);
	if (program_fd >= 0)
		close(program_fd);
	return link_fd >= 0;
}

static int calls_traceable(void)
{
	static const char *const names[] = { CALL_PREFIX "munmap", CALL_PREFIX "mmap", CALL_PREFIX "mremap",
					     CALL_PREFIX "brk" };
	struct btf *types = btf__load_vmlinux_btf();
	size_t known = 0;
	while (types && known < sizeof names / sizeof *names && function_traceable(types, names[known]))
		known++;
	btf__free(types);
	return known == sizeof names / sizeof *names;
}

void attach_prepare(struct profiler *profiler)
{
	profiler->by_function = calls_traceable();
	for (size_t i = 0; call_programs[i]; i++)
		bpf_program__set_autoload(program_named(profiler, call_programs[i]), profiler->by_function);
	bpf_program__set_autoload(program_named(profiler, "on_system_call"), !profiler->by_function);
}

static int program_attach(struct profiler *profiler, const char *name,
			  char error[static PROFILER_ERROR_BYTES_MAX])
{
	struct bpf_link *link = bpf_program__attach(program_named(profiler, name));
	if (!link)
		return rights_explain("a tracepoint cannot be attached", errno, error);
	links_keep(&profiler->links, link, -1, 0);
	return 0;
}

int attach_tracepoints(struct profiler *profiler, char error[static PROFILER_ERROR_BYTES_MAX])
{
	static const char *const names[] = { "on_fork", "on_exec", "on_exit" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (program_attach(profiler, names[i], error) < 0)
			return -1;
	for (size_t i = 0; profiler->by_function && call_programs[i]; i++)
		if (program_attach(profiler, call_programs[i], error) < 0)
			return -1;
	return profiler->by_function ? 0 : program_attach(profiler, "on_system_call", error);
}
/* Runs an iterator over all threads once. */
static void threads_visit(struct profiler *profiler, const char *program)
{
	char byte[64];
	struct bpf_link *link = bpf_program__attach_iter(program_named(profiler, program), NULL);
	if (!link)
		return;
	int fd = bpf_iter_create(bpf_link__fd(link));
	while (fd >= 0 && read(fd, byte, sizeof byte) > 0)
		continue;
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
}

void attach_window(struct profiler *profiler, int open)
{
	if (open) {
		profiler->control->window_open = 1;
		profiler->switch_link = bpf_program__attach(program_named(profiler, "on_switch"));
		profiler->wakeup_link = bpf_program__attach(program_named(profiler, "on_wakeup"));
		if (!profiler->switch_link || !profiler->wakeup_link)
			profiler_say(profiler,
				     "time off the CPU is not measured: the scheduler's tracepoints "
				     "cannot be attached");
		else
			threads_visit(profiler, "on_window_begin");
		return;
	}
	/* First what is away at this moment: taking the links off takes tens of milliseconds. */
	profiler->control->window_open = 0;
	if (profiler->switch_link)
		threads_visit(profiler, "on_window_end");
	bpf_link__destroy(profiler->switch_link);
	bpf_link__destroy(profiler->wakeup_link);
	profiler->switch_link = profiler->wakeup_link = NULL;
}
