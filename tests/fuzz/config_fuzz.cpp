// A run file of a stranger: read in full, typed, and all its problems named.
#include "core/config/load.h"
#include "core/config/yaml.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  const std::string_view text = text_of(bytes, size);
  const YamlDocument document = parse_yaml(text, "fuzzed.yaml");
  if (!document.problems.empty()) return 0;
  (void)inline_yaml(document.root);
  (void)parse_inline_value(text);
  const FuzzedFile file(bytes, size);
  ConfigInputs inputs;
  inputs.files = {file.path().string()};
  inputs.working_directory = "/nonexistent";
  inputs.environment = Environment{};
  (void)load_config(inputs);
  return 0;
}
