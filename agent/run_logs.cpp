#include "agent/run_logs.h"

#include <algorithm>
#include <fstream>

#include "core/atomic_file.h"
#include "core/log.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMostBytes = 4 << 20;
constexpr int kErrorLines = 200;

std::string last_bytes(const fs::path& path) {
  std::error_code code;
  const auto size = static_cast<std::int64_t>(fs::file_size(path, code));
  if (code) return {};
  const std::int64_t wanted = std::min(size, kMostBytes);
  std::ifstream in(path, std::ios::binary);
  in.seekg(size - wanted);
  std::string bytes(static_cast<std::size_t>(wanted), '\0');
  in.read(bytes.data(), wanted);
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return bytes;
}

std::string last_lines(const std::string& text, int lines) {
  auto at = text.size();
  while (at > 0 && lines-- >= 0) {
    const auto found = text.rfind('\n', at - 1);
    if (found == std::string::npos) return text;
    at = found;
  }
  return text.substr(at == 0 ? 0 : at + 1);
}

Result<StoreUpload> masked_copy(const RunDirectory& run, const std::string& text,
                                const std::string& name, const std::string& path) {
  const fs::path folder = run.agent() / "upload" / "logs";
  if (const Status made = make_folders(folder); !made) return made.error();
  if (const Status written = write_file(folder / name, mask_tokens(text)); !written) {
    return written.error();
  }
  return StoreUpload{folder / name, path};
}

Result<std::vector<StoreUpload>> collect(const RunDirectory& run, const std::string& run_name,
                                         const std::vector<fs::path>& sources) {
  std::vector<StoreUpload> files;
  for (const fs::path& source : sources) {
    const std::string text = last_bytes(source);
    if (text.empty()) continue;
    const std::string name = source.filename().string();
    const Result<StoreUpload> copy = masked_copy(run, text, name, "logs/" + run_name + "/" + name);
    if (!copy) return copy.error();
    files.push_back(*copy);
  }
  return files;
}

}  // namespace

Result<std::vector<StoreUpload>> collect_logs(const RunDirectory& run,
                                              const std::string& run_name) {
  return collect(run, run_name,
                 {run.trainer_log(), run.agent_log(), run.status(), run.events(), run.metrics(),
                  run.decisions(), run.resolved_config()});
}

Result<std::vector<StoreUpload>> collect_status(const RunDirectory& run,
                                                const std::string& run_name) {
  return collect(run, run_name, {run.status()});
}

Result<StoreUpload> collect_error_log(const RunDirectory& run, const std::string& utc,
                                      const std::string& phase, const std::string& reason) {
  std::string stamp = utc;  // colons are not welcome in file names everywhere
  std::erase(stamp, ':');
  const std::string name = "error-" + stamp + "-" + phase + ".log";
  const std::string text = reason + "\n\n" + last_lines(last_bytes(run.trainer_log()), kErrorLines);
  return masked_copy(run, text, name, "logs/" + name);
}

}  // namespace mayfly
