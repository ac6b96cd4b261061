#include "core/text/nanochat_tokenizer.h"

#include <array>

#include <nlohmann/json.hpp>

#include "core/text/pre_tokenizer.h"

namespace mayfly {

namespace {

constexpr const char* kBos = "<|bos|>";
constexpr const char* kAssistantEnd = "<|assistant_end|>";
constexpr std::array kSpecialTokens = {kBos,
                                       "<|user_start|>",
                                       "<|user_end|>",
                                       "<|assistant_start|>",
                                       kAssistantEnd,
                                       "<|python_start|>",
                                       "<|python_end|>",
                                       "<|output_start|>",
                                       "<|output_end|>"};

// The system's message becomes the beginning of the user's first; then user and assistant in turn.
constexpr const char* kChatTemplate =
    "{%- if messages[0]['role'] == 'system' -%}"
    "{%- set before = messages[0]['content'] + '\\n\\n' -%}{%- set turns = messages[1:] -%}"
    "{%- else -%}"
    "{%- set before = '' -%}{%- set turns = messages -%}"
    "{%- endif -%}"
    "{{- '<|bos|>' -}}"
    "{%- for message in turns -%}"
    "{%- if message['role'] != ('user' if loop.index0 % 2 == 0 else 'assistant') -%}"
    "{{- raise_exception('the messages must be of user and assistant in turn') -}}"
    "{%- endif -%}"
    "{%- if message['role'] == 'user' -%}"
    "{{- '<|user_start|>' + (before if loop.first else '') + message['content'] + '<|user_end|>' "
    "-}}"
    "{%- else -%}"
    "{{- '<|assistant_start|>' + message['content'] + '<|assistant_end|>' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant_start|>' -}}{%- endif -%}";

nlohmann::json tokenizer_config(std::int64_t max_positions) {
  nlohmann::json others = nlohmann::json::array();
  for (const char* const name : kSpecialTokens) {
    if (name != kBos && name != kAssistantEnd) others.push_back(name);
  }
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"bos_token", kBos},
          {"eos_token", kAssistantEnd},
          {"pad_token", kAssistantEnd},
          {"additional_special_tokens", std::move(others)},
          {"model_max_length", max_positions},
          {"clean_up_tokenization_spaces", false},
          {"chat_template", kChatTemplate}};
}

}  // namespace

Result<NanochatTokenizer> nanochat_tokenizer(const TiktokenEncoding& encoding,
                                             std::int64_t max_positions, std::string_view what) {
  for (const char* const name : kSpecialTokens) {
    if (!encoding.special.contains(name)) {
      return Error{ErrorKind::unsupported, std::string(what) + ": it has no special token " + name,
                   "give the folder with the tokenizer.pkl that nanochat wrote"};
    }
  }
  NanochatTokenizer made;
  made.tokenizer_json = tokenizer_json_of(encoding, kBos);
  made.tokenizer_config_json = tokenizer_config(max_positions).dump(2);
  made.bos = encoding.special.at(kBos);
  made.assistant_end = encoding.special.at(kAssistantEnd);
  made.size = encoding.size();
  // What we could not read ourselves must not be written.
  const Result<TokenizerSpec> spec = parse_tokenizer_json(made.tokenizer_json, what);
  if (!spec) return spec.error();
  const Result<PreTokenizer> cut = PreTokenizer::compile(spec->steps);
  if (!cut) return while_doing(std::string(what), cut.error());
  return made;
}

}  // namespace mayfly
