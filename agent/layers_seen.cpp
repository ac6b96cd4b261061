#include "agent/layers_seen.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <sstream>

#include <unistd.h>

#include "core/atomic_file.h"
#include "core/clock.h"
#include "core/process_table.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

// The lines NAME=number of the file `times` that the scripts work by.
std::map<std::string, long long> times_of(const fs::path& root) {
  std::map<std::string, long long> times;
  const auto text = read_file(root / "opt/mayfly/times");
  std::istringstream lines(text ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    times[line.substr(0, equals)] = std::atoll(line.c_str() + equals + 1);
  }
  return times;
}

std::optional<long long> number_in(const fs::path& file) {
  const auto text = read_file(file);
  if (!text || text->empty() || text->front() < '0' || text->front() > '9') return std::nullopt;
  return std::atoll(text->c_str());
}

bool runs(const LayerEvidence& evidence, std::string_view script, std::string_view verb) {
  const std::string wanted = std::string(script) + " " + std::string(verb);
  return std::any_of(evidence.commands.begin(), evidence.commands.end(),
                     [&](const std::string& command) { return command.ends_with(wanted); });
}

// The fuse writes at every tick how long the instance has lived: "<boot> <uptime> <lived> <wall>".
void see_fuse(Layer& layer, const LayerEvidence& evidence) {
  auto times = times_of(evidence.root);
  const auto text = read_file(evidence.root / "run/mayfly/life");
  std::istringstream words(text ? *text : "");
  std::string boot;
  long long at = 0, lived = 0;
  const bool readable = static_cast<bool>(words >> boot >> at >> lived);
  constexpr long long kSlow = 30;  // a tick that came late on a busy machine
  const long long since = evidence.uptime_seconds - at;
  const bool ticks = readable && boot == evidence.boot_id && since <= 2 * times["TICK"] + kSlow;
  const bool alive = ticks && (!evidence.local || runs(evidence, "fuse.sh", "wait"));
  if (!alive) {
    layer.state = LayerState::missing;
    layer.detail = ticks      ? "its process does not run"
                   : readable ? "it last looked " + std::to_string(since) + " s ago"
                              : "not armed";
    return;
  }
  long long end = times["FUSE"];
  if (const auto total = number_in(evidence.root / "opt/mayfly/total")) end = std::min(end, *total);
  end += number_in(evidence.root / "var/lib/mayfly/extended").value_or(0);
  layer.state = LayerState::verified;
  const long long left = std::max(0LL, end - lived - since);
  layer.detail = "destroys in " + format_duration(std::chrono::seconds(left)) + " at the latest";
}

void see_watchdog(Layer& layer, const LayerEvidence& evidence) {
  if (!evidence.local) {
    layer.state = LayerState::unseen;
    layer.detail = "a timer of systemd, which the agent may not ask";
    return;
  }
  layer.state = runs(evidence, "watch.sh", "watch") ? LayerState::verified : LayerState::missing;
  if (layer.state == LayerState::missing) layer.detail = "its process does not run";
}

void see_restart(Layer& layer, const LayerEvidence& evidence) {
  const bool looped =
      std::any_of(evidence.commands.begin(), evidence.commands.end(),
                  [](const std::string& command) { return command.ends_with("bootstrap.sh"); });
  const bool there = evidence.local ? looped : evidence.supervised;
  layer.state = there ? LayerState::verified : LayerState::missing;
  if (!there) layer.detail = "nothing starts the agent again";
}

}  // namespace

LayerEvidence layer_evidence() {
  LayerEvidence evidence;
  const char* root = std::getenv("MAYFLY_ROOT");
  evidence.local = root != nullptr && *root != '\0';
  evidence.root = evidence.local ? root : "/";
  evidence.supervised = std::getenv("NOTIFY_SOCKET") != nullptr;
  evidence.boot_id = boot_id();
  if (const auto uptime = number_in("/proc/uptime")) evidence.uptime_seconds = *uptime;
  if (!evidence.local) return evidence;
  const std::string scripts = (evidence.root / "opt/mayfly").string();
  for (const ProcessInfo& process : all_processes()) {
    if (!process.alive()) continue;
    const auto text = read_file("/proc/" + std::to_string(process.pid) + "/cmdline");
    if (!text || text->find(scripts) == std::string::npos) continue;
    std::string command = *text;
    while (command.ends_with('\0')) command.pop_back();
    std::replace(command.begin(), command.end(), '\0', ' ');
    evidence.commands.push_back(std::move(command));
  }
  return evidence;
}

std::vector<Layer> layers_seen(std::vector<Layer> planned, const LayerEvidence& evidence) {
  for (Layer& layer : planned) {
    // Whoever writes this is the agent.
    if (layer.name == "L1" || layer.name == "L2") layer.state = LayerState::verified;
    if (layer.name == "L3") see_restart(layer, evidence);
    if (layer.name == "L4") see_watchdog(layer, evidence);
    if (layer.name == "L5") see_fuse(layer, evidence);
  }
  return planned;
}

}  // namespace mayfly
