#include "tests/cuda/page/ledger.h"

namespace mayfly::cuda {

std::vector<ModelShape> ledger_models() {
  const auto linear = [](double d, double q, double k, double f) {
    return d * q + 2 * d * k + q * d + 3 * d * f;
  };
  return {{"Llama-3-8B", 4096, 32, 4096, 1024, 14336, 128256, 32 * linear(4096, 4096, 1024, 14336)},
          {"Qwen2.5-7B", 3584, 28, 3584, 512, 18944, 152064, 28 * linear(3584, 3584, 512, 18944)}};
}

std::vector<Gpu> ledger_gpus() {
  return {{"L4", 0.3e12, 121e12},
          {"A100 80GB", 2.039e12, 312e12},
          {"H100 SXM", 3.35e12, 989e12},
          {"H200", 4.8e12, 989e12},
          {"B200", 8.0e12, 2250e12}};
}

std::vector<LedgerRow> ledger(const ModelShape& m, double tokens, bool quantized) {
  const double of_width = tokens * m.width;
  const double of_heads = tokens * (m.queries + m.keys);
  const double of_inner = tokens * m.inner;
  const double of_logits = tokens * m.vocabulary;
  const double norms = 2 * m.layers + 1;
  // Outputs of the seven linear layers of a layer, and their inputs' gradients.
  const double outputs = tokens * (2 * m.queries / 2 + 2 * m.keys + 2 * m.width + 2 * m.inner);
  const double inputs = tokens * (3 * m.width + m.queries + 2 * m.width + m.inner);
  std::vector<LedgerRow> rows = {
      {"RMSNorm and residual, forward", 42 * of_width * norms, 8 * of_width * norms, 8 * norms,
       norms, "42 -> 8 B an element"},
      {"RMSNorm and residual, backward", 66 * of_width * norms, 8 * of_width * norms, 12 * norms,
       norms, "66 -> 8"},
      {"RoPE on q and k, both ways", 36 * of_heads * m.layers, 8 * of_heads * m.layers,
       20 * m.layers, 2 * m.layers, "18 -> 4 each way"},
      {"SwiGLU, forward", 10 * of_inner * m.layers, 6 * of_inner * m.layers, 2 * m.layers, m.layers,
       "10 -> 6"},
      {"SwiGLU, backward", 18 * of_inner * m.layers, 12 * of_inner * m.layers, 4 * m.layers,
       m.layers, "18 -> 12, with h made again"},
      {"loss and its gradient", 38 * of_logits, 10 * of_logits, 8, 8, "38 -> 10 B a logit"},
      {"LoRA added to outputs", 12 * outputs * m.layers, 4 * outputs * m.layers, 14 * m.layers,
       7 * m.layers, "12 -> 4, added in the product"},
      {"LoRA added to inputs' gradients", 12 * inputs * m.layers, 6 * inputs * m.layers,
       14 * m.layers, 7 * m.layers, "12 -> 6"},
  };
  if (quantized) {
    rows.push_back({"NF4 weights restored, twice", 2 * 25 * m.weights, 2 * 2.516 * m.weights,
                    2 * 6 * 7 * m.layers, 2 * 7 * m.layers, "25 -> 2.52 B a weight"});
  }
  return rows;
}

double step_flops(const ModelShape& m, double tokens, double document) {
  const double linear = 2 * tokens * m.weights;
  const double head = 2 * tokens * m.width * m.vocabulary;
  const double attention = 4 * tokens * document / 2 * m.queries * m.layers;
  return 2 * linear + 2 * head + 3.5 * attention;  // attention: forward, and 2.5 times that back
}

}  // namespace mayfly::cuda
