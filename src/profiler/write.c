/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of samples: CPU, off-CPU, page faults. Value types, periods and units as Go writes them.
 */
#include <inttypes.h>

#include "profiler/writer.h"

static void writer_samples(struct writer *writer, unsigned kinds)
{
	const struct samples *samples = &writer->profiler->samples;
	uint32_t ids[WRITER_FRAMES_MAX];
	struct pprof_label labels[PPROF_LABELS_MAX];
	for (size_t i = 0; i < samples->count; i++) {
		const struct record *record = samples->records[i];
		if (!(kinds >> record->kind & 1))
			continue;
		int64_t values[] = { (int64_t)record->count, (int64_t)record->weight };
		size_t frames = writer_stack(writer, record, ids);
		size_t label_count = writer_record_labels(writer, record, labels);
		pprof_add_sample(writer->profile, ids, frames, labels, label_count, values);
	}
}

/* A file of one kind of time or count: `samples` and `type`, in the order that readers expect. */
static void samples_begin(struct writer *writer, struct profiler *profiler, const char *type,
			  const char *unit, int64_t period)
{
	writer_begin(writer, profiler);
	pprof_add_value_type(writer->profile, "samples", "count");
	pprof_add_value_type(writer->profile, type, unit);
	writer_period(writer, type, unit, period);
	writer->profile->time_ns = profiler->window_start_unix_ns;
	writer->profile->duration_ns = profiler->window_ns;
	writer_comment_stacks(writer);
}

int profiler_write_cpu(struct profiler *profiler, const char *path,
		       char error[static PROFILER_ERROR_BYTES_MAX])
{
	struct writer writer;
	samples_begin(&writer, profiler, "cpu", "nanoseconds", 1000000000 / (int64_t)profiler->options.hz);
	writer_comment(&writer, "event: %s at %u Hz; weights are the periods that passed",
		       profiler->cpu_event_name, profiler->options.hz);
	writer_comment(&writer, "not sampled: %.3f s of CPU of threads that ended before their first sample",
		       (double)counter_read(profiler, COUNTER_UNSAMPLED_NS) / 1e9);
	writer_samples(&writer, 1u << RECORD_CPU);
	return writer_end(&writer, path, error);
}

int profiler_write_off_cpu(struct profiler *profiler, const char *path,
			   char error[static PROFILER_ERROR_BYTES_MAX])
{
	struct writer writer;
	samples_begin(&writer, profiler, "off_cpu", "nanoseconds", PROFILER_OFF_CPU_RATE_NS);
	writer_comment(&writer,
		       "off the CPU: one sample per %d ns of waiting; switches=%" PRIu64 " walked=%" PRIu64,
		       PROFILER_OFF_CPU_RATE_NS, counter_read(profiler, COUNTER_SWITCHES),
		       counter_read(profiler, COUNTER_SWITCH_WALKS));
	writer_samples(&writer, 1u << RECORD_BLOCKED | 1u << RECORD_RUNQUEUE);
	return writer_end(&writer, path, error);
}

int profiler_write_faults(struct profiler *profiler, const char *path,
			  char error[static PROFILER_ERROR_BYTES_MAX])
{
	struct writer writer;
	samples_begin(&writer, profiler, "faults", "count", 1);
	/* Of all the time, not of the window. */
	writer.profile->time_ns = profiler->attach_unix_ns;
	writer.profile->duration_ns = profiler->detach_ns - profiler->attach_ns;
	writer_comment(&writer, "page faults of user and kernel, counted: %" PRIu64 "; sampled by count",
		       profiler->page_faults);
	writer_samples(&writer, 1u << RECORD_FAULT);
	return writer_end(&writer, path, error);
}
