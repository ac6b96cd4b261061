// A tokenizer.json of a stranger, and then a text through it: pieces must be found in bounded time,
// every id must be one of the table, and the places must lie within the text.
#include "core/text/tokenizer.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  // The first byte says how much of the rest is the text; the remainder is the file.
  const std::string_view all = text_of(bytes, size);
  const std::size_t split = all.empty() ? 0 : std::min<std::size_t>(bytes[0], all.size() - 1);
  const std::string_view text = all.empty() ? all : all.substr(1, split);
  const std::string_view file = all.substr(std::min(all.size(), split + 1));
  const auto tokenizer = Tokenizer::parse(file, "fuzzed");
  if (!tokenizer) return 0;
  Encoder encoder(*tokenizer);
  for (const std::string_view given : {text, std::string_view("Hello, w\xc3\xb6rld 123\n\n  x")}) {
    const Encoding encoding = encoder.encode_with_ends(given);
    require(encoding.ids.size() == encoding.ends.size());
    for (const TokenId id : encoding.ids) require(id >= 0 && id < tokenizer->size());
    (void)tokenizer->decode(encoding.ids, false);
  }
  return 0;
}
