/* SPDX-License-Identifier: Apache-2.0
 *
 * What can go wrong on the data path. The list itself is faults.def; rooms return these, only flow
 * acts on the class, only cli turns them into text for a person.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

enum fault {
#define FAULT(name, class, sentence) FAULT_##name,
#include "base/faults.def"
#undef FAULT
	FAULT_COUNT,
};

enum fault_class {
	FAULT_CLASS_NONE,
	FAULT_CLASS_RETRY,   /* ask the same again after a back-off */
	FAULT_CLASS_RESTART, /* the page is incomplete: keep the offset, halve the limit, repeat */
	FAULT_CLASS_STOP,    /* repeating cannot help; end this stream with an error */
};

/* Static strings; never NULL for a valid fault. */
const char *fault_name(enum fault fault);
const char *fault_sentence(enum fault fault);
enum fault_class fault_class_of(enum fault fault);

#endif
