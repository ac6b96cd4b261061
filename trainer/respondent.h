// A model that answers, with or without an adapter: what `train generate`, `train chat` and
// `train eval --exact-match` have in common. Prompts go through the model's chat template.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/quant_config.h"
#include "core/result.h"
#include "core/text/message.h"
#include "trainer/device.h"
#include "trainer/load_model.h"
#include "trainer/nn/generate.h"

namespace mayfly {

struct RespondentFolders {
  std::string model_dir;
  std::string adapter_dir;  // "": the base model
  ComputeDevice device;
  QuantConfig quant = {};
};

struct Answer {
  std::string text;  // without special tokens
  std::int64_t prompt_tokens = 0;
  std::int64_t new_tokens = 0;  // with the one that ends the answer
  bool complete = false;        // ended by itself, not by max_new_tokens
};

// Called with each piece of the answer that is whole characters; false: no more.
using AnswerPieces = std::function<bool(std::string_view)>;

// One thread.
class Respondent {
 public:
  // Errors: not_found, corrupt, unsupported.
  static Result<Respondent> load(const RespondentFolders& folders);

  bool has_adapter() const {
    return adapter_.has_value();
  }
  // To what `messages` end with. `tuned` false: the base model, whatever adapter there is. Error:
  // bad_data (a template that refuses the messages).
  Result<Answer> answer(const std::vector<Message>& messages, const Sampling& sampling, bool tuned,
                        const AnswerPieces& pieces = {}) const;

 private:
  Respondent(LoadedModel model, std::optional<LoraAdapter> adapter);
  Result<std::vector<TokenId>> prompt_of(const std::vector<Message>& messages) const;

  LoadedModel model_;
  std::optional<LoraAdapter> adapter_;
  std::vector<std::int64_t> ends_;  // tokens that end an answer: the tokenizer's, config.json's
};

}  // namespace mayfly
