// Which angles a rope turns by: what config.json says of rotary positions.
//
// `rope_parameters` is what transformers 5 writes; before, `rope_theta` stood outside and
// `rope_scaling` held the rest, with its kind under "rope_type" or, older, "type".
// Source: transformers 5.23, modeling_rope_utils.py and the configuration classes.
#pragma once

#include <vector>

namespace mayfly {

class ConfigFields;
struct Architecture;
struct Family;

// How the angles are stretched for texts longer than those of the training.
enum class RopeScaling {
  none,
  linear,    // all of them, by `factor`
  llama3,    // the slow ones, by `factor`
  yarn,      // the same with a ramp between two numbers of turns
  longrope,  // each by a divisor of its own, of two lists
};

struct RopeSettings {
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;
  // llama3's limits between slow and fast.
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  double original_positions = 8192.0;
  // yarn's: a pair that turns more often than fast_turns in original_positions stays, one that
  // turns less often than slow_turns is stretched.
  double fast_turns = 32.0;
  double slow_turns = 1.0;
  bool rounds_limits = true;  // of the ramp, to whole pairs
  // longrope's, one a pair: of texts up to original_positions, and of longer ones.
  std::vector<double> short_divisors = {}, long_divisors = {};
  double amplitude = 1.0;  // what cosines and sines are multiplied by
};

struct Ropes {
  RopeSettings all;
  RopeSettings local;  // of layers with a local rope
};

// Sets `ropes` and `rotary_width`. REQUIRES: head_width and max_positions are read. Faults are kept
// in `config`: a kind of scaling that is not built is refused.
void read_ropes(ConfigFields& config, const Family& family, Architecture& result);

}  // namespace mayfly
