#include "core/text/unigram.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "core/text/unicode.h"

namespace mayfly {

namespace {

constexpr double kUnknownPenalty = 10.0;

std::size_t edge_slot(std::uint64_t key, std::size_t size) {
  key *= 0x9e3779b97f4a7c15;
  return (key ^ (key >> 32)) & (size - 1);
}

void offer(Unigram::Way& place, const Unigram::Way& way) {
  if (place.begin < 0 || way.score > place.score) place = way;
}

}  // namespace

Unigram::Unigram(const TokenizerSpec& spec) {
  std::size_t bytes = 0;
  for (const TokenizerSpec::ScoredToken& token : spec.scored_tokens) bytes += token.text.size();
  edges_.resize(std::bit_ceil(2 * bytes + 1));
  token_of_node_.push_back(-1);
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t id = 0; id < spec.scored_tokens.size(); ++id) {
    const TokenizerSpec::ScoredToken& token = spec.scored_tokens[id];
    add(token.text, static_cast<TokenId>(id));
    scores_.push_back(token.score);
    least = std::min(least, token.score);
  }
  unknown_score_ = least - kUnknownPenalty;
  for (const TokenizerSpec::Entry& entry : spec.vocabulary) {
    if (!entry.of_bytes) of_byte_[static_cast<unsigned char>(entry.token.front())] = entry.id;
  }
}

void Unigram::add(std::string_view token, TokenId id) {
  std::int32_t node = 0;
  for (const char byte : token) {
    Edge& next = edge(node, byte);
    if (next.node < 0) {
      next.key = static_cast<std::uint64_t>(node) << 8 | static_cast<unsigned char>(byte);
      next.node = static_cast<std::int32_t>(token_of_node_.size());
      token_of_node_.push_back(-1);
    }
    node = next.node;
  }
  token_of_node_[static_cast<std::size_t>(node)] = id;
}

// The edge, or the free place where it would be.
const Unigram::Edge& Unigram::edge(std::int32_t node, char byte) const {
  const std::uint64_t key =
      static_cast<std::uint64_t>(node) << 8 | static_cast<unsigned char>(byte);
  std::size_t slot = edge_slot(key, edges_.size());
  while (edges_[slot].node >= 0 && edges_[slot].key != key) slot = (slot + 1) & (edges_.size() - 1);
  return edges_[slot];
}

Unigram::Edge& Unigram::edge(std::int32_t node, char byte) {
  return const_cast<Edge&>(static_cast<const Unigram*>(this)->edge(node, byte));
}

void Unigram::encode(std::string_view text, std::vector<Way>& ways,
                     std::vector<TokenId>& ids) const {
  ids.clear();
  ways.assign(text.size() + 1, {});
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t character = code_point_at(text, at).size;
    const double so_far = ways[at].score;
    const auto begin = static_cast<std::int64_t>(at);
    bool has_token = false;
    std::int32_t node = 0;
    for (std::size_t end = at; end < text.size();) {
      node = edge(node, text[end]).node;
      if (node < 0) break;
      ++end;
      const TokenId id = token_of_node_[static_cast<std::size_t>(node)];
      if (id < 0) continue;
      offer(ways[end], {begin, id, so_far + scores_[static_cast<std::size_t>(id)]});
      has_token = has_token || end - at == character;
    }
    if (!has_token) offer(ways[at + character], {begin, -1, so_far + unknown_score_});
    at += character;
  }
  // Backwards from the end, and then turned round.
  for (std::size_t end = text.size(); end > 0;) {
    const Way& way = ways[end];
    const auto begin = static_cast<std::size_t>(way.begin);
    if (way.id >= 0) ids.push_back(way.id);
    for (std::size_t i = end; way.id < 0 && i > begin; --i) {
      ids.push_back(of_byte_[static_cast<unsigned char>(text[i - 1])]);
    }
    end = begin;
  }
  std::reverse(ids.begin(), ids.end());
}

}  // namespace mayfly
