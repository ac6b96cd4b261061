// Which angles a rope turns by: what config.json says of rotary positions.
//
// `rope_parameters` is what transformers 5 writes; before, `rope_theta` stood outside and
// `rope_scaling` held the rest, with its kind under "rope_type" or, older, "type".
// Source: transformers 5.23, modeling_rope_utils.py and the configuration classes.
#pragma once

namespace mayfly {

class ConfigFields;
struct Family;

// How the angles are stretched for texts longer than those of the training.
enum class RopeScaling {
  none,
  linear,  // all of them, by `factor`
  llama3,  // the slow ones, by `factor`
};

struct RopeSettings {
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;
  // llama3's limits between slow and fast.
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  double original_positions = 8192.0;
};

struct Ropes {
  RopeSettings all;
  RopeSettings local;  // of layers with a local rope
};

// Faults are kept in `config`: a kind of scaling that is not built is refused.
Ropes read_ropes(ConfigFields& config, const Family& family);

}  // namespace mayfly
