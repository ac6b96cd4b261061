// A stranger's pickle: whatever it asks for, values point at values, and only names in the list
// come out.
#include <algorithm>
#include <array>

#include "core/pickle.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  constexpr std::array<std::string_view, 3> kNames = {
      "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "tiktoken.core Encoding"};
  const auto pickle = Pickle::parse(text_of(bytes, size), "fuzzed", kNames);
  if (!pickle) return 0;
  // Not deeper than one level: values may hold themselves.
  for (const PickleValue::Index item : pickle->root().items) {
    const PickleValue& value = (*pickle)[item];
    const bool named =
        value.kind == PickleValue::Kind::name || value.kind == PickleValue::Kind::object;
    require(!named || std::find(kNames.begin(), kNames.end(), value.text) != kNames.end());
  }
  pickle->find(pickle->root(), "a");
  return 0;
}
