// A byte-level tokenizer.json as it is written: tokens and merges in the printable alphabet, for
// programs that bring a tokenizer of their own and want its tables (GGUF).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly {

struct WrittenVocabulary {
  // The numbers of GGUF's TokenType.
  enum Kind : std::int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

  std::vector<std::string> tokens;  // by id
  std::vector<std::int32_t> kinds;  // by id
  std::vector<std::string> merges;  // "left right", the first is merged first
  std::string pre_tokenizer;        // llama.cpp's name for how text is cut: "llama-bpe"
};

// `size` ids; those without a token become "[PAD<id>]". Errors: corrupt, unsupported (a tokenizer
// over characters, a pre-tokenizer that llama.cpp's names below do not cover, a token beyond
// `size`).
//
//   smollm      Digits one by one, then GPT-2's pattern      llama-bpe   Llama 3's pattern
//   gpt-2       GPT-2's pattern                              qwen2       Qwen 2's pattern
//
// Source of the names: llama.cpp, src/llama-vocab.cpp, and conversion/base.py of llama-cpp-python
// 0.3.36, which tells them by what a text becomes.
Result<WrittenVocabulary> read_written_vocabulary(std::string_view json, std::int64_t size,
                                                  std::string_view what);

}  // namespace mayfly
