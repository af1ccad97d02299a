/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's TLS set-up, with its own certificate when none is given. Called once at the start.
 */
#ifndef SIMULATOR_CERTIFICATE_H
#define SIMULATOR_CERTIFICATE_H

#include "simulator/options.h"

#include <openssl/ssl.h>

/* Returns NULL after saying why on stderr. Free with SSL_CTX_free(). */
SSL_CTX *certificate_context_new(const struct options *options);

#endif
