// SPDX-License-Identifier: Apache-2.0
//
// Known numbers of C++ allocations, whose allocator is below the C++ library: new, new[], with alignment,
// without exceptions, and what a vector asks for when it grows.
//
// usage: conserve_new TRUTH_FILE ROUNDS STAY
#include "tally.h"

#include <new>
#include <thread>
#include <vector>

namespace
{

enum site { SITE_NEW, SITE_NEW_ARRAY, SITE_NEW_ALIGNED, SITE_NEW_NOTHROW, SITE_VECTOR, SITE_COUNT };

const char *const site_names[SITE_COUNT] = { "site_new", "site_new_array", "site_new_aligned",
					     "site_new_nothrow", "site_vector" };

constexpr unsigned THREADS = 4;

struct object {
	char bytes[72];
};

struct alignas(128) aligned_object {
	char bytes[256];
};

struct tallies *truth;

KEPT object *site_new()
{
	return new object;
}

KEPT char *site_new_array(size_t bytes)
{
	return new char[bytes];
}

KEPT aligned_object *site_new_aligned()
{
	return new aligned_object;
}

KEPT char *site_new_nothrow(size_t bytes)
{
	return new (std::nothrow) char[bytes];
}

// 1, 2, 4 ... 512 elements: as libstdc++ and libc++ grow.
KEPT void site_vector(std::vector<uint64_t> &vector)
{
	for (uint64_t i = 0; i < 512; i++)
		vector.push_back(i);
}

void vector_round()
{
	std::vector<uint64_t> vector;
	site_vector(vector);
	for (size_t elements = 1; elements <= 512; elements *= 2) {
		tally_add(truth, SITE_VECTOR, elements * sizeof(uint64_t));
		tally_drop(truth, SITE_VECTOR, elements * sizeof(uint64_t));
	}
}

void worker(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		size_t bytes = 1 + i % 3000;
		object *one = site_new();
		tally_add(truth, SITE_NEW, sizeof *one);
		char *many = site_new_array(bytes);
		tally_add(truth, SITE_NEW_ARRAY, bytes);
		aligned_object *aligned = site_new_aligned();
		tally_add(truth, SITE_NEW_ALIGNED, sizeof *aligned);
		char *nothrow = site_new_nothrow(bytes);
		tally_add(truth, SITE_NEW_NOTHROW, bytes);
		vector_round();
		if (i % 10 == 0)
			continue; // left
		delete one;
		tally_drop(truth, SITE_NEW, sizeof *one);
		delete[] many;
		tally_drop(truth, SITE_NEW_ARRAY, bytes);
		delete aligned;
		tally_drop(truth, SITE_NEW_ALIGNED, sizeof *aligned);
		delete[] nothrow;
		tally_drop(truth, SITE_NEW_NOTHROW, bytes);
	}
}

} // namespace

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int fd;
	truth = tallies_create(&fd);
	unsigned rounds = (unsigned)strtoul(argv[2], nullptr, 10);
	std::vector<std::thread> threads;
	for (unsigned i = 0; i < THREADS; i++)
		threads.emplace_back(worker, rounds);
	for (auto &thread : threads)
		thread.join();
	tallies_write(truth, site_names, SITE_COUNT, argv[1]);
	while (argv[3][0] == '1')
		pause();
	return 0;
}
