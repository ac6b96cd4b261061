#include "agent/run_logs.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/open_beneath.h"
#include "core/scrub.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMostBytes = 4 << 20;
constexpr std::int64_t kErrorLogBytes = 2 << 20;  // reliability: "last 2 MB and the stack"
constexpr std::int64_t kAgentBytes = 256 << 10;
constexpr std::int64_t kStackBytes = 256 << 10;
constexpr std::int64_t kTrainerBytes = 1 << 20;

// The end of a file, from the beginning of a line on: a secret that was cut at its front would not
// be recognised. Nothing where there is no such file, or a link in its place.
std::string last_bytes(const RunDirectory& run, const fs::path& path, std::int64_t most) {
  const Result<Descriptor> file =
      open_beneath(run.root, path.lexically_relative(run.root), O_RDONLY);
  if (!file) return {};
  const auto size = static_cast<std::int64_t>(::lseek(file->get(), 0, SEEK_END));
  const std::int64_t wanted = std::min(size, most);
  std::string bytes(static_cast<std::size_t>(std::max<std::int64_t>(wanted, 0)), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t more = ::pread(file->get(), bytes.data() + have, bytes.size() - have,
                                 size - wanted + static_cast<off_t>(have));
    if (more <= 0) break;
    have += static_cast<std::size_t>(more);
  }
  bytes.resize(have);
  if (wanted < size) {
    const auto end = bytes.find('\n');
    bytes.erase(0, end == std::string::npos ? bytes.size() : end + 1);
  }
  return bytes;
}

Result<StoreUpload> masked_copy(const RunDirectory& run, const std::string& text,
                                const std::string& name, const std::string& path,
                                const std::vector<Secret>& own) {
  const fs::path folder = run.agent() / "upload" / "logs";
  if (const Status made = make_folders(folder); !made) return made.error();
  if (const Status written = write_file(folder / name, scrub_secrets(text, own)); !written) {
    return written.error();
  }
  return StoreUpload{folder / name, path};
}

Result<std::vector<StoreUpload>> collect(const RunDirectory& run, const std::string& run_name,
                                         const std::vector<fs::path>& sources,
                                         const std::vector<Secret>& own) {
  std::vector<StoreUpload> files;
  for (const fs::path& source : sources) {
    const std::string text = last_bytes(run, source, kMostBytes);
    if (text.empty()) continue;
    const std::string name = source.filename().string();
    const Result<StoreUpload> copy =
        masked_copy(run, text, name, "logs/" + run_name + "/" + name, own);
    if (!copy) return copy.error();
    files.push_back(*copy);
  }
  return files;
}

std::string section(const std::string& title, const std::string& text) {
  if (text.empty()) return {};
  return "\n=== " + title + " ===\n" + text + (text.back() == '\n' ? "" : "\n");
}

// logs/stack.txt, logs/stack-<time>.txt, ...: newest name last.
std::string stacks(const RunDirectory& run) {
  std::vector<fs::path> files;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(run.logs(), code)) {
    if (entry.path().filename().string().starts_with("stack")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string text;
  for (const fs::path& file : files) text += last_bytes(run, file, kStackBytes);
  return text;
}

}  // namespace

Result<std::vector<StoreUpload>> collect_logs(const RunDirectory& run, const std::string& run_name,
                                              const std::vector<Secret>& own) {
  return collect(run, run_name,
                 {run.trainer_log(), run.agent_log(), run.status(), run.events(), run.metrics(),
                  run.decisions(), run.resolved_config()},
                 own);
}

Result<std::vector<StoreUpload>> collect_status(const RunDirectory& run,
                                                const std::string& run_name,
                                                const std::vector<Secret>& own) {
  return collect(run, run_name, {run.status()}, own);
}

Result<StoreUpload> collect_error_log(const RunDirectory& run, const Failure& failure,
                                      const std::vector<Secret>& own) {
  std::string stamp = failure.utc;  // colons are not welcome in file names everywhere
  std::erase(stamp, ':');
  const std::string name = "error-" + stamp + "-" + failure.phase + ".log";
  std::string text = failure.reason + "\n\nat " + failure.utc + "  phase " + failure.phase +
                     "  plan sha256:" + failure.config_hash + "\n";
  text += section("stack of the trainer", stacks(run));
  text += section("host", failure.host);
  text += section("agent.log", last_bytes(run, run.agent_log(), kAgentBytes));
  text += section("train.log", last_bytes(run, run.trainer_log(), kTrainerBytes));
  // The trainer's last words stand at the end, so that is what is kept if it is too much.
  if (static_cast<std::int64_t>(text.size()) > kErrorLogBytes) {
    text.erase(0, text.size() - static_cast<std::size_t>(kErrorLogBytes));
    text.erase(0, text.find('\n') + 1);
  }
  return masked_copy(run, text, name, "logs/" + name, own);
}

}  // namespace mayfly
