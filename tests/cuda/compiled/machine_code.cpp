#include "tests/cuda/compiled/machine_code.h"

#include <cstdlib>
#include <memory>
#include <regex>
#include <sstream>

#include <cxxabi.h>

#if __has_include(<cuda_occupancy.h>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <cuda_occupancy.h>
#pragma GCC diagnostic pop
#endif

namespace mayfly::cuda {
namespace {

// The number after `key` in a line as "REG:32 STACK:0 SHARED:128".
int field(const std::string& line, const std::string& key) {
  const std::size_t at = line.find(key);
  return at == std::string::npos ? -1 : std::atoi(line.c_str() + at + key.size());
}

std::string after(const std::string& line, const std::string& key) {
  const std::size_t at = line.find(key);
  std::string rest = at == std::string::npos ? "" : line.substr(at + key.size());
  while (!rest.empty() && (rest.back() == ':' || rest.back() == ' ')) rest.pop_back();
  return rest;
}

// Where in the archive the lines are that come next.
struct Place {
  std::string member;
  int architecture = 0;
};

void follow(Place& place, const std::string& line) {
  if (line.starts_with("member ")) {
    place.member = after(line, ".a:");
  } else if (line.starts_with("arch = sm_")) {
    place.architecture = field(line, "sm_");
  }
}

}  // namespace

std::string kernel_name(const std::string& member, const std::string& mangled) {
  const std::unique_ptr<char, void (*)(void*)> plain(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, nullptr), std::free);
  std::string name = plain != nullptr ? plain.get() : mangled;
  name = std::regex_replace(
      name, std::regex(R"(mayfly::cuda::|_GLOBAL__N__\w+::|\(anonymous namespace\)::|^void )"), "");
  return member.substr(0, member.find('.')) + ": " + name.substr(0, name.find('('));
}

void read_resources(MachineCodes& codes, const std::string& text) {
  std::istringstream in(text);
  Place place;
  std::string kernel;
  for (std::string line; std::getline(in, line);) {
    follow(place, line);
    if (line.find(" Function ") != std::string::npos) {
      kernel = kernel_name(place.member, after(line, "Function "));
    } else if (field(line, "REG:") >= 0) {
      MachineCode& code = codes[{kernel, place.architecture}];
      code.registers = field(line, "REG:");
      code.shared_bytes = field(line, "SHARED:");
      code.stack_bytes = field(line, "STACK:");
    }
  }
}

void read_instructions(MachineCodes& codes, const std::string& text) {
  std::istringstream in(text);
  Place place;
  MachineCode* code = nullptr;
  for (std::string line; std::getline(in, line);) {
    follow(place, line);
    if (line.find("Function : ") != std::string::npos) {
      code = &codes[{kernel_name(place.member, after(line, "Function : ")), place.architecture}];
      continue;
    }
    // "        /*0180*/                   @P0 LDG.E.128 R4, [R12.64] ;"
    const std::size_t end = line.find("*/");
    if (code == nullptr || end == std::string::npos) continue;
    std::istringstream words(line.substr(end + 2));
    std::string word;
    words >> word;
    if (word.starts_with("@")) words >> word;
    const bool whole = word.find(".128") != std::string::npos;
    code->loads_of_16 += word.starts_with("LDG") && whole;
    code->stores_of_16 += word.starts_with("STG") && whole;
    code->local_accesses += word.starts_with("LDL") || word.starts_with("STL");
    code->double_instructions +=
        word.starts_with("DADD") || word.starts_with("DMUL") || word.starts_with("DFMA");
  }
}

int threads_of(const std::string& kernel) {
  if (kernel == "nf4: mean_kernel") return 1024;
  if (kernel.starts_with("cross_entropy:")) return 512;
  if (kernel.starts_with("rope:") || kernel.starts_with("qk_norm_rope:")) return 128;
  return 256;
}

int occupancy(const MachineCode& code, int threads, int architecture) {
#if __has_include(<cuda_occupancy.h>)
  const bool small = architecture == 86 || architecture == 89 || architecture == 120;
  cudaOccDeviceProp device;
  device.computeMajor = architecture / 10;
  device.computeMinor = architecture % 10;
  device.maxThreadsPerBlock = 1024;
  device.maxThreadsPerMultiprocessor = architecture == 75 ? 1024 : small ? 1536 : 2048;
  device.regsPerBlock = device.regsPerMultiprocessor = 65536;
  device.warpSize = 32;
  device.numSms = 1;
  device.sharedMemPerBlock = 49152;
  device.sharedMemPerMultiprocessor = architecture == 75 ? 65536 : small ? 102400 : 167936;
  device.sharedMemPerBlockOptin = device.sharedMemPerMultiprocessor;
  device.reservedSharedMemPerBlock = architecture == 75 ? 0 : 1024;
  cudaOccFuncAttributes kernel;
  kernel.maxThreadsPerBlock = 1024;
  kernel.numRegs = code.registers;
  kernel.sharedSizeBytes = static_cast<std::size_t>(code.shared_bytes);
  cudaOccResult result;
  const cudaOccDeviceState state;
  if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, 0) !=
      CUDA_OCC_SUCCESS) {
    return -1;
  }
  return result.activeBlocksPerMultiprocessor * threads * 100 / device.maxThreadsPerMultiprocessor;
#else
  static_cast<void>(code);
  static_cast<void>(threads);
  static_cast<void>(architecture);
  return -1;
#endif
}

}  // namespace mayfly::cuda
