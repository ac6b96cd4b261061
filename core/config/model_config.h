#pragma once

#include <string>

#include "core/config/field.h"

namespace mayfly {

// Which base model is trained.
struct ModelConfig {
  std::string base;
  std::string revision = "main";

  static constexpr void fields(auto&& field) {
    using Self = ModelConfig;
    field("base", &Self::base,
          FieldDoc{.doc = "Base model: a folder with config.json and safetensors, or a hub id.",
                   .flag = "--base-model",
                   .alias = "base_model,model_id",
                   .is_path = true});
    field("revision", &Self::revision,
          FieldDoc{.doc = "Branch, tag or commit of a base model on the hub."});
  }
};
static_assert(field_count<ModelConfig>() == member_count<ModelConfig>());

}  // namespace mayfly
