// The layers that end an instance, each without the ones above it (docs/boot.md, docs/steering.md):
// what the plan promises of them, and what has been seen of them on a running instance.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly {

enum class LayerState {
  planned,   // nobody has looked yet
  verified,  // seen at work on this instance
  unseen,    // should be there; whoever looked cannot tell
  missing,   // should be there and is not: somebody should look
  none,      // there is no such layer with this provider
};
std::string_view layer_state_name(LayerState state);
// An unknown word, of a later version, is `unseen`.
LayerState layer_state_named(std::string_view name);

struct Layer {
  std::string name;  // "L5"
  std::string what;  // "fuse"
  LayerState state = LayerState::planned;
  std::string detail;  // "ends it 1h05m after its boot"
};

// L1 to L7 as a run with this provider has them. `fuse`: when the last of them on the instance ends
// it, after its boot.
std::vector<Layer> planned_layers(std::string_view provider, std::chrono::seconds fuse);

// "L1 agent, L2 hard stop verified; L6 none (...)": one line, states in groups.
std::string layers_text(const std::vector<Layer>& layers);

}  // namespace mayfly
