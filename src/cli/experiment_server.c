/* SPDX-License-Identifier: Apache-2.0
 *
 * The far end of the experiment: a simulator of ours, and which CPUs it gets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/experiment.h"
#include "cli/files.h"

#define START_NS                                                                                             \
	(120 * NS_PER_SECOND) /* its pages are compressed before it serves: seconds, on a slow host */
#define CACHE_MIB_EACH 32     /* a configId's pages take 17 MiB compressed, as events of 1.9 KB */
#define CACHE_MIB_MIN 256     /* the simulator's default */

/* ---- CPUs ---- */

/* The first of the CPUs that share a core with this one. */
static size_t core_of(size_t cpu)
{
	char path[96], text[16] = "";
	snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%zu/topology/thread_siblings_list", cpu);
	FILE *file = fopen(path, "re");
	if (file && !fgets(text, sizeof text, file))
		text[0] = 0;
	if (file)
		fclose(file);
	return text[0] >= '0' && text[0] <= '9' ? strtoul(text, NULL, 10) : cpu;
}

/* "0-3,6" */
static void cpus_text(const cpu_set_t *cpus, char *text, size_t text_bytes)
{
	size_t used = 0;
	text[0] = 0;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		size_t last = cpu;
		if (!CPU_ISSET(cpu, cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus))
			last++;
		int bytes = snprintf(text + used, text_bytes - used, last > cpu ? "%s%zu-%zu" : "%s%zu",
				     used ? "," : "", cpu, last);
		if (bytes < 0 || (size_t)bytes >= text_bytes - used)
			return; /* cut: it is for a person */
		used += (size_t)bytes;
		cpu = last;
	}
}

/* The first half of the cores (of the CPUs, where there is one core only) for the runner. */
static void cpus_share(const cpu_set_t *allowed, int by_core, struct experiment *experiment)
{
	size_t seen[CPU_SETSIZE];
	size_t count = 0, half = 0;
	for (int pass = 0; pass < 2; pass++) {
		half = count / 2;
		count = 0;
		for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, allowed))
				continue;
			size_t core = by_core ? core_of(cpu) : cpu;
			size_t index = 0;
			while (index < count && seen[index] != core)
				index++;
			if (index == count)
				seen[count++] = core;
			if (pass)
				CPU_SET(cpu,
					index < half ? &experiment->runner_cpus : &experiment->server_cpus);
		}
	}
}

void experiment_pin(struct experiment *experiment)
{
	cpu_set_t allowed;
	char *text = experiment->pin_text;
	size_t text_bytes = sizeof experiment->pin_text;
	CPU_ZERO(&experiment->runner_cpus);
	CPU_ZERO(&experiment->server_cpus);
	experiment->server_cpu_count = sysconf(_SC_NPROCESSORS_ONLN);
	if (experiment->settings.url)
		return;
	if (experiment->settings.no_pin)
		snprintf(text, text_bytes, "not pinned (-no-pin): server and runner share all CPUs");
	else if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
		snprintf(text, text_bytes, "not pinned (%s): server and runner share all CPUs",
			 strerror(errno));
	else if (CPU_COUNT(&allowed) < 2)
		snprintf(text, text_bytes,
			 "server and runner share the one CPU: events a second say how fast both are "
			 "together");
	else {
		char server[64], runner[64];
		cpus_share(&allowed, 1, experiment);
		int one_core = CPU_COUNT(&experiment->runner_cpus) == 0;
		if (one_core) {
			CPU_ZERO(&experiment->server_cpus);
			cpus_share(&allowed, 0, experiment);
		}
		cpus_text(&experiment->server_cpus, server, sizeof server);
		cpus_text(&experiment->runner_cpus, runner, sizeof runner);
		snprintf(text, text_bytes, "server on CPU %s, runner on CPU %s%s", server, runner,
			 one_core ? " (of the same core: each slows the other)" : "");
		experiment->server_cpu_count = CPU_COUNT(&experiment->server_cpus);
		experiment->pinned = 1;
	}
}

/* ---- The simulator ---- */

static void server_words(struct experiment *experiment)
{
	const struct experiment_server *server = &experiment->server;
	struct experiment_words *words = &experiment->server.words;
	unsigned streams = experiment->cells[experiment->cell_count - 1].streams;
	unsigned cache_mib = streams * CACHE_MIB_EACH;
	words_add(words, "akamai-prof");
	words_add(words, "simulate");
	words_add_flag(words, "listen", "127.0.0.1:0");
	words_add(words, "-port-file");
	words_add(words, "%s/address", server->folder);
	words_add(words, "-ca-out");
	words_add(words, "%s/ca.pem", server->folder);
	words_add(words, "-edgerc-out");
	words_add(words, "%s/edgerc", server->folder);
	words_add_config_ids(words, &experiment->settings, streams);
	words_add_flag(words, "event-size", experiment->settings.lean ? "lean" : "full");
	words_add(words, "-cache");
	words_add(words, "%u", cache_mib < CACHE_MIB_MIN ? CACHE_MIB_MIN : cache_mib);
}

/* "127.0.0.1:4711\n", which comes in one step. 0: not there yet. */
static int address_read(struct experiment_server *server)
{
	char path[sizeof server->folder + 16];
	snprintf(path, sizeof path, "%s/address", server->folder);
	FILE *file = file_read_regular(path);
	if (!file)
		return 0;
	if (!fgets(server->address, sizeof server->address, file))
		server->address[0] = 0;
	fclose(file);
	server->address[strcspn(server->address, "\n")] = 0;
	return server->address[0] != 0;
}

/* 0 when it serves; -1 with a sentence, or with none when a signal came. */
static int server_await(struct experiment *experiment, const char *log, char *error)
{
	struct experiment_server *server = &experiment->server;
	int64_t until_ns = clock_monotonic_ns() + START_NS;
	char end[96];
	while (!address_read(server)) {
		struct pollfd wanted = { .fd = experiment->signal_fd, .events = POLLIN };
		poll(&wanted, 1, 20);
		error[0] = 0;
		if (experiment_signals(experiment))
			return -1;
		if (child_ended(&server->child, 0)) {
			log_print_tail(log, stderr);
			snprintf(error, EXPERIMENT_ERROR_BYTES_MAX, "the simulator %s before it served",
				 child_end_text(&server->child, end, sizeof end));
			return -1;
		}
		if (clock_monotonic_ns() >= until_ns) {
			snprintf(error, EXPERIMENT_ERROR_BYTES_MAX,
				 "the simulator does not serve after two minutes; its log is %.1000s", log);
			return -1;
		}
	}
	/* To repeat a run the server has to be where it was. */
	struct experiment_words *words = &server->words;
	free(words->items[3]);
	words->items[3] = strdup(server->address);
	return words->items[3] ? 0 : -1;
}

int server_begin(struct experiment *experiment, char error[static EXPERIMENT_ERROR_BYTES_MAX])
{
	struct experiment_server *server = &experiment->server;
	char path[sizeof server->folder + 16];
	if (experiment->settings.url)
		return 0;
	snprintf(server->folder, sizeof server->folder, "%s/simulator", experiment->settings.out);
	if (files_folder(server->folder, error) < 0)
		return -1;
	snprintf(path, sizeof path, "%s/address", server->folder);
	unlink(path); /* an earlier one's */
	snprintf(path, sizeof path, "%s/log", server->folder);
	server_words(experiment);
	if (child_start(&server->child, &server->words, path,
			experiment->pinned ? &experiment->server_cpus : NULL, error) < 0)
		return -1;
	return server_await(experiment, path, error);
}

void server_end(struct experiment_server *server)
{
	child_stop(&server->child);
	words_finish(&server->words);
}
