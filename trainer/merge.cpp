#include "trainer/merge.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/model/shards.h"
#include "trainer/model_source.h"
#include "trainer/nn/stored_tensor.h"
#include "trainer/tokenizer_files.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Besides config.json and what belongs to the tokenizer.
constexpr std::array kBesideWeights = {"generation_config.json", "vocab.json", "merges.txt",
                                       "added_tokens.json",      "LICENSE",    "NOTICE"};

at::ScalarType scalar_type(TensorType type) {
  if (type == TensorType::bf16) return at::kBFloat16;
  return type == TensorType::f16 ? at::kHalf : at::kFloat;
}

std::string_view dtype_name(TensorType type) {
  if (type == TensorType::bf16) return "bfloat16";
  return type == TensorType::f16 ? "float16" : "float32";
}

// `dtype` is the name that transformers 5 writes, `torch_dtype` the older one; it reads both.
Status write_config(const MergeRequest& request, const fs::path& folder) {
  const fs::path from = fs::path(request.model_dir) / "config.json";
  const Result<std::string> text = read_file(from);
  if (!text) return text.error();
  if (!request.type) return write_file(folder / "config.json", *text);
  Result<json> config = parse_json(*text, from.string());
  if (!config) return config.error();
  const char* const key = config->contains("dtype") ? "dtype" : "torch_dtype";
  (*config)[key] = dtype_name(*request.type);
  return write_file(folder / "config.json", json_text(*config));
}

Status copy_beside_weights(const MergeRequest& request, const fs::path& folder) {
  if (Status written = write_config(request, folder); !written) return written;
  if (Status copied = copy_tokenizer(request.model_dir, folder); !copied) return copied;
  if (Status copied = copy_chat_template(request.adapter_dir, folder); !copied) return copied;
  std::error_code code;
  for (const char* const name : kBesideWeights) {
    const fs::path from = fs::path(request.model_dir) / name;
    if (!fs::is_regular_file(from, code)) continue;
    const Result<std::string> bytes = read_file(from);
    if (!bytes) return bytes.error();
    if (Status written = write_file(folder / name, *bytes); !written) return written;
  }
  return Unit{};
}

// All tensors of the model, in the order of its files.
std::vector<TensorOutline> outlines_of(const ModelSource& source, const MergeRequest& request) {
  std::vector<TensorOutline> outlines;
  for (const SafetensorsFile& file : source.files().files()) {
    for (const StoredTensor& stored : file.tensors()) {
      outlines.push_back({stored.name, request.type.value_or(stored.type), stored.shape});
    }
  }
  return outlines;
}

Result<MergedModel> fill_folder(const MergeRequest& request, const ModelSource& source,
                                const fs::path& folder) {
  if (Status made = make_folders(folder); !made) return made.error();
  if (Status copied = copy_beside_weights(request, folder); !copied) return copied.error();
  MergedModel merged{.adapted = source.adapted()};
  const std::vector<TensorOutline> tensors = outlines_of(source, request);
  const auto shards = shards_of(tensors, request.most_shard_bytes);
  merged.shards = static_cast<std::int64_t>(shards.size());
  merged.tensors = static_cast<std::int64_t>(tensors.size());
  for (const TensorOutline& tensor : tensors) merged.bytes += tensor.bytes();
  const Status written = write_model_weights(
      folder, shards, [&](const TensorOutline& outline, const TensorSink& sink) -> Status {
        const Result<at::Tensor> tensor = source.tensor(*source.files().find(outline.name));
        if (!tensor) return tensor.error();
        const at::Tensor value = tensor->to(scalar_type(outline.type)).contiguous();
        return sink(stored_view(outline.name, value).bytes);
      });
  if (!written) return written.error();
  return merged;
}

}  // namespace

Result<MergedModel> merge(const MergeRequest& request) {
  std::error_code code;
  if (fs::exists(request.out_dir, code)) {
    return Error{ErrorKind::usage, request.out_dir + " is there already",
                 "give --out a new folder, or remove that one"};
  }
  const Result<ModelSource> source = ModelSource::open(request.model_dir, request.adapter_dir);
  if (!source) return source.error();
  const fs::path out = fs::absolute(request.out_dir, code).lexically_normal();
  const fs::path target = out.has_filename() ? out : out.parent_path();
  const fs::path hidden = target.parent_path() /
                          ("." + target.filename().string() + ".tmp." + std::to_string(::getpid()));
  Result<MergedModel> merged = fill_folder(request, *source, hidden);
  Status done = merged ? publish_folder(hidden, target) : Status(merged.error());
  if (done) return merged;
  fs::remove_all(hidden, code);
  return while_doing("writing " + request.out_dir, done.error());
}

}  // namespace mayfly
