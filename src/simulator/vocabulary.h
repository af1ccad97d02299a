/* SPDX-License-Identifier: Apache-2.0
 *
 * The words that made-up events consist of. Read-only.
 */
#ifndef SIMULATOR_VOCABULARY_H
#define SIMULATOR_VOCABULARY_H

#include <stddef.h>

struct vocabulary_rule {
	const char *id;
	const char *version;
	const char *message;
	const char *tag;
	const char *data;
	const char *selector;
	const char *attack; /* a query that sets the rule off */
};

struct vocabulary_place {
	const char *continent;
	const char *country;
	const char *city;
	const char *region;
	const char *asn;
};

#define VOCABULARY_RULE_COUNT 16
#define VOCABULARY_PLACE_COUNT 24
#define VOCABULARY_HOST_COUNT 12
#define VOCABULARY_PATH_COUNT 24
#define VOCABULARY_AGENT_COUNT 16
#define VOCABULARY_LANGUAGE_COUNT 8

extern const struct vocabulary_rule vocabulary_rules[VOCABULARY_RULE_COUNT];
extern const struct vocabulary_place vocabulary_places[VOCABULARY_PLACE_COUNT];
extern const char *const vocabulary_hosts[VOCABULARY_HOST_COUNT];
extern const char *const vocabulary_paths[VOCABULARY_PATH_COUNT];
extern const char *const vocabulary_agents[VOCABULARY_AGENT_COUNT];
extern const char *const vocabulary_languages[VOCABULARY_LANGUAGE_COUNT];

#endif
