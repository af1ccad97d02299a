/* SPDX-License-Identifier: Apache-2.0
 *
 * A library for stacks.c, which loads one copy of it while it runs, and calls a small function of the other
 * through its PLT.
 */
#include "plugin.h"

KEPT static uint64_t plugin_burn(uint64_t x)
{
	return chain(x, 40000);
}

uint64_t plugin_entry(uint64_t x)
{
	return plugin_burn(x) + 1;
}

uint64_t plugin_small(uint64_t x)
{
	return x * 3 + 1;
}
