// A dict of tensors as PyTorch's `torch.save` writes it: a zip archive with a pickle that says
// which tensors there are, and a member with the bytes of each storage.
//
//   NAME/data.pkl    dict: name -> a tensor as a call, torch._utils._rebuild_tensor_v2(storage,
//                    offset, shape, strides, ...); a storage is (type, member, device, elements)
//   NAME/data/0 ...  the storages, stored as they are, little endian
//   NAME/byteorder   "little"
//
// Nothing of the pickle is run (core/pickle.h); other classes than those above are refused by name.
// Source: pytorch 2.11, torch/serialization.py (_save) and torch/_utils.py.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "core/mapped_file.h"
#include "core/model/safetensors.h"
#include "core/result.h"

namespace mayfly {

// An open file. Its tensors' bytes are the mapped file: valid as long as this object. Movable.
class TorchArchive {
 public:
  // Reads all of the file once, for its checksums. Errors: not_found, corrupt (cut short, a
  // checksum, a tensor beyond its storage), unsupported (the format before PyTorch 1.6, values that
  // are no tensors, a class or type of number that is not known, rows that are not one behind the
  // other).
  static Result<TorchArchive> open(const std::filesystem::path& path);

  // In the order of the dict; names once each.
  const std::vector<StoredTensor>& tensors() const {
    return tensors_;
  }

 private:
  explicit TorchArchive(MappedFile file) : file_(std::move(file)) {}
  MappedFile file_;
  std::vector<StoredTensor> tensors_;
};

}  // namespace mayfly
