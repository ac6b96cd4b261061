#include "tests/cuda/emulator/memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <stdexcept>
#include <vector>

#include <sys/mman.h>

#include "tests/cuda/device_array.h"
#include "tests/cuda/emulator/block.h"
#include "tests/cuda/emulator/fiber.h"
#include "tests/cuda/emulator/traffic.h"

namespace emulator {
namespace {

// Not canonical on x86-64, so that the processor refuses it.
constexpr std::uintptr_t kDeviceBit = std::uintptr_t{1} << 62;
// Larger buffers are mapped and neither filled nor counted: most of their pages never exist.
constexpr std::size_t kHugeBytes = std::size_t{1} << 30;
constexpr std::size_t kRedZoneBytes = 64;
constexpr unsigned char kPoison = 0xFF;
constexpr unsigned char kRedZone = 0xA5;

struct Buffer {
  std::byte* real = nullptr;
  std::size_t bytes = 0;
  bool lent = false;
};

std::map<std::uintptr_t, Buffer>& buffers() {
  static std::map<std::uintptr_t, Buffer> all;  // by device address
  return all;
}
// The buffers used last: a kernel has a handful.
struct Recent {
  std::uintptr_t first = 0, last = 0;
};
std::vector<Recent> recent;

bool is_recent(std::uintptr_t address, std::size_t bytes) {
  return std::any_of(recent.begin(), recent.end(), [&](const Recent& buffer) {
    return address >= buffer.first && address + bytes <= buffer.last;
  });
}

std::string hex(std::uintptr_t address) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "0x%zx", address);
  return digits;
}

// Empty, or why `bytes` at `address` are not within one buffer.
std::string complaint(std::uintptr_t address, std::size_t bytes) {
  const auto after = buffers().upper_bound(address);
  if (after == buffers().begin()) return hex(address) + " is in no buffer";
  const auto& [first, buffer] = *std::prev(after);
  const std::size_t offset = address - first;
  if (offset + bytes > buffer.bytes) {
    return std::to_string(bytes) + " bytes at offset " + std::to_string(offset) +
           " of a buffer of " + std::to_string(buffer.bytes) + " bytes";
  }
  recent.push_back({first, first + buffer.bytes});
  return "";
}

std::vector<SharedRegion*> regions;
std::vector<std::vector<std::byte>> arenas;  // what the regions of the running launch point into

std::size_t whole_bytes(const SharedRegion& region) {
  return 2 * kRedZoneBytes + region.element_bytes * region.count + region.count;
}

void give_memory(SharedRegion& region) {
  std::vector<std::byte> arena(whole_bytes(region), std::byte{kPoison});
  std::memset(arena.data(), kRedZone, kRedZoneBytes);
  region.data = arena.data() + kRedZoneBytes;
  std::byte* const end = region.data + region.element_bytes * region.count;
  std::memset(end, kRedZone, kRedZoneBytes);
  region.written = reinterpret_cast<std::uint8_t*>(end + kRedZoneBytes);
  std::memset(region.written, 0, region.count);
  arenas.push_back(std::move(arena));
}

}  // namespace

void* check_global(const void* device_pointer, std::size_t bytes, Access access, Site at) {
  const auto address = reinterpret_cast<std::uintptr_t>(device_pointer);
  const char* const what = access == Access::read ? "load" : "store";
  if (address % bytes != 0) {
    fail(std::string(what) + " at " + text(at) + ": " + std::to_string(bytes) + " bytes at " +
         hex(address) + " are not aligned");
  }
  if (!is_recent(address, bytes)) {
    const std::string wrong = complaint(address, bytes);
    if (!wrong.empty()) fail(std::string(what) + " at " + text(at) + ": " + wrong);
  }
  count_access(address, bytes, access, at);
  return reinterpret_cast<void*>(address & ~kDeviceBit);
}

void* lend_memory(void* real, std::size_t bytes) {
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(real) | kDeviceBit;
  std::erase_if(buffers(), [&](const auto& item) {
    const auto& [address, buffer] = item;
    return buffer.lent && address < first + bytes && first < address + buffer.bytes;
  });
  recent.clear();
  buffers()[first] = {static_cast<std::byte*>(real), bytes, true};
  return reinterpret_cast<void*>(first);
}

void take_back_memory() {
  std::erase_if(buffers(), [](const auto& item) { return item.second.lent; });
  recent.clear();
}

void add_shared_region(SharedRegion* region) {
  const Unwatched unwatched;
  regions.push_back(region);
  give_memory(*region);
}

void new_shared_memory() {
#ifndef MAYFLY_RACES  // where memory used again would look like a race between blocks
  arenas.clear();
#endif
  for (SharedRegion* region : regions) give_memory(*region);
}

std::string damaged_red_zone() {
  for (const SharedRegion* region : regions) {
    const std::byte* const data = region->data;
    const std::byte* const end = data + region->element_bytes * region->count;
    for (std::size_t i = 0; i < kRedZoneBytes; ++i) {
      if (*(data - kRedZoneBytes + i) != std::byte{kRedZone} || end[i] != std::byte{kRedZone}) {
        return "shared memory was written beside an array of " + std::to_string(region->count);
      }
    }
  }
  return "";
}

}  // namespace emulator

namespace mayfly::cuda {

void* device_allocate(std::size_t bytes) {
  const std::size_t size = std::max<std::size_t>(bytes, 1);
  void* const real = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (real == MAP_FAILED) throw std::bad_alloc();
  if (bytes < emulator::kHugeBytes) std::memset(real, emulator::kPoison, size);
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(real) | emulator::kDeviceBit;
  emulator::buffers()[address] = {static_cast<std::byte*>(real), bytes, false};
  return reinterpret_cast<void*>(address);
}

void device_free(void* pointer) {
  const auto found = emulator::buffers().find(reinterpret_cast<std::uintptr_t>(pointer));
  if (found == emulator::buffers().end()) return;
  munmap(found->second.real, std::max<std::size_t>(found->second.bytes, 1));
  emulator::buffers().erase(found);
  emulator::recent.clear();
}

void upload(void* to_device, const void* from_host, std::size_t bytes) {
  if (bytes == 0) return;
  std::memcpy(
      reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(to_device) & ~emulator::kDeviceBit),
      from_host, bytes);
}

void download(void* to_host, const void* from_device, std::size_t bytes) {
  if (bytes == 0) return;
  std::memcpy(to_host,
              reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(from_device) &
                                            ~emulator::kDeviceBit),
              bytes);
}

}  // namespace mayfly::cuda
