#include "agent/install.h"

#include <charconv>
#include <sstream>
#include <string_view>

#include "cloud_init.h"
#include "core/atomic_file.h"
#include "core/run/user_data.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

struct UnitFile {
  const char* name;
  std::string_view text;
};
constexpr UnitFile kUnits[] = {{"mayfly-agent.service", kAgentUnit},
                               {"mayfly-trainer.service", kTrainerUnit},
                               {"mayfly-rescue.service", kRescueUnit},
                               {"mayfly-watchdog.service", kWatchdogUnit},
                               {"mayfly-watchdog.timer", kWatchdogTimer}};

// "@{NAME}" by the number of that name, wherever it stands.
Result<std::string> with_times(std::string text, const std::map<std::string, int>& times) {
  for (auto at = text.find("@{"); at != std::string::npos; at = text.find("@{", at)) {
    const auto end = text.find('}', at);
    const auto row = times.find(text.substr(at + 2, end - at - 2));
    if (end == std::string::npos || row == times.end()) {
      return Error{ErrorKind::corrupt, "the boot's times lack " + text.substr(at, end - at + 1)};
    }
    text.replace(at, end - at + 1, std::to_string(row->second));
  }
  return text;
}

}  // namespace

Result<std::map<std::string, int>> read_boot_times(const fs::path& root) {
  const fs::path path = root / "opt/mayfly/times";
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  std::map<std::string, int> times;
  std::istringstream words(*text);
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    int value = 0;
    const char* end = word.data() + word.size();
    const bool whole = equals != std::string::npos && equals + 1 < word.size();
    const auto parsed = std::from_chars(whole ? word.data() + equals + 1 : end, end, value);
    if (!whole || parsed.ec != std::errc() || parsed.ptr != end || value < 0) {
      return Error{ErrorKind::corrupt, path.string() + ": not NAME=NUMBER: " + word};
    }
    times[word.substr(0, equals)] = value;
  }
  return times;
}

Status install_units(const fs::path& root) {
  const Result<std::map<std::string, int>> times = read_boot_times(root);
  if (!times) return times.error();
  const fs::path scripts = root / "opt/mayfly";
  const fs::path units = root / "etc/systemd/system";
  if (const Status made = make_folders(units); !made) return made;
  const Status script = write_file(scripts / "watch.sh", without_comments(kWatchScript), 0755);
  if (!script) return script;
  for (const UnitFile& unit : kUnits) {
    const Result<std::string> text = with_times(without_comments(unit.text), *times);
    if (!text) return text.error();
    if (const Status written = write_file(units / unit.name, *text); !written) return written;
  }
  return Unit{};
}

}  // namespace mayfly
