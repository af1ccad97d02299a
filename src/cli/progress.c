/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress: one line written over on a terminal, plain lines otherwise; and notices between them.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/run.h"

static void line_remove(struct run *run)
{
	if (run->progress_shown && run->terminal)
		fputs("\r\033[K", stderr);
	run->progress_shown = 0;
}

void progress_clear(struct run *run)
{
	pthread_mutex_lock(&run->print_lock);
	line_remove(run);
	pthread_mutex_unlock(&run->print_lock);
}

static double per_second(uint64_t now, uint64_t before, double seconds)
{
	return (double)(now - before) / seconds;
}

static void progress_lag(const struct run_totals *totals, char *text, size_t size)
{
	int64_t lag_seconds = (clock_unix_ns() / NS_PER_MS - totals->last_event_unix_ms) / 1000;
	if (totals->last_event_unix_ms == 0)
		snprintf(text, size, "-");
	else if (lag_seconds < 120)
		snprintf(text, size, "%" PRId64 "s", lag_seconds);
	else if (lag_seconds < 7200)
		snprintf(text, size, "%" PRId64 "m", lag_seconds / 60);
	else
		snprintf(text, size, "%" PRId64 "h%02" PRId64 "m", lag_seconds / 3600, lag_seconds / 60 % 60);
}

void progress_show(struct run *run, int64_t now_ns)
{
	int64_t every_ns = run->terminal ? PROGRESS_TERMINAL_NS : PROGRESS_PLAIN_NS;
	if (run->settings->quiet || now_ns - run->shown_ns < every_ns)
		return;
	struct run_totals totals;
	run_sum(run, &totals);
	double seconds = (double)(now_ns - run->shown_ns) / 1e9;
	char lag[32];
	progress_lag(&totals, lag, sizeof lag);
	pthread_mutex_lock(&run->print_lock);
	if (run->terminal)
		fputs("\r\033[K", stderr);
	fprintf(stderr,
		"%6.1fs  %" PRIu64 " events  %.0f events/s  in %.1f MB/s  out %.1f MB/s  %" PRIu64
		" pages  lag %s%s",
		(double)(now_ns - run->start_ns) / 1e9, totals.events,
		per_second(totals.events, run->shown.events, seconds),
		per_second(totals.received_bytes, run->shown.received_bytes, seconds) / 1e6,
		per_second(totals.event_bytes, run->shown.event_bytes, seconds) / 1e6, totals.requests, lag,
		run->terminal ? "" : "\n");
	fflush(stderr);
	run->progress_shown = 1;
	pthread_mutex_unlock(&run->print_lock);
	run->shown = totals;
	run->shown_ns = now_ns;
}

void progress_notice(void *owner, enum flow_severity severity, const char *config_id, const char *text)
{
	static const char *const words[] = { "note", "warning", "error" };
	struct run *run = owner;
	char clock_text[16];
	time_t now = (time_t)(clock_unix_ns() / NS_PER_SECOND);
	struct tm parts;
	pthread_mutex_lock(&run->print_lock);
	line_remove(run);
	run->notices++;
	strftime(clock_text, sizeof clock_text, "%H:%M:%S", localtime_r(&now, &parts));
	/* The plan's sentences name the configId themselves; some are about all of them. */
	int named = !config_id || strncmp(text, "configId", 8) == 0;
	fprintf(stderr, "%s %s: %s%s%s%s\n", clock_text, words[severity], named ? "" : "configId ",
		named ? "" : config_id, named ? "" : ": ", text);
	pthread_mutex_unlock(&run->print_lock);
}
