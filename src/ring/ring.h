/* SPDX-License-Identifier: Apache-2.0
 *
 * ring: moves bytes between the kernel and our buffers. The only owner of io_uring, and (with sink,
 * through it) the only room of the data path that makes system calls, but for the eventfds by which workers
 * wake each other. Knows nothing of what the bytes mean.
 *
 * One ring per worker; everything here is called from the one thread that opened the ring, or took it over.
 * An operation is a caller-owned struct: fill it through ring_<verb>(), it is pending until ring_wait() hands
 * it back, and until then the ring keeps (reads or writes) the buffer that it points to. Results are byte
 * counts or -errno, as the system call's would be.
 *
 * Engines: io_uring (default), and poll(2) with non-blocking calls, which serves where io_uring is
 * forbidden and is the oracle of the tests. Both have the same interface and semantics.
 *
 * The process must ignore SIGPIPE: a SEND or WRITE to a reader that is gone then ends with -EPIPE.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/arena.h"

enum ring_engine {
	RING_ENGINE_AUTO, /* io_uring, else poll with a notice that names cause and cure */
	RING_ENGINE_URING,
	RING_ENGINE_POLL,
};

/* How bytes arrive. FIXED reads into registered memory with IORING_OP_READ_FIXED; PLAIN is IORING_OP_RECV. */
enum ring_receive_mode {
	RING_RECEIVE_AUTO, /* the one that perf/ measured as best and the host offers */
	RING_RECEIVE_FIXED,
	RING_RECEIVE_PLAIN,
};

enum ring_verb {
	RING_CONNECT,
	RING_RECEIVE,
	RING_SEND,
	RING_WRITE, /* to a file, pipe or terminal */
	RING_FSYNC,
	RING_WAKE, /* a file descriptor became readable (signalfd, eventfd); result 0, nothing is read */
};

struct ring_operation {
	uint64_t magic; /* set by ring_<verb>(), checked when the kernel hands the pointer back */
	enum ring_verb verb;
	int result;  /* valid after ring_wait() returned it: bytes (0 = end of stream) or -errno */
	int pending; /* 1 from ring_<verb>() until ring_wait() returns it */
	int fd;
	void *owner; /* the caller's; untouched by ring */
	/* Ring's own from here. A receiver finds its bytes at `bytes_at`: today always the target that it
	 * gave; with zero-copy receive (kernel 6.15, IORING_OP_RECV_ZC) the memory that the network card
	 * filled. */
	uint8_t *bytes_at;
	size_t bytes;
	size_t bytes_done; /* moved so far; still valid when a SEND or WRITE ends with an error half way */
	uint64_t file_offset;
	int phase;	/* the engine's */
	int cancelling; /* 1: finish instead of continuing */
	struct sockaddr_storage address;
	socklen_t address_bytes;
	struct ring_operation *next;
	struct ring_operation *previous;
};

struct ring_options {
	enum ring_engine engine;
	enum ring_receive_mode receive_mode;
	unsigned operations_max; /* bound on operations pending at once; sizes the queues (8..4096) */
	int handed_over;	 /* 1: another thread will use the ring; see ring_take_over() */
};

/* What the host offered and what is used; for doctor, run.json and notices. */
struct ring_report {
	enum ring_engine engine;	     /* never AUTO */
	enum ring_receive_mode receive_mode; /* never AUTO */
	int setup_errno;		     /* why io_uring is not used, 0 when it is */
	int single_issuer, defer_taskrun, coop_taskrun, no_sqarray;
	int restricted; /* the kernel refuses to do anything else through it (io_uring_register(2)) */
	int registered_ring, registered_buffers, registered_buffers_errno;
	uint32_t features; /* IORING_FEAT_* mask */
	uint64_t registered_bytes;
	char notice[512]; /* one line for a person: cause and cure; empty when there is nothing to say */
};

struct ring; /* opaque; lives in the arena */

/* Opens a ring. Returns 0, or -errno when the wanted engine cannot be had (URING insists), with *report
 * filled in either case. `arena` must outlive the ring. An io_uring is restricted to what this room uses from
 * its birth, so it needs no call before the process is confined; but it must be open by then. */
int ring_open(const struct ring_options *options, struct arena *arena, struct ring **ret_ring,
	      struct ring_report *report);

/* The calling thread is the one that uses a ring that was opened to be handed over; nothing but
 * ring_register_buffer() is called before. Once. Returns 0 or -errno. Works in a confined process, which
 * cannot make rings: the kernel binds this one to the thread that enables it, with the restrictions that it
 * has. */
int ring_take_over(struct ring *ring);

/* Registers one region for fixed-buffer receives; at most 64 regions, before first use. Receives whose
 * target lies inside a region use it; where registering fails (memlock) plain receives are used and
 * the report says so. Memory stays the caller's and must outlive the ring. */
void ring_register_buffer(struct ring *ring, void *base, size_t bytes);
const struct ring_report *ring_report_of(const struct ring *ring);

/* A TCP socket for `family` (AF_INET, AF_INET6), CLOEXEC, non-blocking where the engine needs it,
 * TCP_NODELAY. Returns the fd or -errno. */
int ring_socket(struct ring *ring, int family);

/* Each starts one operation. Only one RECEIVE and one SEND may be pending per fd. SEND and WRITE
 * complete only when all bytes are out or an error occurred (short writes are continued inside).
 * The operation must not be pending. `file_offset` of WRITE: UINT64_MAX for the current position
 * (pipes, terminals, O_APPEND). */
void ring_connect(struct ring *ring, struct ring_operation *operation, int fd, const struct sockaddr *address,
		  socklen_t address_bytes);
void ring_receive(struct ring *ring, struct ring_operation *operation, int fd, uint8_t *target, size_t bytes);
void ring_send(struct ring *ring, struct ring_operation *operation, int fd, const uint8_t *source,
	       size_t bytes);
void ring_write(struct ring *ring, struct ring_operation *operation, int fd, const uint8_t *source,
		size_t bytes, uint64_t file_offset);
void ring_fsync(struct ring *ring, struct ring_operation *operation, int fd);
void ring_wake(struct ring *ring, struct ring_operation *operation, int fd);

/* TLS in the kernel. Keys come and records go in its formats (<linux/tls.h>); both engines receive plain
 * bytes from such a socket.
 *
 * 0 when this kernel has it, else -errno: ENOENT when its module is not loaded. Loads that where this process
 * may, so it is to be called before rights are given up. Needs no ring. */
int ring_tls_probe(void);
/* What is not received yet begins with a record, and records are opened with this key from here on. `first`:
 * the socket knows nothing of TLS yet. No receive may be pending. Returns 0 or -errno: ENOENT without the
 * module or the cipher, ENOTCONN when the peer has ended the connection already, EBUSY when the kernel cannot
 * change keys (before Linux 6.14). */
int ring_tls_receive_key(struct ring *ring, int fd, const void *key, size_t key_bytes, int first);
/* Fetches the record for which a RECEIVE ended with -EIO: one that is no data. Does not wait. Returns its
 * size and its type, or -errno: ENODATA at the end of the stream. `bytes` must be enough for a whole record.
 */
int ring_tls_receive_record(struct ring *ring, int fd, uint8_t *target, size_t bytes, uint8_t *ret_type);

/* Asks for a pending operation to end soon; it still comes back through ring_wait(), with -ECANCELED or
 * its real result. */
void ring_cancel(struct ring *ring, struct ring_operation *operation);

/* Submits what was started and returns the next completed operation, waiting until `deadline_ns`
 * (CLOCK_MONOTONIC; 0 = do not wait). NULL when none completed in time or a signal interrupted. */
struct ring_operation *ring_wait(struct ring *ring, int64_t deadline_ns);

/* Cancels the fd's pending operations, waits for them, closes it. Their structs are idle afterwards and
 * are not returned by ring_wait(). A send that was started is tried once before. */
void ring_close_fd(struct ring *ring, int fd);

/* Cancels everything, waits for it, frees kernel resources. Accepts NULL. */
void ring_finish(struct ring *ring);

#endif
