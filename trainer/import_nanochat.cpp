#include "trainer/import_nanochat.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/model/nanochat_checkpoint.h"
#include "core/model/shards.h"
#include "core/text/nanochat_tokenizer.h"
#include "core/text/tiktoken_encoding.h"
#include "trainer/nn/stored_tensor.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizerFile = "tokenizer.pkl";

// nanochat keeps BASE/tokenizer/tokenizer.pkl beside BASE/base_checkpoints/d20; what is published
// has it beside the weights.
Result<fs::path> find_tokenizer(const NanochatImport& request) {
  std::error_code code;
  const fs::path checkpoint = fs::absolute(request.checkpoint_dir, code).lexically_normal();
  std::vector<fs::path> folders = {request.tokenizer_dir};
  if (request.tokenizer_dir.empty()) {
    const fs::path tag = checkpoint.has_filename() ? checkpoint : checkpoint.parent_path();
    folders = {tag, tag.parent_path().parent_path() / "tokenizer"};
  }
  std::string looked;
  for (const fs::path& folder : folders) {
    if (fs::is_regular_file(folder / kTokenizerFile, code)) return folder / kTokenizerFile;
    looked += (looked.empty() ? "" : " nor ") + folder.string();
  }
  return Error{ErrorKind::not_found, "there is no " + std::string(kTokenizerFile) + " in " + looked,
               "give its folder with --tokenizer"};
}

Result<NanochatTokenizer> open_tokenizer(const NanochatImport& request,
                                         const NanochatShape& shape) {
  const Result<fs::path> path = find_tokenizer(request);
  if (!path) return path.error();
  const Result<std::string> bytes = read_file(*path);
  if (!bytes) return bytes.error();
  const Result<TiktokenEncoding> encoding = read_tiktoken_pickle(*bytes, path->string());
  if (!encoding) return encoding.error();
  Result<NanochatTokenizer> tokenizer =
      nanochat_tokenizer(*encoding, shape.sequence_len, path->string());
  if (tokenizer && tokenizer->size != shape.vocab_size) {
    return Error{ErrorKind::corrupt,
                 path->string() + " has " + std::to_string(tokenizer->size) +
                     " tokens, and the model's vocab_size is " + std::to_string(shape.vocab_size),
                 "give the tokenizer that the model was trained with, with --tokenizer"};
  }
  return tokenizer;
}

at::ScalarType libtorch_type(TensorType type) {
  if (type == TensorType::bf16) return at::kBFloat16;
  return type == TensorType::f16 ? at::kHalf : at::kFloat;
}

// What transformers loads the weights as: the widest that is there.
const char* dtype_of(const std::vector<TensorOutline>& tensors) {
  const auto all = [&tensors](TensorType type) {
    return std::all_of(tensors.begin(), tensors.end(),
                       [type](const TensorOutline& each) { return each.type == type; });
  };
  if (all(TensorType::bf16)) return "bfloat16";
  return all(TensorType::f16) ? "float16" : "float32";
}

Result<ImportedModel> fill_model_folder(const NanochatImport& request,
                                        const NanochatCheckpoint& checkpoint,
                                        const NanochatTokenizer& tokenizer,
                                        const fs::path& folder) {
  if (Status made = make_folders(folder); !made) return made.error();
  ImportedModel imported{.step = checkpoint.step};
  std::vector<TensorOutline> outlines;
  std::map<std::string_view, const StoredTensor*> by_name;
  for (const StoredTensor& tensor : checkpoint.tensors) {
    outlines.push_back({tensor.name, request.type.value_or(tensor.type), tensor.shape});
    by_name.emplace(tensor.name, &tensor);
    imported.bytes += outlines.back().bytes();
    imported.parameters +=
        static_cast<std::int64_t>(tensor.bytes.size()) / tensor_type_bytes(tensor.type);
  }
  const auto config = nanochat_config_json(
      checkpoint.shape, {tokenizer.bos, tokenizer.assistant_end}, dtype_of(outlines));
  const std::array files = {std::pair{"config.json", json_text(config)},
                            std::pair{"tokenizer.json", tokenizer.tokenizer_json},
                            std::pair{"tokenizer_config.json", tokenizer.tokenizer_config_json}};
  for (const auto& [name, text] : files) {
    if (Status written = write_file(folder / name, text); !written) return written.error();
  }
  const auto shards = shards_of(outlines, request.most_shard_bytes);
  imported.shards = static_cast<std::int64_t>(shards.size());
  imported.tensors = static_cast<std::int64_t>(outlines.size());
  const Status written = write_model_weights(
      folder, shards, [&](const TensorOutline& outline, const TensorSink& sink) -> Status {
        const Result<at::Tensor> tensor = mapped_tensor(*by_name.at(outline.name));
        if (!tensor) return tensor.error();
        const at::Tensor value = tensor->to(libtorch_type(outline.type)).contiguous();
        return sink(stored_view(outline.name, value).bytes);
      });
  if (!written) return written.error();
  return imported;
}

}  // namespace

Result<ImportedModel> import_nanochat(const NanochatImport& request) {
  std::error_code code;
  if (fs::exists(request.out_dir, code)) {
    return Error{ErrorKind::usage, request.out_dir + " is there already",
                 "give --out a new folder, or remove that one"};
  }
  const Result<NanochatCheckpoint> checkpoint =
      open_nanochat_checkpoint(request.checkpoint_dir, request.step);
  if (!checkpoint) return checkpoint.error();
  const Result<NanochatTokenizer> tokenizer = open_tokenizer(request, checkpoint->shape);
  if (!tokenizer) return tokenizer.error();
  const fs::path out = fs::absolute(request.out_dir, code).lexically_normal();
  const fs::path target = out.has_filename() ? out : out.parent_path();
  const fs::path hidden = target.parent_path() /
                          ("." + target.filename().string() + ".tmp." + std::to_string(::getpid()));
  Result<ImportedModel> imported = fill_model_folder(request, *checkpoint, *tokenizer, hidden);
  Status done = imported ? publish_folder(hidden, target) : Status(imported.error());
  if (done) return imported;
  fs::remove_all(hidden, code);
  return while_doing("writing " + request.out_dir, done.error());
}

}  // namespace mayfly
