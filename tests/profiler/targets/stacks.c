/* SPDX-License-Identifier: Apache-2.0
 *
 * Stacks that are hard to walk, one after the other: decoders in assembler, large and realigned frames,
 * signal handlers, new threads, a library that is loaded late, PLT stubs, the vdso, vfork.
 *
 * usage: stacks MS PLUGIN CASE...   (milliseconds of CPU in each case; PLUGIN: a library to dlopen)
 */
#include "plugin.h"

#include <alloca.h>
#include <dlfcn.h>
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <zlib.h>

#define PLAIN_BYTES 300000
#define BIG_FRAME_BYTES 90000

static unsigned char plain[PLAIN_BYTES], packed[PLAIN_BYTES], unpacked[PLAIN_BYTES];
static size_t packed_bytes;
static uint64_t each_ns;
static const char *plugin_path;
static volatile uint64_t sink; /* results go here, so that they are wanted */
static volatile sig_atomic_t handled;

static void prepare(void)
{
	static const char *const words[] = { "GET ",  "/index.html ", "HTTP/1.1 ", "200 ",
					     "deny ", "alert ",	      "\r\n" };
	uint64_t random = 88172645463325252ull;
	size_t at = 0;
	while (at < PLAIN_BYTES - 32)
		at += (size_t)snprintf((char *)plain + at, 32, "%s%llx", words[draw(&random) % 7],
				       (unsigned long long)(draw(&random) % 4096));
	uLongf bytes = sizeof packed;
	if (compress2(packed, &bytes, plain, PLAIN_BYTES, 6) != Z_OK)
		fail("compress2");
	packed_bytes = bytes;
}

KEPT static uint64_t burn(uint64_t x)
{
	return chain(x, 40000);
}

KEPT static void isal_case(void)
{
	struct inflate_state state; /* 87 KB */
	isal_inflate_init(&state);
	state.crc_flag = ISAL_ZLIB;
	state.next_in = packed;
	state.avail_in = (uint32_t)packed_bytes;
	state.next_out = unpacked;
	state.avail_out = PLAIN_BYTES;
	if (isal_inflate(&state) != ISAL_DECOMP_OK || memcmp(plain, unpacked, PLAIN_BYTES) != 0)
		fail("isal_inflate");
}

KEPT static void libdeflate_case(void)
{
	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	for (unsigned i = 0; i < 16; i++)
		if (libdeflate_zlib_decompress(decompressor, packed, packed_bytes, unpacked, PLAIN_BYTES,
					       NULL) != LIBDEFLATE_SUCCESS)
			fail("libdeflate");
	libdeflate_free_decompressor(decompressor);
}

KEPT static void zlib_case(void)
{
	uLongf bytes = PLAIN_BYTES;
	if (uncompress(unpacked, &bytes, packed, packed_bytes) != Z_OK)
		fail("uncompress");
}

KEPT static void big_frame_case(void)
{
	volatile unsigned char frame[BIG_FRAME_BYTES];
	frame[0] = frame[BIG_FRAME_BYTES - 1] = 1;
	sink = burn(frame[0] + sink) + frame[BIG_FRAME_BYTES - 1];
}

KEPT static void alloca_case(void)
{
	volatile unsigned char *frame = alloca(1000 + sink % 5000);
	frame[0] = 1;
	sink = burn(frame[0] + sink) + frame[0];
}

/* A frame that is aligned to 64 bytes: rbp holds on to the caller's. */
KEPT static void realigned_case(void)
{
	_Alignas(64) volatile unsigned char frame[256];
	frame[0] = 1;
	sink = burn(frame[0] + sink) + frame[0];
}

/* With arguments on the stack and a size of its own the compiler needs a second register to find them, and
 * describes the frame with an expression. */
KEPT static uint64_t realigned_arguments(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
					 uint64_t f, uint64_t g, uint64_t h)
{
	_Alignas(64) volatile unsigned char frame[256];
	volatile unsigned char *more = alloca(64 + g % 64);
	frame[0] = more[0] = 1;
	return burn(a + b + c + d + e + f) + frame[0] + more[0] + g + h;
}

KEPT static void realigned_arguments_case(void)
{
	sink = realigned_arguments(sink, 2, 3, 4, 5, 6, 7, 8) + 1;
}

KEPT static void on_signal(int number)
{
	(void)number;
	handled++;
	sink = burn(sink);
}

KEPT static uint64_t interrupted(uint64_t x)
{
	int seen = handled;
	while (handled == seen)
		x = chain(x, 100);
	return x;
}

static void handle(int number, int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags | SA_RESTART };
	if (sigaction(number, &action, NULL))
		fail("sigaction");
}

/* The handler is called from within a system call ... */
KEPT static void raise_case(void)
{
	handle(SIGUSR1, 0);
	raise(SIGUSR1);
}

/* ... and in the middle of a function that does not call anything. */
KEPT static void interrupt_case(void)
{
	/* Again and again: the first one may come before interrupted() waits for it. */
	struct itimerval soon = { .it_value = { 0, 200 }, .it_interval = { 0, 2000 } };
	struct itimerval never = { 0 };
	handle(SIGALRM, 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	sink = interrupted(sink);
	setitimer(ITIMER_REAL, &never, NULL);
}

KEPT static void alternate_stack_case(void)
{
	static unsigned char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	if (sigaltstack(&alternate, NULL))
		fail("sigaltstack");
	handle(SIGUSR2, SA_ONSTACK);
	raise(SIGUSR2);
}

KEPT static void *thread_body(void *argument)
{
	for (unsigned i = 0; i < 20; i++)
		sink = burn(sink);
	return argument;
}

KEPT static void thread_case(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, thread_body, NULL))
		fail("pthread_create");
	pthread_join(thread, NULL);
}

KEPT static void dlopen_case(void)
{
	static uint64_t (*entry)(uint64_t);
	if (!entry) {
		void *library = dlopen(plugin_path, RTLD_NOW);
		void *address = library ? dlsym(library, "plugin_entry") : NULL;
		if (!address) {
			fprintf(stderr, "%s\n", dlerror());
			_exit(1);
		}
		memcpy(&entry, &address, sizeof entry);
	}
	sink = entry(sink) + 1;
}

KEPT static void plt_case(void)
{
	uint64_t x = sink;
	for (unsigned i = 0; i < 20000; i++)
		x = plugin_small(x);
	sink = x;
}

KEPT static void vdso_case(void)
{
	for (unsigned i = 0; i < 2000; i++)
		sink = clock_ns(CLOCK_MONOTONIC);
}

/* The child runs on its parent's stack. */
KEPT static void vfork_case(void)
{
	pid_t child = vfork();
	if (child == 0) {
		for (unsigned i = 0; i < 4000; i++)
			sink = burn(sink);
		_exit(0);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		fail("vfork");
}

/* `once`: a case that burns no CPU of this process. */
static const struct {
	const char *name;
	void (*step)(void);
	unsigned once;
} cases[] = {
	{ "isal", isal_case, 0 },
	{ "libdeflate", libdeflate_case, 0 },
	{ "zlib", zlib_case, 0 },
	{ "big_frame", big_frame_case, 0 },
	{ "alloca", alloca_case, 0 },
	{ "realigned", realigned_case, 0 },
	{ "realigned_arguments", realigned_arguments_case, 0 },
	{ "raise", raise_case, 0 },
	{ "interrupt", interrupt_case, 0 },
	{ "alternate_stack", alternate_stack_case, 0 },
	{ "thread", thread_case, 0 },
	{ "dlopen", dlopen_case, 0 },
	{ "plt", plt_case, 0 },
	{ "vdso", vdso_case, 0 },
	{ "vfork", vfork_case, 1 },
};

static int run_case(const char *name)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (strcmp(cases[i].name, name) != 0)
			continue;
		uint64_t end_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + each_ns;
		unsigned steps = 0;
		while (cases[i].once ? steps++ < cases[i].once : clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end_ns)
			cases[i].step();
		return 0;
	}
	fprintf(stderr, "stacks: there is no case \"%s\"\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	each_ns = strtoull(argv[1], NULL, 10) * 1000000;
	plugin_path = argv[2];
	prepare();
	for (int i = 3; i < argc; i++)
		if (run_case(argv[i]))
			return 2;
	return 0;
}
