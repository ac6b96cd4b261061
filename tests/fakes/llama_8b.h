// The shape of Llama-3-8B, for tests of arithmetic about memory.
#pragma once

#include "core/model/architecture.h"

namespace mayfly {

inline Architecture llama_8b() {
  Architecture model;
  model.model_type = "llama";
  model.width = 4096;
  model.layers = 32;
  model.heads = 32;
  model.kv_heads = 8;
  model.head_width = 128;
  model.ff_width = 14336;
  model.vocabulary = 128256;
  return model;
}

}  // namespace mayfly
