/* SPDX-License-Identifier: Apache-2.0
 *
 * The fast loop for x86-64 with BMI1, BMI2 and AVX2: own_loop.c is its twin, macro by function; README.md has the
 * reasons. Beside OWN_SCRATCH_AT, which gains nothing there, C is slower because compilers load an entry as one number
 * and take it apart with shifts, of which processors can do fewer at a time than loads: here each field is loaded by
 * itself.
 *
 * What a lookup waits for is the one before: a load of 4 or 5 cycles, shrx 1, and 1. All else is beside that chain.
 */
#if defined(__x86_64__)

	.intel_syntax noprefix

/* struct own_loop */
#define IN 0
#define IN_LIMIT 8
#define OUT 16
#define OUT_LIMIT 24
#define BITS 32
#define SPENT 40
#define PENDING 48
#define TABLES 56

/* own_entry: see own.h. \index is an offset in bytes. */
#define ENTRY(table, index, field) [table + index + field]
#define TOTAL_BITS 0
#define CODE 1
#define LITERALS 2
#define NEXT 4
#define NEGATED 6

#define TO_DISTANCE (-(8192 + 2048 + 1))
#define TO_SCRATCH (1024*8)		/* from the litlen table */
#define INDEX_SHIFT 3
#define INDEX_MASK (1023 << INDEX_SHIFT)
#define COPY_BYTES 64
#define OVERLAP_BYTES 32

/* One lookup: consumes its bits, and says where the next one is. \value: minus the distance or (length + 2049);
 * \length: the length that now waits for its distance, or 0; \code: code bits and literals' count << 6. */
.macro step table, index, bits, spent, litlen, total, extra, code, value, length, literals
	movzx	\total, byte ptr ENTRY(\table, \index, TOTAL_BITS)	/* what this lookup consumes */
	movsx	\length, word ptr ENTRY(\table, \index, NEXT)	/* where the next one is */
	movzx	\code, byte ptr ENTRY(\table, \index, CODE)	/* code bits, literals' count << 6 */
	movsx	\value, word ptr ENTRY(\table, \index, NEGATED)	/* minus the base */
	vmovd	\literals, dword ptr ENTRY(\table, \index, LITERALS)	/* two, and two bytes of anything */
	add	\spent, \total			/* for refill */
	lea	\extra, [\total + INDEX_SHIFT]	/* the bits are so much further up */
	bzhi	\extra, \bits, \extra		/* code and extra bits, and what is below them */
	shrx	\bits, \bits, \total		/* the chain */
	mov	\table, \litlen			/* from here it is 0 to the litlen table */
	add	\table, \length			/* which table is next */
	mov	\index, \bits			/* a copy costs nothing: registers are renamed */
	and	\index, INDEX_MASK		/* the chain */
	shrx	\extra, \extra, \code		/* only its low six bits count: leaves the extra bits */
	sub	\value, \extra			/* minus base and extra bits */
	andn	\length, \value, \length	/* see OWN_TO_DISTANCE */
.endm

/* Stores four bytes, of which the next store covers those that are no literals. */
.macro put_literals out, code, literals
	vmovd	dword ptr [\out], \literals	/* always, however many there are */
	shr	\code, 6			/* leaves the count */
	add	\out, \code
.endm

/* Two steps of one stream, and the one copy that both need at most. \in, \litlen, \pending, \scratch and \first (the
 * first step's value) are registers or memory, \spent is a register; rbx, r13, r14, r15, rbp and \code are lost. */
.macro pair name, out, bits, table, index, in, spent, litlen, pending, first, code, scratch
	step	\table, \index, \bits, \spent, \litlen, rbx, r14, \code, r13, rbp, xmm2
	put_literals \out, \code, xmm2
	mov	\first, r13			/* kept, should it be a distance */
	step	\table, \index, \bits, \spent, \litlen, rbx, r14, \code, r13, r15, xmm3
	mov	rbx, \pending			/* the length that waited before the pair */
	mov	r14, \out			/* where a match goes */
	add	rbp, rbx			/* the match's length: at most one of both is one */
	cmove	r14, \scratch			/* no match: nowhere, since stores across two lines are dear */
	test	rbx, rbx			/* did one wait? */
	cmovne	r13, \first			/* its distance is the first step's where a length was pending */
	mov	rbx, r13			/* minus the distance, plus the length: */
	add	rbx, rbp
	jg	.L\name\()_slow			/* it reaches into itself, or an entry was an exception */
	vmovdqu	ymm0, ymmword ptr [r14 + r13]	/* both halves are read before */
	vmovdqu	ymm1, ymmword ptr [r14 + r13 + 32]	/* one is written */
	vmovdqu	ymmword ptr [r14], ymm0
	vmovdqu	ymmword ptr [r14 + 32], ymm1
	cmp	rbp, COPY_BYTES			/* were 64 bytes enough? */
	jg	.L\name\()_long
.L\name\()_copied:
	mov	\pending, r15			/* a length of the second step waits now */
	add	\out, rbp			/* behind the match */
	put_literals \out, \code, xmm3
	refill	\bits, \in, \spent
.endm

/* Afterwards at least 53 bits are valid: a pair needs at most 15 + 23, and 10 for the next index. */
.macro refill bits, in, spent
	mov	rbx, \in			/* the first byte that is not in the bits */
	mov	r14, \spent
	not	r14				/* its low six bits: 63 - spent, where new bits go */
	shlx	r13, qword ptr [rbx], r14	/* eight bytes, of which the last may be cut */
	or	\bits, r13			/* what is there twice is the same */
	mov	r14, \spent
	shr	r14, 3				/* whole bytes that found room */
	add	rbx, r14
	mov	\in, rbx
	and	\spent, 7			/* less than a byte is missing now */
.endm

/* What is out of the way of a pair. \stop: where to go after an exception, with the match's length in rbp. */
.macro pair_rarely name, out, stop
.L\name\()_long:				/* a match in five or ten: the bytes behind the first 64 */
	mov	rbx, COPY_BYTES			/* done so far */
.L\name\()_more:
	lea	r14, [\out + rbx]		/* where the next 64 go */
	add	rbx, COPY_BYTES
	vmovdqu	ymm0, ymmword ptr [r14 + r13]	/* both halves are read before */
	vmovdqu	ymm1, ymmword ptr [r14 + r13 + 32]	/* one is written */
	vmovdqu	ymmword ptr [r14], ymm0
	vmovdqu	ymmword ptr [r14 + 32], ymm1
	cmp	rbx, rbp			/* up to the match's length */
	jl	.L\name\()_more
	jmp	.L\name\()_copied
.L\name\()_slow:
	test	r13, r13
	jg	\stop				/* no distance: an exception */
	mov	rbx, \out			/* from here */
	lea	r14, [\out + rbp]		/* up to here */
.L\name\()_again:				/* each copy doubles the distance at which the pattern repeats */
	vmovdqu	ymm0, ymmword ptr [rbx + r13]
	vmovdqu	ymmword ptr [rbx], ymm0
	cmp	r13, -OVERLAP_BYTES		/* is the pattern as long as a copy by now? */
	jle	.L\name\()_far
	sub	rbx, r13			/* as many bytes as the pattern has were right */
	add	r13, r13			/* and are there twice now */
	cmp	rbx, r14
	jb	.L\name\()_again
	jmp	.L\name\()_copied
.L\name\()_far:
	add	rbx, OVERLAP_BYTES
	cmp	rbx, r14
	jb	.L\name\()_again
	jmp	.L\name\()_copied
.endm

/* The table pointer of the next lookup: a length that waits wants a distance. rbx is lost. */
.macro choose_table table, litlen, pending
	mov	\table, \litlen
	lea	rbx, [\table + TO_DISTANCE]
	cmp	\pending, 0
	cmovne	\table, rbx
.endm

.macro save_registers frame_bytes
	.cfi_startproc
	push	rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	push	rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	push	r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	push	r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	push	r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	push	r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	sub	rsp, \frame_bytes
	.cfi_adjust_cfa_offset \frame_bytes
.endm

.macro restore_registers frame_bytes
	vzeroupper
	add	rsp, \frame_bytes
	.cfi_adjust_cfa_offset -\frame_bytes
	pop	r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	pop	r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	pop	r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	pop	r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	pop	rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	pop	rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	ret
	.cfi_endproc
.endm

	.text

/* ---- one stream. void own_x86_64_one(struct own_loop *loop)
 *
 * rsi in   rdi out   rax bits   rcx spent   r9 litlen   rdx table   r8 index   r10 pending   r11 code
 * r12 the first step's value
 */
#define LOOP [rsp]
#define SCRATCH [rsp+8]
#define ONE rdi, rax, rdx, r8, rsi, rcx, r9, r10, r12, r11, SCRATCH

	.globl	own_x86_64_one
	.hidden	own_x86_64_one
	.type	own_x86_64_one, @function
	.p2align 6
own_x86_64_one:
	endbr64
	save_registers 24
	mov	LOOP, rdi
	mov	rsi, [rdi + IN]
	mov	rax, [rdi + BITS]
	mov	rcx, [rdi + SPENT]
	mov	r10, [rdi + PENDING]
	mov	r9, [rdi + TABLES]
	lea	rbx, [r9 + TO_SCRATCH]
	mov	SCRATCH, rbx
	mov	rdi, [rdi + OUT]
	choose_table rdx, r9, r10
	refill	rax, rsi, rcx
	mov	r8, rax
	and	r8, INDEX_MASK
	.p2align 6
.Lone:
	pair	one_1, ONE
	pair	one_2, ONE
	mov	rbx, LOOP
	cmp	rsi, [rbx + IN_LIMIT]
	jae	.Lone_end
	cmp	rdi, [rbx + OUT_LIMIT]
	jb	.Lone
	jmp	.Lone_end

	pair_rarely one_1, rdi, .Lone_exception
	pair_rarely one_2, rdi, .Lone_exception
.Lone_exception:				/* a length of the first step waits now, or one waited before */
	test	r10, r10
	cmove	r10, rbp
.Lone_end:
	mov	rbx, LOOP
	mov	[rbx + IN], rsi
	mov	[rbx + OUT], rdi
	mov	[rbx + BITS], rax
	mov	[rbx + SPENT], rcx
	mov	[rbx + PENDING], r10
	restore_registers 24
	.size	own_x86_64_one, . - own_x86_64_one

/* ---- two streams, pair by pair: while one waits for its chain, the other has work.
 * void own_x86_64_two(struct own_loop *first, struct own_loop *second)
 *
 * The first: rdi out   rax bits   rdx table   r8 index    The second: rsi out   rcx bits   r10 table   r11 index
 * r9 spent, while a pair is at work: added up in memory it would be a chain as long as that of the lookups   r12 code
 * All else is in the frame.
 */
#define FIRST_LOOP [rsp]
#define SECOND_LITLEN [rsp+16]
#define FIRST_VALUE [rsp+24]
#define FIRST_IN [rsp+32]
#define FIRST_SPENT [rsp+40]
#define FIRST_PENDING [rsp+48]
#define SECOND_IN [rsp+56]
#define SECOND_SPENT [rsp+64]
#define SECOND_PENDING [rsp+72]
#define FIRST_LITLEN [rsp+80]
#define SECOND_LOOP [rsp+88]
#define FRAME_BYTES 104
#define FIRST rdi, rax, rdx, r8, FIRST_IN, r9, FIRST_LITLEN, FIRST_PENDING, FIRST_VALUE, r12, SCRATCH
#define SECOND rsi, rcx, r10, r11, SECOND_IN, r9, SECOND_LITLEN, SECOND_PENDING, FIRST_VALUE, r12, SCRATCH

.macro pair_of_first name
	mov	r9, FIRST_SPENT
	pair	\name, FIRST
	mov	FIRST_SPENT, r9
.endm

.macro pair_of_second name
	mov	r9, SECOND_SPENT
	pair	\name, SECOND
	mov	SECOND_SPENT, r9
.endm

	.globl	own_x86_64_two
	.hidden	own_x86_64_two
	.type	own_x86_64_two, @function
	.p2align 6
own_x86_64_two:
	endbr64
	save_registers FRAME_BYTES
	mov	FIRST_LOOP, rdi
	mov	SECOND_LOOP, rsi
	mov	rbx, [rdi + IN]
	mov	FIRST_IN, rbx
	mov	r9, [rdi + SPENT]
	mov	r12, [rdi + PENDING]
	mov	FIRST_PENDING, r12
	mov	rax, [rdi + BITS]
	mov	r8, [rdi + TABLES]
	lea	rbx, [r8 + TO_SCRATCH]		/* one is enough for both */
	mov	SCRATCH, rbx
	mov	rdi, [rdi + OUT]
	mov	FIRST_LITLEN, r8
	choose_table rdx, r8, r12
	refill	rax, FIRST_IN, r9
	mov	FIRST_SPENT, r9
	mov	r8, rax
	and	r8, INDEX_MASK

	mov	rbx, [rsi + IN]
	mov	SECOND_IN, rbx
	mov	r9, [rsi + SPENT]
	mov	r12, [rsi + PENDING]
	mov	SECOND_PENDING, r12
	mov	rcx, [rsi + BITS]
	mov	r11, [rsi + TABLES]
	mov	rsi, [rsi + OUT]
	mov	SECOND_LITLEN, r11
	choose_table r10, r11, r12
	refill	rcx, SECOND_IN, r9
	mov	SECOND_SPENT, r9
	mov	r11, rcx
	and	r11, INDEX_MASK
	.p2align 6
.Ltwo:
	pair_of_first first_1
	pair_of_second second_1
	pair_of_first first_2
	pair_of_second second_2
	mov	rbx, FIRST_LOOP
	mov	rbp, FIRST_IN
	cmp	rbp, [rbx + IN_LIMIT]
	jae	.Ltwo_end
	cmp	rdi, [rbx + OUT_LIMIT]
	jae	.Ltwo_end
	mov	rbx, SECOND_LOOP
	mov	rbp, SECOND_IN
	cmp	rbp, [rbx + IN_LIMIT]
	jae	.Ltwo_end
	cmp	rsi, [rbx + OUT_LIMIT]
	jb	.Ltwo
	jmp	.Ltwo_end

	pair_rarely first_1, rdi, .Lfirst_exception
	pair_rarely first_2, rdi, .Lfirst_exception
	pair_rarely second_1, rsi, .Lsecond_exception
	pair_rarely second_2, rsi, .Lsecond_exception
.Lfirst_exception:				/* as in own_x86_64_one */
	mov	FIRST_SPENT, r9
	mov	rbx, FIRST_PENDING
	test	rbx, rbx
	cmove	rbx, rbp
	mov	FIRST_PENDING, rbx
	jmp	.Ltwo_end
.Lsecond_exception:
	mov	SECOND_SPENT, r9
	mov	rbx, SECOND_PENDING
	test	rbx, rbx
	cmove	rbx, rbp
	mov	SECOND_PENDING, rbx
.Ltwo_end:
	mov	rbx, FIRST_LOOP
	mov	rbp, FIRST_IN
	mov	[rbx + IN], rbp
	mov	rbp, FIRST_SPENT
	mov	[rbx + SPENT], rbp
	mov	rbp, FIRST_PENDING
	mov	[rbx + PENDING], rbp
	mov	[rbx + OUT], rdi
	mov	[rbx + BITS], rax
	mov	rbx, SECOND_LOOP
	mov	rbp, SECOND_IN
	mov	[rbx + IN], rbp
	mov	rbp, SECOND_SPENT
	mov	[rbx + SPENT], rbp
	mov	rbp, SECOND_PENDING
	mov	[rbx + PENDING], rbp
	mov	[rbx + OUT], rsi
	mov	[rbx + BITS], rcx
	restore_registers FRAME_BYTES
	.size	own_x86_64_two, . - own_x86_64_two

#endif

	.section .note.GNU-stack, "", @progbits
