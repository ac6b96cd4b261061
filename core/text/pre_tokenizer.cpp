#define PCRE2_CODE_UNIT_WIDTH 8

#include "core/text/pre_tokenizer.h"

#include <utility>

#include <pcre2.h>

#include "core/text/unicode.h"

namespace mayfly {

namespace {

constexpr std::uint32_t kMatchLimit = 10'000'000;
// A group that repeats over a long piece needs more than the 32 KB of the machine's stack.
constexpr std::size_t kFirstStack = 32 << 10;
constexpr std::size_t kLargestStack = 64 << 20;

struct CodeFree {
  void operator()(pcre2_code* code) const {
    pcre2_code_free(code);
  }
};
struct MatchDataFree {
  void operator()(pcre2_match_data* data) const {
    pcre2_match_data_free(data);
  }
};
struct MatchContextFree {
  void operator()(pcre2_match_context* context) const {
    pcre2_match_context_free(context);
  }
};

// PCRE2 still takes U+180E for white space, which Unicode gave up in 2013 and Oniguruma too.
std::string with_todays_white_space(std::string_view pattern) {
  std::string written;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      written += pattern[i];
      continue;
    }
    const char escaped = pattern[++i];
    if (escaped == 's') {
      written += "\\p{White_Space}";
    } else if (escaped == 'S') {
      written += "\\P{White_Space}";
    } else {
      written += '\\';
      written += escaped;
    }
  }
  return written;
}

struct JitStackFree {
  void operator()(pcre2_jit_stack* stack) const {
    pcre2_jit_stack_free(stack);
  }
};

Result<std::unique_ptr<pcre2_code, CodeFree>> compile_pattern(std::string_view given) {
  const std::string pattern = with_todays_white_space(given);
  int error = 0;
  PCRE2_SIZE at = 0;
  std::unique_ptr<pcre2_code, CodeFree> code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                    PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
  if (!code) {
    PCRE2_UCHAR reason[256] = {};
    pcre2_get_error_message(error, reason, sizeof reason);
    return Error{ErrorKind::unsupported, "pattern of the pre-tokenizer: " +
                                             std::string(reinterpret_cast<const char*>(reason)) +
                                             " at offset " + std::to_string(at)};
  }
  // Without the compiler to machine code (a hardened kernel may refuse it) it is only slower.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

// Puts together what the behaviours put together; `matched` says of each cut whether it is a match.
struct Cut {
  Piece piece;
  bool matched;
};

}  // namespace

struct PreTokenizer::Compiled {
  SplitStep step;
  std::unique_ptr<pcre2_code, CodeFree> code;  // of a regex
};

struct Splitter::Scratch {
  std::unique_ptr<pcre2_match_data, MatchDataFree> match{pcre2_match_data_create(16, nullptr)};
  std::unique_ptr<pcre2_match_context, MatchContextFree> context{
      pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, JitStackFree> stack{
      pcre2_jit_stack_create(kFirstStack, kLargestStack, nullptr)};
  std::vector<Piece> pieces;  // before the step
  std::vector<Piece> next;    // after it
  std::vector<Cut> cuts;

  void cut_by_regex(const pcre2_code* code, std::string_view text, Piece piece);
  void cut_digits(std::string_view text, Piece piece);
  void add(std::size_t begin, std::size_t end, bool matched) {
    if (end > begin) cuts.push_back({{begin, end}, matched});
  }
  void keep(Piece piece) {
    if (piece.end > piece.begin) next.push_back(piece);
  }
  void join(SplitStep::Behavior behavior);
};

void Splitter::Scratch::cut_by_regex(const pcre2_code* code, std::string_view text, Piece piece) {
  // The piece is all the pattern sees: look-ahead ends with it, as in the reference.
  const auto* const subject = reinterpret_cast<PCRE2_SPTR>(text.data() + piece.begin);
  const std::size_t size = piece.end - piece.begin;
  const PCRE2_SIZE* const range = pcre2_get_ovector_pointer(match.get());
  std::size_t at = 0;
  for (std::size_t from = 0; from < size;) {
    const int found =
        pcre2_match(code, subject, size, from, PCRE2_NO_UTF_CHECK, match.get(), context.get());
    if (found < 0) break;
    const std::size_t begin = range[0];
    const std::size_t end = range[1];
    if (end == begin) {  // an empty match cuts, but there must be progress
      add(piece.begin + at, piece.begin + begin, false);
      at = begin;
      from =
          end +
          code_point_at(text, piece.begin + end < piece.end ? piece.begin + end : piece.begin).size;
      continue;
    }
    add(piece.begin + at, piece.begin + begin, false);
    add(piece.begin + begin, piece.begin + end, true);
    at = from = end;
  }
  add(piece.begin + at, piece.end, false);
}

void Splitter::Scratch::cut_digits(std::string_view text, Piece piece) {
  std::size_t at = piece.begin;
  for (std::size_t i = piece.begin; i < piece.end;) {
    const auto byte = static_cast<unsigned char>(text[i]);
    CodePoint c{byte, 1};
    bool digit = byte >= '0' && byte <= '9';
    if (byte >= 0x80) {
      c = code_point_at(text, i);
      digit = is_number(c.value);
    }
    if (digit) {
      add(at, i, false);
      add(i, i + c.size, true);
      at = i + c.size;
    }
    i += c.size;
  }
  add(at, piece.end, false);
}

// The behaviours of `split` in tokenizers (tokenizer/normalizer.rs).
void Splitter::Scratch::join(SplitStep::Behavior behavior) {
  using Behavior = SplitStep::Behavior;
  const std::size_t first = next.size();
  bool previous = false;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const Cut& cut = cuts[i];
    bool joins = false;
    switch (behavior) {
      case Behavior::isolated:
        break;
      case Behavior::removed:
        if (cut.matched) continue;
        break;
      case Behavior::contiguous:
        joins = i > 0 && cut.matched == previous;
        break;
      case Behavior::merged_with_previous:
        joins = i > 0 && cut.matched && !previous;
        break;
      case Behavior::merged_with_next:
        joins = i > 0 && previous && !cut.matched;
        break;
    }
    previous = cut.matched;
    if (joins && next.size() > first) {
      next.back().end = cut.piece.end;
    } else {
      keep(cut.piece);
    }
  }
}

PreTokenizer::PreTokenizer(std::vector<Compiled> steps) : steps_(std::move(steps)) {}
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

Result<PreTokenizer> PreTokenizer::compile(const std::vector<SplitStep>& steps) {
  std::vector<Compiled> compiled;
  for (const SplitStep& step : steps) {
    Compiled entry{step, nullptr};
    if (step.kind == SplitStep::Kind::regex) {
      auto code = compile_pattern(step.pattern);
      if (!code) return std::move(code.error());
      entry.code = std::move(*code);
    }
    compiled.push_back(std::move(entry));
  }
  return PreTokenizer(std::move(compiled));
}

Splitter::Splitter(const PreTokenizer& pre_tokenizer)
    : pre_tokenizer_(pre_tokenizer), scratch_(std::make_unique<Scratch>()) {
  pcre2_set_match_limit(scratch_->context.get(), kMatchLimit);
  pcre2_jit_stack_assign(scratch_->context.get(), nullptr, scratch_->stack.get());
}
Splitter::Splitter(Splitter&&) noexcept = default;
Splitter::~Splitter() = default;

std::span<const Piece> Splitter::split(std::string_view text) {
  Scratch& scratch = *scratch_;
  scratch.pieces.clear();
  if (!text.empty()) scratch.pieces.push_back({0, text.size()});
  for (const PreTokenizer::Compiled& step : pre_tokenizer_.steps_) {
    scratch.next.clear();
    for (const Piece piece : scratch.pieces) apply(step, text, piece);
    std::swap(scratch.pieces, scratch.next);
  }
  return scratch.pieces;
}

void Splitter::apply(const PreTokenizer::Compiled& step, std::string_view text, Piece piece) {
  scratch_->cuts.clear();
  if (step.code) {
    scratch_->cut_by_regex(step.code.get(), text, piece);
  } else {
    scratch_->cut_digits(text, piece);
  }
  if (step.step.invert) {
    for (Cut& cut : scratch_->cuts) cut.matched = !cut.matched;
  }
  scratch_->join(step.step.behavior);
}

}  // namespace mayfly
