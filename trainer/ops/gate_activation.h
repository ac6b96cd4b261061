// What a gated unit applies to its gate (glu.h).
#pragma once

namespace mayfly {

enum class GateActivation { silu, gelu_tanh };

}  // namespace mayfly
