/* SPDX-License-Identifier: Apache-2.0
 *
 * What the JSON writers of cli (the files *_json.c, the only ones that name json-c) share. Format: README.md,
 * "run.json". Internal to cli.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <json-c/json.h>
#include <stdint.h>

#define RUN_JSON_VERSION 1

/* Whatever is no UTF-8 becomes '?': JSON holds nothing else (RFC 8259), but names and command lines may. */
struct json_object *json_new_text(const char *text);
void json_add_text(struct json_object *object, const char *key, const char *text);
void json_add_number(struct json_object *object, const char *key, uint64_t value);
void json_add_switch(struct json_object *object, const char *key, int value);
void json_add_seconds(struct json_object *object, const char *key, int64_t ns);
void json_add_double(struct json_object *object, const char *key, double value);
/* The whole as indented text, on the heap; gives `object` back. */
char *json_text(struct json_object *object);
/* Moves "profile" and "profiles" of a profile_json() text (NULL: none) into `document`. */
void json_add_profile(struct json_object *document, const char *profile_text);
/* Kernel, machine, CPUs. */
void json_add_host(struct json_object *object, long cpus_online);

#endif
