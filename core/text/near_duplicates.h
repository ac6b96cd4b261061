// Rows that say nearly the same: of two texts' sets of five words in a row, four fifths and more
// are in both (Jaccard similarity 0.8).
//
// MinHash finds the pairs worth a look: 160 hashes of a set, of which two sets agree in as many as
// they are similar, in 32 bands of 5; sets that agree in a whole band are compared in full. So no
// pair is taken for near that is not, and one of similarity 0.8 is missed three times in a million,
// a more similar one less often. No chance in it: the same rows, the same answer, on every machine.
// Sources: Broder 1997, "On the resemblance and containment of documents"; Leskovec, Rajaraman,
// Ullman, "Mining of Massive Datasets", 3.4.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mayfly {

inline constexpr double kNear = 0.8;

// A set of hashes, ascending.
using WordGrams = std::vector<std::uint64_t>;

// Of the words of `text`, five by five; of a text with fewer, all of them once. A word is a run of
// letters and digits, ASCII ones in lower case; every character beyond ASCII counts as a letter, so
// a sentence of a language without spaces is one word.
WordGrams word_grams(std::string_view text);
// The same of any other words.
WordGrams word_grams(std::span<const std::uint64_t> words);

// 0 when both are empty.
double jaccard(const WordGrams& a, const WordGrams& b);

// One thread. Memory: 8 bytes a gram and 1.5 KB a row that is kept. 10,000 rows of 200 words take
// half a second, unless many are alike without being near: those are compared one by one.
class NearDuplicates {
 public:
  // The number (`row` of an earlier call) of the first kept row that this one is near to; nullopt:
  // there is none, and this one is kept. Without grams it is near to nothing.
  std::optional<std::size_t> add(std::size_t row, WordGrams grams);

 private:
  static constexpr std::size_t kBands = 32;
  static constexpr std::size_t kBandSize = 5;
  using Signature = std::array<std::uint32_t, kBands * kBandSize>;

  struct Kept {
    std::size_t row;
    WordGrams grams;
    Signature signature;
  };

  static Signature signature_of(const WordGrams& grams);
  static std::uint64_t key_of(const Signature& signature, std::size_t band);
  bool is_near(const Kept& kept, const WordGrams& grams, const Signature& signature) const;

  std::vector<Kept> kept_;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> bands_;  // of kept_
};

}  // namespace mayfly
