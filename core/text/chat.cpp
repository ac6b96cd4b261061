#include "core/text/chat.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace mayfly {

std::size_t Example::trained_count() const {
  return std::accumulate(trained.begin(), trained.end(), std::size_t{0});
}

ChatEncoder::ChatEncoder(const Tokenizer& tokenizer, TurnFinder turns, TrainOn train_on)
    : turns_(std::move(turns)), train_on_(train_on), encoder_(tokenizer) {}

Result<ChatEncoder> ChatEncoder::create(const Tokenizer& tokenizer,
                                        const ChatTemplate& chat_template, TrainOn train_on) {
  auto turns = TurnFinder::create(tokenizer, chat_template);
  if (!turns) return std::move(turns.error());
  return ChatEncoder(tokenizer, std::move(*turns), train_on);
}

Result<RenderedTurns> ChatEncoder::render(std::span<const Message> messages,
                                          std::size_t prompt_size) const {
  if (train_on_ == TrainOn::completion) return turns_.render_completion(messages, prompt_size);
  auto rendered = turns_.render(messages);
  if (!rendered) return rendered;
  if (train_on_ == TrainOn::all) rendered->turns = {{0, rendered->text.size()}};
  if (train_on_ == TrainOn::last && rendered->turns.size() > 1) {
    rendered->turns = {rendered->turns.back()};
  }
  return rendered;
}

Result<Example> ChatEncoder::encode(std::span<const Message> messages, std::size_t prompt_size) {
  const auto rendered = render(messages, prompt_size);
  if (!rendered) return rendered.error();
  Encoding encoding = encoder_.encode_with_ends(rendered->text);
  Example example{std::move(encoding.ids), {}};
  example.trained.resize(example.ids.size());
  auto turn = rendered->turns.begin();
  std::size_t begin = 0;
  for (std::size_t i = 0; i < example.ids.size(); ++i) {
    while (turn != rendered->turns.end() && turn->end <= begin) ++turn;
    if (turn == rendered->turns.end()) break;
    example.trained[i] = encoding.ends[i] > turn->begin;
    begin = encoding.ends[i];
  }
  return example;
}

bool truncate(Example& example, std::int64_t cutoff_len, bool keep_end) {
  const auto longest = static_cast<std::size_t>(cutoff_len);
  if (example.ids.size() <= longest) return false;
  if (keep_end) {
    const auto cut = static_cast<std::ptrdiff_t>(example.ids.size() - longest);
    example.ids.erase(example.ids.begin(), example.ids.begin() + cut);
    example.trained.erase(example.trained.begin(), example.trained.begin() + cut);
  }
  example.ids.resize(longest);
  example.trained.resize(longest);
  return true;
}

std::vector<Example> split(const Example& example, std::int64_t cutoff_len) {
  std::vector<Example> pieces;
  const auto longest = static_cast<std::ptrdiff_t>(cutoff_len);
  const auto size = static_cast<std::ptrdiff_t>(example.ids.size());
  for (std::ptrdiff_t from = 0; from < size; from += longest) {
    const std::ptrdiff_t to = std::min(from + longest, size);
    pieces.push_back({{example.ids.begin() + from, example.ids.begin() + to},
                      {example.trained.begin() + from, example.trained.begin() + to}});
  }
  return pieces;
}

}  // namespace mayfly
