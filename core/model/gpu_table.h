// What a kind of GPU can do, and how fast it would train: the one table of such figures.
//
// Figures are those of the vendors' data sheets, dense (without sparsity), products of bfloat16
// added up in float32. The speed is a roofline, not a measurement: no GPU has run this trainer yet.
// The plan says so, and takes the speed of an earlier run where there is one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/model/architecture.h"

namespace mayfly {

struct GpuRow {
  std::string_view gpu;  // as gpu_model writes it
  double bf16_tflops;    // 0: it has no units for bfloat16, so float32 is computed
  double fp32_tflops;
  double gigabytes_per_second;
  int memory_gb;      // of the usual card; an offer's own figure goes first
  bool is_supported;  // by CUDA 13, whose libtorch is used
};

// nullopt: not in the table.
std::optional<GpuRow> gpu_row(std::string_view gpu);

// 2 where the GPU computes in bfloat16, else 4.
int bytes_a_number(const GpuRow& row);

// Tokens a second that one such GPU would train an adapter at, nothing recomputed:
//
//   seconds a token = 4 P / (0.55 peak) + 55 e/2 L (2 D + 2 H E + 2 K E + 2 F) / (0.90 bandwidth)
//
// 4 P: forward 2, backward through the activations 2; frozen weights have no gradient. 55: bytes
// moved for each number that a block keeps, of transformers' operations one by one, counted by hand
// for Llama-3-8B (686.7 GB in 8192 tokens; Qwen2.5-7B gives 52); the shares are what others report
// (docs/kernels.md has both). Measured runs of the same kind on H100 are not known to us.
double roofline_tokens_per_second(const GpuRow& row, const Architecture& model);

}  // namespace mayfly
