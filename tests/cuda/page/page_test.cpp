// docs/kernels.md is written here and checked in, so that no figure in it is older than the
// kernels. After a change:  MAYFLY_WRITE=1 build/light/bin/kernel_tests
// --gtest_filter='KernelPageTest.*'
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "tests/cuda/cases/kernel_case.h"
#include "tests/cuda/emulator/traffic.h"
#include "tests/cuda/page/ledger.h"
#include "tests/cuda/page/memory_page.h"

namespace mayfly::cuda {
namespace {

constexpr double kTokens = 8192;
constexpr double kDocument = 2048;
constexpr double kShareOfBandwidth =
    0.90;                               // that kernels of this kind reach elsewhere: 0.85 to 0.93
constexpr double kShareOfFlops = 0.55;  // that products of these sizes reach elsewhere

std::string number(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string evidence_table() {
  std::string table =
      "| kernel (bf16) | emulated at | bytes / least | traffic to L2 / least | 16-byte share of "
      "accesses |\n| --- | --- | --- | --- | --- |\n";
  for (const KernelCase& one : kernel_cases(Size::rows)) {
    if (one.type == "fp32" && !one.kernel.starts_with("nf4_mean") &&
        !one.kernel.starts_with("nf4_quantize_scales")) {
      continue;
    }
    emulator::start_traffic();
    EXPECT_EQ(one.launch(nullptr), kSuccess);
    const emulator::Traffic traffic = emulator::stop_traffic();
    table += "| `" + one.kernel + "` | " + one.shape + " | " +
             number(static_cast<double>(traffic.distinct) / one.least_bytes, 3) + " | " +
             number(static_cast<double>(traffic.sectors) / one.least_traffic, 2) + " | " +
             number(100.0 * static_cast<double>(traffic.whole) /
                        static_cast<double>(traffic.instructions),
                    0) +
             " % |\n";
  }
  return table;
}

struct Sum {
  double eager = 0, ours = 0, eager_launches = 0, ours_launches = 0;
};

Sum sum_of(const std::vector<LedgerRow>& rows) {
  Sum sum;
  for (const LedgerRow& row : rows) {
    sum.eager += row.eager_bytes;
    sum.ours += row.ours_bytes;
    sum.eager_launches += row.eager_launches;
    sum.ours_launches += row.ours_launches;
  }
  return sum;
}

std::string ledger_table(const ModelShape& model) {
  std::string table = "### " + model.name +
                      "\n\n| beside the products | op by op, GB | ours, GB | "
                      "launches | ours | how counted |\n| --- | --- | --- | --- | --- | --- |\n";
  const auto rows = ledger(model, kTokens, true);
  for (const LedgerRow& row : rows) {
    table += "| " + row.what + " | " + number(row.eager_bytes / 1e9, 1) + " | " +
             number(row.ours_bytes / 1e9, 1) + " | " + number(row.eager_launches, 0) + " | " +
             number(row.ours_launches, 0) + " | " + row.eager + " |\n";
  }
  for (const bool quantized : {false, true}) {
    const Sum sum = sum_of(ledger(model, kTokens, quantized));
    table += std::string("| **") + (quantized ? "QLoRA step" : "LoRA step") + "** | " +
             number(sum.eager / 1e9, 1) + " | " + number(sum.ours / 1e9, 1) + " | " +
             number(sum.eager_launches, 0) + " | " + number(sum.ours_launches, 0) + " | " +
             number(sum.ours / sum.eager, 2) + " of the bytes |\n";
  }
  table +=
      "\n| GPU | LoRA, tokens/s | op by op | QLoRA, tokens/s | op by op |\n"
      "| --- | --- | --- | --- | --- |\n";
  const double flops = step_flops(model, kTokens, kDocument);
  for (const Gpu& gpu : ledger_gpus()) {
    table += "| " + gpu.name;
    for (const bool quantized : {false, true}) {
      const Sum sum = sum_of(ledger(model, kTokens, quantized));
      for (const double bytes : {sum.ours, sum.eager}) {
        const double seconds = flops / (kShareOfFlops * gpu.flops) +
                               bytes / (kShareOfBandwidth * gpu.bytes_per_second);
        table += " | " + number(kTokens / seconds, 0);
      }
    }
    table += " |\n";
  }
  return table + "\n";
}

std::string page() {
  std::string text =
      "# Kernels: evidence\n\nWritten by `tests/cuda/page/page_test.cpp`; do not edit. What each "
      "kernel "
      "computes is in its header in\n`cuda/`, what the levels of evidence mean in "
      "`cuda/README.md`. "
      "**Nothing on this page was measured on a GPU.**\n\n"
      "## Emulated: the bytes that each kernel moves\n\n"
      "Counted in sectors of 32 bytes. The least: each number read once and written once; for the "
      "loss, "
      "traffic to L2\nallows two reads, since a row fits into no block's memory. Allowed: 1.05 and "
      "1.30.\n\n";
  text += evidence_table();
  text +=
      "\n## By arithmetic: a whole step\n\n" + number(kTokens, 0) + " tokens in documents of " +
      number(kDocument, 0) +
      ", LoRA on all linear layers, nothing recomputed. Bytes an element op by "
      "op are\ncounted by hand for bf16 with transformers' float32 detours; launches likewise. "
      "The time "
      "is\n`flops / (" +
      number(kShareOfFlops, 2) + " peak) + bytes / (" + number(kShareOfBandwidth, 2) +
      " bandwidth)`, one after the other; both shares are assumptions "
      "taken from what\nothers report, so the ratios of columns say more than the columns. "
      "QLoRA's weights "
      "are restored forward and backward.\nOn a GPU the trainer calls these kernels, in a build "
      "with nvcc; no GPU has run it yet. The residual\nbefore a block's first norm is still added "
      "apart, 2 GB more than counted here.\n\n";
  for (const ModelShape& model : ledger_models()) text += ledger_table(model);
  text += memory_section();
  text.pop_back();
  return text;
}

TEST(KernelPageTest, IsWhatTheKernelsSay) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "counted without sanitizers: the count is the same and takes two minutes here";
#endif
  const std::string path = MAYFLY_SOURCE_DIR "/docs/kernels.md";
  const std::string fresh = page();
  if (std::getenv("MAYFLY_WRITE") != nullptr) std::ofstream(path) << fresh;
  std::ifstream in(path);
  const std::string stored{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(stored, fresh) << "MAYFLY_WRITE=1 writes it anew";
}

// The goal for a LoRA step at 8B: at most 0.45 of the bytes that op-by-op code moves.
TEST(LedgerTest, LoraStepMovesLessThanHalfOfWhatOpByOpCodeMoves) {
  for (const ModelShape& model : ledger_models()) {
    const Sum sum = sum_of(ledger(model, kTokens, false));
    EXPECT_LE(sum.ours / sum.eager, 0.45) << model.name;
    EXPECT_LT(sum.ours_launches, sum.eager_launches / 2) << model.name;
  }
}

// By hand: 2 x 8192 tokens x 6.98e9 weights, twice, is 229 TFLOP; the head 17; attention 15.
TEST(LedgerTest, CountsTheOperationsOfAStep) {
  EXPECT_NEAR(step_flops(ledger_models()[0], 8192, 2048) / 1e12, 261, 3);
}

}  // namespace
}  // namespace mayfly::cuda
