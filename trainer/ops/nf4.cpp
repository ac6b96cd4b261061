#include "trainer/ops/nf4.h"

#include <algorithm>
#include <array>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/mean.h>
#include <c10/util/Exception.h>

#include "trainer/ops/device_ops.h"
#include "trainer/ops/nf4_rows.h"
#include "trainer/ops/on_rows.h"

namespace mayfly {

namespace {

using cuda::kNf4Block;
using cuda::kNf4ScaleBlock;

template <class T>
const T* data(const at::Tensor& x) {
  return x.const_data_ptr<T>();
}

void quantize_scales(Nf4Weight& weight, const at::Tensor& absmax) {
  static const std::array<float, 256> code = cuda::nf4_scale_code();
  const std::int64_t blocks = weight.blocks(), groups = weight.scale_groups();
  weight.offset = absmax.mean().reshape({1});
  weight.quantized = at::empty({blocks}, at::kByte);
  weight.scale = at::empty({groups}, at::kFloat);
  weight.code = at::empty({256}, at::kFloat);
  std::copy(code.begin(), code.end(), weight.code.mutable_data_ptr<float>());
  const float offset = *data<float>(weight.offset);
  for (std::int64_t group = 0; group < groups; ++group) {
    const std::int64_t first = group * kNf4ScaleBlock;
    weight.scale.mutable_data_ptr<float>()[group] = nf4_rows::quantize_scales(
        row_data<std::uint8_t>(weight.quantized) + first, data<float>(absmax) + first, code.data(),
        offset, std::min<std::int64_t>(kNf4ScaleBlock, blocks - first));
  }
}

// The scales of `count` blocks from `first` on: the tensor's own, or restored into `room`.
const float* scales(const Nf4Weight& weight, std::int64_t first, std::int64_t count,
                    std::vector<float>& room) {
  if (weight.absmax.defined()) return data<float>(weight.absmax) + first;
  room.resize(static_cast<std::size_t>(count));
  const std::uint8_t* const quantized = data<std::uint8_t>(weight.quantized) + first;
  const float* const scale = data<float>(weight.scale);
  const float* const code = data<float>(weight.code);
  const float offset = *data<float>(weight.offset);
  for (std::int64_t b = 0; b < count; ++b) {
    // Rounded twice, never fused: the build for this file allows no contraction.
    const float product = code[quantized[b]] * scale[(first + b) / kNf4ScaleBlock];
    room[static_cast<std::size_t>(b)] = product + offset;
  }
  return room.data();
}

}  // namespace

std::int64_t Nf4Weight::bytes() const {
  std::int64_t sum = 0;
  for (const at::Tensor* part : {&packed, &absmax, &quantized, &scale, &code, &offset}) {
    if (part->defined()) sum += part->numel() * part->element_size();
  }
  return sum;
}

Nf4Weight Nf4Weight::to(at::Device device) const {
  Nf4Weight there = *this;
  for (at::Tensor* const part :
       {&there.packed, &there.absmax, &there.quantized, &there.scale, &there.code, &there.offset}) {
    if (part->defined()) *part = part->to(device);
  }
  return there;
}

Nf4Weight nf4_quantize(const at::Tensor& given, bool double_quant) {
  if (const DeviceOps* const ops = device_ops(given)) {
    return ops->nf4_quantize(given, double_quant);
  }
  TORCH_CHECK(has_row_kernels(given), "nf4_quantize: no way to do it on ", given.device(), " in ",
              given.scalar_type(), "; this build has no kernels");
  Nf4Weight weight{.rows = given.size(0), .columns = given.size(1), .block = kNf4Block};
  weight.packed = at::empty({weight.packed_bytes()}, at::kByte);
  at::Tensor absmax = at::empty({weight.blocks()}, at::kFloat);
  with_row_type(given, [&]<class T>(T) {
    for_row_ranges(weight.blocks(), kNf4Block, [&](std::int64_t first, std::int64_t blocks) {
      const std::int64_t begin = first * kNf4Block;
      nf4_rows::quantize(row_data<std::uint8_t>(weight.packed) + begin / 2,
                         row_data<float>(absmax) + first, row_data<T>(given) + begin,
                         std::min(blocks * kNf4Block, weight.count() - begin));
    });
  });
  if (double_quant) {
    quantize_scales(weight, absmax);
  } else {
    weight.absmax = std::move(absmax);
  }
  return weight;
}

void nf4_restore(const Nf4Weight& weight, const at::Tensor& out) {
  if (const DeviceOps* const ops = device_ops(out)) return ops->nf4_restore(weight, out);
  TORCH_CHECK(has_row_kernels(out), "nf4_restore: no way to do it on ", out.device(), " in ",
              out.scalar_type(), "; this build has no kernels");
  with_row_type(out, [&]<class T>(T) {
    for_row_ranges(weight.blocks(), weight.block, [&](std::int64_t first, std::int64_t blocks) {
      std::vector<float> room;
      const std::int64_t begin = first * weight.block;
      nf4_rows::restore(row_data<T>(out) + begin, row_data<std::uint8_t>(weight.packed) + begin / 2,
                        scales(weight, first, blocks, room),
                        std::min(blocks * weight.block, weight.count() - begin), weight.block);
    });
  });
}

}  // namespace mayfly
