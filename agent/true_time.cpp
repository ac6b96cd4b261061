#include "agent/true_time.h"

#include <algorithm>
#include <ctime>
#include <sstream>

#include "core/atomic_file.h"
#include "core/url.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

constexpr auto kPatience = 3s;

bool agree(WallTime a, WallTime b) {
  return std::chrono::abs(a - b) <= kClocksAgree;
}

std::string off_by(WallTime clock, WallTime right) {
  const auto by = std::chrono::floor<std::chrono::seconds>(std::chrono::abs(clock - right));
  return format_duration(by) + (clock < right ? " behind " : " ahead of ");
}

// The latest of those that somebody else agrees with, or else of all: an instance that is taken for
// too old ends too early, one that is taken for too young costs more than its limit.
WallTime latest_confirmed(const std::vector<TimeReading>& readings) {
  std::optional<WallTime> confirmed;
  WallTime latest = readings.front().time;
  for (const TimeReading& reading : readings) {
    latest = std::max(latest, reading.time);
    for (const TimeReading& other : readings) {
      if (&other == &reading || !agree(other.time, reading.time)) continue;
      confirmed = std::max(confirmed.value_or(reading.time), reading.time);
    }
  }
  return confirmed.value_or(latest);
}

// What time it is, and whether anybody but this machine says so.
struct Believed {
  WallTime now;
  bool confirmed = false;
  std::string alarm;
};
Believed believe(WallTime wall, const std::vector<TimeReading>& readings) {
  Believed believed{wall, false, ""};
  if (readings.empty()) return believed;
  believed.confirmed = std::any_of(readings.begin(), readings.end(),
                                   [&](const auto& reading) { return agree(reading.time, wall); });
  if (!believed.confirmed) {
    believed.now = latest_confirmed(readings);
    believed.confirmed = true;
    believed.alarm = "the clock of this machine is " + off_by(wall, believed.now) +
                     readings.front().host + "; its own time is not used";
    return believed;
  }
  for (const TimeReading& reading : readings) {
    if (agree(reading.time, wall)) continue;
    believed.alarm = "the clock of " + reading.host + " is " + off_by(reading.time, wall) +
                     "this machine's, which others confirm";
  }
  return believed;
}

}  // namespace

std::optional<WallTime> parse_http_date(std::string_view text) {
  std::tm parts{};
  const std::string whole(text);
  const char* const end = ::strptime(whole.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return WallTime(std::chrono::seconds(::timegm(&parts)));
}

std::vector<TimeReading> ask_the_time(HttpClient& http, const std::vector<std::string>& addresses) {
  std::vector<TimeReading> readings;
  for (const std::string& address : addresses) {
    const std::string origin = origin_of(address);
    if (!origin.starts_with("https://") && !origin.starts_with("http://127.0.0.1:")) continue;
    HttpRequest request;
    request.method = "HEAD";
    request.url = address;
    request.connect_timeout = kPatience;
    request.total_timeout = kPatience;
    const Result<HttpResponse> answer = http.send(request);
    if (!answer) continue;
    const std::optional<WallTime> time = parse_http_date(answer->header("Date"));
    if (time) readings.push_back({origin, *time});
  }
  return readings;
}

std::optional<Age> life_by_fuse(const std::filesystem::path& memory, const std::string& boot_id,
                                SteadyTime now) {
  const Result<std::string> text = read_file(memory / "life");
  if (!text) return std::nullopt;
  std::istringstream words(*text);
  std::string boot;
  long long uptime = -1;
  long long lived = -1;
  words >> boot >> uptime >> lived;
  if (!words || boot != boot_id || uptime < 0 || lived < 0) return std::nullopt;
  const Age since = now.time_since_epoch() - Age(std::chrono::seconds(uptime));
  return Age(std::chrono::seconds(lived)) + std::max(Age::zero(), since);
}

FirstAge first_age(WallTime created_at, WallTime wall, const std::vector<TimeReading>& readings,
                   std::optional<Age> life) {
  const Believed believed = believe(wall, readings);
  FirstAge first{std::max(Age::zero(), Age(believed.now - created_at)), believed.alarm};
  if (!life) return first;
  // The instance was there before its fuse.
  if (first.age < *life) {
    if (*life - first.age > kClocksAgree && first.alarm.empty()) {
      first.alarm = "the clock of this machine is behind the life that its fuse has counted";
    }
    first.age = *life;
  }
  if (!believed.confirmed && first.age > *life + kUnseenStart) {
    first.alarm =
        "the clock of this machine is far ahead of the life that its fuse has counted, "
        "and nobody confirms it";
    first.age = *life + kUnseenStart;
  }
  return first;
}

}  // namespace mayfly
