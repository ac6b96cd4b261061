#include "launcher/preflight.h"

#include <array>
#include <cstdio>

#include "core/http/curl_client.h"
#include "core/store/hub_session.h"

namespace mayfly {

namespace fs = std::filesystem;

std::string format_bytes(std::int64_t bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
                kUnits[unit]);
  return text.data();
}

Result<std::int64_t> free_bytes(const fs::path& path) {
  fs::path folder = path;
  std::error_code code;
  while (!folder.empty() && folder != folder.root_path() && !fs::exists(folder, code)) {
    folder = folder.parent_path();
  }
  const fs::space_info space = fs::space(folder, code);
  if (code) {
    return Error{ErrorKind::refused,
                 "asking for the free space of " + folder.string() + ": " + code.message()};
  }
  return static_cast<std::int64_t>(space.available);
}

Status check_disk(const RunPlan& plan, std::int64_t model_bytes) {
  // The instance copies the model; optimizer and adapter in float32 are far smaller than 1 GB for
  // the ranks that make sense, and the programs are a few hundred megabytes.
  constexpr std::int64_t kRest = 1'000'000'000;
  const std::int64_t needed = model_bytes + kRest;
  const Result<std::int64_t> there = free_bytes(plan.run_dir);
  if (!there) return there.error();
  if (*there >= needed) return Unit{};
  return Error{ErrorKind::no_space,
               "the run needs about " + format_bytes(needed) + " of disk where " + plan.run_dir +
                   " will be, and " + format_bytes(*there) + " are free",
               "free some space, or set paths.outputs_dir to another disk"};
}

Status check_hub_token(const HubChoice& hub, Clock& clock) {
  CurlHttpClient http(curl_options_from_environment());
  // Somebody sits and waits: a hub that is down is told at once.
  HubPatience patience;
  patience.deadline = std::chrono::seconds(20);
  patience.request_timeout = std::chrono::seconds(10);
  HubSession session(http, clock, HubAddress{hub.endpoint, hub.token}, patience);
  const Result<std::string> account = session.whoami();
  if (account) return Unit{};
  Error error = account.error();
  if (error.kind == ErrorKind::unauthorized) {
    error.hint = "make a token with write access at " + hub.endpoint +
                 "/settings/tokens and set HF_TOKEN to it";
  }
  return error;
}

}  // namespace mayfly
