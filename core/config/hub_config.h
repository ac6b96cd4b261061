#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/config/field.h"
#include "core/secret.h"

namespace mayfly {

// Which checkpoints take along what a run needs to go on from them on another machine.
enum class OptimizerState { none, all };
template <>
struct EnumNames<OptimizerState> {
  static constexpr std::array values = {std::pair{OptimizerState::none, std::string_view("none")},
                                        std::pair{OptimizerState::all, std::string_view("all")}};
};

// Where results are published.
struct HubConfig {
  std::optional<std::string> repo;
  std::optional<std::string> repo_prefix;
  std::optional<std::string> fallback_repo;
  bool push_checkpoints = true;
  std::int64_t checkpoint_every_epochs = 1;
  OptimizerState optimizer_state = OptimizerState::none;
  bool private_repo = false;
  Secret token;
  std::optional<std::string> endpoint;
  bool model_card = true;
  std::chrono::seconds status_every{900};

  static constexpr void fields(auto&& field) {
    using Self = HubConfig;
    field("repo", &Self::repo,
          FieldDoc{.doc = "Repository for the adapter, such as me/my-adapter.", .flag = "--repo"});
    field("repo_prefix", &Self::repo_prefix,
          FieldDoc{.doc = "Repository per seed: <prefix>-seed-<N>."});
    field("fallback_repo", &Self::fallback_repo,
          FieldDoc{.doc = "Another repository of the same hub, for when the first refuses."});
    field("push_checkpoints", &Self::push_checkpoints,
          FieldDoc{.doc = "Upload checkpoints to branches while training goes on."});
    field("checkpoint_every_epochs", &Self::checkpoint_every_epochs,
          FieldDoc{.doc = "Upload every so many epochs to checkpoint-epoch-<N>; 0: off.",
                   .unit = "epochs",
                   .alias = "checkpoint_upload_every_n_epochs",
                   .at_least = 0});
    field("optimizer_state", &Self::optimizer_state,
          FieldDoc{.doc = "all: checkpoints on the hub also have the optimizer, three times the "
                          "bytes, so that `launch resume` can go on from them."});
    field("private", &Self::private_repo, FieldDoc{.doc = "Make the repository private."});
    field("token", &Self::token,
          FieldDoc{.doc = "Write token; default: HF_TOKEN. Better kept out of files."});
    field("endpoint", &Self::endpoint,
          FieldDoc{.doc = "Address of the hub; default: HF_ENDPOINT, huggingface.co with a token, "
                          "else a local stand-in."});
    field("model_card", &Self::model_card,
          FieldDoc{.doc = "Write a README.md with what was trained, on what, and how to load it."});
    field("status_every", &Self::status_every,
          FieldDoc{.doc = "Commit logs/<run>/status.json so often.", .at_least = 60});
  }
};
static_assert(field_count<HubConfig>() == member_count<HubConfig>());

}  // namespace mayfly
