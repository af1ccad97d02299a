/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads each program of an eBPF object alone, so that a kernel whose verifier refuses one of them names it
 * and says why. TAP. Loading only: what the programs find is tested with the profiler itself.
 *
 * usage: load_programs OBJECT_FILE
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_BYTES (16 << 20) /* a refused program's log ends with the reason; libbpf keeps the log's end */
#define LOG_LINES_SHOWN 25
#define PROGRAMS_MAX 256

static int say_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static void show_end(const char *log)
{
	const char *from = log + strlen(log);
	for (int lines = 0; from > log; from--)
		if (from[-1] == '\n' && ++lines > LOG_LINES_SHOWN)
			break;
	while (*from) {
		size_t length = strcspn(from, "\n");
		printf("# %.*s\n", (int)length, from);
		from += length + (from[length] == '\n');
	}
}

/* The program behind session links is for kernels that have them; the profiler leaves it out elsewhere. */
#define SESSION_PROGRAM "on_allocator"
#define SESSION_ATTACH_TYPE 57 /* BPF_TRACE_UPROBE_SESSION */

static int kernel_has_sessions(void)
{
	struct btf *types = btf__load_vmlinux_btf();
	int id = btf__find_by_name_kind(types, "bpf_attach_type", BTF_KIND_ENUM);
	const struct btf_type *attach_types = id < 0 ? NULL : btf__type_by_id(types, (unsigned)id);
	int found = 0;
	for (unsigned i = 0; attach_types && i < btf_vlen(attach_types); i++)
		found |= strcmp(btf__name_by_offset(types, btf_enum(attach_types)[i].name_off),
				"BPF_TRACE_UPROBE_SESSION") == 0;
	btf__free(types);
	return found;
}

/* Loads only the program at `index`. 1 when it worked. */
static int load_one(const char *path, size_t index, char *log)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program, *chosen = NULL;
	size_t at = 0;
	if (!object)
		return 0;
	bpf_object__for_each_program(program, object)
	{
		bpf_program__set_autoload(program, at == index);
		chosen = at++ == index ? program : chosen;
	}
	log[0] = '\0';
	if (strcmp(bpf_program__name(chosen), SESSION_PROGRAM) == 0)
		bpf_program__set_expected_attach_type(chosen, (enum bpf_attach_type)SESSION_ATTACH_TYPE);
	bpf_program__set_log_buf(chosen, log, LOG_BYTES);
	bpf_program__set_log_level(chosen, 1);
	int failed = bpf_object__load(object);
	if (failed) {
		printf("# %s: %s\n", bpf_program__section_name(chosen), strerror(-failed));
	} else {
		struct bpf_prog_info info = { 0 };
		unsigned bytes = sizeof info;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(chosen), &info, &bytes) == 0)
			printf("# %s: %u instructions verified, %u bytes of machine code\n",
			       bpf_program__name(chosen), info.verified_insns, info.jited_prog_len);
	}
	bpf_object__close(object);
	return !failed;
}

int main(int argc, char **argv)
{
	char *names[PROGRAMS_MAX], *log = malloc(LOG_BYTES);
	size_t count = 0;
	int failed = 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	libbpf_set_print(say_nothing);
	struct bpf_object *object = argc > 1 ? bpf_object__open_file(argv[1], NULL) : NULL;
	if (!object || !log) {
		printf("1..1\nnot ok 1 - open %s\n", argc > 1 ? argv[1] : "(no object file named)");
		free(log);
		return 1;
	}
	struct bpf_program *program;
	bpf_object__for_each_program(program, object) if (count < PROGRAMS_MAX) names[count++] =
		strdup(bpf_program__name(program));
	bpf_object__close(object);
	printf("1..%zu\n", count);
	int sessions = kernel_has_sessions();
	for (size_t i = 0; i < count; i++) {
		if (!sessions && strcmp(names[i], SESSION_PROGRAM) == 0) {
			printf("ok %zu - load %s # SKIP this kernel has no session links (Linux 6.13)\n",
			       i + 1, names[i]);
			free(names[i]);
			continue;
		}
		int loaded = load_one(argv[1], i, log);
		printf("%sok %zu - load %s\n", loaded ? "" : "not ", i + 1, names[i]);
		if (!loaded)
			show_end(log);
		failed |= !loaded;
		free(names[i]);
	}
	free(log);
	return failed;
}
