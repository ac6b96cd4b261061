// Cuts text into pieces, each of which becomes tokens on its own.
//
// Regular expressions are those of tokenizer.json, run by PCRE2 with its compiler to machine code;
// with UTF and UCP they match what HuggingFace's Oniguruma matches (0 differences on our sets).
// A pattern is given at most 10 million steps on a piece, so a hostile one ends as no match.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/text/tokenizer_spec.h"

namespace mayfly {

// A stretch of a text, in bytes.
struct Piece {
  std::size_t begin;
  std::size_t end;
};

// The steps, compiled. Immutable; any number of threads.
class PreTokenizer {
 public:
  // Error: unsupported, for a pattern that PCRE2 does not understand.
  static Result<PreTokenizer> compile(const std::vector<SplitStep>& steps);

  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;
  ~PreTokenizer();

 private:
  friend class Splitter;
  struct Compiled;
  explicit PreTokenizer(std::vector<Compiled> steps);
  std::vector<Compiled> steps_;
};

// Runs a PreTokenizer, which must outlive it. One thread.
class Splitter {
 public:
  explicit Splitter(const PreTokenizer& pre_tokenizer);
  Splitter(Splitter&&) noexcept;
  ~Splitter();

  // The pieces in order, none empty. Requires valid UTF-8. The answer lives until the next call.
  std::span<const Piece> split(std::string_view text);

 private:
  void apply(const PreTokenizer::Compiled& step, std::string_view text, Piece piece);

  struct Scratch;
  const PreTokenizer& pre_tokenizer_;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace mayfly
