#include "trainer/model_source.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/mm.h>

#include "trainer/nn/stored_tensor.h"

namespace mayfly {

ModelSource::ModelSource(Architecture architecture, SafetensorsModel files)
    : architecture_(std::move(architecture)), files_(std::move(files)) {}

Result<ModelSource> ModelSource::open(const std::string& model_dir,
                                      const std::string& adapter_dir) {
  Result<Architecture> architecture = read_architecture(model_dir);
  if (!architecture) return architecture.error();
  if (architecture->has_nf4_weights) {
    return Error{ErrorKind::unsupported,
                 model_dir + " has its weights in four bits; they cannot be written back",
                 "give the model that it was quantised from: the adapter fits it too"};
  }
  Result<SafetensorsModel> files = SafetensorsModel::open(model_dir);
  if (!files) return files.error();
  ModelSource source(std::move(*architecture), std::move(*files));
  if (adapter_dir.empty()) return source;

  Result<LoraAdapter> adapter =
      LoraAdapter::read(source.architecture_, adapter_dir, at::kCPU, at::kFloat);
  if (!adapter) return adapter.error();
  source.adapter_ = std::move(*adapter);
  if (Status placed = source.place_factors(); !placed)
    return while_doing(model_dir, placed.error());
  return source;
}

Status ModelSource::place_factors() {
  std::map<std::string, at::Tensor> factors;
  for (const NamedTensor& each : adapter_->named(adapter_->values())) {
    factors.emplace(each.name, each.value);
  }
  for (std::int64_t layer = 0; layer < architecture_.layers; ++layer) {
    for (const Projection target : adapter_->shape().targets) {
      const std::string name = projection_weight_name(layer, target);
      const StoredTensor* const stored = files_.find(name);
      const std::vector<std::int64_t> shape = {projection_outputs(architecture_, target),
                                               projection_inputs(architecture_, target)};
      if (stored == nullptr || stored->shape != shape) {
        return Error{ErrorKind::corrupt,
                     "the tensor \"" + name + "\" is missing or not of the shape config.json says"};
      }
      factors_[name] = {factors.at(adapter_tensor_name(layer, target, 'A')),
                        factors.at(adapter_tensor_name(layer, target, 'B')),
                        {}};
      if (adapter_->shape().use_dora) {
        factors_[name].magnitude = factors.at(adapter_tensor_name(layer, target, 'm'));
      }
    }
  }
  return Unit{};
}

std::int64_t ModelSource::adapted() const {
  return static_cast<std::int64_t>(factors_.size());
}

Result<at::Tensor> ModelSource::tensor(const StoredTensor& stored) const {
  Result<at::Tensor> mapped = mapped_tensor(stored);
  const auto found = factors_.find(stored.name);
  if (!mapped || found == factors_.end()) return mapped;
  const Factors& factors = found->second;
  // As peft: the product in float32, scaled, then added.
  at::Tensor merged =
      mapped->to(at::kFloat).add(at::mm(factors.B, factors.A).mul_(adapter_->shape().scale()));
  if (factors.magnitude.defined()) {
    const at::Tensor norms = merged.square().sum(1).sqrt_();
    merged.mul_(factors.magnitude.div(norms).unsqueeze(1));
  }
  if (!at::isfinite(merged).all().item<bool>()) {
    return Error{ErrorKind::diverged,
                 "with the adapter the tensor \"" + stored.name + "\" is not finite",
                 "the adapter is broken; take an earlier checkpoint"};
  }
  return merged;
}

}  // namespace mayfly
