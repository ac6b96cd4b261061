#include "core/text/packing.h"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>

namespace mayfly {

std::vector<Pack> pack_best_fit(std::span<const std::int64_t> lengths, std::int64_t capacity) {
  std::vector<std::uint32_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return lengths[a] > lengths[b]; });
  std::vector<Pack> packs;
  std::map<std::int64_t, std::deque<std::size_t>> packs_by_room;
  for (const std::uint32_t example : order) {
    const std::int64_t length = lengths[example];
    auto tightest = packs_by_room.lower_bound(length);
    std::size_t pack = packs.size();
    std::int64_t room = capacity;
    if (tightest == packs_by_room.end()) {
      packs.emplace_back();
    } else {
      room = tightest->first;
      pack = tightest->second.front();
      tightest->second.pop_front();
      if (tightest->second.empty()) packs_by_room.erase(tightest);
    }
    packs[pack].push_back(example);
    if (room > length) packs_by_room[room - length].push_back(pack);
  }
  return packs;
}

}  // namespace mayfly
