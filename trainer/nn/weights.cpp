#include "trainer/nn/weights.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

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

// Takes tensors out of the files and keeps the first fault.
class Taker {
 public:
  Taker(const SafetensorsModel& files, at::Device device, at::ScalarType type)
      : files_(files), device_(device), type_(type) {}

  at::Tensor take(std::string_view name, at::IntArrayRef shape) {
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
        mapped->to(device_, type_);  // the same tensor if there is nothing to convert
    if (!taken.is_alias_of(*mapped)) give_back_pages(stored->bytes);
    return taken;
  }

  const std::optional<Error>& fault() const {
    return fault_;
  }

 private:
  at::Tensor fail(std::string_view name, const std::string& why) {
    if (!fault_)
      fault_ = Error{ErrorKind::corrupt, "the model's tensor \"" + std::string(name) + "\" " + why};
    return {};
  }

  const SafetensorsModel& files_;
  at::Device device_;
  at::ScalarType type_;
  std::optional<Error> fault_;
};

}  // namespace

Result<DecoderWeights> load_weights(const std::filesystem::path& model_dir,
                                    const Architecture& architecture, at::Device device,
                                    at::ScalarType type) {
  Result<SafetensorsModel> files = SafetensorsModel::open(model_dir);
  if (!files) return files.error();
  DecoderWeights weights;
  weights.files = std::move(*files);
  Taker taker(weights.files, device, type);
  const std::int64_t width = architecture.width;

  weights.embedding = taker.take(kEmbeddingName, {architecture.vocabulary, width});
  for (std::int64_t layer = 0; layer < architecture.layers && !taker.fault(); ++layer) {
    BlockWeights block;
    block.input_norm = taker.take(input_norm_name(layer), {width});
    block.post_attention_norm = taker.take(post_attention_norm_name(layer), {width});
    for (const Projection projection : kProjections) {
      block.projections[static_cast<std::size_t>(projection)] = taker.take(
          projection_weight_name(layer, projection), {projection_outputs(architecture, projection),
                                                      projection_inputs(architecture, projection)});
    }
    weights.blocks.push_back(std::move(block));
  }
  weights.final_norm = taker.take(kFinalNormName, {width});
  weights.head = architecture.tied_embeddings
                     ? weights.embedding
                     : taker.take(kHeadName, {architecture.vocabulary, width});
  if (taker.fault()) return while_doing("loading " + model_dir.string(), *taker.fault());
  return weights;
}

}  // namespace mayfly
