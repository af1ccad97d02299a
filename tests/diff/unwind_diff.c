/* SPDX-License-Identifier: Apache-2.0
 *
 * The unwinder on real stacks, over the rows of the real objects, against two that we did not write: libgcc's
 * _Unwind_Backtrace() inside this process (threads, signal handlers, large frames), and libdwfl on a child
 * that executes one instruction at a time under ptrace(2), so that prologues, epilogues, lazy binding and
 * signal frames are seen at each of their instructions.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>
#include <zlib.h>

#include "bpf/unwind.h"
#include "profiler/objects.h"
#include "profiler/rows.h"
#include "test.h"

enum { ROWS_MAX = 1 << 21, RULES_MAX = 1 << 15, MAPPINGS_MAX = 512, PAYLOAD_BYTES = 3000 };

static struct unwind_row rows[ROWS_MAX];
static struct unwind_rule rules[RULES_MAX];
static struct unwind_mapping mappings[MAPPINGS_MAX];
static struct unwind_process process;
static struct unwind_walk walk;
static struct rows_table table;
static struct objects *objects;
static pid_t watched;

static UNWIND_ALWAYS_INLINE long unwind_read_user(void *destination, uint32_t bytes, uint64_t address)
{
	struct iovec local = { destination, bytes }, remote = { (void *)(uintptr_t)address, bytes };
	return process_vm_readv(watched, &local, 1, &remote, 1, 0) == (ssize_t)bytes ? 0 : -EFAULT;
}

static UNWIND_ALWAYS_INLINE struct unwind_process *unwind_process_of(uint32_t tgid)
{
	return (pid_t)tgid == watched ? &process : NULL;
}

static UNWIND_ALWAYS_INLINE struct unwind_mapping *unwind_mapping_at(uint32_t index)
{
	return index < MAPPINGS_MAX ? &mappings[index] : NULL;
}

static UNWIND_ALWAYS_INLINE struct unwind_row *unwind_row_at(uint32_t index)
{
	return index < ROWS_MAX ? &rows[index] : NULL;
}

static UNWIND_ALWAYS_INLINE struct unwind_rule *unwind_rule_at(uint32_t index)
{
	return index < RULES_MAX ? &rules[index] : NULL;
}

static UNWIND_ALWAYS_INLINE long unwind_return_probe(uint64_t cursor, struct unwind_return_probe *ret_probe)
{
	(void)cursor;
	(void)ret_probe;
	return -1;
}

static UNWIND_ALWAYS_INLINE long unwind_uprobe_address(uint64_t *ret_address)
{
	(void)ret_address;
	return -1;
}

static void mappings_read(pid_t pid)
{
	static struct map_line line;
	char path[64];
	char *text = NULL;
	size_t text_max = 0;
	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	FILE *file = fopen(path, "re");
	NE(file, NULL);
	watched = pid;
	process = (struct unwind_process){ 0 };
	while (getline(&text, &text_max, file) > 0) {
		if (map_line_parse(text, &line) < 0 || line.permissions[2] != 'x' || line.start >> 63)
			continue;
		struct unwind_mapping *mapping = &mappings[process.mappings_count++];
		*mapping =
			(struct unwind_mapping){ .start = line.start, .end = line.end, .kind = MAPPING_JIT };
		struct object *object = objects_open(objects, pid, &line);
		if (!object)
			continue;
		if (!object->rows_known && rows_of_object(&table, object) == -ENOSPC)
			FAIL("no room for the rows of %s", object->path);
		mapping->kind = MAPPING_OBJECT;
		mapping->bias = object_bias(object, &line);
		mapping->rows_first = object->rows_first;
		mapping->rows_count = object->rows_count;
	}
	free(text);
	fclose(file);
}

static void rig_open(pid_t pid)
{
	if (!objects) {
		objects = objects_create();
		rows_init(&table, rows, ROWS_MAX, rules, RULES_MAX);
	}
	mappings_read(pid);
}

/* ---- Inside this process ---- */

struct trace {
	uint64_t frames[UNWIND_FRAMES_MAX];
	size_t count;
};

static _Unwind_Reason_Code trace_frame(struct _Unwind_Context *context, void *owner)
{
	struct trace *trace = owner;
	uint64_t pc = _Unwind_GetIP(context);
	if (trace->count < UNWIND_FRAMES_MAX && pc)
		trace->frames[trace->count++] = pc;
	return _URC_NO_REASON;
}

static unsigned compared;
static char difference[256]; /* the first one; signal handlers cannot leave the test themselves */

/* The registers of getcontext()'s caller into the walk. */
static void registers_fill(const ucontext_t *context)
{
	static const int order[17] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
				       REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
				       REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP };
	for (size_t i = 0; i < 17; i++)
		walk.registers[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
}

/* This thread's stack by both. Both see the same callers; where exactly in this function differs. */
__attribute__((noinline)) static void compare_here(void)
{
	static struct trace trace;
	ucontext_t context;
	trace.count = 0;
	_Unwind_Backtrace(trace_frame, &trace);
	getcontext(&context);
	registers_fill(&context);
	unwind_stack(&walk, (uint32_t)watched);
	compared++;
	if (difference[0])
		return;
	if (walk.stop != UNWIND_STOP_END && walk.stop != UNWIND_STOP_FRAMES_MAX)
		snprintf(difference, sizeof difference, "stopped by %u after %u of %zu frames", walk.stop,
			 walk.frame_count, trace.count);
	else if (walk.frame_count != trace.count)
		snprintf(difference, sizeof difference, "%u frames against %zu", walk.frame_count,
			 trace.count);
	for (size_t i = 1; i < trace.count && !difference[0]; i++)
		if (walk.frames[i] != trace.frames[i])
			snprintf(difference, sizeof difference, "frame %zu: 0x%llx against 0x%llx", i,
				 (unsigned long long)walk.frames[i], (unsigned long long)trace.frames[i]);
}

static volatile unsigned sink;

__attribute__((noinline)) static void recurse(unsigned depth)
{
	if (depth)
		recurse(depth - 1);
	else
		compare_here();
	sink += depth;
}

__attribute__((noinline)) static void large_frame(void)
{
	volatile uint8_t bytes[90000];
	bytes[sink % 90000] = 1;
	compare_here();
	sink += bytes[5];
}

__attribute__((noinline)) static void realigned_frame(unsigned count)
{
	/* Memory of a size that is not known makes it need bp as well. */
	volatile uint8_t *bytes = __builtin_alloca(count);
	__attribute__((aligned(64))) volatile uint64_t words[8] = { 0 };
	bytes[count / 2] = 1;
	words[sink % 8] = bytes[count / 2];
	compare_here();
	sink += (unsigned)words[3];
}

static int compare_in_callback(const void *a, const void *b)
{
	if (sink++ % 16 == 0)
		compare_here();
	return *(const int *)a - *(const int *)b;
}

static void compare_in_handler(int number)
{
	(void)number;
	recurse(2);
}

static void all_cases(void)
{
	int numbers[64];
	for (unsigned depth = 0; depth < 20; depth++)
		recurse(depth);
	recurse(200);
	large_frame();
	realigned_frame(100 + sink % 7);
	for (int i = 0; i < 64; i++)
		numbers[i] = (i * 37) % 64;
	qsort(numbers, 64, sizeof *numbers, compare_in_callback);
	raise(SIGUSR1);
}

static void *thread_main(void *owner)
{
	all_cases();
	return owner;
}

static void handler_set(int flags)
{
	struct sigaction action = { .sa_handler = compare_in_handler, .sa_flags = flags };
	EQ(sigaction(SIGUSR1, &action, NULL), 0);
}

static void own_stacks_are_as_libgcc_sees_them(void)
{
	pthread_t thread;
	rig_open(getpid());
	compared = 0;
	difference[0] = 0;
	handler_set(0);
	all_cases();
	if (difference[0])
		FAIL("%s", difference);
	GE(compared, 25);
	EQ(pthread_create(&thread, NULL, thread_main, NULL), 0);
	pthread_join(thread, NULL);
	if (difference[0])
		FAIL("in a thread: %s", difference);
	GE(compared, 50);
}

static void handlers_on_stacks_of_their_own_are_as_libgcc_sees_them(void)
{
	rig_open(getpid());
	/* One stack above the thread's and one below, as far as the kernel has it. */
	static uint8_t low[65536];
	difference[0] = 0;
	handler_set(SA_ONSTACK);
	stack_t stack = { .ss_sp = low, .ss_size = sizeof low }, before;
	EQ(sigaltstack(&stack, &before), 0);
	raise(SIGUSR1);
	sigaltstack(&before, NULL);
	if (difference[0])
		FAIL("%s", difference);
}

/* ---- A child, one instruction at a time ---- */

static uint8_t payload[PAYLOAD_BYTES], packed[2 * PAYLOAD_BYTES];
static size_t packed_bytes;

static int compare_numbers(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void child_libc(void)
{
	int numbers[24];
	char text[64];
	for (int i = 0; i < 24; i++)
		numbers[i] = (i * 7) % 24;
	qsort(numbers, 24, sizeof *numbers, compare_numbers);
	snprintf(text, sizeof text, "%d %s %.3f", numbers[3], "text", (double)numbers[5]);
	sink += (unsigned)strtol(text, NULL, 10);
	free(realloc(malloc(100), 5000));
}

static void child_handler(int number)
{
	sink += (unsigned)number;
	child_libc();
}

static void child_signal(void)
{
	struct sigaction action = { .sa_handler = child_handler };
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	sink++;
}

static void child_zlib(void)
{
	static uint8_t out[PAYLOAD_BYTES];
	z_stream stream = { .next_in = packed,
			    .avail_in = (unsigned)packed_bytes,
			    .next_out = out,
			    .avail_out = sizeof out };
	inflateInit2(&stream, 31);
	inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
}

static void child_libdeflate(void)
{
	static uint8_t out[PAYLOAD_BYTES];
	struct libdeflate_decompressor *tool = libdeflate_alloc_decompressor();
	libdeflate_gzip_decompress(tool, packed, packed_bytes, out, sizeof out, NULL);
	libdeflate_free_decompressor(tool);
}

__attribute__((noinline)) static void child_recurse(unsigned depth)
{
	if (depth)
		child_recurse(depth - 1);
	sink += depth;
}

static void child_frames(void)
{
	volatile uint8_t bytes[90000];
	bytes[7] = 1;
	child_recurse(100);
	sink += bytes[7];
}

static pid_t child_start(void (*run)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(2);
		raise(SIGSTOP);
		run();
		_exit(0);
	}
	return pid;
}

struct peer {
	uint64_t frames[UNWIND_FRAMES_MAX + 1];
	unsigned count;
};

static int peer_frame(Dwfl_Frame *state, void *owner)
{
	struct peer *peer = owner;
	Dwarf_Addr pc;
	bool is_activation;
	if (!dwfl_frame_pc(state, &pc, &is_activation) || peer->count > UNWIND_FRAMES_MAX)
		return DWARF_CB_ABORT;
	peer->frames[peer->count++] = pc;
	return DWARF_CB_OK;
}

struct tally {
	unsigned steps, equal, peer_shorter, scanned;
	struct peer peer;
};

static void registers_read(pid_t pid)
{
	struct user_regs_struct user;
	EQ(ptrace(PTRACE_GETREGS, pid, NULL, &user), 0);
	const uint64_t values[17] = { user.rax, user.rdx, user.rcx, user.rbx, user.rsi, user.rdi,
				      user.rbp, user.rsp, user.r8,  user.r9,  user.r10, user.r11,
				      user.r12, user.r13, user.r14, user.r15, user.rip };
	memcpy(walk.registers, values, sizeof values);
}

static void step_compare(Dwfl *dwfl, pid_t pid, struct tally *tally)
{
	struct peer *peer = &tally->peer;
	registers_read(pid);
	peer->count = 0;
	int result = dwfl_getthread_frames(dwfl, pid, peer_frame, peer);
	unwind_stack(&walk, (uint32_t)pid);
	tally->steps++;
	tally->scanned += walk.scanned;
	int peer_complete = result == 0;
	if (walk.stop != UNWIND_STOP_END) {
		if (peer_complete && peer->count > 3)
			FAIL("step %u at 0x%llx: stopped by %u after %u frames; libdwfl has %u", tally->steps,
			     (unsigned long long)walk.frames[0], walk.stop, walk.frame_count, peer->count);
		return;
	}
	/* Where there is no unwind information libdwfl guesses by frame pointer, and we by searching the
	 * stack. */
	if (peer->count < walk.frame_count || (walk.scanned && !peer_complete)) {
		tally->peer_shorter++;
		return;
	}
	for (unsigned i = 0; i < walk.frame_count && !walk.scanned; i++)
		if (walk.frames[i] != peer->frames[i])
			FAIL("step %u at 0x%llx, frame %u of %u: 0x%llx against 0x%llx", tally->steps,
			     (unsigned long long)walk.frames[0], i, walk.frame_count,
			     (unsigned long long)walk.frames[i], (unsigned long long)peer->frames[i]);
	EQ(walk.frame_count, peer->count);
	tally->equal++;
}

static Dwfl *peer_open(pid_t pid)
{
	static char *debug_path = NULL;
	static const Dwfl_Callbacks callbacks = { .find_elf = dwfl_linux_proc_find_elf,
						  .find_debuginfo = dwfl_standard_find_debuginfo,
						  .debuginfo_path = &debug_path };
	Dwfl *dwfl = dwfl_begin(&callbacks);
	EQ(dwfl_linux_proc_report(dwfl, pid), 0);
	EQ(dwfl_report_end(dwfl, NULL, NULL), 0);
	EQ(dwfl_linux_proc_attach(dwfl, pid, true), 0);
	return dwfl;
}

/* Up to `steps_max` instructions of the child, each `every`th compared. */
static void child_compare(const char *name, void (*run)(void), unsigned steps_max, unsigned every)
{
	struct tally tally = { 0 };
	int status, signal = 0;
	pid_t pid = child_start(run);
	GT(pid, 0);
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		SKIP("no child can be traced here");
	rig_open(pid);
	Dwfl *dwfl = peer_open(pid);
	for (unsigned step = 0; step < steps_max; step++) {
		EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(intptr_t)signal), 0);
		EQ(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			break;
		signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
		if (step % every == 0)
			step_compare(dwfl, pid, &tally);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	dwfl_end(dwfl);
	printf("# %s: %u stacks, %u equal, %u where libdwfl ends earlier, %u scanned\n", name, tally.steps,
	       tally.equal, tally.peer_shorter, tally.scanned);
	GE(tally.steps, 300);
	GE(tally.equal * 100, tally.steps * 97);
}

static void payload_make(void)
{
	struct libdeflate_compressor *tool = libdeflate_alloc_compressor(6);
	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)("the quick brown fox"[(i * 7 + i / 13) % 19]);
	packed_bytes = libdeflate_gzip_compress(tool, payload, sizeof payload, packed, sizeof packed);
	libdeflate_free_compressor(tool);
	GT(packed_bytes, 0);
}

static void each_instruction_of_libc_is_as_libdwfl_sees_it(void)
{
	child_compare("libc", child_libc, 12000, 5);
}

static void each_instruction_of_a_handler_is_as_libdwfl_sees_it(void)
{
	child_compare("signal handler", child_signal, 12000, 5);
}

static void each_instruction_of_inflate_is_as_libdwfl_sees_it(void)
{
	payload_make();
	child_compare("zlib", child_zlib, 30000, 13);
	child_compare("libdeflate", child_libdeflate, 30000, 13);
}

static void deep_and_large_frames_are_as_libdwfl_sees_them(void)
{
	child_compare("recursion above 90 KB", child_frames, 2500, 4);
}

/* ---- Code without unwind information: no peer can follow it, but where it was called from is known ---- */

enum { OUTER_FRAMES = 4 }; /* main(), twice libc, _start() */

static typeof(isal_inflate) *isal_inflate_here;
static typeof(isal_inflate_init) *isal_inflate_init_here;

static void child_isal(void)
{
	static uint8_t out[PAYLOAD_BYTES];
	struct inflate_state state; /* 87 KB */
	isal_inflate_init_here(&state);
	state.crc_flag = ISAL_GZIP;
	state.next_in = packed;
	state.avail_in = (uint32_t)packed_bytes;
	state.next_out = out;
	state.avail_out = sizeof out;
	isal_inflate_here(&state);
}

static void each_instruction_of_assembler_code_leads_to_its_caller(void)
{
	uint64_t outer[OUTER_FRAMES] = { 0 };
	unsigned stacks = 0, scanned = 0, complete = 0;
	int status;
	void *library = dlopen("libisal.so.2", RTLD_NOW);
	if (!library)
		SKIP("no ISA-L here");
	isal_inflate_here = (typeof(isal_inflate) *)dlsym(library, "isal_inflate");
	isal_inflate_init_here = (typeof(isal_inflate_init) *)dlsym(library, "isal_inflate_init");
	payload_make();
	pid_t pid = child_start(child_isal);
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		SKIP("no child can be traced here");
	rig_open(pid);
	uint64_t entry = (uint64_t)(uintptr_t)isal_inflate_here; /* the same in the child */
	uint32_t library_index = unwind_mapping_index(0, process.mappings_count, entry);
	NE(library_index, UNWIND_NONE);
	for (unsigned step = 0; step < 400000 && scanned < 3000; step++) {
		EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		EQ(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			break;
		registers_read(pid);
		uint64_t pc = walk.registers[UNWIND_REGISTER_PC];
		if (stacks && unwind_mapping_index(library_index, 1, pc) == UNWIND_NONE)
			continue;
		unwind_stack(&walk, (uint32_t)pid);
		GE(walk.frame_count, OUTER_FRAMES);
		uint64_t *last = &walk.frames[walk.frame_count - OUTER_FRAMES];
		if (!stacks++)
			memcpy(outer, last, sizeof outer);
		scanned += walk.scanned;
		complete += walk.stop == UNWIND_STOP_END && walk.frame_count > OUTER_FRAMES &&
			    memcmp(last, outer, sizeof outer) == 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	printf("# ISA-L: %u stacks, %u scanned, %u lead to main\n", stacks, scanned, complete);
	GE(scanned, 500);
	GE(complete * 1000, stacks * 999);
}

TEST_MAIN(T(own_stacks_are_as_libgcc_sees_them), T(handlers_on_stacks_of_their_own_are_as_libgcc_sees_them),
	  T(each_instruction_of_libc_is_as_libdwfl_sees_it),
	  T(each_instruction_of_a_handler_is_as_libdwfl_sees_it),
	  T(each_instruction_of_inflate_is_as_libdwfl_sees_it),
	  T(deep_and_large_frames_are_as_libdwfl_sees_them),
	  T(each_instruction_of_assembler_code_leads_to_its_caller))
