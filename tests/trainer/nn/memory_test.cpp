// The memory that core/model/training_memory.h expects, against what is really allocated: the plan
// rents a GPU by the one, and a run ends by the other.
#include <algorithm>

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <gtest/gtest.h>

#include "core/model/training_memory.h"
#include "tests/trainer/tiny_llama.h"

namespace mayfly {
namespace {

// Counts what libtorch holds on the CPU, and the most of it since the last reset.
class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const pointer = c10::alloc_cpu(bytes);
    held += bytes;
    most = std::max(most, held);
    return {pointer, new Block{pointer, bytes}, &free_block, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override {
    return nullptr;  // allocations carry their size
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

  static inline std::size_t held = 0, most = 0;

 private:
  struct Block {
    void* pointer;
    std::size_t bytes;
  };
  static void free_block(void* context) {
    const auto* const block = static_cast<Block*>(context);
    held -= block->bytes;
    c10::free_cpu(block->pointer);
    delete block;
  }
};

class MemoryTest : public testing::TestWithParam<Checkpointing> {
 protected:
  MemoryTest() : before_(c10::GetCPUAllocator()) {
    c10::SetCPUAllocator(&counting_, /*priority=*/1);
  }
  ~MemoryTest() override {
    c10::SetCPUAllocator(before_, /*priority=*/1);
  }
  static inline CountingAllocator counting_;
  c10::Allocator* before_;
};

// Allocated and expected, in bytes.
std::pair<double, double> memory_of(const Architecture& architecture, Checkpointing checkpointing) {
  const Transformer model(architecture, tiny_weights(architecture, at::kFloat));
  const LoraShape shape{.rank = 4,
                        .alpha = 8,
                        .dropout = 0,
                        .use_rslora = false,
                        .targets = *projections_named({"all-linear"}, Architecture())};
  LoraAdapter adapter = LoraAdapter::create(architecture, shape, 1, at::kCPU, at::kFloat);
  const PackedBatch batch = tiny_batch({512});
  const std::size_t held = CountingAllocator::held;
  CountingAllocator::most = held;
  model.accumulate_gradients(batch, adapter, {.checkpointing = checkpointing});
  const auto took = static_cast<double>(CountingAllocator::most - held);

  LoraConfig lora;
  lora.r = 4;
  const TrainingMemory expected = training_memory(architecture, lora,
                                                  {.tokens = 512,
                                                   .longest = 512,
                                                   .bytes_a_number = 4,
                                                   .quant = {},
                                                   .checkpointing = checkpointing,
                                                   .fused = true});
  const auto said = static_cast<double>(expected.activations + expected.working);
  return {took, said};
}

Architecture deep() {
  Architecture architecture = tiny_architecture();
  architecture.width = 64;
  architecture.layers = 24;
  architecture.head_width = 16;
  architecture.ff_width = 176;
  return architecture;
}

TEST_P(MemoryTest, IsWhatTheModelSays) {
  const auto [took, said] = memory_of(deep(), GetParam());
  RecordProperty("allocated", std::to_string(took));
  RecordProperty("expected", std::to_string(said));
  EXPECT_NEAR(took / said, 1.0, 0.10) << took << " allocated, " << said << " expected";
}

// Scores that are capped have matrices of a document by itself; norms behind keep what they norm.
TEST_P(MemoryTest, IsWhatTheModelSaysOfCapsAndNormsAround) {
  Architecture gemma = deep();
  gemma.norm_place = NormPlace::around;
  gemma.soft_caps.attention = 50.0;
  const auto [took, said] = memory_of(gemma, GetParam());
  EXPECT_NEAR(took / said, 1.0, 0.10) << took << " allocated, " << said << " expected";
}

INSTANTIATE_TEST_SUITE_P(All, MemoryTest,
                         testing::Values(Checkpointing::off, Checkpointing::feed_forward,
                                         Checkpointing::blocks));

}  // namespace
}  // namespace mayfly
