/* SPDX-License-Identifier: Apache-2.0
 *
 * akamai-prof without a command, and akamai-direct-prof: from the words to one process or two.
 */
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/run.h"
#include "cli/state.h"

static void run_help(int interpreted)
{
	puts(interpreted ? "akamai-prof - collect events with an interpreted program\n"
			   "\n"
			   "usage: akamai-prof [-prog FILE] [flags]          (commands: akamai-prof help)\n"
			   "\n"
			   "Runs a Lua program in a sandbox, one for each stream: it decides what to ask, "
			   "the asking\n"
			   "is native, and every event line goes out untouched and in order. The built-in "
			   "program\n"
			   "polls the Akamai SIEM API. How to write one: src/program/README.md\n"
			   "(installed as share/doc/akamai-prof/programs.md), with examples. Ends with"
			 : "akamai-direct-prof - collect Akamai SIEM events with the native program\n"
			   "\n"
			   "usage: akamai-direct-prof [flags]\n"
			   "\n"
			   "Polls GET {URL}/configs/{configId}, hands every event line on untouched and in "
			   "order, and "
			   "ends with");
	puts("a summary, two closing lines on stderr and a run.json in the -out folder. Credentials come\n"
	     "from YAEGI_HTTP_CLIENT_TOKEN, _CLIENT_SECRET and _ACCESS_TOKEN, from AKAMAI_HOST and the "
	     "other\n"
	     "AKAMAI_* variables, or from ~/.edgerc. Flags take one dash or two; durations are written as in "
	     "Go\n"
	     "(90s, 2m, 1h30m).");
	puts(interpreted ? "\nexamples:\n"
			   "  akamai-prof -config-id 14227 -limit 60000 -duration 2m\n"
			   "  akamai-prof -prog mine.lua -url https://api.example.org/v1/logs -sink stdout"
			 : "\nexamples:\n"
			   "  akamai-direct-prof -config-id 14227 -limit 60000 -duration 2m\n"
			   "  akamai-direct-prof -config-id 14227 -sink stdout -follow -duration 24h | jq -c "
			   ".httpMessage.host");
	puts("  akamai-prof simulate -help        # a local server to try it on");
	flags_print_help(settings_flags, settings_flag_count);
	puts("\nexit status: 0 done, 1 failure, 2 wrong usage");
}

/* root, or file capabilities: more than the collector should have once it reads from the network. */
static int rights_are_there(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	return geteuid() == 0 ||
	       (syscall(SYS_capget, &header, data) == 0 && (data[0].permitted | data[1].permitted) != 0);
}

/* For this process and the collector, until both have ended. 0, or -1 after having said why. */
static int run_lock_states(const struct settings *settings)
{
	char error[STATE_ERROR_BYTES_MAX];
	int code = settings->state ? state_folder(settings->state, error) : 0;
	for (size_t i = 0; settings->state && code == 0 && i < settings->config_count; i++)
		code = state_lock(settings->state, settings->config_ids[i], error) < 0 ? -1 : 0;
	if (code < 0)
		fprintf(stderr, "%s: %s\n", settings->runner, error);
	return code;
}

/* The settings make sense. Two processes where somebody must keep rights that the collector gives up. */
static int run_settled(struct settings *settings)
{
	char error[CONFINE_ERROR_BYTES_MAX];
	int confined = settings->confine == SETTINGS_CONFINE_AUTO;
	int status = 1;
	uid_t uid;
	gid_t gid;
	if (settings->user && geteuid() != 0)
		fprintf(stderr, "%s: -user %s: only root can collect as another user\n", settings->runner,
			settings->user);
	else if (settings->user && confine_find_user(settings->user, &uid, &gid, error) < 0)
		fprintf(stderr, "%s: %s\n", settings->runner, error);
	else if (run_lock_states(settings) < 0)
		status = 1;
	else if (!settings->no_profile || (confined && rights_are_there()))
		status = supervise(settings);
	else
		status = run_collect(settings, NULL);
	settings_finish(settings);
	return status;
}

int run_command(int argc, char **argv, int interpreted)
{
	char error[SETTINGS_ERROR_BYTES_MAX] = "";
	struct settings settings;
	int status = 0;
	switch (settings_gather(argc, argv, interpreted, &settings, error)) {
	case SETTINGS_HELP:
		run_help(interpreted);
		break;
	case SETTINGS_VERSION:
		printf("%s " AKAMAI_PROF_VERSION "\n", settings.runner);
		break;
	case SETTINGS_USAGE:
		fprintf(stderr, "%s: %s\n", settings.runner, error);
		status = 2;
		break;
	case SETTINGS_FAILURE:
		fprintf(stderr, "%s: %s\n", settings.runner, error);
		status = 1;
		break;
	case SETTINGS_OK:
		return run_settled(&settings);
	}
	settings_finish(&settings);
	return status;
}
