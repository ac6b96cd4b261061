#include "tests/cuda/page/memory_page.h"

#include <cstdio>

#include "core/model/training_memory.h"
#include "tests/fakes/llama_8b.h"

namespace mayfly {
namespace {

std::string gigabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(bytes) / 1e9);
  return text;
}

std::string row(bool quantized, std::int64_t tokens, Checkpointing checkpointing) {
  TrainingShape shape{.tokens = tokens,
                      .longest = tokens,
                      .bytes_a_number = 2,
                      .quant = {},
                      .checkpointing = checkpointing,
                      .fused = true};
  if (quantized) shape.quant.bits = QuantBits::four;
  LoraConfig lora;
  lora.r = 16;
  const TrainingMemory memory = training_memory(llama_8b(), lora, shape);
  return std::string("| ") + (quantized ? "QLoRA" : "LoRA") + " | " + std::to_string(tokens) +
         " | " + std::string(enum_name(checkpointing)) + " | " + gigabytes(memory.weights) + " | " +
         gigabytes(memory.activations + memory.working) + " | " + gigabytes(memory.total()) +
         " |\n";
}

}  // namespace

std::string memory_section() {
  std::string text =
      "## By arithmetic: memory of one GPU\n\n"
      "Llama-3-8B in bf16, r 16 on all linear layers, GB, by `core/model/training_memory.h`. "
      "Beside "
      "the weights: what the\nblocks keep, and what one block, attention and loss need while they "
      "are computed. In all: with adapter, optimizer, and a\nreserve of a tenth and 0.6 GB for the "
      "driver. `MemoryTest` holds kept and needed against the allocator on the CPU, within\n10 %; "
      "`MemoryGoalTest` has the goals: 12 GB beside the weights at 8,192 tokens with selective "
      "checkpointing, QLoRA within\n10 GB in all at 2,048.\n\n"
      "| weights | tokens at once | `gradient_checkpointing` | weights | beside them | in all |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  for (const bool quantized : {false, true}) {
    for (const std::int64_t tokens : {2048, 8192}) {
      for (const Checkpointing checkpointing :
           {Checkpointing::off, Checkpointing::feed_forward, Checkpointing::blocks}) {
        text += row(quantized, tokens, checkpointing);
      }
    }
  }
  return text + "\n";
}

}  // namespace mayfly
