// Which GPUs the kernels in this build run on.
//
// Machine code for compute capability X.y runs on X.z with z >= y and on no other X; PTX for X.y is
// compiled by the driver for anything from X.y on. Source: CUDA C++ Programming Guide 13.0,
// "Binary Compatibility" and "PTX Compatibility".
#pragma once

#include <string>
#include <string_view>

namespace mayfly {

struct ComputeCapability {
  int major = 0;
  int minor = 0;
};

// `built` as CMake writes it: "75-real 80-real 120", the last with machine code and PTX. Empty: the
// kernels run there. Otherwise one sentence with the GPU's capability and those there is code for.
std::string architecture_obstacle(ComputeCapability gpu, std::string_view built);

}  // namespace mayfly
