#include "core/run/layer.h"

#include <array>

#include "core/clock.h"

namespace mayfly {

namespace {

constexpr std::array kStates = {std::pair{LayerState::planned, std::string_view("planned")},
                                std::pair{LayerState::verified, std::string_view("verified")},
                                std::pair{LayerState::unseen, std::string_view("unseen")},
                                std::pair{LayerState::missing, std::string_view("missing")},
                                std::pair{LayerState::none, std::string_view("none")}};

}  // namespace

std::string_view layer_state_name(LayerState state) {
  for (const auto& [value, name] : kStates) {
    if (value == state) return name;
  }
  return "unseen";
}

LayerState layer_state_named(std::string_view word) {
  for (const auto& [value, name] : kStates) {
    if (name == word) return value;
  }
  return LayerState::unseen;
}

std::vector<Layer> planned_layers(std::string_view provider, std::chrono::seconds fuse) {
  const bool attached = provider == "attached";
  const bool local = provider == "local" || attached;
  const auto planned = LayerState::planned;
  return {
      {"L1", "agent", planned, "saves, uploads and destroys when done or at a limit"},
      {"L2", "hard stop", planned, "the agent destroys, whatever is unsaved"},
      {"L3", "restart", planned,
       local ? "a loop starts the agent again" : "systemd starts the agent again"},
      {"L4", "watchdog", planned, "saves and destroys when the agent is dead or silent"},
      {"L5", "fuse", planned,
       "destroys " + format_duration(fuse) + " after the boot at the latest"},
      local ? Layer{"L6", "provider's timer", LayerState::none,
                    attached ? "the host has none" : "this machine has none"}
            : Layer{"L6", "provider's timer", planned, "where the provider keeps one"},
      {"L7", "reap", planned, "`launch reap`"},
  };
}

std::string layers_text(const std::vector<Layer>& layers) {
  std::string text;
  // In order of concern.
  for (const LayerState state : {LayerState::missing, LayerState::verified, LayerState::unseen,
                                 LayerState::planned, LayerState::none}) {
    std::string names;
    for (const Layer& layer : layers) {
      if (layer.state != state) continue;
      names += (names.empty() ? "" : ", ") + layer.name + " " + layer.what;
      if (state != LayerState::verified && state != LayerState::planned && !layer.detail.empty()) {
        names += " (" + layer.detail + ")";
      }
    }
    if (names.empty()) continue;
    const std::string word =
        state == LayerState::missing ? "MISSING" : std::string(layer_state_name(state));
    text += (text.empty() ? "" : " · ") + word + ": " + names;
  }
  return text;
}

}  // namespace mayfly
