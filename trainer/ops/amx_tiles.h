// Products of bfloat16 matrices by the tile unit of Intel's processors (AMX), 32 rows and 32
// columns at a time, accumulated in float32.
//
// A tile is 16 rows of 64 bytes. The unit takes the right factor in pairs of rows: elements (2k, n)
// and (2k + 1, n) are one 32-bit word. Everything here is inlined into functions of MAYFLY_AMX,
// which may run only where amx_ready() said so, between amx_configure() and amx_release() in each
// thread.
//
// Source   Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18;
//          Linux, Documentation/arch/x86/xstate.rst (the permission a process asks for).
#pragma once

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MAYFLY_HAS_AMX 1
#include <immintrin.h>
#define MAYFLY_AMX \
  [[gnu::target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma")]]
#else
#define MAYFLY_HAS_AMX 0
#endif

namespace mayfly {

// Whether this processor has the unit and the kernel lets this process use it.
bool amx_ready();

#if MAYFLY_HAS_AMX

inline constexpr std::int64_t kTileEdge = 32;  // of what multiply_tile makes

// Eight tiles of 16 rows of 64 bytes: 0 to 3 of the result, 4 and 5 left, 6 and 7 right.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
// In memory for good: GCC 12 believes that the instruction reads the first 8 bytes only, and would
// not fill in the rest of one on the stack.
inline constexpr TileConfig kTileConfig;
MAYFLY_AMX inline void amx_configure() {
  _tile_loadconfig(&kTileConfig);
}
MAYFLY_AMX inline void amx_release() {
  _tile_release();
}

// Where a matrix begins and how many elements further its next row does.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride;
  Rows at(std::int64_t row, std::int64_t column) const {
    return {data + row * stride + column, stride};
  }
};
using LeftRows = Rows<std::uint16_t>;    // bfloat16 bits
using RightPairs = Rows<std::uint32_t>;  // row k holds rows 2k and 2k + 1 of the factor
using SumRows = Rows<float>;

// sum (32, 32) += left (32, depth) · right (depth, 32); depth is a multiple of 32.
MAYFLY_AMX inline void multiply_tile(SumRows sum, LeftRows left, RightPairs right,
                                     std::int64_t depth) {
  const auto sum_bytes = static_cast<std::size_t>(sum.stride) * sizeof(float);
  const auto left_bytes = static_cast<std::size_t>(left.stride) * sizeof(std::uint16_t);
  const auto right_bytes = static_cast<std::size_t>(right.stride) * sizeof(std::uint32_t);
  _tile_loadd(0, sum.data, sum_bytes);
  _tile_loadd(1, sum.data + 16, sum_bytes);
  _tile_loadd(2, sum.data + 16 * sum.stride, sum_bytes);
  _tile_loadd(3, sum.data + 16 * sum.stride + 16, sum_bytes);
  for (std::int64_t k = 0; k < depth; k += 32) {
    const std::uint16_t* const a = left.data + k;
    const std::uint32_t* const b = right.data + k / 2 * right.stride;
    _tile_loadd(4, a, left_bytes);
    _tile_loadd(5, a + 16 * left.stride, left_bytes);
    _tile_loadd(6, b, right_bytes);
    _tile_loadd(7, b + 16, right_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sum.data, sum_bytes);
  _tile_stored(1, sum.data + 16, sum_bytes);
  _tile_stored(2, sum.data + 16 * sum.stride, sum_bytes);
  _tile_stored(3, sum.data + 16 * sum.stride + 16, sum_bytes);
}

#endif  // MAYFLY_HAS_AMX

}  // namespace mayfly
