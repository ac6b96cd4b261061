// CUDA's stream and error, without its headers: what calls a kernel need not have them.
#pragma once

#include <cstdint>

namespace mayfly::cuda {

using Stream = void*;  // a cudaStream_t; null is the default stream
using Error = int;     // a cudaError_t

inline constexpr Error kSuccess = 0;
inline constexpr Error kInvalidValue = 1;  // sizes that the kernel does not take

inline constexpr std::int64_t kMostBlocks = 0x7fffffff;  // of one launch

}  // namespace mayfly::cuda
