/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends a page's body in the ordered framing, pace and kind of trouble.
 */
#ifndef SIMULATOR_BODY_H
#define SIMULATOR_BODY_H

#include "simulator/connection.h"
#include "simulator/page.h"

/* `framing` may differ from the options' for an HTTP/1.0 client. Returns 0 when all was sent, or -1 when the
 * connection is of no more use (also when that was the fault's purpose). */
int body_send(struct connection *connection, const struct options *options, const struct page *page,
	      enum framing framing, const struct fault_plan *plan);

#endif
