#include "core/text/near_duplicates.h"

#include <algorithm>
#include <limits>

namespace mayfly {

namespace {

constexpr std::size_t kGram = 5;

// SplitMix64's mixer: every bit of the result depends on every bit of `z`.
constexpr std::uint64_t spread_bits(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

bool is_word_byte(unsigned char c) {
  return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

unsigned char lower(unsigned char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<unsigned char>(c - 'A' + 'a') : c;
}

// FNV-1a, then mixed.
std::vector<std::uint64_t> words_of(std::string_view text) {
  std::vector<std::uint64_t> words;
  for (std::size_t i = 0; i < text.size();) {
    std::uint64_t hash = 0xcbf29ce484222325;
    std::size_t end = i;
    while (end < text.size() && is_word_byte(static_cast<unsigned char>(text[end]))) {
      hash = (hash ^ lower(static_cast<unsigned char>(text[end]))) * 0x100000001b3;
      ++end;
    }
    if (end > i) words.push_back(spread_bits(hash));
    i = std::max(end, i + 1);
  }
  return words;
}

}  // namespace

WordGrams word_grams(std::span<const std::uint64_t> words) {
  WordGrams grams;
  const std::size_t size = std::min(kGram, words.size());
  for (std::size_t i = 0; size > 0 && i + size <= words.size(); ++i) {
    std::uint64_t hash = size;
    for (const std::uint64_t word : words.subspan(i, size)) hash = spread_bits(hash ^ word);
    grams.push_back(hash);
  }
  std::sort(grams.begin(), grams.end());
  grams.erase(std::unique(grams.begin(), grams.end()), grams.end());
  return grams;
}

WordGrams word_grams(std::string_view text) {
  return word_grams(std::span<const std::uint64_t>(words_of(text)));
}

double jaccard(const WordGrams& a, const WordGrams& b) {
  std::size_t both = 0;
  for (auto x = a.begin(), y = b.begin(); x != a.end() && y != b.end();) {
    both += *x == *y;
    const bool step_x = *x <= *y, step_y = *y <= *x;
    x += step_x;
    y += step_y;
  }
  const std::size_t all = a.size() + b.size() - both;
  return all == 0 ? 0 : static_cast<double>(both) / static_cast<double>(all);
}

NearDuplicates::Signature NearDuplicates::signature_of(const WordGrams& grams) {
  // Multiply-shift: an odd factor and a summand for each hash, the upper half of the result.
  struct Hash {
    std::uint64_t factor, summand;
  };
  static const auto kHashes = [] {
    std::array<Hash, kBands * kBandSize> hashes{};
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      hashes[i] = {spread_bits(2 * i) | 1, spread_bits(2 * i + 1)};
    }
    return hashes;
  }();
  Signature least;
  least.fill(std::numeric_limits<std::uint32_t>::max());
  for (const std::uint64_t gram : grams) {
    for (std::size_t i = 0; i < least.size(); ++i) {
      const std::uint64_t value = gram * kHashes[i].factor + kHashes[i].summand;
      least[i] = std::min(least[i], static_cast<std::uint32_t>(value >> 32));
    }
  }
  return least;
}

std::uint64_t NearDuplicates::key_of(const Signature& signature, std::size_t band) {
  std::uint64_t key = spread_bits(band);
  for (std::size_t i = band * kBandSize; i < (band + 1) * kBandSize; ++i) {
    key = spread_bits(key ^ signature[i]);
  }
  return key;
}

bool NearDuplicates::is_near(const Kept& kept, const WordGrams& grams,
                             const Signature& signature) const {
  const auto sizes = std::minmax(kept.grams.size(), grams.size());
  if (static_cast<double>(sizes.first) < kNear * static_cast<double>(sizes.second)) return false;
  // Of 160 hashes 128 agree, give or take 5, where the sets are just near: 96 are six times that
  // off.
  constexpr std::size_t kTooFew = 96;
  std::size_t same = 0;
  for (std::size_t i = 0; i < signature.size(); ++i) same += kept.signature[i] == signature[i];
  return same >= kTooFew && jaccard(kept.grams, grams) >= kNear;
}

std::optional<std::size_t> NearDuplicates::add(std::size_t row, WordGrams grams) {
  if (grams.empty()) return std::nullopt;
  const Signature signature = signature_of(grams);
  std::array<std::uint64_t, kBands> keys{};
  std::vector<std::uint32_t> candidates;
  for (std::size_t band = 0; band < kBands; ++band) {
    keys[band] = key_of(signature, band);
    const auto found = bands_.find(keys[band]);
    if (found == bands_.end()) continue;
    candidates.insert(candidates.end(), found->second.begin(), found->second.end());
  }
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  for (const std::uint32_t candidate : candidates) {
    if (is_near(kept_[candidate], grams, signature)) return kept_[candidate].row;
  }
  for (const std::uint64_t key : keys) {
    bands_[key].push_back(static_cast<std::uint32_t>(kept_.size()));
  }
  kept_.push_back({row, std::move(grams), signature});
  return std::nullopt;
}

}  // namespace mayfly
