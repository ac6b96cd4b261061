// Rotation with and without the norm of each head before it: head widths of real models and such as
// divide by nothing, one head and many, positions out of order, strided tokens, addresses that are
// not aligned. Turning back gives what was; the gradient is the transpose.
#include "cuda/rope.h"

#include <cmath>

#include <gtest/gtest.h>

#include "cuda/qk_norm_rope.h"
#include "cuda/rms_norm.h"
#include "tests/cuda/arrays.h"
#include "tests/cuda/device_array.h"

namespace mayfly::cuda {
namespace {

constexpr std::size_t kPositions = 11;

// The tables for one head width, on both sides.
template <class T>
class Angles {
 public:
  Angles(int width, std::int64_t tokens)
      : half_(static_cast<std::size_t>(width / 2)),
        cosine_(kPositions * half_),
        sine_(kPositions * half_) {
    for (std::size_t p = 0; p < kPositions; ++p) {
      for (std::size_t i = 0; i < half_; ++i) {
        const double angle = static_cast<double>(p) *
                             std::pow(1e4, -static_cast<double>(i) / static_cast<double>(half_));
        cosine_[p * half_ + i] = from_float<T>(static_cast<float>(std::cos(angle)));
        sine_[p * half_ + i] = from_float<T>(static_cast<float>(std::sin(angle)));
      }
    }
    for (std::int64_t t = 0; t < tokens; ++t) {
      positions_.push_back(static_cast<std::int32_t>(7 * t % static_cast<int>(kPositions)));
    }
    cosine_there_.emplace_back(cosine_);
    sine_there_.emplace_back(sine_);
    positions_there_.emplace_back(positions_);
  }
  RopeTables<T> here() const {
    return {cosine_.data(), sine_.data(), positions_.data()};
  }
  RopeTables<T> there() const {
    return {cosine_there_[0].data(), sine_there_[0].data(), positions_there_[0].data()};
  }

 private:
  std::size_t half_;
  std::vector<T> cosine_, sine_;
  std::vector<std::int32_t> positions_;
  std::vector<DeviceArray<T>> cosine_there_, sine_there_;
  std::vector<DeviceArray<std::int32_t>> positions_there_;
};

struct Shape {
  int tokens, q_heads, k_heads, width;
};

RopeForm form_of(const Shape& shape, bool backward) {
  return {.tokens = shape.tokens,
          .q_heads = shape.q_heads,
          .k_heads = shape.k_heads,
          .width = shape.width,
          .q_stride = shape.q_heads * shape.width,
          .k_stride = shape.k_heads * shape.width,
          .backward = backward};
}

std::size_t count_of(const Shape& shape, int heads) {
  return static_cast<std::size_t>(shape.tokens) * static_cast<std::size_t>(heads * shape.width);
}

template <class T>
void check_rope(const Shape& shape, std::size_t offset = 0) {
  for (const bool backward : {false, true}) {
    SCOPED_TRACE(testing::Message()
                 << type_name<T>() << " tokens " << shape.tokens << " heads " << shape.q_heads
                 << "+" << shape.k_heads << " width " << shape.width << " offset " << offset);
    const Angles<T> angles(shape.width, shape.tokens);
    const RopeForm form = form_of(shape, backward);
    const auto q = random_numbers<T>(count_of(shape, shape.q_heads), 1);
    const auto k = random_numbers<T>(count_of(shape, shape.k_heads), 2);
    const auto q_there = placed(q, offset), k_there = placed(k, offset);
    ASSERT_EQ(rope(q_there.data() + offset, k_there.data() + offset, angles.there(), form, nullptr),
              kSuccess);
    std::vector<double> q_want(q.size()), k_want(k.size());
    rope_reference(q_want.data(), q.data(), angles.here(), shape.q_heads, form);
    rope_reference(k_want.data(), k.data(), angles.here(), shape.k_heads, form);
    EXPECT_LE(excess(without(offset, q_there.read()), q_want, 1.01, 1e-6), 1.0);
    EXPECT_LE(excess(without(offset, k_there.read()), k_want, 1.01, 1e-6), 1.0);
  }
}

TEST(RopeTest, AgreesWithTheReferenceInEveryShape) {
  // Llama 3, Qwen 2.5, SmolLM2, Phi's 80; one head; half a head on both sides of a pack, prime.
  for (const Shape& shape : {Shape{3, 32, 8, 128}, Shape{2, 28, 4, 128}, Shape{5, 9, 3, 64},
                             Shape{2, 5, 5, 80}, Shape{1, 1, 1, 2}, Shape{2, 3, 1, 14},
                             Shape{2, 3, 1, 16}, Shape{2, 3, 1, 18}, Shape{3, 2, 1, 26}}) {
    check_rope<Bf16>(shape);
  }
  check_rope<Fp16>({2, 4, 2, 64});
  check_rope<float>({2, 4, 2, 128});
  check_rope<float>({2, 4, 2, 6});
}

TEST(RopeTest, AgreesOnBothSidesOfTheWidestHeadInPacks) {
  check_rope<Bf16>({1, 1, 1, 2048});  // 128 packs a half
  check_rope<Bf16>({1, 1, 1, 2064});
}

TEST(RopeTest, TakesAddressesThatAreNotAligned) {
  check_rope<Bf16>({2, 2, 1, 64}, 1);
}

TEST(RopeTest, TurnsOnlyQueriesAndKeysOfAWiderProduct) {
  // q, k and v side by side: 2 + 1 + 1 heads of 16.
  constexpr int kStride = 4 * 16;
  const auto all = random_numbers<Bf16>(3 * kStride, 1);
  DeviceArray<Bf16> there(all);
  const Angles<Bf16> angles(16, 3);
  RopeForm form{.tokens = 3,
                .q_heads = 2,
                .k_heads = 1,
                .width = 16,
                .q_stride = kStride,
                .k_stride = kStride,
                .backward = false};
  ASSERT_EQ(rope(there.data(), there.data() + 32, angles.there(), form, nullptr), kSuccess);
  const std::vector<Bf16> got = there.read();
  std::size_t changed = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (i % kStride >= 48) {
      EXPECT_EQ(got[i].bits, all[i].bits);
    }
    changed += got[i].bits != all[i].bits;
  }
  EXPECT_GT(changed, 64u);
}

TEST(RopeTest, TurningBackGivesWhatWas) {
  const Shape shape{4, 2, 1, 32};
  const Angles<float> angles(32, 4);
  const auto q = random_numbers<float>(count_of(shape, 2), 1);
  const auto k = random_numbers<float>(count_of(shape, 1), 2);
  DeviceArray<float> q_there(q), k_there(k);
  rope(q_there.data(), k_there.data(), angles.there(), form_of(shape, false), nullptr);
  EXPECT_GT(excess(q_there.read(), as_doubles(q), 0.0, 1e-3), 1.0);
  rope(q_there.data(), k_there.data(), angles.there(), form_of(shape, true), nullptr);
  EXPECT_LE(excess(q_there.read(), as_doubles(q), 0.0, 2e-6), 1.0);
  EXPECT_LE(excess(k_there.read(), as_doubles(k), 0.0, 2e-6), 1.0);
}

TEST(RopeTest, RefusesAnOddHead) {
  EXPECT_EQ(rope<float>(nullptr, nullptr, {}, {.tokens = 1, .width = 7}, nullptr), kInvalidValue);
}

// ---- with the norm of each head

template <class T>
std::vector<T> narrowed(const std::vector<double>& numbers) {
  std::vector<T> short_ones(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    short_ones[i] = from_float<T>(static_cast<float>(numbers[i]));
  }
  return short_ones;
}

template <class T>
std::vector<double> norm_then_turn(const std::vector<T>& x, const std::vector<T>& weight, int heads,
                                   const RopeTables<T>& tables, const QkNormForm& form) {
  const RmsNormForm norm{.rows = form.rope.tokens * heads,
                         .cols = form.rope.width,
                         .eps = form.eps,
                         .one_plus = form.one_plus};
  std::vector<double> n(x.size()), s(x.size()), y(x.size());
  rms_norm_reference(n.data(), s.data(), x.data(), static_cast<const T*>(nullptr), weight.data(),
                     norm);
  rope_reference(y.data(), narrowed<T>(n).data(), tables, heads, form.rope);
  return y;
}

template <class T>
std::vector<double> turn_then_norm_back(const std::vector<T>& dy, const std::vector<T>& x,
                                        const std::vector<T>& weight, int heads,
                                        const RopeTables<T>& tables, const QkNormForm& form) {
  RopeForm back = form.rope;
  back.backward = true;
  const RmsNormForm norm{.rows = form.rope.tokens * heads,
                         .cols = form.rope.width,
                         .eps = form.eps,
                         .one_plus = form.one_plus};
  std::vector<double> g(x.size()), dx(x.size());
  rope_reference(g.data(), dy.data(), tables, heads, back);
  rms_norm_backward_reference(dx.data(), narrowed<T>(g).data(), x.data(), weight.data(),
                              static_cast<const T*>(nullptr), norm);
  return dx;
}

template <class T>
void check_with_norm(const Shape& shape, bool one_plus = false, std::size_t offset = 0) {
  SCOPED_TRACE(testing::Message() << type_name<T>() << " tokens " << shape.tokens << " heads "
                                  << shape.q_heads << "+" << shape.k_heads << " width "
                                  << shape.width << " offset " << offset);
  const Angles<T> angles(shape.width, shape.tokens);
  const QkNormForm form{form_of(shape, false), 1e-6f, one_plus};
  const auto width = static_cast<std::size_t>(shape.width);
  const auto q = random_numbers<T>(count_of(shape, shape.q_heads), 1);
  const auto k = random_numbers<T>(count_of(shape, shape.k_heads), 2);
  const auto q_weight = random_numbers<T>(width, 3), k_weight = random_numbers<T>(width, 4);
  const auto dq = random_numbers<T>(q.size(), 5), dk = random_numbers<T>(k.size(), 6);
  const auto q_there = placed(q, offset), k_there = placed(k, offset);
  const auto dq_there = placed(dq, offset), dk_there = placed(dk, offset);
  DeviceArray<T> q_weight_there(q_weight), k_weight_there(k_weight);
  DeviceArray<T> q_out(offset + q.size()), k_out(offset + k.size());
  const QkPair<const T> x{q_there.data() + offset, k_there.data() + offset};
  const QkPair<const T> weights{q_weight_there.data(), k_weight_there.data()};
  ASSERT_EQ(qk_norm_rope<T>({q_out.data() + offset, k_out.data() + offset}, x, weights,
                            angles.there(), form, nullptr),
            kSuccess);
  // Three roundings of T may each go the other way, and the turn adds two of such numbers.
  EXPECT_LE(excess(without(offset, q_out.read()),
                   norm_then_turn(q, q_weight, shape.q_heads, angles.here(), form), 1.1,
                   12 * half_ulp<T>() + 4e-6),
            1.0);
  EXPECT_LE(excess(without(offset, k_out.read()),
                   norm_then_turn(k, k_weight, shape.k_heads, angles.here(), form), 1.1,
                   12 * half_ulp<T>() + 4e-6),
            1.0);
  ASSERT_EQ(qk_norm_rope_backward<T>({dq_there.data() + offset, dk_there.data() + offset}, x,
                                     weights, angles.there(), form, nullptr),
            kSuccess);
  EXPECT_LE(excess(without(offset, dq_there.read()),
                   turn_then_norm_back(dq, q, q_weight, shape.q_heads, angles.here(), form), 1.1,
                   16 * half_ulp<T>() + 4e-6),
            1.0);
  EXPECT_LE(excess(without(offset, dk_there.read()),
                   turn_then_norm_back(dk, k, k_weight, shape.k_heads, angles.here(), form), 1.1,
                   16 * half_ulp<T>() + 4e-6),
            1.0);
}

TEST(QkNormRopeTest, AgreesWithTheReferencesInEveryShape) {
  // Qwen3's heads, Gemma's 256; one lane a head; lanes that are no power of two; no packs.
  for (const Shape& shape : {Shape{3, 16, 8, 128}, Shape{2, 4, 1, 256}, Shape{2, 3, 2, 16},
                             Shape{2, 3, 2, 48}, Shape{1, 1, 1, 2}, Shape{2, 5, 3, 74}}) {
    check_with_norm<Bf16>(shape);
  }
  check_with_norm<Bf16>({2, 4, 2, 64}, true);
  check_with_norm<Fp16>({2, 4, 2, 64});
  check_with_norm<float>({2, 4, 2, 128});
  check_with_norm<float>({2, 3, 1, 10}, true);
}

TEST(QkNormRopeTest, AgreesOnBothSidesOfTheWidestHeadInPacks) {
  check_with_norm<Bf16>({1, 2, 1, 512});  // a warp a head
  check_with_norm<Bf16>({1, 2, 1, 1024});
}

TEST(QkNormRopeTest, TakesAddressesThatAreNotAligned) {
  check_with_norm<Bf16>({2, 2, 1, 64}, false, 1);
}

}  // namespace
}  // namespace mayfly::cuda
