/* SPDX-License-Identifier: Apache-2.0
 *
 * Spends known times off the CPU: asleep in nanosleep, in poll and on a futex (measured around each call by
 * itself), and waiting for a CPU that another thread has (measured by the scheduler: /proc/.../schedstat).
 *
 * usage: sleeper TRUTH_FILE ROUNDS
 */
#include "target.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#define NAP_NS 20000000
#define POLL_MS 10
#define FUTEX_NS 10000000

static uint64_t nap_ns, poll_ns, futex_ns, crowd_wait_ns, crowd_cpu_ns;
static volatile uint64_t sink;
static int pipe_fd[2];

KEPT static void nap(void)
{
	struct timespec time = { 0, NAP_NS };
	uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
	nanosleep(&time, NULL);
	nap_ns += clock_ns(CLOCK_MONOTONIC) - before_ns;
}

KEPT static void wait_in_poll(void)
{
	struct pollfd wanted = { .fd = pipe_fd[0], .events = POLLIN };
	uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
	poll(&wanted, 1, POLL_MS);
	poll_ns += clock_ns(CLOCK_MONOTONIC) - before_ns;
}

KEPT static void wait_on_futex(void)
{
	static uint32_t word;
	struct timespec time = { 0, FUTEX_NS };
	uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
	futex_ns += clock_ns(CLOCK_MONOTONIC) - before_ns;
}

/* Nanoseconds on the CPU, and runnable without one, of the calling thread. */
static void scheduled(uint64_t *ret_cpu_ns, uint64_t *ret_wait_ns)
{
	char text[128] = "", *at = text;
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		fail("/proc/thread-self/schedstat");
	close(fd);
	*ret_cpu_ns = strtoull(at, &at, 10);
	*ret_wait_ns = strtoull(at, &at, 10);
}

KEPT static void *crowd(void *argument)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + *(uint64_t *)argument;
	uint64_t cpu_ns[2], wait_ns[2];
	scheduled(&cpu_ns[0], &wait_ns[0]);
	while (clock_ns(CLOCK_MONOTONIC) < end_ns)
		sink = chain(sink, 10000);
	scheduled(&cpu_ns[1], &wait_ns[1]);
	__atomic_fetch_add(&crowd_cpu_ns, cpu_ns[1] - cpu_ns[0], __ATOMIC_RELAXED);
	__atomic_fetch_add(&crowd_wait_ns, wait_ns[1] - wait_ns[0], __ATOMIC_RELAXED);
	return NULL;
}

/* Two threads on one CPU. */
static void crowd_one_cpu(uint64_t ns)
{
	pthread_t threads[2];
	cpu_set_t one, before;
	sched_getaffinity(0, sizeof before, &before);
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof one, &one))
		fail("sched_setaffinity");
	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, crowd, &ns))
			fail("pthread_create");
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	sched_setaffinity(0, sizeof before, &before);
}

int main(int argc, char **argv)
{
	char beside[4096];
	if (argc != 3)
		return 2;
	unsigned rounds = (unsigned)strtoul(argv[2], NULL, 10);
	if (pipe(pipe_fd))
		fail("pipe");
	for (unsigned i = 0; i < rounds; i++) {
		nap();
		wait_in_poll();
		wait_on_futex();
	}
	crowd_one_cpu(rounds * (uint64_t)(NAP_NS + POLL_MS * 1000000 + FUTEX_NS));
	FILE *file = truth_open(argv[1], beside, sizeof beside);
	fprintf(file,
		"{\"nap\": %llu, \"wait_in_poll\": %llu, \"wait_on_futex\": %llu, \"crowd_wait\": %llu, "
		"\"crowd_cpu\": %llu}\n",
		(unsigned long long)nap_ns, (unsigned long long)poll_ns, (unsigned long long)futex_ns,
		(unsigned long long)crowd_wait_ns, (unsigned long long)crowd_cpu_ns);
	truth_close(file, beside, argv[1]);
	return 0;
}
