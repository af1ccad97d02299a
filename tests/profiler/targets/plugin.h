/* SPDX-License-Identifier: Apache-2.0
 *
 * See plugin.c.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include "target.h"

uint64_t plugin_entry(uint64_t x);
uint64_t plugin_small(uint64_t x);

#endif
