/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts the programs where they are called, and keeps what holds them there. Tracepoints are reached through
 * BTF: neither tracefs nor kprobes are needed.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "profiler/internal.h"

void links_keep(struct links *links, struct bpf_link *link)
{
	links->items = memory_grow(links->items, &links->max, links->count, sizeof(void *));
	links->items[links->count++] = link;
}

void links_release(struct links *links)
{
	for (size_t i = 0; i < links->count; i++)
		bpf_link__destroy(links->items[i]);
	free(links->items);
	*links = (struct links){ 0 };
}

int attach_tracepoints(struct profiler *profiler, char error[static PROFILER_ERROR_BYTES_MAX])
{
	static const char *const names[] = { "on_fork", "on_exec", "on_exit", "on_system_call" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct bpf_link *link = bpf_program__attach(program_named(profiler, names[i]));
		if (!link)
			return rights_explain("the tracepoints cannot be attached", errno, error);
		links_keep(&profiler->links, link);
	}
	return 0;
}

/* Runs the iterator once: threads that are away now are accounted. */
static void away_account(struct profiler *profiler)
{
	char byte[64];
	struct bpf_link *link = bpf_program__attach_iter(program_named(profiler, "on_window_end"), NULL);
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
			profiler_say(profiler, "time off the CPU is not measured: the scheduler's tracepoints "
					       "cannot be attached");
		return;
	}
	profiler->control->window_open = 0;
	bpf_link__destroy(profiler->switch_link);
	bpf_link__destroy(profiler->wakeup_link);
	if (profiler->switch_link)
		away_account(profiler);
	profiler->switch_link = profiler->wakeup_link = NULL;
}
