#include "agent/gpu_meter.h"

#include <charconv>

#include <sys/wait.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/spawn.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr auto kAskEvery = 10s;
constexpr std::size_t kMostGpus = 64;
constexpr std::size_t kFields = 6;

// "[N/A]" and the like are nothing.
std::optional<double> figure_of(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (fields.size() <= kFields) {
    const auto comma = std::min(line.find(','), line.size());
    std::string_view field = line.substr(0, comma);
    while (field.starts_with(' ')) field.remove_prefix(1);
    while (field.ends_with(' ') || field.ends_with('\r')) field.remove_suffix(1);
    fields.push_back(field);
    if (comma == line.size()) break;
    line.remove_prefix(comma + 1);
  }
  return fields;
}

std::optional<double> scaled(std::optional<double> value, double factor) {
  if (value) *value *= factor;
  return value;
}

}  // namespace

std::vector<GpuUse> parse_gpu_use(std::string_view csv) {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  std::vector<GpuUse> gpus;
  while (!csv.empty() && gpus.size() < kMostGpus) {
    const auto end = std::min(csv.find('\n'), csv.size());
    const auto fields = fields_of(csv.substr(0, end));
    csv.remove_prefix(std::min(end + 1, csv.size()));
    if (fields.size() != kFields || !figure_of(fields[0])) continue;
    gpus.push_back({.index = std::string(fields[0]),
                    .busy = scaled(figure_of(fields[1]), 0.01),
                    .memory_used_bytes = scaled(figure_of(fields[2]), kMebibyte),
                    .memory_bytes = scaled(figure_of(fields[3]), kMebibyte),
                    .celsius = figure_of(fields[4]),
                    .watts = figure_of(fields[5])});
  }
  return gpus;
}

GpuMeter::GpuMeter(fs::path program, fs::path folder, Clock& clock)
    : program_(std::move(program)), file_(folder / "gpu.csv"), clock_(clock) {}

void GpuMeter::take_answer() {
  int status = 0;
  const pid_t done = ::waitpid(running_, &status, WNOHANG);
  if (done == 0) return;
  running_ = 0;
  known_.clear();
  const bool fine = done > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (const auto text = read_file(file_); fine && text) known_ = parse_gpu_use(*text);
}

const std::vector<GpuUse>& GpuMeter::look() {
  if (running_ != 0) take_answer();
  const bool due = !asked_at_ || clock_.steady_now() - *asked_at_ >= kAskEvery;
  if (running_ != 0 || !due || ::access(program_.c_str(), X_OK) != 0) return known_;
  asked_at_ = clock_.steady_now();
  std::error_code code;
  fs::remove(file_, code);  // what a program writes is appended
  SpawnSpec ask;
  ask.argv = {program_.string(),
              "--query-gpu=index,utilization.gpu,memory.used,memory.total,temperature.gpu,"
              "power.draw",
              "--format=csv,noheader,nounits"};
  ask.environment = {"PATH=/usr/bin:/bin"};
  ask.output = file_;
  ask.own_session = true;
  if (const auto started = spawn(ask)) running_ = *started;
  return known_;
}

}  // namespace mayfly
