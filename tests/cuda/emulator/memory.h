// Memory as a kernel may use it: buffers that the host allocated, and a block's shared memory.
//
// Device pointers are not addresses of this process: a kernel that reads one without `load` ends
// with a segmentation fault, as a host program does that reads a GPU's memory. `load` and `store`
// check that the access lies within one buffer and is aligned, and tell traffic.h of it.
//
// Shared memory is new for each block: filled with 0xFF (NaN as a float), red zones around it, and
// it knows which elements have been written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/cuda/emulator/site.h"

namespace emulator {

enum class Access { read, write };

// The real address. Throws (within a kernel: fails) for anything but an aligned access inside one
// buffer.
void* check_global(const void* device_pointer, std::size_t bytes, Access access, Site at);

// Lends the program's own memory to kernels, as a buffer of its own: returns its device address. It
// takes the place of whatever was lent there before. For tensors, whose memory is not from here.
void* lend_memory(void* real, std::size_t bytes);
void take_back_memory();  // all that was lent

// A part of the block's shared memory, wherever it lies for this block.
struct SharedRegion {
  std::byte* data = nullptr;
  std::uint8_t* written = nullptr;  // one flag an element
  std::size_t element_bytes = 0;
  std::size_t count = 0;
};

// `region` lives as long as the program; it gets memory now and again for each block.
void add_shared_region(SharedRegion* region);

void new_shared_memory();        // for the block that begins now
std::string damaged_red_zone();  // which one, or empty

}  // namespace emulator
