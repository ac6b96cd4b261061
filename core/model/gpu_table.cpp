#include "core/model/gpu_table.h"

#include <array>

namespace mayfly {

namespace {

constexpr double kShareOfPeak = 0.55;
constexpr double kShareOfBandwidth = 0.90;
constexpr double kBytesANumberKept = 55;  // where a number has two

// Source: NVIDIA's data sheets of each card. SXM where there are several forms: a PCIe card of the
// same name is slower, an H100 by a quarter. CUDA 13 dropped what is older than Turing.
constexpr std::array kGpuRows = {
    //      gpu           bf16   fp32   GB/s   GB  supported
    GpuRow{"B300", 2250, 75, 8000, 270, true},
    GpuRow{"B200", 2250, 75, 8000, 180, true},
    GpuRow{"GB200", 2500, 80, 8000, 186, true},
    GpuRow{"GH200", 989, 67, 4000, 96, true},
    GpuRow{"H200", 989, 67, 4800, 141, true},
    GpuRow{"H100", 989, 67, 3350, 80, true},
    GpuRow{"H20", 148, 44, 4000, 96, true},
    GpuRow{"A100", 312, 19.5, 2039, 80, true},
    GpuRow{"A40", 149.7, 37.4, 696, 48, true},
    GpuRow{"A30", 165, 10.3, 933, 24, true},
    GpuRow{"A10", 125, 31.2, 600, 24, true},
    GpuRow{"A10G", 70, 31.5, 600, 24, true},
    GpuRow{"A16", 17.9, 4.5, 200, 16, true},
    GpuRow{"A6000", 154.8, 38.7, 768, 48, true},
    GpuRow{"A5000", 111.1, 27.8, 768, 24, true},
    GpuRow{"A4000", 76.7, 19.2, 448, 16, true},
    GpuRow{"L40S", 362, 91.6, 864, 48, true},
    GpuRow{"L40", 181, 90.5, 864, 48, true},
    GpuRow{"L4", 121, 30.3, 300, 24, true},
    GpuRow{"RTX6000ADA", 364.2, 91.1, 960, 48, true},
    GpuRow{"RTX6000PRO", 503.8, 125, 1792, 96, true},
    GpuRow{"RTX5090", 209.5, 104.8, 1792, 32, true},
    GpuRow{"RTX4090", 165.2, 82.6, 1008, 24, true},
    GpuRow{"RTX3090", 71, 35.6, 936, 24, true},
    GpuRow{"T4", 0, 8.1, 320, 16, true},
    GpuRow{"V100", 0, 15.7, 900, 16, false},
    GpuRow{"P100", 0, 10.6, 732, 16, false},
};

}  // namespace

std::optional<GpuRow> gpu_row(std::string_view gpu) {
  for (const GpuRow& row : kGpuRows) {
    if (row.gpu == gpu) return row;
  }
  return std::nullopt;
}

int bytes_a_number(const GpuRow& row) {
  return row.bf16_tflops > 0 ? 2 : 4;
}

double roofline_tokens_per_second(const GpuRow& row, const Architecture& model) {
  const double peak = 1e12 * (row.bf16_tflops > 0 ? row.bf16_tflops : row.fp32_tflops);
  const double kept =
      2.0 * static_cast<double>(model.layers) *
      static_cast<double>(model.width + model.query_width() + model.kv_width() + model.ff_width);
  const double moved = kBytesANumberKept * bytes_a_number(row) / 2 * kept;
  const double seconds = 4.0 * static_cast<double>(model.parameters()) / (kShareOfPeak * peak) +
                         moved / (kShareOfBandwidth * 1e9 * row.gigabytes_per_second);
  return seconds > 0 ? 1 / seconds : 0;
}

}  // namespace mayfly
