// A cache that is one position off gives fluent text that is not the model's. So the cached way is
// compared with the uncached one.
#include "trainer/nn/generate.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/trainer/tiny_llama.h"

namespace mayfly {
namespace {

const std::vector<std::int32_t> kPrompt = {3, 14, 15, 9, 26, 5};

TEST(GenerateTest, GreedyTextIsThatOfTheWholeForwardPassEachTime) {
  const Transformer model = tiny_model();
  const LoraAdapter adapter = tiny_adapter();
  const auto got = generate(model, &adapter, kPrompt, {}, {.max_new_tokens = 12});
  std::vector<std::int32_t> text = kPrompt;
  for (int i = 0; i < 12; ++i) {
    const std::vector<std::uint8_t> trained(text.size(), 0);
    const DocumentView view{text, trained};
    text.push_back(
        model.logits(pack({&view, 1}, at::kCPU), &adapter)[-1].argmax().item<std::int32_t>());
  }
  EXPECT_EQ(got, std::vector<std::int32_t>(text.begin() + 6, text.end()));
  EXPECT_NE(got, generate(model, nullptr, kPrompt, {}, {.max_new_tokens = 12}));
}

TEST(GenerateTest, StopsAfterAnEndToken) {
  const Transformer model = tiny_model();
  const auto whole = generate(model, nullptr, kPrompt, {}, {.max_new_tokens = 8});
  ASSERT_EQ(whole.size(), 8u);
  const std::vector<std::int64_t> end = {whole[3]};
  const auto cut = generate(model, nullptr, kPrompt, end, {.max_new_tokens = 8});
  EXPECT_LE(cut.size(), 4u);
  EXPECT_EQ(cut.back(), whole[3]);
  int seen = 0;
  const auto stopped = generate(model, nullptr, kPrompt, {}, {.max_new_tokens = 8},
                                [&](std::int32_t) { return ++seen < 2; });
  EXPECT_EQ(stopped.size(), 2u);
}

TEST(GenerateTest, TheSeedAloneMakesTheText) {
  const Transformer model = tiny_model();
  const auto text = [&](std::uint64_t seed) {
    return generate(model, nullptr, kPrompt, {},
                    {.temperature = 2.0, .seed = seed, .max_new_tokens = 16});
  };
  EXPECT_EQ(text(1), text(1));
  EXPECT_NE(text(1), text(2));
}

TEST(SampleTokenTest, ChoosesByProbabilityAmongTheLikeliest) {
  // Probabilities 0.1, 0.6, 0.3.
  const at::Tensor logits =
      at::tensor({std::log(0.1), std::log(0.6), std::log(0.3)}).to(at::kFloat);
  const Sampling all{.temperature = 1.0, .top_p = 1.0};
  EXPECT_EQ(sample_token(logits, all, 0.0), 1);
  EXPECT_EQ(sample_token(logits, all, 0.59), 1);
  EXPECT_EQ(sample_token(logits, all, 0.61), 2);
  EXPECT_EQ(sample_token(logits, all, 0.89), 2);
  EXPECT_EQ(sample_token(logits, all, 0.91), 0);
  EXPECT_EQ(sample_token(logits, all, 0.999999), 0);
  const Sampling most{.temperature = 1.0, .top_p = 0.7};  // 0.6 is too little, 0.9 is enough
  EXPECT_EQ(sample_token(logits, most, 0.65), 1);
  EXPECT_EQ(sample_token(logits, most, 0.67), 2);
  EXPECT_EQ(sample_token(logits, most, 0.999999), 2);
  const Sampling one{.temperature = 1.0, .top_p = 1e-9};
  EXPECT_EQ(sample_token(logits, one, 0.999999), 1);
  EXPECT_EQ(sample_token(logits, {.temperature = 0.0}, 0.999999), 1);
}

}  // namespace
}  // namespace mayfly
