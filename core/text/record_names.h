// The shape of the rows, and what they call otherwise than docs/data.md (data.fields, data.roles).
#pragma once

#include <functional>
#include <map>
#include <string>

#include "core/config/data_config.h"

namespace mayfly {

struct RecordNames {
  // NOLINTNEXTLINE(google-explicit-constructor): mostly nothing has another name
  RecordNames(DataFormat shape) : format(shape) {}
  explicit RecordNames(const DataConfig& data)
      : format(data.format),
        fields(data.fields_named.begin(), data.fields_named.end()),
        roles(data.roles.begin(), data.roles.end()),
        answers_in_prompt(data.train_on == TrainOn::completion),
        keep_json(data.save_splits) {}

  DataFormat format;
  std::map<std::string, std::string, std::less<>> fields;  // ours -> the file's
  std::map<std::string, std::string, std::less<>> roles;   // the file's -> ours
  bool answers_in_prompt = false;  // a prompt may have answers: they are not trained
  bool keep_json = false;          // rows keep what they were read from
};

}  // namespace mayfly
