// User-data as a local instance executes it.
#include "agent/local_boot.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  const auto config = parse_cloud_config("#cloud-config\n" + std::string(text_of(bytes, size)));
  if (!config) return 0;
  for (const CloudFile& file : config->files) {
    require(file.path.starts_with('/') && file.path.find("..") == std::string::npos);
  }
  return 0;
}
