// From a JSON object to a row, for the shapes in which people keep their data:
//
//   messages      {"messages": [{"role", "content"}, ...]}
//   sharegpt      {"conversations": [{"from", "value"}, ...]}, human and gpt for user and assistant
//   alpaca        {"instruction", "input"?, "output", "system"?, "history"?: [[question, answer]]};
//                 instruction and input are joined by a line feed, as in LLaMA-Factory
//   prompt_completion  {"prompt", "completion"}: both texts, or both lists of messages
//   text          {"text"}
//   tokenized     {"input_ids", "labels"?}: labels of -100 are not trained
//
// Sources: TRL's docs/source/dataset_formats.md; LLaMA-Factory 0.9.5, data/converter.py.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <simdjson.h>

#include "core/result.h"
#include "core/text/record.h"
#include "core/text/record_names.h"

namespace mayfly {

// Error: bad_data without a place: what is missing, unknown (a role) or not supported by its name
// (tool calls, preference pairs), or that the object has another shape than `names.format` says.
Result<Record> read_shape(const simdjson::dom::element& row, const RecordNames& names);

}  // namespace mayfly
