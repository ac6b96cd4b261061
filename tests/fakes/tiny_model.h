// A model folder of a few kilobytes, made on the spot: a llama of two narrow layers with random
// weights, a tokenizer of single bytes, a chat template. Good for everything but learning.
#pragma once

#include <filesystem>

#include "core/result.h"

namespace mayfly {

// Makes `folder`.
Status make_tiny_model(const std::filesystem::path& folder);

// `rows` conversations of one question and one answer.
void make_tiny_data(const std::filesystem::path& file, int rows);

}  // namespace mayfly
