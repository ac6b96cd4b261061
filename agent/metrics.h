// The run as Prometheus wants to read it: the text exposition format, version 0.0.4
// (prometheus.io/docs/instrumenting/exposition_formats). Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/gpu_meter.h"
#include "core/run/run_status.h"

namespace mayfly {

constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// Names and meanings: docs/steering.md. What is not known has no line. Without a status there is
// only mayfly_up 0: the agent has not taken its first turn.
std::string metrics_text(const std::optional<RunStatus>& status, const std::vector<GpuUse>& gpus);

}  // namespace mayfly
