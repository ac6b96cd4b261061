// What stands in a safetensors file before the tensors' bytes (core/model/safetensors.h has the
// format), for files that are written tensor by tensor.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/model/safetensors.h"

namespace mayfly {

// A tensor that is to be written, its bytes still to come.
struct TensorOutline {
  std::string name;
  TensorType type;
  std::vector<std::int64_t> shape;

  std::int64_t bytes() const;
};

// The order of the reference implementation: by type, last first, then by name.
template <class Tensor>
bool comes_before_in_file(const Tensor& a, const Tensor& b) {
  return a.type != b.type ? a.type > b.type : a.name < b.name;
}

// Puts `tensors` into the order in which their bytes must follow.
std::string safetensors_head(std::vector<TensorOutline>& tensors,
                             const std::map<std::string, std::string>& metadata);

}  // namespace mayfly
