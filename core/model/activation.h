// Of a feed-forward half: down(activation(gate(x)) · up(x)), or down(activation(up(x))) in a family
// without a gate.
#pragma once

namespace mayfly {

enum class Activation {
  silu,
  gelu_tanh,  // GELU with the tanh that stands for the normal distribution
  relu_squared,
};

}  // namespace mayfly
