// A weights file of a stranger: what is accepted must lie within the file, without overlap. Whether
// the reference reader accepts the same is asked by compare_safetensors.py.
#include "core/model/safetensors.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  const FuzzedFile file(bytes, size);
  const auto opened = SafetensorsFile::open(file.path());
  if (!opened) return 0;
  std::size_t data = 0;
  unsigned sum = 0;
  for (const StoredTensor& tensor : opened->tensors()) {
    data += tensor.bytes.size();
    for (const std::byte byte : tensor.bytes) sum += static_cast<unsigned>(byte);
    require(opened->find(tensor.name) != nullptr);
  }
  require(data + 8 <= size);
  return sum == 0 && size == 0 ? 1 : 0;
}
