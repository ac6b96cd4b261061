#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/field.h"

namespace mayfly {

enum class TrainOn { assistant, completion, last, all };
template <>
struct EnumNames<TrainOn> {
  static constexpr std::array values = {
      std::pair{TrainOn::assistant, std::string_view("assistant")},
      std::pair{TrainOn::completion, std::string_view("completion")},
      std::pair{TrainOn::last, std::string_view("last")},
      std::pair{TrainOn::all, std::string_view("all")}};
};

// The shape of the rows (core/text/record_shape.h).
enum class DataFormat { automatic, messages, sharegpt, alpaca, prompt_completion, text, tokenized };
template <>
struct EnumNames<DataFormat> {
  static constexpr std::array values = {
      std::pair{DataFormat::automatic, std::string_view("auto")},
      std::pair{DataFormat::messages, std::string_view("messages")},
      std::pair{DataFormat::sharegpt, std::string_view("sharegpt")},
      std::pair{DataFormat::alpaca, std::string_view("alpaca")},
      std::pair{DataFormat::prompt_completion, std::string_view("prompt_completion")},
      std::pair{DataFormat::text, std::string_view("text")},
      std::pair{DataFormat::tokenized, std::string_view("tokenized")}};
};

// What becomes of a row with more tokens than cutoff_len.
enum class Truncation { keep_start, keep_end, split, drop, error };
template <>
struct EnumNames<Truncation> {
  static constexpr std::array values = {
      std::pair{Truncation::keep_start, std::string_view("keep_start")},
      std::pair{Truncation::keep_end, std::string_view("keep_end")},
      std::pair{Truncation::split, std::string_view("split")},
      std::pair{Truncation::drop, std::string_view("drop")},
      std::pair{Truncation::error, std::string_view("error")}};
};

// Whether rows that are there more than once are trained more than once.
enum class Dedup { off, exact, near };
template <>
struct EnumNames<Dedup> {
  static constexpr std::array values = {std::pair{Dedup::off, std::string_view("off")},
                                        std::pair{Dedup::exact, std::string_view("exact")},
                                        std::pair{Dedup::near, std::string_view("near")}};
};

// What to do with a row in which no token would be trained.
enum class MaskCheck { error, warn, off };
template <>
struct EnumNames<MaskCheck> {
  static constexpr std::array values = {std::pair{MaskCheck::error, std::string_view("error")},
                                        std::pair{MaskCheck::warn, std::string_view("warn")},
                                        std::pair{MaskCheck::off, std::string_view("off")}};
};

// The words of docs/data.md: the keys of a row or a message, and who may speak in a chat.
inline constexpr std::array<std::string_view, 16> kRowKeys = {
    "messages", "conversations", "role",        "content", "from",   "value",
    "prompt",   "completion",    "instruction", "input",   "output", "system",
    "history",  "input_ids",     "labels",      "text"};
inline constexpr std::array<std::string_view, 5> kChatRoles = {"system", "developer", "user",
                                                               "assistant", "tool"};

// When the rows of a mix are enough: core/text/mix.h.
enum class MixStrategy { first_exhausted, all_exhausted };
template <>
struct EnumNames<MixStrategy> {
  static constexpr std::array values = {
      std::pair{MixStrategy::first_exhausted, std::string_view("first_exhausted")},
      std::pair{MixStrategy::all_exhausted, std::string_view("all_exhausted")}};
};

// One of several data sets that are trained on together.
struct MixSource {
  std::vector<std::string> path;
  double weight = 1.0;
  std::optional<std::string> name = {};
  std::optional<DataFormat> format = {};
  std::map<std::string, std::string> fields_named = {};
  std::map<std::string, std::string> roles = {};

  static constexpr void fields(auto&& field) {
    using Self = MixSource;
    field("path", &Self::path, FieldDoc{.doc = "Its files, as in data.path.", .is_path = true});
    // Millionths: shares are counted in whole numbers (core/text/mix.h).
    field("weight", &Self::weight,
          FieldDoc{.doc = "Its share of the training rows, beside the weights of the others.",
                   .at_least = 0.000001,
                   .at_most = 1000});
    field("name", &Self::name, FieldDoc{.doc = "What it is called; else its first file is."});
    field("format", &Self::format, FieldDoc{.doc = "Instead of data.format."});
    field("fields", &Self::fields_named, FieldDoc{.doc = "Instead of data.fields."});
    field("roles", &Self::roles, FieldDoc{.doc = "Instead of data.roles."});
  }
};
static_assert(field_count<MixSource>() == member_count<MixSource>());

// What is trained on, and how rows become tokens.
struct DataConfig {
  std::vector<std::string> path;
  std::vector<MixSource> mix;
  MixStrategy mix_strategy = MixStrategy::first_exhausted;
  DataFormat format = DataFormat::automatic;
  std::map<std::string, std::string> fields_named;
  std::map<std::string, std::string> roles;
  std::string chat_template = "tokenizer";
  std::optional<std::string> system_prompt;
  std::optional<std::string> val_path;
  double test_size = 0.0;
  bool save_splits = false;
  std::int64_t seed = 42;
  std::optional<std::int64_t> sample_size;
  std::optional<std::int64_t> max_train_samples;
  Dedup dedup = Dedup::off;
  std::int64_t cutoff_len = 1024;
  Truncation truncation = Truncation::keep_start;
  TrainOn train_on = TrainOn::assistant;
  MaskCheck mask_check = MaskCheck::error;
  bool pack_sequences = false;
  bool shuffle = true;

  static constexpr void fields(auto&& field) {
    using Self = DataConfig;
    field(
        "path", &Self::path,
        FieldDoc{
            .doc = "Files of rows, in order: JSONL or one JSON list, also compressed (.gz, .zst).",
            .flag = "--data",
            .is_path = true});
    field("mix", &Self::mix,
          FieldDoc{.doc = "Instead of data.path: several data sets and their shares, such as "
                          "[{path: a.jsonl, weight: 0.7}, {path: b.jsonl, weight: 0.3}]."});
    field("mix_strategy", &Self::mix_strategy,
          FieldDoc{.doc = "first_exhausted: as many rows as the weights allow without a row twice; "
                          "all_exhausted: so many that every row is there, others repeated."});
    field("format", &Self::format,
          FieldDoc{.doc = "The shape of the rows; auto: by the keys of each row."});
    field("fields", &Self::fields_named,
          FieldDoc{.doc = "Keys of the rows that are called otherwise: ours by the file's, such as "
                          "{prompt: question, completion: answer}."});
    field("roles", &Self::roles,
          FieldDoc{.doc = "Roles that are called otherwise: the file's by ours, such as "
                          "{bot: assistant}."});
    field("chat_template", &Self::chat_template,
          FieldDoc{.doc = "How conversations become text: tokenizer (the model's own template), "
                          "chatml, or a file of Jinja. It is part of the adapter.",
                   .is_path = true});
    field("system_prompt", &Self::system_prompt,
          FieldDoc{.doc = "Put before conversations that have no system message."});
    field(
        "val_path", &Self::val_path,
        FieldDoc{.doc = "A held-out JSONL file, evaluated but never trained on.", .is_path = true});
    field("test_size", &Self::test_size,
          FieldDoc{.doc = "Share of the rows held out when there is no val_path.",
                   .flag = "--test-size",
                   .at_least = 0.0,
                   .at_most = 0.9});
    field("save_splits", &Self::save_splits,
          FieldDoc{.doc = "Write the rows trained on and those held out into the run directory: "
                          "data/train.jsonl, data/validation.jsonl."});
    field("seed", &Self::seed,
          FieldDoc{.doc = "Seed of the split into training and held-out rows, and of a mix.",
                   .flag = "--seed",
                   .at_least = 0});
    field("sample_size", &Self::sample_size,
          FieldDoc{.doc = "Use only the first so many rows.",
                   .unit = "rows",
                   .flag = "--sample-size",
                   .at_least = 1});
    field(
        "max_train_samples", &Self::max_train_samples,
        FieldDoc{.doc = "Train on at most so many rows; a file named filtered-<N>.jsonl implies N.",
                 .unit = "rows",
                 .at_least = 1});
    field("dedup", &Self::dedup,
          FieldDoc{.doc = "exact: rows equal to an earlier one are left out, and held-out rows "
                          "are not trained on; near: rows that share most of their words, too."});
    field("cutoff_len", &Self::cutoff_len,
          FieldDoc{.doc = "Longest example; data.truncation says what becomes of longer ones.",
                   .unit = "tokens",
                   .flag = "--cutoff-len",
                   .alias = "max_seq_length",
                   .at_least = 8,
                   .at_most = 1048576});
    field("truncation", &Self::truncation,
          FieldDoc{.doc = "Of a row longer than cutoff_len: keep its start, keep its end, split it "
                          "into examples of its own, leave it out, or take it for an error."});
    field("train_on", &Self::train_on,
          FieldDoc{.doc = "Which tokens count in the loss: the assistant's turns with their "
                          "end-of-turn token, what follows the prompt, the last turn, or all."});
    field(
        "mask_check", &Self::mask_check,
        FieldDoc{.doc = "What a row without any trained token is: an error, a warning, nothing."});
    field("pack_sequences", &Self::pack_sequences,
          FieldDoc{.doc = "Put short rows together to sequences of up to cutoff_len tokens; batch "
                          "sizes count those then. No row sees another.",
                   .flag = "--pack-sequences"});
    field("shuffle", &Self::shuffle,
          FieldDoc{.doc = "New order of the rows each epoch; false: the file's order."});
  }
};
static_assert(field_count<DataConfig>() == member_count<DataConfig>());

}  // namespace mayfly
