#include "tests/cuda/emulator/traffic.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/cuda/emulator/block.h"

namespace emulator {
namespace {

constexpr std::uintptr_t kSector = 32;
constexpr std::size_t kPage = 4096;  // sectors in one piece of a set

struct Entry {
  std::uint32_t place;  // index into `places`, twice, plus one for a store
  std::uint32_t count;  // how often this thread has been there
  std::uintptr_t address;
  std::uint32_t bytes;
};

// A set of sectors: bits in pages.
class Sectors {
 public:
  void add(std::uintptr_t sector) {
    std::vector<bool>& page = pages_[sector / kPage];
    if (page.empty()) page.resize(kPage);
    if (page[sector % kPage]) return;
    page[sector % kPage] = true;
    ++count_;
  }
  std::uint64_t count() const {
    return count_;
  }

 private:
  std::unordered_map<std::uintptr_t, std::vector<bool>> pages_;
  std::uint64_t count_ = 0;
};

struct Counting {
  bool on = false;
  Traffic sum;
  Sectors read, written;  // of this launch
  std::vector<Site> places;
  std::vector<std::vector<Entry>> of_warp;
  std::vector<std::vector<std::uint32_t>> times;  // [thread][place]
};
Counting counting;

std::uint32_t place_of(Site at) {
  const auto found = std::find(counting.places.begin(), counting.places.end(), at);
  const auto index = static_cast<std::uint32_t>(found - counting.places.begin());
  if (found == counting.places.end()) counting.places.push_back(at);
  return index;
}

void add_launch() {
  counting.sum.distinct += kSector * (counting.read.count() + counting.written.count());
  counting.read = counting.written = {};
}

void count_warp(std::vector<Entry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.place, a.count, a.address) < std::tie(b.place, b.count, b.address);
  });
  for (std::size_t i = 0; i < entries.size();) {
    std::size_t end = i;
    std::uint64_t sectors = 0;
    std::uintptr_t last = 0;  // no buffer begins at address 0
    for (; end < entries.size() && entries[end].place == entries[i].place &&
           entries[end].count == entries[i].count;
         ++end) {
      const std::uintptr_t sector = entries[end].address / kSector;  // aligned: within one
      sectors += sector != last;
      last = sector;
    }
    counting.sum.sectors += kSector * sectors;
    ++counting.sum.instructions;
    counting.sum.whole += entries[i].bytes == 16;
    i = end;
  }
  entries.clear();
}

}  // namespace

void start_traffic() {
  counting = {};
  counting.on = true;
}

Traffic stop_traffic() {
  add_launch();
  counting.on = false;
  return counting.sum;
}

void begin_launch_of_traffic() {
  if (!counting.on) return;
  add_launch();
  ++counting.sum.launches;
}

void end_block_of_traffic(unsigned) {
  if (!counting.on) return;
  for (std::vector<Entry>& entries : counting.of_warp) count_warp(entries);
  counting.times.clear();
}

void count_access(std::uintptr_t address, std::size_t bytes, Access access, Site at) {
  if (!counting.on) return;
  const unsigned thread = position.thread.x;
  const std::size_t warp = thread / kWarp;
  if (counting.of_warp.size() <= warp) counting.of_warp.resize(warp + 1);
  if (counting.times.size() <= thread) counting.times.resize(thread + 1);
  const std::uint32_t place = 2 * place_of(at) + (access == Access::write ? 1 : 0);
  std::vector<std::uint32_t>& times = counting.times[thread];
  if (times.size() <= place) times.resize(place + 1);
  counting.of_warp[warp].push_back(
      {place, times[place]++, address, static_cast<std::uint32_t>(bytes)});
  counting.sum.requested += bytes;
  (access == Access::write ? counting.written : counting.read).add(address / kSector);
}

}  // namespace emulator
