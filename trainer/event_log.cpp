#include "trainer/event_log.h"

#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/atomic_file.h"

namespace mayfly {

Result<EventLog> EventLog::open(const std::filesystem::path& path, Clock& clock) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return EventLog(path, clock, 0);
  const Result<std::string> text = read_file(path);
  if (!text) return while_doing("opening the event log", text.error());

  const std::size_t whole = text->rfind('\n') == std::string::npos ? 0 : text->rfind('\n') + 1;
  if (whole < text->size()) {
    std::filesystem::resize_file(path, whole, code);
    if (code) {
      return Error{ErrorKind::refused,
                   "cutting the torn last line off " + path.string() + ": " + code.message()};
    }
  }
  // Backwards to the last line that reads: one that a crash filled with zeros is stepped over.
  std::string_view lines = std::string_view(*text).substr(0, whole);
  const bool empty = lines.empty();
  while (!lines.empty()) {
    lines.remove_suffix(1);
    const std::size_t before = lines.rfind('\n');
    const std::size_t start = before == std::string_view::npos ? 0 : before + 1;
    const auto event = parse_event(lines.substr(start));
    if (event && *event) return EventLog(path, clock, (*event)->seq + 1);
    lines = lines.substr(0, start);
  }
  if (empty) return EventLog(path, clock, 0);
  return Error{ErrorKind::corrupt, path.string() + " holds no event",
               "move it away; a new one is started"};
}

Status EventLog::append(EventBody body) {
  const Event event{.seq = next_seq_, .time = clock_->now(), .body = std::move(body)};
  if (Status written = append_line(path_, event_line(event)); !written) {
    return while_doing("reporting an event", written.error());
  }
  ++next_seq_;
  return Unit{};
}

}  // namespace mayfly
