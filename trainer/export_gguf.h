// `train export`: a model, with or without an adapter in its weights, as one GGUF file for
// llama.cpp and what is built on it.
//
// Understood: the family llama without biases, with a byte-level tokenizer; others are refused by
// name. Names, keys, order of rows and types of tensors are those of llama.cpp's own converter
// (conversion/llama.py of llama-cpp-python 0.3.36), against which tests/oracle_export holds it.
#pragma once

#include <cstdint>
#include <string>

#include "core/model/gguf.h"
#include "core/result.h"

namespace mayfly {

struct ExportRequest {
  std::string model_dir;
  std::string adapter_dir;  // "": the model as it is
  std::string out;          // a file; must not exist
  GgufType type = GgufType::f16;
};

struct ExportedModel {
  std::int64_t tensors = 0;
  std::int64_t bytes = 0;        // of their data
  std::int64_t kept_in_f16 = 0;  // q8_0: matrices whose rows are no whole blocks of 32
};

// Peak memory: two tensors in float32. Errors: usage (out exists), not_found, corrupt, unsupported,
// diverged, those of write_file.
Result<ExportedModel> export_gguf(const ExportRequest& request);

}  // namespace mayfly
