// The page a person sees in a browser: one HTML text without scripts and without other files, which
// reloads itself every five seconds. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/gpu_meter.h"
#include "agent/loss_curve.h"
#include "core/run/run_status.h"

namespace mayfly {

struct LogLines {
  std::string name;  // "train"
  std::string text;  // the last lines, tokens masked
};

// Everything from outside is escaped. Without a status it says that the agent is starting.
std::string dashboard_page(const std::optional<RunStatus>& status, const LossCurve& curve,
                           const std::vector<GpuUse>& gpus, const std::vector<LogLines>& logs);

}  // namespace mayfly
