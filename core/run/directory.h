// The name of every file in a run directory; docs/run_directory.md describes them. The interface
// between trainer, agent and people: folders appear by rename, events are appended lines.
#pragma once

#include <filesystem>
#include <string>

namespace mayfly {

struct RunDirectory {
  std::filesystem::path root;

  std::filesystem::path plan() const {
    return root / "plan.json";
  }
  // The plan's settings as a run file, for people: it can be launched again as it is.
  std::filesystem::path resolved_config() const {
    return root / "config.resolved.yaml";
  }
  std::filesystem::path events() const {
    return root / "events.jsonl";
  }
  std::filesystem::path data() const {
    return root / "data";
  }
  std::filesystem::path model() const {
    return root / "model";
  }
  std::filesystem::path checkpoints() const {
    return root / "checkpoints";
  }
  std::filesystem::path checkpoint(long long step) const {
    return checkpoints() / ("checkpoint-" + std::to_string(step));
  }
  std::filesystem::path adapter() const {
    return root / "adapter";
  }
  std::filesystem::path logs() const {
    return root / "logs";
  }
  std::filesystem::path trainer_log() const {
    return logs() / "train.log";
  }
  std::filesystem::path agent_log() const {
    return logs() / "agent.log";
  }
  std::filesystem::path agent() const {
    return root / "agent";
  }
  // An empty file of this name: the agent is done with that checkpoint (uploaded, or not wanted on
  // the hub), so the trainer may delete it. Where there is no agent/ folder, nobody is asked.
  std::filesystem::path uploaded_mark(long long step) const {
    return agent() / "uploaded" / ("checkpoint-" + std::to_string(step));
  }
  std::filesystem::path agent_state() const {
    return agent() / "state.json";
  }
  std::filesystem::path status() const {
    return agent() / "status.json";
  }
  std::filesystem::path decisions() const {
    return root / "decisions.jsonl";
  }
  std::filesystem::path metrics() const {
    return root / "metrics.jsonl";
  }
  std::filesystem::path receipt() const {
    return root / "receipt.json";
  }
};

}  // namespace mayfly
