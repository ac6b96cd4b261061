#include "trainer/ops/gpu_architecture.h"

#include <cstdlib>
#include <sstream>

namespace mayfly {

namespace {

std::string text(ComputeCapability capability) {
  return std::to_string(capability.major) + "." + std::to_string(capability.minor);
}

bool not_below(ComputeCapability gpu, ComputeCapability code) {
  return gpu.major > code.major || (gpu.major == code.major && gpu.minor >= code.minor);
}

}  // namespace

std::string architecture_obstacle(ComputeCapability gpu, std::string_view built) {
  std::istringstream words{std::string(built)};
  std::string known;
  for (std::string word; words >> word;) {
    const int number = std::atoi(word.c_str());  // "120-real" -> 120
    const ComputeCapability code{number / 10, number % 10};
    const bool machine_code = word.find("-virtual") == std::string::npos;
    const bool ptx = word.find("-real") == std::string::npos;
    if (machine_code && gpu.major == code.major && gpu.minor >= code.minor) return {};
    if (ptx && not_below(gpu, code)) return {};
    known += (known.empty() ? "" : ", ") + text(code);
  }
  return "the GPU has compute capability " + text(gpu) + ", and this build has code for " + known;
}

}  // namespace mayfly
