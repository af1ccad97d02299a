/* SPDX-License-Identifier: Apache-2.0
 *
 * akamai-prof-simulator, which "akamai-prof simulate" runs: a SIEM API that plays the far end. It is a
 * program of its own because it uses OpenSSL, which cannot share a process with BoringSSL, and it encodes
 * with reference libraries only: a decoder and an encoder of one hand would share their mistakes.
 */
#define _GNU_SOURCE
#include "simulator/certificate.h"
#include "simulator/prepare.h"
#include "simulator/server.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define RECORD_WAIT_MS 500 /* how long SIGUSR1 waits for answers under way */
#define ROOM_WAIT_MS 20	   /* how often a full server looks for room */

/* INT, TERM and USR1 are read from a descriptor; no thread gets them. */
static int signals_open(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int file_save(const char *path, const struct text *text, unsigned mode)
{
	int result = path ? text_save(text, path, mode) : 0;
	if (result < 0)
		fprintf(stderr, "akamai-prof simulate: cannot write %s: %s\n", path, strerror(-result));
	return result;
}

/* The files and the line that tell others where to ask, and with what credentials. */
static int announce(const struct server *server)
{
	const struct options *options = server->options;
	struct text edgerc = { 0 }, port = { 0 };
	text_format(&edgerc,
		    "[default]\nhost = %s\nclient_token = %s\nclient_secret = %s\naccess_token = %s\n",
		    server->address, options->client_token, options->client_secret, options->access_token);
	text_format(&port, "%s\n", server->address);
	int result =
		file_save(options->edgerc_out, &edgerc, 0600) | file_save(options->port_file, &port, 0644);
	printf("listening %s://%s\n", server->tls ? "https" : "http", server->address);
	fflush(stdout);
	text_finish(&edgerc);
	text_finish(&port);
	return result;
}

/* Who has just received an answer expects it in the truth: gives threads that are about to record one a
 * moment. */
static void records_wait(const struct server *server)
{
	for (int i = 0; i < RECORD_WAIT_MS; i++) {
		if (__atomic_load_n(&server->requests_begun, __ATOMIC_ACQUIRE) ==
		    __atomic_load_n(&server->request_count, __ATOMIC_ACQUIRE))
			return;
		struct timespec nap = { .tv_nsec = 1000000 };
		nanosleep(&nap, NULL);
	}
}

static void serve(struct server *server, int signal_fd)
{
	struct signalfd_siginfo signal_info;
	for (;;) {
		int room = server_has_room(server);
		struct pollfd poll_fds[] = {
			{ .fd = signal_fd, .events = POLLIN },
			{ .fd = room ? server->listen_fd : -1, .events = POLLIN },
		};
		if (poll(poll_fds, 2, room ? -1 : ROOM_WAIT_MS) < 0)
			continue;
		if (poll_fds[1].revents & POLLIN)
			server_accept(server);
		if (!(poll_fds[0].revents & POLLIN) ||
		    read(signal_fd, &signal_info, sizeof signal_info) != sizeof signal_info)
			continue;
		if (signal_info.ssi_signo != SIGUSR1)
			return;
		records_wait(server);
		truth_save(&server->truth);
	}
}

static int server_run(struct server *server, int signal_fd)
{
	const struct options *options = server->options;
	if (!options->plain) {
		server->tls = certificate_context_new(options);
		server->method = connection_method_new();
		if (!server->tls || !server->method)
			return 1;
	}
	if (truth_start(&server->truth, options, &server->feeds, &server->stop) < 0 ||
	    server_listen(server) < 0)
		return 1;
	struct prepare prepare;
	prepare_start(&prepare, &server->blocks, &server->feeds, &server->stop);
	int result = announce(server) < 0;
	if (result == 0)
		serve(server, signal_fd);
	server_stop(server);
	result |= truth_save(&server->truth) < 0;
	prepare_finish(&prepare);
	truth_finish(&server->truth);
	return result;
}

static int simulate(struct options *options)
{
	struct server *server = memory_take(sizeof *server);
	int signal_fd = signals_open();
	server->options = options;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->idle, NULL);
	faults_start(&server->faults, options->faults, options->fault_count);
	const struct fault_plan *skew = faults_find(&server->faults, TROUBLE_CLOCK_SKEW);
	server->clock_shift_ns = skew ? skew->number : 0;
	feeds_start(&server->feeds, options, server_now_ns(server));
	for (size_t i = 0; i < options->configs.count; i++) {
		struct feed *feed;
		feed_find(&server->feeds, options->configs.ids[i], &feed);
	}
	blocks_start(&server->blocks, options);
	gate_start(&server->gate, options);
	int result = server_run(server, signal_fd);
	gate_finish(&server->gate);
	blocks_finish(&server->blocks);
	feeds_finish(&server->feeds);
	SSL_CTX_free(server->tls);
	BIO_meth_free(server->method);
	free(server);
	close(signal_fd);
	return result;
}

int main(int argc, char **argv)
{
	struct options *options = memory_take(sizeof *options);
	enum options_result parsed = options_parse(options, argc, argv);
	int result = parsed == OPTIONS_WRONG ? 2 : 0;
	if (parsed == OPTIONS_RUN)
		result = simulate(options);
	free(options);
	return result;
}
