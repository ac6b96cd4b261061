#include "trainer/nn/weights.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trainer/nn/stored_nf4.h"
#include "trainer/nn/stored_tensor.h"

namespace mayfly {

namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "(";
  for (const std::int64_t size : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + ")";
}

// A converted tensor's pages of the file are not needed again, and would count as our memory until
// the kernel wants them. They are read anew should anybody look. Whole pages only: those at the
// edges belong to the neighbours too.
void give_back_pages(std::span<const std::byte> bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t last = (begin + bytes.size()) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

std::int64_t largest_projection(const Architecture& architecture) {
  std::int64_t largest = 0;
  for (const Projection projection : projections(architecture)) {
    largest = std::max(largest, projection_outputs(architecture, projection) *
                                    projection_inputs(architecture, projection));
  }
  return largest;
}

// Takes tensors out of the files and keeps the first fault.
class Taker {
 public:
  Taker(const SafetensorsModel& files, const WeightForm& form, const Architecture& architecture)
      : files_(files), form_(form), largest_(largest_projection(architecture)) {}

  at::Tensor take(std::string_view name, at::IntArrayRef shape) {
    taken_.emplace(name);
    const StoredTensor* const stored = files_.find(name);
    if (stored == nullptr) return fail(name, "is missing");
    if (at::IntArrayRef(stored->shape) != shape) {
      return fail(name, "has shape " + shape_text(stored->shape) + ", and config.json makes it " +
                            shape_text(shape));
    }
    const Result<at::Tensor> mapped = mapped_tensor(*stored);
    if (!mapped) {
      if (!fault_) fault_ = mapped.error();
      return {};
    }
    at::Tensor taken =
        mapped->to(form_.device, form_.type);  // the same tensor if there is nothing to convert
    if (!taken.is_alias_of(*mapped)) give_back_pages(stored->bytes);
    return taken;
  }

  // A linear layer's weight, quantised where the checkpoint or the form says so.
  FrozenWeight take_linear(const std::string& name, std::int64_t rows, std::int64_t columns) {
    taken_.insert(name);
    if (has_stored_nf4(files_, name)) {
      Result<Nf4Weight> stored = read_stored_nf4(files_, name, rows, columns);
      if (stored) return {stored->to(form_.device), scratch()};
      if (!fault_) fault_ = stored.error();
      return {};
    }
    at::Tensor dense = take(name, {rows, columns});
    if (!form_.quant.bits || !dense.defined()) return dense;
    Nf4Weight packed = nf4_quantize(dense, form_.quant.double_quant);
    // Pages that were read to be quantised are not wanted again either.
    give_back_pages(files_.find(name)->bytes);
    return {std::move(packed), scratch()};
  }

  const std::optional<Error>& fault() const {
    return fault_;
  }

  // A weight or bias of a block that nothing has asked for, such as a bias that config.json does
  // not speak of, makes another model than ours.
  void refuse_what_is_left() {
    for (const SafetensorsFile& file : files_.files()) {
      for (const StoredTensor& stored : file.tensors()) {
        const std::string& name = stored.name;
        const bool is_parameter = name.ends_with(".weight") || name.ends_with(".bias");
        if (fault_ || !is_parameter || !name.starts_with("model.layers.")) continue;
        if (taken_.contains(name)) continue;
        fault_ = Error{ErrorKind::unsupported,
                       "the model's tensor \"" + name + "\" has no place in what config.json says",
                       "it would be left out of the computation"};
      }
    }
  }

 private:
  // One for all quantised weights.
  at::Tensor scratch() {
    if (!scratch_.defined()) {
      scratch_ = at::empty({largest_}, at::TensorOptions().device(form_.device).dtype(form_.type));
    }
    return scratch_;
  }

  at::Tensor fail(std::string_view name, const std::string& why) {
    if (!fault_)
      fault_ = Error{ErrorKind::corrupt, "the model's tensor \"" + std::string(name) + "\" " + why};
    return {};
  }

  const SafetensorsModel& files_;
  WeightForm form_;
  std::int64_t largest_;  // weights of the largest linear layer
  at::Tensor scratch_;
  std::set<std::string> taken_;
  std::optional<Error> fault_;
};

}  // namespace

Result<DecoderWeights> load_weights(const std::filesystem::path& model_dir,
                                    const Architecture& architecture, const WeightForm& form) {
  Result<SafetensorsModel> files = SafetensorsModel::open(model_dir);
  if (!files) return files.error();
  DecoderWeights weights;
  weights.files = std::move(*files);
  Taker taker(weights.files, form, architecture);
  const std::int64_t width = architecture.width;

  const auto take_norm = [&](std::string_view name, std::int64_t size) {
    if (architecture.has_norm_weights) return taker.take(name, {size});
    return at::ones({size}, at::TensorOptions().device(form.device).dtype(form.type));
  };

  weights.embedding = taker.take(kEmbeddingName, {architecture.vocabulary, width});
  for (std::int64_t layer = 0; layer < architecture.layers && !taker.fault(); ++layer) {
    BlockWeights block;
    const auto take_norms = [&](const NormNames& names) {
      HalfNorms norms;
      if (!names.before.empty()) norms.before = take_norm(names.before, width);
      if (!names.behind.empty()) norms.behind = take_norm(names.behind, width);
      return norms;
    };
    block.attention_norms = take_norms(attention_norm_names(layer, architecture.norm_place));
    block.feed_forward_norms = take_norms(feed_forward_norm_names(layer, architecture.norm_place));
    if (architecture.query_key_norm != QueryKeyNorm::none) {
      block.query_norm = take_norm(query_norm_name(layer), architecture.query_norm_width());
      block.key_norm = take_norm(key_norm_name(layer), architecture.key_norm_width());
    }
    for (const Projection projection : projections(architecture)) {
      const std::int64_t outputs = projection_outputs(architecture, projection);
      FrozenWeight& linear = block.projections[static_cast<std::size_t>(projection)];
      linear = taker.take_linear(projection_weight_name(layer, projection), outputs,
                                 projection_inputs(architecture, projection));
      if (has_bias(architecture, projection)) {
        linear.set_bias(taker.take(projection_bias_name(layer, projection), {outputs}));
      }
    }
    weights.blocks.push_back(std::move(block));
  }
  weights.final_norm = take_norm(kFinalNormName, width);
  weights.head = architecture.tied_embeddings
                     ? weights.embedding
                     : taker.take(kHeadName, {architecture.vocabulary, width});
  taker.refuse_what_is_left();
  if (taker.fault()) return while_doing("loading " + model_dir.string(), *taker.fault());
  return weights;
}

}  // namespace mayfly
