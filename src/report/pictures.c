/* SPDX-License-Identifier: Apache-2.0 */
#include "report/pictures.h"

#include <string.h>

#include "report/text.h"

/* The stage where there are stages; else the thread where there are several. NULL: no row. */
static const char *lowest_row(const struct pprof *profile, const char *wanted)
{
	const char *thread = NULL;
	int threads_differ = 0;
	for (size_t i = 0; i < profile->sample_count; i++) {
		const char *text = pprof_label_text(profile, &profile->samples[i], wanted);
		if (text && strcmp(text, "none") != 0)
			return wanted;
		const char *other = pprof_label_text(profile, &profile->samples[i], "thread");
		if (other && thread)
			threads_differ |= strcmp(other, thread) != 0;
		thread = thread ? thread : other;
	}
	return threads_differ ? "thread" : NULL;
}

static void add(char subtitle[static PICTURES_SUBTITLE_BYTES_MAX], const char *before, const char *text,
		const char *behind)
{
	size_t used = strlen(subtitle);
	snprintf(subtitle + used, PICTURES_SUBTITLE_BYTES_MAX - used, "%s%s%s%s", used ? "; " : "", before,
		 text, behind);
}

static void describe(const struct page *page, struct picture_of_run *picture)
{
	const struct pprof *profile = page->profiles[picture->source].profile;
	const struct run_profile *run = &page->run->profile;
	const struct pprof_value_type *type = &profile->value_types[picture->options.value_index];
	int in_window = picture->source == PAGE_CPU || picture->source == PAGE_OFF_CPU;
	char text[TEXT_BYTES_MAX], *subtitle = picture->subtitle;
	add(subtitle, "",
	    text_value((double)pprof_total(profile, picture->options.value_index),
		       pprof_text(profile, type->unit), text),
	    " in all");
	if (in_window && page->window_seconds > 0)
		add(subtitle, "window of ", text_duration(page->window_seconds * 1e9, text), "");
	if (picture->source == PAGE_CPU && run->cpu_samples > 0)
		add(subtitle, "", text_count(run->cpu_samples, text), " samples");
	if (picture->source == PAGE_CPU && run->stacks_user > 0 && run->stacks_complete >= 0)
		add(subtitle, "", text_share((double)run->stacks_complete, (double)run->stacks_user, text),
		    " of the user stacks complete");
	if (picture->options.label)
		add(subtitle, "first row by ", picture->options.label, "");
	picture->options.subtitle = subtitle;
}

int picture_of(const struct page *page, size_t index, struct picture_of_run *ret_picture)
{
	static const struct {
		const char *id, *file_name, *title, *type, *label, *missing;
		enum page_source source;
	} kinds[PICTURE_COUNT] = {
		{ "flame-cpu", "cpu.svg", "CPU", "cpu", "stage",
		  "There is no CPU profile (cpu_mid.pprof or cpu.pprof).", PAGE_CPU },
		{ "flame-offcpu", "offcpu.svg", "Off CPU", "off_cpu", "state",
		  "There is no off-CPU profile (offcpu_mid.pprof or offcpu.pprof).", PAGE_OFF_CPU },
		{ "flame-alloc", "heap.svg", "Allocated bytes", "alloc_space", "stage",
		  "There is no heap profile (heap_end.pprof or heap.pprof).", PAGE_HEAP_END },
		{ "flame-inuse", NULL, "Bytes in use at the end", "inuse_space", "stage",
		  "There is no heap profile (heap_end.pprof or heap.pprof).", PAGE_HEAP_END },
		{ "flame-faults", NULL, "Page faults", "page_faults", "stage",
		  "There is no profile of page faults (faults.pprof).", PAGE_FAULTS },
		{ "flame-mapped", NULL, "Mapped at the end", "inuse_space", "stage",
		  "There is no profile of mappings (mappings.pprof).", PAGE_MAPPINGS },
	};
	const struct pprof *profile = page->profiles[kinds[index].source].profile;
	int value = page_value(page, kinds[index].source, kinds[index].type);
	if (kinds[index].source == PAGE_CPU)
		value = page_cpu_value(page);
	else if (kinds[index].source == PAGE_OFF_CPU)
		value = page_off_cpu_value(page);
	else if (kinds[index].source == PAGE_FAULTS)
		value = page_faults_value(page);
	*ret_picture = (struct picture_of_run){
		.id = kinds[index].id,
		.file_name = kinds[index].file_name,
		.missing = kinds[index].missing,
		.source = kinds[index].source,
		.options = { .title = kinds[index].title, .subtitle = "", .value_index = value },
	};
	if (value < 0)
		return 0;
	ret_picture->options.label = lowest_row(profile, kinds[index].label);
	describe(page, ret_picture);
	return 1;
}
