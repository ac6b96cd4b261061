#include "agent/metrics.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace mayfly {

namespace {

// The states of docs/status.md that an agent writes.
constexpr std::array kStates = {"fetching", "training",   "saving",     "uploading",
                                "kept",     "destroying", "confirming", "ended"};
constexpr std::array kUploadStates = {"queued", "uploading", "safe", "failed"};

std::string label_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string sample_value(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.17g", value);
  return text.data();
}

struct Label {
  const char* name;
  std::string_view value;
};

// Metrics in the order they are written; all samples of one stand together, as the format wants.
class Page {
 public:
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    text_ += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  }
  void sample(double value, const std::vector<Label>& labels = {}) {
    text_ += name_;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      text_ += i == 0 ? "{" : ",";
      text_ += std::string(labels[i].name) + "=\"" + label_value(labels[i].value) + "\"";
    }
    if (!labels.empty()) text_ += "}";
    text_ += " " + sample_value(value) + "\n";
  }
  void gauge(const char* name, const char* help, double value) {
    family(name, "gauge", help);
    sample(value);
  }
  void gauge(const char* name, const char* help, const std::optional<double>& value) {
    if (value) gauge(name, help, *value);
  }
  std::string take() {
    return std::move(text_);
  }

 private:
  std::string name_;
  std::string text_;
};

double dollars_of(Usd amount) {
  return static_cast<double>(amount.micros) / 1e6;
}

double unix_seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

void add_work(Page& page, const RunStatus& status) {
  page.family("mayfly_run_info", "gauge", "1, with what the run is called");
  page.sample(1, {{"run_id", status.run_id},
                  {"name", status.name},
                  {"phase", status.phase},
                  {"provider", status.provider},
                  {"instance", status.instance_id}});
  page.family("mayfly_state", "gauge", "1 for the state the agent is in, 0 for the others");
  for (const char* state : kStates) page.sample(status.state == state ? 1 : 0, {{"state", state}});
  page.gauge("mayfly_status_timestamp_seconds", "When the agent wrote these numbers",
             unix_seconds(status.updated_at));
  page.gauge("mayfly_epoch", "Epochs done", status.epoch);
  page.gauge("mayfly_step", "Optimizer steps done", static_cast<double>(status.step));
  page.gauge("mayfly_planned_steps", "Optimizer steps of the whole run",
             static_cast<double>(status.total_steps));
  page.gauge("mayfly_loss", "Loss of the last step", status.loss);
  page.gauge("mayfly_held_out_loss", "Loss on the held-out examples, last measured",
             status.held_out_loss);
  page.gauge("mayfly_tokens_per_second", "Training speed", status.tokens_per_second);
  page.gauge("mayfly_eta_seconds", "Time left for the training", status.eta_seconds);
  page.gauge("mayfly_last_progress_seconds", "Time since anything progressed",
             status.last_progress_seconds);
  page.family("mayfly_trainer_restarts_total", "counter", "Times the trainer was started again");
  page.sample(status.trainer_restarts);
}

void add_money(Page& page, const RunStatus& status) {
  page.gauge("mayfly_spent_dollars", "What the instance has cost", dollars_of(status.spent));
  page.gauge("mayfly_rate_dollars_per_hour", "What the instance costs",
             dollars_of(status.rate_per_hour));
  page.family("mayfly_limit", "gauge", "A limit as it was set, in its unit; 0: off");
  for (const GuardReport& guard : status.guards) {
    page.sample(guard.limit, {{"limit", guard.name}, {"unit", guard.unit}});
  }
  page.family("mayfly_limit_left_seconds", "gauge", "Time until a limit stops the run");
  for (const GuardReport& guard : status.guards) {
    if (guard.left_seconds) page.sample(*guard.left_seconds, {{"limit", guard.name}});
  }
}

void add_uploads(Page& page, const RunStatus& status) {
  page.family("mayfly_uploads", "gauge", "Branches by how far their upload is");
  for (const char* state : kUploadStates) {
    double count = 0;
    for (const UploadReport& upload : status.uploads) count += upload.state == state ? 1 : 0;
    page.sample(count, {{"state", state}});
  }
}

void add_gpus(Page& page, const std::vector<GpuUse>& gpus) {
  struct Row {
    const char* name;
    const char* help;
    std::optional<double> GpuUse::*value;
  };
  constexpr std::array kRows = {
      Row{"mayfly_gpu_busy_ratio", "Part of the time in which a kernel ran", &GpuUse::busy},
      Row{"mayfly_gpu_memory_used_bytes", "GPU memory in use", &GpuUse::memory_used_bytes},
      Row{"mayfly_gpu_memory_bytes", "GPU memory there is", &GpuUse::memory_bytes},
      Row{"mayfly_gpu_celsius", "Temperature", &GpuUse::celsius},
      Row{"mayfly_gpu_watts", "Power draw", &GpuUse::watts}};
  for (const Row& row : kRows) {
    if (gpus.empty()) return;
    page.family(row.name, "gauge", row.help);
    for (const GpuUse& gpu : gpus) {
      if (gpu.*row.value) page.sample(*(gpu.*row.value), {{"gpu", gpu.index}});
    }
  }
}

}  // namespace

std::string metrics_text(const std::optional<RunStatus>& status, const std::vector<GpuUse>& gpus) {
  Page page;
  page.gauge("mayfly_up", "1 once the agent has taken its first turn", status ? 1.0 : 0.0);
  if (status) {
    add_work(page, *status);
    add_money(page, *status);
    add_uploads(page, *status);
  }
  add_gpus(page, gpus);
  return page.take();
}

}  // namespace mayfly
