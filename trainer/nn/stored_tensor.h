// Between tensors in safetensors files and tensors of libtorch.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "core/model/safetensors.h"
#include "core/result.h"

namespace mayfly {

// A view of the file's bytes: valid as long as the file is open, and not to be written to.
// Error: unsupported, for other types than F32, BF16 and F16.
Result<at::Tensor> mapped_tensor(const StoredTensor& stored);

// A view of `tensor`, which must be contiguous, on the CPU, and outlive it.
StoredTensor stored_view(std::string name, const at::Tensor& tensor);

}  // namespace mayfly
