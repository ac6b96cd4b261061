// nanochat's own checkpoints, as a model that transformers calls NanoChat: what is in them, under
// which names it goes on, and what of newer nanochats has no place there.
//
//   DIR/model_000650.pt    state_dict (core/model/torch_archive.h); keys may begin "_orig_mod."
//   DIR/meta_000650.json   {"model_config": {"sequence_len", "vocab_size", "n_layer", "n_head",
//                          "n_kv_head", "n_embd", "window_pattern"}, ...}
//
// Read are the models of October 2025 to January 2026, whose arithmetic is transformers': rope of
// base 10,000, logits capped at 15, norms with float32's epsilon. Newer ones have value embeddings,
// scaled residuals, windows and other constants, which their files do not name; they are refused by
// the first of their parts that says something, never read as what they are not.
//
// Source: karpathy/nanochat, checkpoint_manager.py, gpt.py and dev/LOG.md; transformers 5.23,
// models/nanochat/modeling_nanochat.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/model/safetensors.h"
#include "core/model/torch_archive.h"
#include "core/result.h"

namespace mayfly {

// `model_config` under its own names.
struct NanochatShape {
  std::int64_t sequence_len = 0;
  std::int64_t vocab_size = 0;
  std::int64_t n_layer = 0;
  std::int64_t n_head = 0;
  std::int64_t n_kv_head = 0;
  std::int64_t n_embd = 0;
};

// `what` names the file in errors. Errors: corrupt (a number that is missing or senseless),
// unsupported (windows, or a key that is not known).
Result<NanochatShape> nanochat_shape(const nlohmann::json& meta, std::string_view what);

// The tensors under transformers' names; a view of the same bytes. Rows that pad the vocabulary to
// a multiple of 64 are left out, as nanochat leaves out their logits. `what` names the file in
// errors. Errors: corrupt (missing, of another shape), unsupported (parts that have no place).
Result<std::vector<StoredTensor>> nanochat_tensors(const std::vector<StoredTensor>& stored,
                                                   const NanochatShape& shape,
                                                   std::string_view what);

// The tokens that config.json names.
struct NanochatTokens {
  std::int64_t bos = 0;
  std::int64_t assistant_end = 0;
};

// config.json for transformers' NanoChatForCausalLM; `dtype` as in "float32".
nlohmann::json nanochat_config_json(const NanochatShape& shape, const NanochatTokens& tokens,
                                    std::string_view dtype);

// An open checkpoint; `tensors` are bytes of `archive`.
struct NanochatCheckpoint {
  std::int64_t step = 0;
  NanochatShape shape;
  TorchArchive archive;
  std::vector<StoredTensor> tensors;
};

// `step` absent: the highest, as nanochat takes it. Errors: not_found (no folder, no such step; the
// hint lists those there are), and those above and of TorchArchive::open.
Result<NanochatCheckpoint> open_nanochat_checkpoint(const std::filesystem::path& folder,
                                                    std::optional<std::int64_t> step);

// The steps of which `folder` has weights, lowest first; empty where there is no such folder.
std::vector<std::int64_t> nanochat_steps(const std::filesystem::path& folder);

}  // namespace mayfly
