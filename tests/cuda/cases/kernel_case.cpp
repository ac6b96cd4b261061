#include "tests/cuda/cases/kernel_case.h"

#include <cmath>
#include <cstring>
#include <memory>

#include "cuda/cross_entropy.h"
#include "cuda/glu.h"
#include "cuda/nf4.h"
#include "cuda/qk_norm_rope.h"
#include "cuda/rms_norm.h"
#include "cuda/rope.h"
#include "tests/cuda/arrays.h"
#include "tests/cuda/device_array.h"

namespace mayfly::cuda {
namespace {

template <class T>
using Held = std::shared_ptr<DeviceArray<T>>;

using Arrays = std::vector<std::shared_ptr<void>>;

// A GPU's arrays are filled by repeating a few numbers: making billions takes minutes.
template <class T>
Held<T> numbers(std::int64_t count, unsigned seed, float deviation = 1.0f) {
  constexpr std::int64_t kMade = 1 << 20;
  std::vector<T> made =
      random_numbers<T>(static_cast<std::size_t>(std::min(count, kMade)), seed, deviation);
  made.reserve(static_cast<std::size_t>(count));
  while (static_cast<std::int64_t>(made.size()) < count) {
    made.push_back(made[made.size() - static_cast<std::size_t>(kMade)]);
  }
  return std::make_shared<DeviceArray<T>>(made);
}

template <class T>
Held<T> room(std::int64_t count) {
  return std::make_shared<DeviceArray<T>>(static_cast<std::size_t>(count));
}

template <class T>
std::vector<std::byte> bytes_of(const Held<T>& array) {
  const std::vector<T> copy = array->read();
  std::vector<std::byte> bytes(copy.size() * sizeof(T));
  std::memcpy(bytes.data(), copy.data(), bytes.size());
  return bytes;
}

std::int64_t pick(Size size, std::int64_t few, std::int64_t rows, std::int64_t full) {
  return size == Size::few ? few : size == Size::rows ? rows : full;
}

std::string by(std::int64_t rows, std::int64_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

double as_double(std::int64_t count) {
  return static_cast<double>(count);
}

template <class T>
constexpr double kBytes = static_cast<double>(sizeof(T));

// ---- norms

template <class T>
void add_norms(std::vector<KernelCase>& cases, Size size) {
  const std::int64_t rows = pick(size, 4, 64, 8192), cols = size == Size::few ? 1024 : 4096;
  const RmsNormForm form{.rows = rows, .cols = cols};
  const auto x = numbers<T>(rows * cols, 1), more = numbers<T>(rows * cols, 2);
  const auto weight = numbers<T>(cols, 3);
  const double least = kBytes<T> * as_double(4 * rows * cols + cols);
  const auto y = room<T>(rows * cols), s = room<T>(rows * cols), dx = room<T>(rows * cols);
  const Arrays arrays = {x, more, weight, y, s, dx};
  cases.push_back({"rms_norm", type_name<T>(), by(rows, cols), least, least,
                   [=](Stream stream) {
                     return rms_norm<T>(y->data(), s->data(), x->data(), more->data(),
                                        weight->data(), form, stream);
                   },
                   [=] { return bytes_of(y); }, arrays});
  cases.push_back({"rms_norm_backward", type_name<T>(), by(rows, cols), least, least,
                   [=](Stream stream) {
                     return rms_norm_backward<T>(dx->data(), more->data(), x->data(),
                                                 weight->data(), x->data(), form, stream);
                   },
                   [=] { return bytes_of(dx); }, arrays});
  // The residual's gradient is x here, which is read already.
  cases.back().least_bytes = kBytes<T> * as_double(3 * rows * cols + cols);
}

// ---- gated units

template <class T>
void add_glu(std::vector<KernelCase>& cases, Size size) {
  const std::int64_t rows = pick(size, 2, 8, 8192), cols = size == Size::few ? 4104 : 14336;
  const GluForm form{.rows = rows, .cols = cols, .stride = cols};
  const std::int64_t count = rows * cols;
  const auto e = numbers<T>(count, 1), g = numbers<T>(count, 2), dh = numbers<T>(count, 3);
  const auto h = room<T>(count), de = room<T>(count), dg = room<T>(count);
  const double element = kBytes<T> * as_double(count);
  const Arrays arrays = {e, g, dh, h, de, dg};
  cases.push_back(
      {"glu", type_name<T>(), by(rows, cols), 3 * element, 3 * element,
       [=](Stream stream) { return glu<T>(h->data(), e->data(), g->data(), form, stream); },
       [=] { return bytes_of(h); }, arrays});
  cases.push_back({"glu_backward", type_name<T>(), by(rows, cols), 6 * element, 6 * element,
                   [=](Stream stream) {
                     return glu_backward<T>(de->data(), dg->data(), h->data(), dh->data(),
                                            e->data(), g->data(), form, stream);
                   },
                   [=] { return bytes_of(de); }, arrays});
}

// ---- rotation

template <class T>
void add_rope(std::vector<KernelCase>& cases, Size size) {
  constexpr std::int64_t kWidth = 128, kQ = 32, kK = 8;
  const std::int64_t tokens = pick(size, 4, 64, 8192);
  const RopeForm rope_form{.tokens = tokens,
                           .q_heads = kQ,
                           .k_heads = kK,
                           .width = kWidth,
                           .q_stride = kQ * kWidth,
                           .k_stride = kK * kWidth};
  const auto cosine = numbers<T>(tokens * kWidth / 2, 1), sine = numbers<T>(tokens * kWidth / 2, 2);
  std::vector<std::int32_t> order;
  for (std::int64_t t = 0; t < tokens; ++t) order.push_back(static_cast<std::int32_t>(t));
  const auto positions = std::make_shared<DeviceArray<std::int32_t>>(order);
  const RopeTables<T> tables{cosine->data(), sine->data(), positions->data()};
  const auto q = numbers<T>(tokens * kQ * kWidth, 3), k = numbers<T>(tokens * kK * kWidth, 4);
  const auto dq = numbers<T>(tokens * kQ * kWidth, 5), dk = numbers<T>(tokens * kK * kWidth, 6);
  const auto q_out = room<T>(tokens * kQ * kWidth), k_out = room<T>(tokens * kK * kWidth);
  const auto q_weight = numbers<T>(kWidth, 7), k_weight = numbers<T>(kWidth, 8);
  const double element = kBytes<T> * as_double(tokens * (kQ + kK) * kWidth);
  const double once = as_double(tokens) * (kBytes<T> * kWidth + 4);
  const std::string shape = std::to_string(tokens) + " x (32 + 8) x 128";
  const QkNormForm form{rope_form, 1e-6f, false};
  const QkPair<const T> x{q->data(), k->data()}, weights{q_weight->data(), k_weight->data()};
  const auto q_in_place = numbers<T>(tokens * kQ * kWidth, 9);
  const auto k_in_place = numbers<T>(tokens * kK * kWidth, 10);
  const Arrays arrays = {cosine, sine,  positions, q,        k,          dq,        dk,
                         q_out,  k_out, q_weight,  k_weight, q_in_place, k_in_place};
  cases.push_back(
      {"qk_norm_rope", type_name<T>(), shape, 2 * element + once, 2 * element + once,
       [=](Stream stream) {
         return qk_norm_rope<T>({q_out->data(), k_out->data()}, x, weights, tables, form, stream);
       },
       [=] { return bytes_of(q_out); }, arrays});
  cases.push_back({"qk_norm_rope_backward", type_name<T>(), shape, 3 * element + once,
                   3 * element + once,
                   [=](Stream stream) {
                     return qk_norm_rope_backward<T>({dq->data(), dk->data()}, x, weights, tables,
                                                     form, stream);
                   },
                   [=] { return bytes_of(dq); }, arrays});
  cases.push_back({"rope", type_name<T>(), shape, 2 * element + once, 2 * element + once,
                   [=](Stream stream) {
                     return rope<T>(q_in_place->data(), k_in_place->data(), tables, rope_form,
                                    stream);
                   },
                   [=] { return bytes_of(q_in_place); }, arrays});
}

// ---- loss

template <class T>
void add_cross_entropy(std::vector<KernelCase>& cases, Size size) {
  const std::int64_t rows = pick(size, 2, 3, 2048), cols = size == Size::few ? 8200 : 128256;
  const auto logits = numbers<T>(rows * cols, 1);
  const auto loss = room<float>(rows);
  std::vector<std::int64_t> labels;
  for (std::int64_t row = 0; row < rows; ++row) labels.push_back(31 * row % cols);
  const auto targets = std::make_shared<DeviceArray<std::int64_t>>(labels);
  const CrossEntropyForm form{.rows = rows,
                              .cols = cols,
                              .stride = cols,
                              .label_smoothing = 0.1f,
                              .z_loss = 1e-4f,
                              .scale = 1.0f / 1024};
  const double element = kBytes<T> * as_double(rows * cols);
  const Arrays arrays = {logits, loss, targets};
  cases.push_back({"cross_entropy", type_name<T>(), by(rows, cols), 2 * element, 3 * element,
                   [=](Stream stream) {
                     return cross_entropy<T>(loss->data(), logits->data(), targets->data(), form,
                                             stream);
                   },
                   [=] { return bytes_of(logits); }, arrays});
}

// ---- NF4

struct Scales {
  Held<std::uint8_t> quantized;
  Held<float> scale, code, offset;
};

Scales some_scales(std::int64_t blocks) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(blocks));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37);
  const std::array<float, 256> code = nf4_scale_code();
  return {std::make_shared<DeviceArray<std::uint8_t>>(bytes),
          numbers<float>((blocks + kNf4ScaleBlock - 1) / kNf4ScaleBlock, 1),
          std::make_shared<DeviceArray<float>>(std::vector<float>(code.begin(), code.end())),
          std::make_shared<DeviceArray<float>>(std::vector<float>{0.02f})};
}

template <class T>
void add_nf4(std::vector<KernelCase>& cases, Size size) {
  const std::int64_t count = pick(size, 9216, 524288, 14336 * 4096), blocks = count / kNf4Block;
  const auto weight = numbers<T>(count, 1, 0.02f), restored = room<T>(count);
  const auto packed = room<std::uint8_t>(count / 2);
  const auto absmax = room<float>(blocks);
  const double weights = as_double(count), of_blocks = as_double(blocks);
  const double quantize = weights * (kBytes<T> + 0.5) + 4 * of_blocks;
  const Scales s = some_scales(blocks);
  const auto bytes = std::make_shared<DeviceArray<std::uint8_t>>(
      std::vector<std::uint8_t>(static_cast<std::size_t>(count / 2), 0x3c));
  const Arrays arrays = {weight,      restored, packed, absmax,  bytes,
                         s.quantized, s.scale,  s.code, s.offset};
  cases.push_back({"nf4_quantize", type_name<T>(), std::to_string(count), quantize, quantize,
                   [=](Stream stream) {
                     return nf4_quantize<T>(packed->data(), absmax->data(), weight->data(), count,
                                            stream);
                   },
                   [=] { return bytes_of(packed); }, arrays});
  const Nf4Scales scales{nullptr, s.quantized->data(), s.scale->data(), s.code->data(),
                         s.offset->data()};
  const double dequantize = weights * (kBytes<T> + 0.5) + of_blocks + of_blocks / 64;
  cases.push_back({"nf4_dequantize", type_name<T>(), std::to_string(count), dequantize, dequantize,
                   [=](Stream stream) {
                     return nf4_dequantize<T>(restored->data(), bytes->data(), scales, count,
                                              kNf4Block, stream);
                   },
                   [=] { return bytes_of(restored); }, arrays});
}

void add_nf4_scales(std::vector<KernelCase>& cases, Size size) {
  const std::int64_t blocks = pick(size, 1024, 65536, 14336 * 64);
  const auto absmax = numbers<float>(blocks, 1, 0.01f), mean = room<float>(1);
  const auto scale = room<float>(blocks / kNf4ScaleBlock);
  const auto bytes = room<std::uint8_t>(blocks);
  const Scales s = some_scales(kNf4ScaleBlock);
  const double count = as_double(blocks);
  const Arrays arrays = {absmax, mean, scale, bytes, s.quantized, s.scale, s.code, s.offset};
  cases.push_back(
      {"nf4_mean", "fp32", std::to_string(blocks), 4 * count, 4 * count,
       [=](Stream stream) { return nf4_mean(mean->data(), absmax->data(), blocks, stream); },
       [=] { return bytes_of(mean); }, arrays});
  // Each block of 256 brings the code's 1 KB from L2 again.
  cases.push_back({"nf4_quantize_scales", "fp32", std::to_string(blocks), 5 * count, 9 * count,
                   [=](Stream stream) {
                     return nf4_quantize_scales(bytes->data(), scale->data(), absmax->data(),
                                                s.code->data(), s.offset->data(), blocks, stream);
                   },
                   [=] { return bytes_of(bytes); }, arrays});
}

}  // namespace

std::vector<KernelCase> kernel_cases(Size size) {
  std::vector<KernelCase> cases;
  add_nf4<Bf16>(cases, size);
  add_nf4_scales(cases, size);
  add_cross_entropy<Bf16>(cases, size);
  add_norms<Bf16>(cases, size);
  add_rope<Bf16>(cases, size);
  add_glu<Bf16>(cases, size);
  if (size != Size::rows) return cases;  // the type in which most train
  add_nf4<float>(cases, size);
  add_cross_entropy<float>(cases, size);
  add_norms<float>(cases, size);
  add_rope<float>(cases, size);
  add_glu<float>(cases, size);
  return cases;
}

}  // namespace mayfly::cuda
