// The files that a run's data section names.
#pragma once

#include <string>

#include "core/config/data_config.h"

namespace mayfly {

// Calls visit(key, path) for each file of rows to train on, in order; `key` is what names it,
// "data.path" or "data.mix[1]", and `path` is constant if `data` is. Not data.val_path.
template <class Data, class Visit>
void for_each_data_file(Data& data, Visit&& visit) {
  for (auto& path : data.path) visit(std::string("data.path"), path);
  for (std::size_t i = 0; i < data.mix.size(); ++i) {
    for (auto& path : data.mix[i].path) visit("data.mix[" + std::to_string(i) + "]", path);
  }
}

// Whether data.chat_template is a file and no name.
inline bool is_template_file(const DataConfig& data) {
  return data.chat_template != "tokenizer" && data.chat_template != "chatml";
}

// The same for all that a machine must have to make examples of it: the held-out file and the chat
// template, too.
template <class Data, class Visit>
void for_each_input_file(Data& data, Visit&& visit) {
  for_each_data_file(data, visit);
  if (data.val_path) visit(std::string("data.val_path"), *data.val_path);
  if (is_template_file(data)) visit(std::string("data.chat_template"), data.chat_template);
}

inline bool names_data(const DataConfig& data) {
  return !data.path.empty() || !data.mix.empty();
}

}  // namespace mayfly
