// `train generate`: one answer of a model to one prompt, in the model's chat template.
#pragma once

#include <cstdint>
#include <string>

#include "core/config/quant_config.h"
#include "core/result.h"
#include "trainer/device.h"
#include "trainer/nn/generate.h"

namespace mayfly {

struct AnswerRequest {
  std::string model_dir;
  std::string adapter_dir;  // "": the base model
  std::string system;       // "": no system message
  std::string prompt;
  Sampling sampling;
  ComputeDevice device;
  QuantConfig quant = {};
};

struct Answer {
  std::string text;  // without special tokens
  std::int64_t prompt_tokens = 0;
  std::int64_t new_tokens = 0;  // with the one that ends the answer
  bool complete = false;        // ended by itself, not by max_new_tokens
};

// Errors: not_found, corrupt, unsupported, bad_data (a template that refuses the prompt).
Result<Answer> answer(const AnswerRequest& request);

}  // namespace mayfly
