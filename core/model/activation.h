// Of a feed-forward half: down(activation(gate(x)) · up(x)).
#pragma once

namespace mayfly {

enum class Activation {
  silu,
  gelu_tanh,  // GELU with the tanh that stands for the normal distribution
};

}  // namespace mayfly
