/* SPDX-License-Identifier: Apache-2.0
 *
 * The page's flame graphs, and what ran: configuration, host, streams, files.
 */
#include "report/flame.h"
#include "report/page.h"
#include "report/pictures.h"
#include "report/text.h"

static void write_keys(const struct page *page)
{
	fputs("<p class=\"key\">", page->out);
	for (unsigned kind = 0; kind < FRAME_LABEL; kind++)
		fprintf(page->out, "<span><i class=\"dot %s\"></i>%s</span>", frame_kind_class(kind),
			frame_kind_title(kind));
	fputs("<span><i class=\"dot own i\"></i>lighter: inlined</span></p>\n", page->out);
}

void page_flames(const struct page *page)
{
	page_section(page, "flames", "Flame graphs");
	fputs("<p class=\"hint\">Width is share; a function stands on its caller (below it, for memory). "
	      "Click to zoom, Ctrl-F over a graph to search, "
	      "Escape to go back.</p>\n",
	      page->out);
	write_keys(page);
	for (size_t i = 0; i < PICTURE_COUNT; i++) {
		struct picture_of_run picture;
		int there = picture_of(page, i, &picture);
		fprintf(page->out, "<figure id=\"%s\"><figcaption><h3>%s</h3></figcaption>\n", picture.id,
			picture.options.title);
		if (there) {
			fputs("<div class=\"graph\">\n", page->out);
			flame_write_element(page->profiles[picture.source].profile, &picture.options,
					    page->out);
			fputs("</div>\n", page->out);
		} else {
			page_missing(page, picture.missing);
		}
		fputs("</figure>\n", page->out);
	}
	page_section_end(page);
}

/* ---- What ran ---- */

static void write_pairs(const struct page *page, const char *title, const struct run_pairs *pairs)
{
	if (!pairs->count)
		return;
	fprintf(page->out, "<div><h3>%s</h3><dl class=\"facts\">\n", title);
	for (size_t i = 0; i < pairs->count; i++) {
		fputs("<div><dt>", page->out);
		page_text(page, pairs->items[i].key);
		fputs("</dt><dd>", page->out);
		page_text(page, pairs->items[i].text);
		fputs("</dd></div>\n", page->out);
	}
	fputs("</dl></div>\n", page->out);
}

static void text_cell(const struct page *page, const char *text)
{
	fputs("<td class=\"text\">", page->out);
	page_text(page, text);
	fputs("</td>", page->out);
}

static void count_cell(const struct page *page, int64_t number)
{
	char text[TEXT_BYTES_MAX];
	fprintf(page->out, "<td>%s</td>", number == RUN_ABSENT ? "\u2013" : text_count(number, text));
}

static void write_streams(const struct page *page)
{
	const struct run_record *run = page->run;
	char text[TEXT_BYTES_MAX];
	if (!run->stream_count)
		return;
	fputs("<h3>Streams</h3><div class=\"scroll\"><table><thead><tr><th>configId</th><th "
	      "class=\"text\">ended</th><th>events</th><th>received</th>"
	      "<th>connections</th><th>cut pages</th><th>retries</th><th class=\"text\">TLS</th><th "
	      "class=\"text\">error</th></tr></thead><tbody>\n",
	      page->out);
	for (size_t i = 0; i < run->stream_count; i++) {
		const struct run_stream *stream = &run->streams[i];
		fputs("<tr><th scope=\"row\">", page->out);
		page_text(page, stream->config_id);
		fputs("</th>", page->out);
		text_cell(page, stream->end_reason);
		count_cell(page, stream->events);
		fprintf(page->out, "<td>%s</td>",
			stream->received_bytes < 0 ? "\u2013"
						   : text_bytes((double)stream->received_bytes, text));
		count_cell(page, stream->connections);
		count_cell(page, stream->truncations);
		count_cell(page, stream->retries);
		text_cell(page, stream->tls);
		text_cell(page, stream->error);
		fputs("</tr>\n", page->out);
	}
	fputs("</tbody></table></div>\n", page->out);
}

static void write_files(const struct page *page)
{
	fputs("<div><h3>Files</h3><dl class=\"facts\">\n", page->out);
	for (int i = 0; i < PAGE_SOURCE_COUNT; i++) {
		const struct page_profile *source = &page->profiles[i];
		fprintf(page->out, "<div><dt><code>%s</code></dt><dd>", source->name);
		if (source->profile)
			fprintf(page->out, "%zu stacks", source->profile->sample_count);
		else
			fputs(*source->problem ? "damaged" : "not there", page->out);
		fputs("</dd></div>\n", page->out);
	}
	fputs("</dl><p class=\"hint\">They open in <code>go tool pprof</code>, speedscope, Parca and "
	      "Pyroscope.</p></div>\n",
	      page->out);
}

void page_run(const struct page *page)
{
	page_section(page, "run", "The run");
	write_streams(page);
	fputs("<div class=\"three\">\n", page->out);
	write_pairs(page, "Configuration", &page->run->configuration);
	write_pairs(page, "Host", &page->run->host);
	write_files(page);
	fputs("</div>\n", page->out);
	page_section_end(page);
}
