/* SPDX-License-Identifier: Apache-2.0
 *
 * The message format: each line becomes {"message":"<line>"} and a line feed. The line end ('\n', and one
 * '\r' before it) is not part of the line. Escapes are those of RFC 8259 section 7 that are required, in
 * their short form where there is one. Each byte that belongs to no well-formed UTF-8 sequence (Unicode,
 * table 3-7) becomes \ufffd, as in Go's encoding/json.
 *
 * A stage (base/span.h): input and output may be split anywhere.
 */
#ifndef SINK_ESCAPE_H
#define SINK_ESCAPE_H

#include "base/span.h"

#define ESCAPE_ROOM_BYTES_MIN 32 /* a push makes progress whenever the output has this much room */

/* Takes clean ASCII, quotes and backslashes from the front, until anything else comes or either side is
 * nearly used up; how near is the kernel's own business, as every byte may also be taken one by one. */
typedef void escape_run(struct cursor_in *lines, struct cursor_out *output);

escape_run escape_run_portable;
/* Null where the processor, or the build's architecture, has no such instructions. */
escape_run *escape_run_avx512(void);

/* Zeroed is the state between two lines, with the portable kernel. */
struct escape {
	escape_run *run;     /* NULL: portable */
	int inside;	     /* the line has been opened */
	unsigned held_bytes; /* of `held`: a '\r' or a UTF-8 sequence cut by the end of the input */
	uint8_t held[4];
};

/* HUNGRY: all input is taken; with `last`, the line is closed too. FULL: call again with more room. */
enum step escape_push(struct escape *escape, struct cursor_in *lines, struct cursor_out *output, int last);

#endif
