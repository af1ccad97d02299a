/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run opens before it begins, and what it gives up then.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/inflate_command.h"
#include "cli/run.h"
#include "cli/state.h"

static struct flow_server run_server(const struct settings_server *server)
{
	return (struct flow_server){
		.host = server->host,
		.port = server->port,
		.authority = server->authority,
		.secure = server->secure,
	};
}

/* Without it a profile has no functions of programs: no reason to end. */
static void run_symbols(void *owner, const char *text, size_t bytes)
{
	const struct run *run = owner;
	link_send(run->link, LINK_SYMBOLS, 0, text, bytes, -1);
}

static void run_flow_settings(const struct settings *settings, struct run *run, struct tls_context *tls,
			      struct flow_settings *ret)
{
	run->servers[0] = run_server(&settings->server);
	for (size_t i = 0; i < settings->allowed_count; i++)
		run->servers[i + 1] = run_server(&settings->allowed[i]);
	*ret = (struct flow_settings){
		.program = settings->interpreted ? &settings->program : NULL,
		.program_variables = run->variables.entries,
		.program_variable_count = run->variables.count,
		.parse_full = settings->parse == SETTINGS_PARSE_FULL,
		.states = (const char *const *)run->states,
		.servers = run->servers,
		.server_count = settings->allowed_count + 1,
		.tls = tls,
		.credentials = &settings->credentials.edgegrid,
		.headers_to_sign = (const char *const *)settings->header_names,
		.headers_to_sign_count = settings->header_count,
		.user_agent = "akamai-prof/" AKAMAI_PROF_VERSION,
		.config_ids = (const char *const *)settings->config_ids,
		.config_count = settings->config_count,
		.plan = {
			.base_path = settings->base_path,
			.cursor = settings->cursor,
			.limit = settings->limit,
			.from_unix = settings->from_unix,
			.initial_interval_ns = settings->initial_interval_ns,
			.to_lag_ns = settings->to_lag_ns,
			.poll_interval_ns = settings->poll_interval_ns,
			.offset_ttl_ns = settings->offset_ttl_ns,
			.requests_max = settings->max_requests,
			.backoff_ns = settings->backoff_ns,
			.follow = settings->follow,
		},
		.ring = {
			.engine = (enum ring_engine)settings->io,
			.receive_mode = (enum ring_receive_mode)settings->receive,
		},
		.receive_bytes = settings->config_count == 1 ? FLOW_RECEIVE_ALONE_BYTES : 0,
		.sink = settings->sink_options,
		.inflate = inflate_choice(settings->inflate),
		.scan_kernel = settings->scan,
		.identity = settings->identity,
		.budget_ns = settings->poll_timeout_ns,
		.duration_ns = settings->duration_ns,
		.stall_ns = settings->stall_ns,
		.notice = progress_notice,
		.notice_owner = run,
		.stage = run->stage,
		.symbols = run->stage ? run_symbols : NULL,
	};
}

/* Gives up what is not needed from here on: everything is open. */
static int run_confine(struct run *run, char *error)
{
	const struct settings *settings = run->settings;
	if (settings->confine == SETTINGS_CONFINE_OFF) {
		snprintf(run->confinement.note, sizeof run->confinement.note, "switched off by -confine off");
		return 0;
	}
	struct confine_options options = {
		.user = settings->user,
		.write_folders = { run->link ? NULL : settings->out },
		.connect_ports = { (uint16_t)strtoul(settings->server.port, NULL, 10) },
		.ring_threads = fleet_worker_count(run->fleet) > 1,
		.kernel_tls = settings->tls_mode == TLS_MODE_KTLS,
	};
	for (size_t i = 0; i < settings->allowed_count; i++)
		options.connect_ports[i + 1] = (uint16_t)strtoul(settings->allowed[i].port, NULL, 10);
	if (settings->state && !run->link)
		options.write_folders[1] = settings->state;
	tzset(); /* reads /etc/localtime, for the times of notices */
	if (confine_enter(&options, &run->confinement, error) < 0)
		return -1;
	/* A change of user takes it back (prctl(2)). Where that is forbidden by now, run_record() looks. */
	if (run->link)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	return 0;
}

static int any_secure(const struct settings *settings)
{
	int secure = settings->server.secure;
	for (size_t i = 0; i < settings->allowed_count; i++)
		secure |= settings->allowed[i].secure;
	return secure;
}

/* What a program is to find: its variables, and what each stream left of its last run. 0, or -1. */
static int run_open_program(struct run *run, char *error)
{
	const struct settings *settings = run->settings;
	if (settings->interpreted && variables_gather(settings, &run->variables, error) < 0)
		return -1;
	if (!settings->state)
		return 0;
	for (size_t i = 0; i < settings->config_count; i++)
		if (state_read(settings->state, settings->config_ids[i], &run->states[i], error) < 0)
			return -1;
	return 0;
}

int run_open(struct run *run, struct tls_context **tls, char error[static RUN_ERROR_BYTES_MAX])
{
	const struct settings *settings = run->settings;
	struct tls_options tls_options = {
		.mode = (enum tls_mode)settings->tls_mode,
		.versions = (enum tls_version_limit)settings->tls_versions,
		.ca_file = settings->ca_file,
	};
	if (run_open_program(run, error) < 0)
		return -1;
	if (any_secure(settings) && !(*tls = tls_context_create(&tls_options, error)))
		return -1;
	if (!run->link && files_folder(settings->out, error) < 0)
		return -1;
	struct flow_settings flow_settings;
	run_flow_settings(settings, run, *tls, &flow_settings);
	run->fleet = fleet_create(&flow_settings, settings->worker_count, error);
	if (!run->fleet)
		return -1;
	if (!run->link)
		files_remove_stale(settings->out);
	run->status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	run->cpus_online = sysconf(_SC_NPROCESSORS_ONLN);
	return run_confine(run, error);
}
