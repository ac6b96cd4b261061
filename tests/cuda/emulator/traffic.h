// Counts the global memory that kernels touch, as a GPU would move it: in sectors of 32 bytes.
//
// The accesses that the lanes of a warp make at one place in the source, for the n-th time, are one
// instruction of the warp; it moves the distinct sectors among them. So
//   requested  what the threads asked for;
//   sectors    what goes between the multiprocessors and L2, if nothing stays in L1;
//   distinct   what must go between L2 and memory at least: every sector once read, once written.
// The true traffic of memory lies between the last two. An access that some lanes leave out shifts
// their count and makes `sectors` too large, never too small by more than that.
#pragma once

#include <cstdint>

#include "tests/cuda/emulator/memory.h"

namespace emulator {

struct Traffic {
  std::uint64_t requested = 0;     // bytes
  std::uint64_t sectors = 0;       // bytes
  std::uint64_t distinct = 0;      // bytes
  std::uint64_t instructions = 0;  // of warps
  std::uint64_t whole = 0;         // of them, those with 16 bytes a thread
  std::uint64_t launches = 0;
};

// Begins to count, from nothing.
void start_traffic();
Traffic stop_traffic();

// For block.cpp and memory.cpp.
void begin_launch_of_traffic();
void end_block_of_traffic(unsigned threads);
void count_access(std::uintptr_t address, std::size_t bytes, Access access, Site at);

}  // namespace emulator
