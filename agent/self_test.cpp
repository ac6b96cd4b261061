#include "agent/self_test.h"

#include <cstdlib>
#include <system_error>

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::uintmax_t kDiskBytes = 100 << 20;  // logs, journal, frozen adapters
// The one that is written, the one that is safe, and one that is being uploaded (reliability).
constexpr std::uintmax_t kCheckpoints = 3;

}  // namespace

SelfTest test_destroy_right(Provider& provider, const InstanceId& id, const std::string& run_id) {
  const Result<Instance> instance = provider.get(id);
  if (!instance) {
    Error error = while_doing("reading this instance", instance.error());
    if (error.kind == ErrorKind::not_found) error.kind = ErrorKind::unreachable;
    return {"destroy", error};
  }
  if (instance->run_id != run_id) {
    return {"destroy",
            Error{ErrorKind::guard, "instance " + id + " is of the run " + instance->run_id}};
  }
  return {"destroy", {}};
}

SelfTest test_disk(const fs::path& run_dir, std::optional<std::int64_t> checkpoint) {
  std::error_code code;
  const fs::space_info space = fs::space(run_dir, code);
  if (code) {
    return {"disk", Error{ErrorKind::refused, run_dir.string() + ": " + code.message()}};
  }
  const std::uintmax_t needed =
      kDiskBytes + kCheckpoints * static_cast<std::uintmax_t>(checkpoint.value_or(0));
  if (space.available >= needed) return {"disk", {}};
  std::string text = std::to_string(space.available >> 20) + " MB are free at " + run_dir.string() +
                     "; " + std::to_string(needed >> 20) + " MB are needed";
  if (checkpoint) {
    text += ", three checkpoints of " + std::to_string(*checkpoint >> 20) + " MB and 100 MB";
  }
  return {"disk", Error{ErrorKind::no_space, text}};
}

SelfTest test_fuse() {
  const char* variable = std::getenv("MAYFLY_ROOT");
  const fs::path root = variable == nullptr ? "/" : variable;
  std::error_code code;
  if (fs::exists(root / "run/mayfly/armed", code)) return {"fuse", {}};
  return {"fuse", Error{ErrorKind::guard, "no fuse was armed on this instance"}};
}

}  // namespace mayfly
