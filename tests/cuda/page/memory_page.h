// The part of docs/kernels.md on memory: what training Llama-3-8B takes on one GPU, by
// core/model/training_memory.h.
#pragma once

#include <string>

namespace mayfly {

std::string memory_section();

}  // namespace mayfly
