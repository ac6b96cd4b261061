#include "core/text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "core/mapped_file.h"
#include "core/text/byte_alphabet.h"
#include "core/text/unicode.h"

namespace mayfly {

namespace {

// As a normalizer leaves it.
std::string normalized_content(const std::string& content, const TokenizerSpec& spec) {
  if (spec.nfc) return nfc(content);
  if (!spec.over_characters || spec.spaces.late) return content;
  return with_space_marks(content, spec.spaces, true).text;
}

std::vector<AddedToken> select(const TokenizerSpec& spec, bool normalized) {
  std::vector<AddedToken> selected;
  for (const AddedToken& token : spec.added_tokens) {
    if (token.normalized != normalized) continue;
    selected.push_back(token);
    if (normalized) selected.back().content = normalized_content(token.content, spec);
  }
  return selected;
}

// Of bytes that tokens stand for one by one: the text, or a U+FFFD for each when they are none
// (tokenizers: decoders/byte_fallback.rs).
void add_fallback_bytes(std::string& text, std::string& bytes) {
  if (is_valid_utf8(bytes)) {
    text += bytes;
  } else {
    for (std::size_t i = 0; i < bytes.size(); ++i) text += "\xef\xbf\xbd";
  }
  bytes.clear();
}

}  // namespace

Result<Tokenizer> Tokenizer::load(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "tokenizer.json";
  auto file = MappedFile::open(path);
  if (!file) return std::move(file.error());
  const auto bytes = file->bytes();
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

Result<Tokenizer> Tokenizer::parse(std::string_view json, std::string_view what) {
  auto spec = parse_tokenizer_json(json, what);
  if (!spec) return std::move(spec.error());
  auto pairs = BytePairs::build(*spec);
  if (!pairs) {
    pairs.error().at.file = what;
    return std::move(pairs.error());
  }
  for (const AddedToken& token : spec->added_tokens) {
    const TokenId id = pairs->id_of(token.content);
    if (id < 0 || id == token.id) continue;
    return Error{ErrorKind::corrupt,
                 "added_tokens: \"" + token.content + "\" has the id " + std::to_string(token.id) +
                     " there and " + std::to_string(id) + " in the vocabulary",
                 {},
                 {std::string(what)}};
  }
  auto pre_tokenizer = PreTokenizer::compile(spec->steps);
  if (!pre_tokenizer) {
    pre_tokenizer.error().at.file = what;
    return std::move(pre_tokenizer.error());
  }
  return Tokenizer(*spec, std::move(*pairs), std::move(*pre_tokenizer));
}

Tokenizer::Tokenizer(const TokenizerSpec& spec, BytePairs pairs, PreTokenizer pre_tokenizer)
    : pairs_(std::move(pairs)),
      pre_tokenizer_(std::move(pre_tokenizer)),
      added_(select(spec, false)),
      added_normalized_(select(spec, true)),
      nfc_(spec.nfc),
      spaces_(spec.spaces),
      surround_(spec.surround),
      size_(pairs_.size()) {
  if (!spec.scored_tokens.empty()) unigram_.emplace(spec);
  for (const AddedToken& token : spec.added_tokens) {
    // The reference runs added tokens through its decoder like all others.
    contents_[token.id] =
        spec.over_characters
            ? without_space_marks(token.normalized ? normalized_content(token.content, spec)
                                                   : token.content)
            : bytes_of_byte_level(token.content).value_or(token.content);
    added_ids_[token.content] = token.id;
    size_ = std::max(size_, token.id + 1);
    if (!token.special) continue;
    special_.insert(token.id);
    special_tokens_.push_back(token);
  }
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  return Encoder(*this).encode(text);
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  if (pairs_.over_characters()) return decode_characters(ids, skip_special);
  std::string bytes;
  for (const TokenId id : ids) {
    if (skip_special && is_special(id)) continue;
    const auto added = contents_.find(id);
    bytes += added != contents_.end() ? std::string_view(added->second) : pairs_.bytes_of(id);
  }
  return to_valid_utf8(bytes);
}

std::string Tokenizer::decode_characters(std::span<const TokenId> ids, bool skip_special) const {
  std::string text, bytes;
  for (const TokenId id : ids) {
    if (skip_special && is_special(id)) continue;
    const auto added = contents_.find(id);
    if (added == contents_.end() && pairs_.is_fallback(id)) {
      bytes += pairs_.bytes_of(id);
      continue;
    }
    add_fallback_bytes(text, bytes);
    text += added != contents_.end() ? added->second : without_space_marks(pairs_.bytes_of(id));
  }
  add_fallback_bytes(text, bytes);
  if (spaces_.strip_decoded && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

std::optional<TokenId> Tokenizer::id_of(std::string_view token) const {
  if (const auto added = added_ids_.find(token); added != added_ids_.end()) return added->second;
  const TokenId id = pairs_.id_of(token);
  return id < 0 ? std::nullopt : std::optional(id);
}

Encoder::Encoder(const Tokenizer& tokenizer)
    : tokenizer_(tokenizer), splitter_(tokenizer.pre_tokenizer_), pieces_(tokenizer.pairs_) {}

std::vector<TokenId> Encoder::encode(std::string_view text) {
  wants_ends_ = false;
  encode_valid(text);
  return std::move(out_.ids);
}

Encoding Encoder::encode_with_ends(std::string_view text) {
  wants_ends_ = true;
  encode_valid(text);
  return std::move(out_);
}

void Encoder::encode_valid(std::string_view given) {
  out_ = {};
  std::string repaired;
  if (!is_valid_utf8(given)) repaired = to_valid_utf8(given);
  const std::string_view text = repaired.empty() ? given : std::string_view(repaired);
  out_.ids.reserve(text.size() / 3);
  std::size_t at = 0;
  while (const auto found = tokenizer_.added_.find(text, at)) {
    encode_between(text.substr(at, found->begin - at), at);
    push(found->id, found->end);
    at = found->end;
  }
  encode_between(text.substr(at), at);
}

// Text without added tokens of the first kind: it is normalized, and searched for the second.
void Encoder::encode_between(std::string_view given, std::size_t shift) {
  if (given.empty()) return;
  segment_begin_ = shift;
  const auto composed = normalized(given, shift == 0);
  const std::string_view text = composed ? std::string_view(composed->text) : given;
  places_ = composed ? composed->places : std::vector<Composed::Place>();
  next_place_ = 0;
  std::size_t at = 0;
  const auto plain = [&](std::size_t begin, std::size_t end) {
    encode_plain(text.substr(begin, end - begin), begin);
  };
  const std::size_t first = out_.ends.size();
  while (const auto found = tokenizer_.added_normalized_.find(text, at)) {
    plain(at, found->begin);
    push(found->id, original_end(found->end));
    at = found->end;
  }
  plain(at, text.size());
  for (std::size_t i = first; i < out_.ends.size(); ++i) {
    out_.ends[i] += static_cast<std::uint32_t>(shift);
  }
}

std::optional<Composed> Encoder::normalized(std::string_view text, bool first) const {
  if (tokenizer_.pairs_.over_characters()) {
    if (tokenizer_.spaces_.late) return std::nullopt;
    return with_space_marks(text, tokenizer_.spaces_, first);
  }
  if (!tokenizer_.nfc_ || is_surely_nfc(text)) return std::nullopt;
  if (wants_ends_) return nfc_with_places(text);
  return Composed{nfc(text), {}};
}

// Text without any added token.
void Encoder::encode_plain(std::string_view text, std::size_t shift) {
  if (text.empty()) return;
  if (!tokenizer_.pairs_.over_characters() || !tokenizer_.spaces_.late) {
    return encode_pieces(text, shift);
  }
  Composed marked = with_space_marks(text, tokenizer_.spaces_, segment_begin_ + shift == 0);
  for (Composed::Place& place : marked.places) {
    place.composed += shift;
    place.original += shift;
  }
  places_ = std::move(marked.places);
  next_place_ = 0;
  encode_pieces(marked.text, shift);
  places_.clear();
}

void Encoder::encode_pieces(std::string_view text, std::size_t shift) {
  for (const Piece piece : splitter_.split(text)) {
    const auto ids = ids_of(text.substr(piece.begin, piece.end - piece.begin));
    if (!wants_ends_) {
      out_.ids.insert(out_.ids.end(), ids.begin(), ids.end());
      continue;
    }
    std::size_t end = piece.begin;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      // Bytes without a token of their own count to the token before them.
      const std::size_t size = tokenizer_.pairs_.bytes_of(ids[i]).size();
      end = i + 1 == ids.size() ? piece.end : std::min(end + size, piece.end);
      push(ids[i], original_end(shift + end));
    }
  }
}

std::span<const TokenId> Encoder::ids_of(std::string_view piece) {
  if (!tokenizer_.unigram_) return pieces_.encode(piece);
  tokenizer_.unigram_->encode(piece, ways_, unigram_ids_);
  return unigram_ids_;
}

void Encoder::push(TokenId id, std::size_t end) {
  out_.ids.push_back(id);
  if (wants_ends_) out_.ends.push_back(static_cast<std::uint32_t>(end));
}

// From the end of a token in the normalized text to that in the original.
std::size_t Encoder::original_end(std::size_t end) {
  if (places_.empty()) return end;
  while (places_[next_place_].composed < end) ++next_place_;
  const Composed::Place to = places_[next_place_];
  if (end == to.composed) return to.original;
  // Inside a stretch, which is one character nearly always: as far in, but not beyond it.
  const Composed::Place from = next_place_ > 0 ? places_[next_place_ - 1] : Composed::Place{0, 0};
  return std::min(from.original + (end - from.composed), to.original);
}

}  // namespace mayfly
