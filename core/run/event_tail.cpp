#include "core/run/event_tail.h"

#include <fstream>

namespace mayfly {

namespace {
constexpr std::int64_t kMostAtOnce = 4 << 20;
}

Result<std::vector<Event>> EventTail::read_new() {
  std::error_code code;
  const auto size = std::filesystem::file_size(path_, code);
  if (code) return std::vector<Event>{};
  if (static_cast<std::int64_t>(size) < offset_) offset_ = 0;  // somebody began it anew
  const std::int64_t wanted = std::min(static_cast<std::int64_t>(size) - offset_, kMostAtOnce);
  if (wanted == 0) return std::vector<Event>{};

  std::string bytes(static_cast<std::size_t>(wanted), '\0');
  std::ifstream in(path_, std::ios::binary);
  in.seekg(offset_);
  in.read(bytes.data(), wanted);
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (in.bad() || bytes.empty()) {
    return Error{ErrorKind::corrupt, "cannot read " + path_.string()};
  }

  std::vector<Event> events;
  std::size_t start = 0;
  for (auto end = bytes.find('\n'); end != std::string::npos; end = bytes.find('\n', start)) {
    const Result<std::optional<Event>> event =
        parse_event(std::string_view(bytes).substr(start, end - start));
    if (!event) {
      ++skipped_;
    } else if (*event) {
      events.push_back(**event);
    }
    start = end + 1;
  }
  offset_ += static_cast<std::int64_t>(start);
  return events;
}

}  // namespace mayfly
