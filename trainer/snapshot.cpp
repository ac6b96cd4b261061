#include "trainer/snapshot.h"

#include <algorithm>
#include <string>
#include <utility>

#include "trainer/nn/stored_tensor.h"

namespace mayfly {

namespace {

std::string prefix_of(const Optimizer::Moment& moment) {
  return std::string(moment.name) + ".";
}

void add(Snapshot& snapshot, const std::string& prefix, const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& tensor : tensors) {
    const at::Tensor value = tensor.value.detach().to(at::kCPU).contiguous();
    snapshot.stored.push_back(stored_view(prefix + tensor.name, value));
    snapshot.kept.push_back(value);
  }
}

Status take(const std::string& prefix, const std::vector<NamedTensor>& tensors,
            const SafetensorsFile& file) {
  for (const NamedTensor& tensor : tensors) {
    const StoredTensor* const stored = file.find(prefix + tensor.name);
    const auto shape = tensor.value.sizes();
    if (stored == nullptr || stored->type != TensorType::f32 ||
        !std::equal(shape.begin(), shape.end(), stored->shape.begin(), stored->shape.end())) {
      return Error{ErrorKind::corrupt, "the checkpoint has no tensor " + prefix + tensor.name +
                                           " of the shape that this run needs"};
    }
    const Result<at::Tensor> value = mapped_tensor(*stored);
    if (!value) return value.error();
    tensor.value.copy_(*value);
  }
  return Unit{};
}

}  // namespace

Snapshot adapter_snapshot(const LoraAdapter& adapter) {
  Snapshot snapshot;
  add(snapshot, "", adapter.named(adapter.values()));
  return snapshot;
}

Snapshot optimizer_snapshot(const LoraAdapter& adapter, const Optimizer& optimizer) {
  Snapshot snapshot;
  for (const Optimizer::Moment& moment : optimizer.moments()) {
    add(snapshot, prefix_of(moment), adapter.named(moment.flat));
  }
  return snapshot;
}

Status restore(LoraAdapter& adapter, const SafetensorsFile& file) {
  const std::vector<NamedTensor> tensors = adapter.named(adapter.values());
  if (file.tensors().size() != tensors.size()) {
    return Error{ErrorKind::corrupt, "the checkpoint's adapter is not of this run's shape"};
  }
  if (Status taken = take("", tensors, file); !taken) return taken;
  adapter.refresh();
  return Unit{};
}

Status restore(Optimizer& optimizer, const LoraAdapter& adapter, const SafetensorsFile& file) {
  for (const Optimizer::Moment& moment : optimizer.moments()) {
    if (Status taken = take(prefix_of(moment), adapter.named(moment.flat), file); !taken) {
      return taken;
    }
  }
  return Unit{};
}

}  // namespace mayfly
