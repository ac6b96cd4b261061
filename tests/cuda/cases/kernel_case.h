// Every kernel once, ready to be launched, with the bytes that it cannot do without: what the tests
// of bytes, schedules and races go through, the page of evidence, and the speed on a GPU.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cuda/stream.h"

namespace mayfly::cuda {

struct KernelCase {
  std::string kernel;  // "rms_norm"
  std::string type;    // "bf16"
  std::string shape;   // "64 x 4096"
  double least_bytes;  // read once, written once
  // What must pass between multiprocessors and L2: more where a row is read twice because it fits
  // into no block's memory.
  double least_traffic;
  std::function<Error(Stream)> launch;
  std::function<std::vector<std::byte>()> output;
  std::vector<std::shared_ptr<void>> arrays;  // what `launch` reads and writes
};

// few: some blocks, for races; rows: enough that nothing at the edges counts; full: one layer of
// Llama-3-8B at 8192 tokens, for a GPU.
enum class Size { few, rows, full };

// New arrays with the same numbers each time.
std::vector<KernelCase> kernel_cases(Size size);

}  // namespace mayfly::cuda
