// The bindings between tensors and kernels, on the emulator: the same calls as on a GPU, with the
// same kernels' source, held against the CPU's own way. A wrong order of arguments, stride or size
// would give plausible numbers on a GPU, where nobody looks.
#include "trainer/ops/kernel_ops.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "tests/cuda/emulator/memory.h"
#include "tests/trainer/tiny_llama.h"
#include "trainer/ops/cross_entropy.h"
#include "trainer/ops/glu.h"
#include "trainer/ops/rms_norm.h"
#include "trainer/ops/rope_apply.h"

namespace mayfly {
namespace {

// Lends a tensor's memory to the emulator for one call after the other.
class Emulator : public KernelPlace {
 public:
  void* address(const at::Tensor& x) const override {
    const auto bytes = static_cast<std::size_t>(x.numel() * x.element_size());
    return emulator::lend_memory(x.data_ptr(), bytes);
  }
  cuda::Stream stream(const at::Tensor& /*x*/) const override {
    return nullptr;
  }
};

bool serve = false;  // whether tensors are served by the kernels

class ServedByKernels {
 public:
  ServedByKernels() {
    serve = true;
  }
  ~ServedByKernels() {
    serve = false;
    emulator::take_back_memory();
  }
};

}  // namespace

// What the trainer's own program gets from trainer/kernels/.
const DeviceOps* device_ops(const at::Tensor& /*x*/) {
  static const Emulator place;
  static const KernelOps ops(place);
  return serve ? &ops : nullptr;
}
bool has_flash_attention(const at::Tensor& /*like*/, std::int64_t /*head_width*/) {
  return false;
}
std::string kernels_obstacle(int /*gpu*/) {
  return {};
}
std::int64_t gpu_free_bytes(int /*gpu*/) {
  return 0;
}

namespace {

class KernelOpsTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  at::Tensor draw(at::IntArrayRef shape, std::uint64_t seed) const {
    return random_tensor(shape, 1.0, seed).to(GetParam());
  }
  // Both ways round to the type in the same places; exponentials and sums differ in float32.
  double tolerance() const {
    return GetParam() == at::kBFloat16 ? 0x1.0p-7 : 1e-5;
  }
};

TEST_P(KernelOpsTest, NormAndItsGradient) {
  for (const std::int64_t width : {1, 24, 100}) {
    const NormForm form{.eps = 1e-5, .one_plus = width == 100};
    const at::Tensor x = draw({5, width}, 1), more = draw({5, width}, 2), w = draw({width}, 3);
    const at::Tensor dy = draw({5, width}, 4), start = draw({5, width}, 5);
    const at::Tensor y = rms_norm(x, w, form), sum = x.clone(), dx = start.clone();
    const at::Tensor y_sum = add_rms_norm(sum, more, w, form);
    rms_norm_backward(dx, dy, x, w, form);

    const ServedByKernels served;
    EXPECT_LT(relative_difference(rms_norm(x, w, form), y), tolerance());
    const at::Tensor sum_there = x.clone(), dx_there = start.clone();
    EXPECT_LT(relative_difference(add_rms_norm(sum_there, more, w, form), y_sum), tolerance());
    EXPECT_TRUE(sum_there.equal(sum));
    rms_norm_backward(dx_there, dy, x, w, form);
    EXPECT_LT(relative_difference(dx_there, dx), tolerance());
  }
}

TEST_P(KernelOpsTest, GatedUnitsAndTheirGradients) {
  for (const GateActivation a : {GateActivation::silu, GateActivation::gelu_tanh}) {
    const at::Tensor e = draw({7, 40}, 1), g = draw({7, 40}, 2), dh = draw({7, 40}, 3);
    const at::Tensor h = glu(e, g, a), de = e.clone(), dg = g.clone(), again = dh.clone();
    glu_backward(de, dg, again, a);
    const ServedByKernels served;
    EXPECT_LT(relative_difference(glu(e, g, a), h), tolerance());
    const at::Tensor de_there = e.clone(), dg_there = g.clone(), h_there = dh.clone();
    glu_backward(de_there, dg_there, h_there, a);
    EXPECT_LT(relative_difference(de_there, de), 2 * tolerance());
    EXPECT_LT(relative_difference(dg_there, dg), 2 * tolerance());
    EXPECT_LT(relative_difference(h_there, again), tolerance());
  }
}

TEST_P(KernelOpsTest, RopeBothWays) {
  const at::Tensor q = draw({6, 4, 10}, 1), k = draw({6, 2, 10}, 2);
  const at::Tensor angle = random_tensor({6, 5}, 3.0, 3);
  const at::Tensor c = angle.cos().to(GetParam()), s = angle.sin().to(GetParam());
  for (const Turn turn : {Turn::forward, Turn::backward}) {
    const at::Tensor q_here = q.clone(), k_here = k.clone();
    rope_apply(q_here, k_here, c, s, turn);
    const ServedByKernels served;
    const at::Tensor q_there = q.clone(), k_there = k.clone();
    rope_apply(q_there, k_there, c, s, turn);
    EXPECT_LT(relative_difference(q_there, q_here), tolerance());
    EXPECT_LT(relative_difference(k_there, k_here), tolerance());
  }
}

TEST_P(KernelOpsTest, LossAndItsGradient) {
  for (const double cap : {0.0, 3.0}) {
    const at::Tensor hidden = draw({9, 24}, 1), head = draw({50, 24}, 2);
    const at::Tensor targets = at::arange(9, at::kLong).mul_(5);
    const LossForm form{.scale = 0.3, .soft_cap = cap};
    // A capped logit is rounded once by the kernel and three times here, as in transformers.
    const double tolerated = cap > 0 ? tolerance() : 1e-5;
    const double loss = cross_entropy(hidden, head, targets, form);
    const auto right = cross_entropy_with_gradient(hidden, head, targets, form);
    const ServedByKernels served;
    EXPECT_NEAR(cross_entropy(hidden, head, targets, form) / loss, 1.0, tolerated);
    const auto got = cross_entropy_with_gradient(hidden, head, targets, form);
    EXPECT_NEAR(got.loss / right.loss, 1.0, tolerated);
    EXPECT_LT(relative_difference(got.dhidden, right.dhidden), 2 * tolerance());
  }
}

TEST_P(KernelOpsTest, FourBitsAreTheSameBits) {
  for (const bool double_quant : {false, true}) {
    const at::Tensor weight = draw({33, 70}, 1);
    Nf4Weight here = nf4_quantize(weight, double_quant);
    const at::Tensor out = at::empty_like(weight), out_there = at::empty_like(weight);
    nf4_restore(here, out);
    const ServedByKernels served;
    nf4_restore(here, out_there);
    EXPECT_TRUE(out_there.equal(out));
    const Nf4Weight there = nf4_quantize(weight, double_quant);
    EXPECT_TRUE(there.packed.equal(here.packed));
    if (double_quant) {
      EXPECT_NEAR((there.offset / here.offset).item<float>(), 1.0f, 1e-6);
    } else {
      EXPECT_TRUE(there.absmax.equal(here.absmax));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, KernelOpsTest, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& instance) {
                           return instance.param == at::kFloat ? "Float" : "Bfloat16";
                         });

TEST(KernelOpsCheckTest, RefusesWhatTheKernelWouldMisread) {
  const at::Tensor x = at::ones({4, 8}), w = at::ones({8});
  const ServedByKernels served;
  EXPECT_THROW(rms_norm(x, w.to(at::kBFloat16), {1e-5}), c10::Error);
  EXPECT_THROW(rms_norm(x.t(), at::ones({4}), {1e-5}), c10::Error);
  EXPECT_THROW(rms_norm(x, at::ones({7}), {1e-5}), c10::Error);
  EXPECT_THROW(rms_norm(x.to(at::kDouble), w.to(at::kDouble), {1e-5}), c10::Error);
  EXPECT_THROW(glu(x, at::ones({4, 9}), GateActivation::silu), c10::Error);
  EXPECT_THROW(rope_apply(at::ones({4, 1, 8}), at::ones({4, 1, 8}), at::ones({3, 4}),
                          at::ones({4, 4}), Turn::forward),
               c10::Error);
  EXPECT_THROW(cross_entropy(x, at::ones({9, 8}), at::zeros({4}, at::kInt)), c10::Error);
  EXPECT_THROW(nf4_restore(nf4_quantize(x, false), at::empty({4, 9})), c10::Error);
}

// All of it together: a step of a model of three layers with all its bindings.
void expect_the_same_by_kernels(const Architecture& architecture) {
  DecoderWeights weights = tiny_weights(architecture, at::kFloat);
  const at::Tensor scratch = at::empty({2 * 40 * 24}, at::kFloat);
  for (BlockWeights& block : weights.blocks) {
    for (const Projection projection : projections(architecture)) {
      FrozenWeight& weight = block.projections[static_cast<std::size_t>(projection)];
      const at::Tensor bias = weight.bias();
      weight = FrozenWeight(nf4_quantize(weight.matrix().contiguous(), true), scratch);
      weight.set_bias(bias);
    }
  }
  const Transformer model(architecture, std::move(weights));
  LoraAdapter adapter = tiny_adapter(at::kFloat, {"all-linear"}, 0.2, architecture);
  const PackedBatch batch = tiny_batch({7, 12, 1, 5});
  const auto run = [&](Checkpointing checkpointing) {
    adapter.gradients().zero_();
    const double loss = model.accumulate_gradients(
        batch, adapter, {.loss_scale = 0.5, .dropout_seed = 9, .checkpointing = checkpointing});
    return std::pair(loss, adapter.gradients().clone());
  };
  const auto [loss, gradients] = run(Checkpointing::off);
  const ServedByKernels served;
  for (const auto checkpointing : {Checkpointing::off, Checkpointing::feed_forward}) {
    const auto [loss_there, gradients_there] = run(checkpointing);
    EXPECT_NEAR(loss_there / loss, 1.0, 1e-6);
    EXPECT_LT(relative_difference(gradients_there, gradients), 2e-5);
  }
}

TEST(KernelStepTest, LossAndGradientsAreThoseOfTheCpu) {
  expect_the_same_by_kernels(tiny_architecture());
}

TEST(KernelStepTest, SoAreThoseOfTheOtherFamilies) {
  for (const auto& [name, architecture] : tiny_families()) {
    SCOPED_TRACE(name);
    expect_the_same_by_kernels(architecture);
  }
}

}  // namespace
}  // namespace mayfly
