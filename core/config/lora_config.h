#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/field.h"

namespace mayfly {

// The adapter. Names and meanings as in PEFT's LoraConfig.
struct LoraConfig {
  std::int64_t r = 8;
  double alpha = 16.0;
  double dropout = 0.0;
  std::vector<std::string> target_modules = {"all-linear"};
  bool use_rslora = false;
  bool use_dora = false;
  std::optional<std::string> init_from;

  static constexpr void fields(auto&& field) {
    using Self = LoraConfig;
    field("r", &Self::r,
          FieldDoc{.doc = "Rank of the adapter.",
                   .flag = "--lora-r",
                   .alias = "lora_r",
                   .at_least = 1,
                   .at_most = 1024});
    field("alpha", &Self::alpha,
          FieldDoc{.doc = "Scale of the adapter: its output is multiplied by alpha / r.",
                   .flag = "--lora-alpha",
                   .alias = "lora_alpha",
                   .at_least = 0});
    field("dropout", &Self::dropout,
          FieldDoc{.doc = "Share of the adapter's inputs set to zero while training.",
                   .flag = "--lora-dropout",
                   .alias = "lora_dropout",
                   .at_least = 0,
                   .at_most = 0.95});
    field("target_modules", &Self::target_modules,
          FieldDoc{.doc = "Projections that get an adapter, such as q_proj; all-linear: every one "
                          "in the blocks, not the output head.",
                   .flag = "--lora-targets",
                   .alias = "lora_target_modules"});
    field("use_rslora", &Self::use_rslora,
          FieldDoc{.doc = "Scale by alpha / sqrt(r) instead (rank-stabilised LoRA)."});
    field(
        "use_dora", &Self::use_dora,
        FieldDoc{.doc = "Train how long each row of a weight is apart from where it points (DoRA): "
                        "nearer to full training, a third slower.",
                 .flag = "--use-dora"});
    field("init_from", &Self::init_from,
          FieldDoc{.doc = "Start from the adapter in this folder instead of a new one.",
                   .is_path = true});
  }
};
static_assert(field_count<LoraConfig>() == member_count<LoraConfig>());

}  // namespace mayfly
