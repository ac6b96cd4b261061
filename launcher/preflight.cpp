#include "launcher/preflight.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "core/http/curl_client.h"
#include "core/store/hub_account.h"

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

namespace {

constexpr std::string_view kHuggingFaceHub = "https://huggingface.co";

Error with_token_hint(Error error, const std::string& endpoint) {
  if (error.kind == ErrorKind::unauthorized) {
    error.hint =
        "make a token with write access at " + endpoint + "/settings/tokens and set HF_TOKEN to it";
  }
  return error;
}

// By the last part of the name: a folder of the model, or a copy under another owner, is the same.
bool is_same_model(const std::string& a, const std::string& b) {
  const auto last = [](const std::string& name) {
    std::string part = fs::path(name).filename().string();
    for (char& letter : part) letter = static_cast<char>(std::tolower(letter));
    return part;
  };
  return last(a) == last(b);
}

}  // namespace

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

Status check_hub(std::vector<PlannedRun>& runs, Clock& clock) {
  if (runs.empty() || runs.front().hub.embedded) return Unit{};
  const HubChoice& hub = runs.front().hub;
  CurlHttpClient http(curl_options_from_environment());
  // Somebody sits and waits: a hub that is down is told at once.
  HubPatience patience;
  patience.deadline = std::chrono::seconds(20);
  patience.request_timeout = std::chrono::seconds(10);
  HubSession session(http, clock, HubAddress{hub.endpoint, hub.token}, patience);
  const Result<HubAccount> account = hub_account(session);
  if (!account) return with_token_hint(account.error(), hub.endpoint);
  for (PlannedRun& run : runs) {
    const Result<RepoName> repo = parse_repo_name(run.plan.hub_repo);
    if (!repo) return repo.error();
    if (const std::string reason = why_not_write(*account, *repo); !reason.empty()) {
      // Other servers that speak the protocol may let anybody write who has a token.
      const bool certain = account->role == "read" || hub.endpoint == kHuggingFaceHub;
      if (certain) return with_token_hint({ErrorKind::unauthorized, reason}, hub.endpoint);
      run.notes.push_back(reason + ", unless this hub has rules of its own");
    }
    const auto base = adapter_base_of(session, HubRepo{RepoKind::model, *repo});
    if (!base) return base.error();
    if (*base && !is_same_model(**base, run.plan.config.model.base)) {
      run.mistakes.push_back("the repository " + run.plan.hub_repo + " holds an adapter of " +
                             **base + ", whose branch main would be overwritten by one of " +
                             run.plan.config.model.base + ": give another --repo");
    }
    const double ttl = run.plan.config.limits.ttl_hours.value_or(0) * 3600;
    const double longest = std::max(ttl, run.plan.estimate.seconds);
    const auto end = clock.now() + std::chrono::seconds(std::llround(longest));
    if (account->expires_at && *account->expires_at < end) {
      run.mistakes.push_back("the hub's token runs out at " + format_utc(*account->expires_at) +
                             ", before the run may end: what comes later could not be uploaded");
    }
  }
  return Unit{};
}

}  // namespace mayfly
