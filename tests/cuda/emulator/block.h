// Runs the threads of a block: who goes next, who waits for whom, and what is wrong with that.
//
// A warp runs until all its threads wait for the block's barrier or are done, then the next. The
// order of warps, and of lanes within a warp, is drawn anew from the seed each time (seed 0: as
// they are numbered): in lockstep, a barrier missing before shared memory is reused goes unnoticed.
//
// One OS thread, one launch at a time. A fault ends the launch with a `Fault`; what other threads
// have on their stacks is given up, which is nothing in a kernel.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "tests/cuda/emulator/site.h"

namespace emulator {

constexpr unsigned kWarp = 32;

// Something that CUDA forbids, with the place in the kernel's source.
class Fault : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

struct Extent {
  unsigned x = 0;
};

// The words of the same names in CUDA, for the fiber that runs now.
struct Position {
  Extent thread, block, block_size, grid_size;
};
extern Position position;

// How the launches to come are run.
struct Schedule {
  std::uint64_t seed = 0;
  unsigned first_block = 0;  // blocks before it are left out: the end of a huge tensor alone
};
void set_schedule(const Schedule& schedule);

// Runs `body(argument)` in every thread of every block. Throws Fault.
void run(unsigned blocks, unsigned threads, void (*body)(void*), void* argument);

// What a thread can do; only inside `run`.

// Waits for all threads of the block. A fault when a thread has returned, or waits elsewhere.
void block_barrier(Site at);

// The operations of a warp. Each waits for all lanes of `mask`, which must all exist, be alive,
// include the caller, and call the same operation with the same mask at the same place.
enum class Collective { shuffle, ballot, barrier };

// Gives `value` and gets that of lane `source`, which must be in the mask.
std::uint64_t shuffle(std::uint32_t mask, std::uint64_t value, unsigned source, Site at);
std::uint32_t ballot(std::uint32_t mask, bool vote, Site at);
void warp_barrier(std::uint32_t mask, Site at);

// Throws the Fault that says this and which thread it was.
[[noreturn]] void fail(const std::string& what);

}  // namespace emulator
