#include "agent/newest_checkpoint.h"

#include <charconv>

namespace mayfly {

namespace fs = std::filesystem;

std::optional<NewestCheckpoint> newest_checkpoint(const RunDirectory& run) {
  std::optional<NewestCheckpoint> newest;
  constexpr std::string_view kPrefix = "checkpoint-";
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(run.checkpoints(), code)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    std::int64_t step = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, step);
    if (parsed.ec != std::errc() || parsed.ptr != end) continue;
    if (!newest || step > newest->step) newest = {"checkpoints/" + name, step};
  }
  return newest;
}

}  // namespace mayfly
