/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include "base/check.h"

static const struct {
	const char *name;
	enum fault_class class;
	const char *sentence;
} fault_table[FAULT_COUNT] = {
#define FAULT(name, class, sentence) [FAULT_##name] = { #name, FAULT_CLASS_##class, sentence },
#include "base/faults.def"
#undef FAULT
};

const char *fault_name(enum fault fault)
{
	CHECK_LT((unsigned)fault, (unsigned)FAULT_COUNT);
	return fault_table[fault].name;
}

const char *fault_sentence(enum fault fault)
{
	CHECK_LT((unsigned)fault, (unsigned)FAULT_COUNT);
	return fault_table[fault].sentence;
}

enum fault_class fault_class_of(enum fault fault)
{
	CHECK_LT((unsigned)fault, (unsigned)FAULT_COUNT);
	return fault_table[fault].class;
}
