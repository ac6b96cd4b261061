#include "localhub/upload_mode.h"

#include <fnmatch.h>

namespace mayfly::localhub {

const std::string_view kDefaultAttributes =
    "*.7z filter=lfs diff=lfs merge=lfs -text\n"
    "*.arrow filter=lfs diff=lfs merge=lfs -text\n"
    "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    "*.gguf filter=lfs diff=lfs merge=lfs -text\n"
    "*.gz filter=lfs diff=lfs merge=lfs -text\n"
    "*.h5 filter=lfs diff=lfs merge=lfs -text\n"
    "*.model filter=lfs diff=lfs merge=lfs -text\n"
    "*.msgpack filter=lfs diff=lfs merge=lfs -text\n"
    "*.npy filter=lfs diff=lfs merge=lfs -text\n"
    "*.npz filter=lfs diff=lfs merge=lfs -text\n"
    "*.onnx filter=lfs diff=lfs merge=lfs -text\n"
    "*.parquet filter=lfs diff=lfs merge=lfs -text\n"
    "*.pickle filter=lfs diff=lfs merge=lfs -text\n"
    "*.pkl filter=lfs diff=lfs merge=lfs -text\n"
    "*.pt filter=lfs diff=lfs merge=lfs -text\n"
    "*.pth filter=lfs diff=lfs merge=lfs -text\n"
    "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
    "*.tar filter=lfs diff=lfs merge=lfs -text\n"
    "*.zip filter=lfs diff=lfs merge=lfs -text\n"
    "*.zst filter=lfs diff=lfs merge=lfs -text\n"
    "*tfevents* filter=lfs diff=lfs merge=lfs -text\n";

bool attributes_say_lfs(std::string_view attributes, const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  bool lfs = false;
  while (!attributes.empty()) {
    const auto end = attributes.find('\n');
    const std::string_view line = attributes.substr(0, end);
    attributes = end == std::string_view::npos ? "" : attributes.substr(end + 1);
    const auto space = line.find_first_of(" \t");
    if (line.empty() || line.front() == '#' || space == std::string_view::npos) continue;
    std::string pattern(line.substr(0, space));
    const bool whole_path = pattern.find('/') != std::string::npos;
    if (pattern.front() == '/') pattern.erase(0, 1);
    if (::fnmatch(pattern.c_str(), (whole_path ? path : name).c_str(), FNM_PATHNAME) != 0) continue;
    // The last line that matches counts.
    if (line.find("filter=lfs", space) != std::string_view::npos) lfs = true;
    if (line.find("-filter", space) != std::string_view::npos) lfs = false;
  }
  return lfs;
}

bool goes_by_lfs(std::string_view attributes, const std::string& path, std::int64_t size,
                 std::string_view sample, std::int64_t lfs_above_bytes) {
  if (size == 0) return false;
  return size > lfs_above_bytes || sample.find('\0') != std::string_view::npos ||
         attributes_say_lfs(attributes, path);
}

std::string attributes_line(const std::string& path) {
  std::string pattern;
  for (const char letter : path) {
    if (letter == ' ') {
      pattern += "[[:space:]]";
    } else {
      if (std::string_view("*?[\\").find(letter) != std::string_view::npos) pattern += '\\';
      pattern += letter;
    }
  }
  // With a slash in front the pattern means this path only.
  return "/" + pattern + " filter=lfs diff=lfs merge=lfs -text\n";
}

}  // namespace mayfly::localhub
