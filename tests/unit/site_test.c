/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a probe is set in the first instructions of a function: as compilers have written those of
 * allocators.
 */
#include "profiler/internal.h"
#include "test.h"

#ifdef __x86_64__

static int at_entry;

#define FIND(arguments, text) site_find((const uint8_t *)(text), sizeof(text) - 1, arguments, &at_entry)

static void takes_the_first_emulated_instruction(void)
{
	/* push rbx: glibc's malloc */
	EQ(FIND(1, "\x53\x48\x89\xfb"), 0);
	EQ(at_entry, 1);
	/* endbr64; push r12 */
	EQ(FIND(1, "\xf3\x0f\x1e\xfa\x41\x54\x55"), 4);
	EQ(at_entry, 1);
	/* cmp rdi, 0x1000; ja: jemalloc's malloc */
	EQ(FIND(1, "\x48\x81\xff\x00\x10\x00\x00\x0f\x87\x93\x00\x00\x00"), 7);
	EQ(at_entry, 1);
	/* mov rax, [rip + ...]; test rax, rax; jne: tcmalloc's */
	EQ(FIND(1, "\x48\x8b\x05\x59\xab\x00\x00\x48\x85\xc0\x75\x75"), 10);
	/* sub rsp, 8; test rdi, rdi; je: not at the entry any more */
	EQ(FIND(1, "\x48\x83\xec\x08\x48\x85\xff\x74\x10"), 7);
	EQ(at_entry, 0);
}

/* jemalloc's free: what it overwrites early are no arguments of its own. */
static void looks_at_as_many_arguments_as_there_are(void)
{
	static const char code[] = "\x48\x89\xf8"			  /* mov rax, rdi */
				   "\x48\x8b\x15\x0e\x53\x0a\x00"	  /* mov rdx, [rip + 0xa530e] */
				   "\x48\x89\xf9"			  /* mov rcx, rdi */
				   "\x48\xc1\xe8\x1a"			  /* shr rax, 26 */
				   "\x48\x81\xe1\x00\x00\x00\xc0"	  /* and rcx, -0x40000000 */
				   "\x25\xf0\x00\x00\x00"		  /* and eax, 0xf0 */
				   "\x64\x48\x03\x04\x25\x00\x00\x00\x00" /* add rax, fs:0 */
				   "\x48\x01\xd0"			  /* add rax, rdx */
				   "\x48\x3b\x88\xb0\x01\x00\x00"	  /* cmp rcx, [rax + 0x1b0] */
				   "\x0f\x85\x8a\x00\x00\x00";		  /* jne */
	EQ(FIND(1, code), 48);
	EQ(at_entry, 1);
	EQ(FIND(2, code), 48);
	EQ(FIND(3, code), -1); /* rdx is gone */
}

static void gives_up_at_what_it_does_not_know(void)
{
	EQ(FIND(1, "\xc3\x90"), -1);				 /* ret */
	EQ(FIND(1, "\x48\x89\xf7\x53\x53"), -1);		 /* mov rdi, rsi: the argument is gone */
	EQ(FIND(1, "\x66\x81\xff\x00\x10\x53\x53\x53\x53"), -1); /* a constant of 16 bits */
	EQ(FIND(1, "\xc5\xf8\x77\x53"), -1);			 /* vzeroupper */
	EQ(FIND(1, "\x48\x81\xff\x00\x10"), -1);		 /* the code ends in an instruction */
	EQ(FIND(1, "\xf3\x90\x90\x90"), 2);			 /* pause; nop */
	EQ(FIND(1, ""), -1);
}

TEST_MAIN(T(takes_the_first_emulated_instruction), T(looks_at_as_many_arguments_as_there_are),
	  T(gives_up_at_what_it_does_not_know))

#else

static void any_instruction_will_do(void)
{
	int at_entry = 0;
	EQ(site_find((const uint8_t *)"", 1, 1, &at_entry), 0);
	EQ(at_entry, 1);
}

TEST_MAIN(T(any_instruction_will_do))

#endif
