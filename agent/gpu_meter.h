// How busy the GPUs are, as nvidia-smi says. For people and for /metrics; no decision of the agent
// depends on it, since a hung collective shows 100 % (docs/decisions).
//
// nvidia-smi can hang in the driver, so nobody waits for it: a look starts it, a later look takes
// what it has written. One at a time, at most every 10 s; one that does not end is left alone and
// no other is started.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "core/clock.h"

namespace mayfly {

struct GpuUse {
  std::string index;
  std::optional<double> busy;  // 0 to 1
  std::optional<double> memory_used_bytes;
  std::optional<double> memory_bytes;
  std::optional<double> celsius;
  std::optional<double> watts;
};

// The CSV of `nvidia-smi --query-gpu=index,utilization.gpu,memory.used,memory.total,
// temperature.gpu,power.draw --format=csv,noheader,nounits`; lines of another form are left out.
std::vector<GpuUse> parse_gpu_use(std::string_view csv);

class GpuMeter {
 public:
  // `program`: nvidia-smi; `folder`: where it writes. The clock outlives the meter.
  GpuMeter(std::filesystem::path program, std::filesystem::path folder, Clock& clock);

  // What is known now; empty before the second look and where there is no nvidia-smi.
  const std::vector<GpuUse>& look();

 private:
  void take_answer();

  std::filesystem::path program_;
  std::filesystem::path file_;
  Clock& clock_;
  pid_t running_ = 0;
  std::optional<SteadyTime> asked_at_;
  std::vector<GpuUse> known_;
};

}  // namespace mayfly
