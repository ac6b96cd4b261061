// The files of rows to train on, whichever way a run names them.
#pragma once

#include <string>

#include "core/config/data_config.h"

namespace mayfly {

// Calls visit(key, path) for each, in order; `key` is what names it, "data.path" or "data.mix[1]",
// and `path` is constant if `data` is. Not data.val_path.
template <class Data, class Visit>
void for_each_data_file(Data& data, Visit&& visit) {
  for (auto& path : data.path) visit(std::string("data.path"), path);
  for (std::size_t i = 0; i < data.mix.size(); ++i) {
    for (auto& path : data.mix[i].path) visit("data.mix[" + std::to_string(i) + "]", path);
  }
}

inline bool names_data(const DataConfig& data) {
  return !data.path.empty() || !data.mix.empty();
}

}  // namespace mayfly
