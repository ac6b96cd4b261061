// Short examples put together, so that each sequence of a batch has about as many tokens as the
// others. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mayfly {

// Numbers of the examples that share a sequence.
using Pack = std::vector<std::uint32_t>;

// Best fit, longest example first: each goes to the pack with the least room that it still fits in,
// of equal ones to the one made first. Every example is in exactly one pack, whole; one longer than
// `capacity` has a pack for itself. The same for the same lengths. n log n.
// Source: Ding et al. 2024, "Fewer Truncations Improve Language Modeling", arXiv:2404.10830, 3.1.
std::vector<Pack> pack_best_fit(std::span<const std::int64_t> lengths, std::int64_t capacity);

}  // namespace mayfly
