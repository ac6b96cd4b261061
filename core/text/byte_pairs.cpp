#include "core/text/byte_pairs.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "core/text/unicode.h"

namespace mayfly {

namespace {

constexpr std::size_t kRememberedPieces = 1 << 15;
// Up to this many bytes, looking through all pairs for the best beats a heap.
constexpr std::size_t kShortPiece = 48;
constexpr std::int32_t kNoRank = std::numeric_limits<std::int32_t>::max();

std::uint64_t mixed(std::uint64_t value) {
  value ^= value >> 32;
  value *= 0x9e3779b97f4a7c15;
  return value ^ (value >> 29);
}

std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t hash = bytes.size() * 0x9e3779b97f4a7c15;
  while (bytes.size() >= 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    hash = mixed(hash ^ word) * 0xd6e8feb86659fd93;
    bytes.remove_prefix(8);
  }
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data(), bytes.size());
  return mixed(hash ^ word);
}

std::uint64_t pair_key(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

Error corrupt(std::string message) {
  return Error{ErrorKind::corrupt, std::move(message)};
}

}  // namespace

Result<BytePairs> BytePairs::build(const TokenizerSpec& spec) {
  BytePairs pairs;
  TokenId last = -1;
  std::size_t bytes = 0;
  for (const TokenizerSpec::Entry& entry : spec.vocabulary) {
    last = std::max(last, entry.id);
    bytes += entry.token.size();
  }
  // A sparse id would make a table of gigabytes out of a small file.
  if (last >= static_cast<TokenId>(2 * spec.vocabulary.size() + 65536)) {
    return corrupt("model.vocab has the id " + std::to_string(last) + " in " +
                   std::to_string(spec.vocabulary.size()) + " tokens");
  }
  std::vector<const TokenizerSpec::Entry*> by_id(static_cast<std::size_t>(last + 1));
  for (const TokenizerSpec::Entry& entry : spec.vocabulary) {
    const TokenizerSpec::Entry*& place = by_id[static_cast<std::size_t>(entry.id)];
    if (place) return corrupt("model.vocab has the id " + std::to_string(entry.id) + " twice");
    place = &entry;
  }
  pairs.bytes_.reserve(bytes);
  pairs.begins_.reserve(by_id.size() + 1);
  pairs.slots_.assign(std::bit_ceil(2 * spec.vocabulary.size() + 1), -1);
  for (std::size_t id = 0; id < by_id.size(); ++id) {
    pairs.begins_.push_back(static_cast<std::uint32_t>(pairs.bytes_.size()));
    if (by_id[id]) pairs.bytes_ += by_id[id]->token;
  }
  pairs.begins_.push_back(static_cast<std::uint32_t>(pairs.bytes_.size()));
  for (std::size_t id = 0; id < by_id.size(); ++id) {
    if (!by_id[id] || !by_id[id]->of_bytes) continue;
    std::size_t slot = hash_of(by_id[id]->token) & (pairs.slots_.size() - 1);
    while (pairs.slots_[slot] >= 0) slot = (slot + 1) & (pairs.slots_.size() - 1);
    pairs.slots_[slot] = static_cast<TokenId>(id);
  }

  pairs.pairs_.resize(std::bit_ceil(2 * spec.merges.size() + 1));
  std::int32_t rank = 0;
  for (const auto& [left, right, merged] : spec.merges) {
    const std::uint64_t key = pair_key(left, right);
    std::size_t slot = mixed(key) & (pairs.pairs_.size() - 1);
    while (pairs.pairs_[slot].merge.rank >= 0 && pairs.pairs_[slot].key != key) {
      slot = (slot + 1) & (pairs.pairs_.size() - 1);
    }
    // A pair that stands twice keeps its last rank: the reference fills a map in this order.
    pairs.pairs_[slot] = {key, {rank++, merged}};
  }

  pairs.over_characters_ = spec.over_characters;
  for (int byte = 0; byte < 256 && !spec.over_characters; ++byte) {
    const char c = static_cast<char>(byte);
    pairs.of_byte_[byte] = pairs.id_of({&c, 1});
  }
  for (const TokenizerSpec::Entry& entry : spec.vocabulary) {
    if (!spec.over_characters || entry.of_bytes) continue;
    pairs.of_byte_[static_cast<unsigned char>(entry.token.front())] = entry.id;
  }
  if (!spec.unknown_token.empty()) {
    pairs.unknown_ = pairs.id_of(spec.unknown_token);
  }
  pairs.fuse_unknown_ = spec.fuse_unknown;
  pairs.ignore_merges_ = spec.ignore_merges;
  return pairs;
}

TokenId BytePairs::id_of(std::string_view token) const {
  std::size_t slot = hash_of(token) & (slots_.size() - 1);
  for (; slots_[slot] >= 0; slot = (slot + 1) & (slots_.size() - 1)) {
    if (bytes_of(slots_[slot]) == token) return slots_[slot];
  }
  return -1;
}

std::string_view BytePairs::bytes_of(TokenId id) const {
  if (id < 0 || id >= size()) return {};
  const std::size_t begin = begins_[static_cast<std::size_t>(id)];
  return std::string_view(bytes_).substr(begin, begins_[static_cast<std::size_t>(id) + 1] - begin);
}

bool BytePairs::is_fallback(TokenId id) const {
  const std::string_view bytes = bytes_of(id);
  return over_characters_ && bytes.size() == 1 &&
         of_byte_[static_cast<unsigned char>(bytes.front())] == id;
}

BytePairs::Merge BytePairs::merge_of(TokenId left, TokenId right) const {
  const std::uint64_t key = pair_key(left, right);
  std::size_t slot = mixed(key) & (pairs_.size() - 1);
  for (; pairs_[slot].merge.rank >= 0; slot = (slot + 1) & (pairs_.size() - 1)) {
    if (pairs_[slot].key == key) return pairs_[slot].merge;
  }
  return {};
}

PieceEncoder::PieceEncoder(const BytePairs& pairs)
    : pairs_(pairs), remembered_(kRememberedPieces) {}

std::span<const TokenId> PieceEncoder::encode(std::string_view piece) {
  if (piece.empty() || piece.size() > kLongestKey) {
    merge(piece);
    return ids_;
  }
  Remembered& place = remembered_[hash_of(piece) & (kRememberedPieces - 1)];
  if (place.key_size == piece.size() && std::memcmp(place.key, piece.data(), piece.size()) == 0) {
    return {place.ids, place.count};
  }
  merge(piece);
  if (ids_.size() <= kMostIds) {
    std::memcpy(place.key, piece.data(), piece.size());
    place.key_size = static_cast<std::uint8_t>(piece.size());
    place.count = static_cast<std::uint8_t>(ids_.size());
    std::copy(ids_.begin(), ids_.end(), place.ids);
  }
  return ids_;
}

void PieceEncoder::merge(std::string_view piece) {
  ids_.clear();
  if (pairs_.ignore_merges()) {
    if (const TokenId whole = pairs_.id_of(piece); whole >= 0) {
      ids_.push_back(whole);
      return;
    }
  }
  if (pairs_.over_characters()) {
    start_with_characters(piece);
  } else {
    start_with_bytes(piece);
  }
  if (ids_.size() <= kShortPiece) {
    merge_short();
  } else {
    merge_long();
  }
}

void PieceEncoder::start_with_bytes(std::string_view piece) {
  for (const char c : piece) {
    const TokenId id = pairs_.id_of_byte(static_cast<unsigned char>(c));
    if (id >= 0) {
      ids_.push_back(id);
    } else if (pairs_.unknown() >= 0) {
      const bool fused = pairs_.fuse_unknown() && !ids_.empty() && ids_.back() == pairs_.unknown();
      if (!fused) ids_.push_back(pairs_.unknown());
    }
  }
}

void PieceEncoder::start_with_characters(std::string_view piece) {
  for (std::size_t at = 0; at < piece.size();) {
    const std::string_view character = piece.substr(at, code_point_at(piece, at).size);
    at += character.size();
    if (const TokenId id = pairs_.id_of(character); id >= 0) {
      ids_.push_back(id);
      continue;
    }
    for (const char c : character) ids_.push_back(pairs_.id_of_byte(static_cast<unsigned char>(c)));
  }
}

// The ranks of all neighbours in an array; the best is joined until there is none.
void PieceEncoder::merge_short() {
  ranks_.resize(ids_.size());
  const auto rank_at = [&](std::size_t i) {
    if (i + 1 >= ids_.size()) return kNoRank;
    const std::int32_t rank = pairs_.merge_of(ids_[i], ids_[i + 1]).rank;
    return rank < 0 ? kNoRank : rank;
  };
  for (std::size_t i = 0; i < ids_.size(); ++i) ranks_[i] = rank_at(i);
  while (ids_.size() > 1) {
    const auto best = std::min_element(ranks_.begin(), ranks_.end());
    if (*best == kNoRank) return;
    const std::size_t at = static_cast<std::size_t>(best - ranks_.begin());
    ids_[at] = pairs_.merge_of(ids_[at], ids_[at + 1]).merged;
    ids_.erase(ids_.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    ranks_.erase(ranks_.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    ranks_[at] = rank_at(at);
    if (at > 0) ranks_[at - 1] = rank_at(at - 1);
  }
}

// A heap of candidates over a linked list of symbols: a megabyte without a cut takes n log n.
void PieceEncoder::merge_long() {
  const auto count = static_cast<std::int32_t>(ids_.size());
  symbols_.resize(ids_.size());
  heap_.clear();
  for (std::int32_t i = 0; i < count; ++i) {
    symbols_[static_cast<std::size_t>(i)] = {ids_[static_cast<std::size_t>(i)], i - 1,
                                             i + 1 < count ? i + 1 : -1};
  }
  for (std::int32_t i = 0; i + 1 < count; ++i) consider(i);
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  };
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Candidate best = heap_.back();
    heap_.pop_back();
    Symbol& left = symbols_[static_cast<std::size_t>(best.left)];
    // Gone stale: one of the two has been joined meanwhile. A dead symbol has the id -1.
    if (left.id != best.left_id || left.next < 0) continue;
    Symbol& right = symbols_[static_cast<std::size_t>(left.next)];
    if (right.id != best.right_id) continue;
    left.id = best.merged;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols_[static_cast<std::size_t>(left.next)].previous = best.left;
    if (left.previous >= 0) consider(left.previous);
    consider(best.left);
  }
  ids_.clear();
  for (std::int32_t i = 0; i >= 0 && count > 0; i = symbols_[static_cast<std::size_t>(i)].next) {
    ids_.push_back(symbols_[static_cast<std::size_t>(i)].id);
  }
}

void PieceEncoder::consider(std::int32_t left) {
  const Symbol& symbol = symbols_[static_cast<std::size_t>(left)];
  if (symbol.next < 0) return;
  const TokenId right_id = symbols_[static_cast<std::size_t>(symbol.next)].id;
  const BytePairs::Merge merge = pairs_.merge_of(symbol.id, right_id);
  if (merge.rank < 0) return;
  heap_.push_back({merge.rank, left, symbol.id, right_id, merge.merged});
  std::push_heap(heap_.begin(), heap_.end(), [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  });
}

}  // namespace mayfly
