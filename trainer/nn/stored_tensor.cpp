#include "trainer/nn/stored_tensor.h"

#include <array>
#include <cassert>
#include <utility>

#include <ATen/ops/from_blob.h>

namespace mayfly {

namespace {

constexpr std::array kTypes = {std::pair{TensorType::f32, at::kFloat},
                               std::pair{TensorType::bf16, at::kBFloat16},
                               std::pair{TensorType::f16, at::kHalf}};

}  // namespace

Result<at::Tensor> mapped_tensor(const StoredTensor& stored) {
  for (const auto& [stored_type, type] : kTypes) {
    if (stored_type != stored.type) continue;
    // from_blob wants a pointer to non-const.
    void* const data = const_cast<std::byte*>(stored.bytes.data());
    return at::from_blob(data, stored.shape, at::TensorOptions().dtype(type));
  }
  return Error{ErrorKind::unsupported, "the tensor \"" + stored.name + "\" has type " +
                                           std::string(tensor_type_name(stored.type)) +
                                           "; supported are F32, BF16 and F16"};
}

StoredTensor stored_view(std::string name, const at::Tensor& tensor) {
  assert(tensor.is_contiguous() && tensor.is_cpu());
  const auto* const data = static_cast<const std::byte*>(tensor.const_data_ptr());
  for (const auto& [stored_type, type] : kTypes) {
    if (type == tensor.scalar_type()) {
      return {std::move(name), stored_type, tensor.sizes().vec(), {data, tensor.nbytes()}};
    }
  }
  assert(false);
  return {};
}

}  // namespace mayfly
