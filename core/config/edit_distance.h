// How far two words are apart, for "did you mean".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mayfly {

// The fewest insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
// (optimal string alignment). Quadratic in the lengths.
int edit_distance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, or "" if none is near: at most a third of its letters apart.
std::string nearest_word(std::string_view word, std::span<const std::string> candidates);

}  // namespace mayfly
