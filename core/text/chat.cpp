#include "core/text/chat.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace mayfly {

namespace {

// Where the first special token in `text` ends; npos when there is none.
std::size_t first_special_end(std::string_view text, const Tokenizer& tokenizer) {
  std::size_t first = std::string_view::npos;
  std::size_t end = std::string_view::npos;
  for (const AddedToken& token : tokenizer.special_tokens()) {
    const std::size_t at = text.find(token.content);
    if (at == std::string_view::npos) continue;
    const bool longer = at == first && at + token.content.size() > end;
    if (first == std::string_view::npos || at < first || longer) {
      first = at;
      end = at + token.content.size();
    }
  }
  return end;
}

Result<TurnMarks> find_marks(const Tokenizer& tokenizer, const ChatTemplate& chat_template) {
  const std::array question = {Message{"user", "question"}};
  const std::array answered = {question[0], Message{"assistant", "answer"}};
  TurnMarks marks;
  const auto whole = chat_template.render(answered, false);
  if (!whole) {
    return while_doing("trying the chat template on a question and its answer", whole.error());
  }
  if (!whole->assistant.empty()) {
    const std::string_view rest = std::string_view(whole->text).substr(whole->assistant.back().end);
    if (const std::size_t end = first_special_end(rest, tokenizer); end != std::string_view::npos) {
      marks.end = rest.substr(0, end);
    }
  }
  const auto asked = chat_template.render(question, false);
  const auto prompted = chat_template.render(question, true);
  if (asked && prompted && prompted->text.starts_with(asked->text)) {
    marks.prompt = prompted->text.substr(asked->text.size());
  }
  return marks;
}

}  // namespace

std::size_t Example::trained_count() const {
  return std::accumulate(trained.begin(), trained.end(), std::size_t{0});
}

ChatEncoder::ChatEncoder(const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                         TrainOn train_on, TurnMarks marks)
    : template_(chat_template),
      train_on_(train_on),
      marks_(std::move(marks)),
      encoder_(tokenizer) {}

Result<ChatEncoder> ChatEncoder::create(const Tokenizer& tokenizer,
                                        const ChatTemplate& chat_template, TrainOn train_on) {
  auto marks = find_marks(tokenizer, chat_template);
  if (!marks) {
    return Error{ErrorKind::unsupported, marks.error().message, marks.error().hint};
  }
  return ChatEncoder(tokenizer, chat_template, train_on, std::move(*marks));
}

Result<ChatEncoder::Text> ChatEncoder::render(std::span<const Message> messages) const {
  auto rendered = template_.render(messages, false);
  if (!rendered) return std::move(rendered.error());
  Text text{std::move(rendered->text), {}};
  if (train_on_ == TrainOn::all) {
    text.trained.push_back({0, text.text.size()});
    return text;
  }
  const std::string_view whole = text.text;
  for (const TextSpan content : rendered->assistant) {
    const std::size_t before = text.trained.empty() ? 0 : text.trained.back().end;
    TextSpan span = content;
    // A turn begins after the prompt; what stands between prompt and content (an empty block of
    // thoughts) is the model's to write. Without a prompt in between, the same turn goes on.
    const std::string_view gap = whole.substr(before, content.begin - before);
    if (!marks_.prompt.empty()) {
      if (const std::size_t at = gap.rfind(marks_.prompt); at != std::string_view::npos) {
        span.begin = before + at + marks_.prompt.size();
      } else if (!text.trained.empty() && gap.find(marks_.end) == std::string_view::npos) {
        span.begin = before;
      }
    }
    if (!marks_.end.empty() && whole.substr(content.end).starts_with(marks_.end)) {
      span.end = content.end + marks_.end.size();
    }
    text.trained.push_back(span);
  }
  return text;
}

Result<Example> ChatEncoder::encode(std::span<const Message> messages) {
  auto text = render(messages);
  if (!text) return std::move(text.error());
  Encoding encoding = encoder_.encode_with_ends(text->text);
  Example example{std::move(encoding.ids), {}};
  example.trained.resize(example.ids.size());
  auto span = text->trained.begin();
  std::size_t begin = 0;
  for (std::size_t i = 0; i < example.ids.size(); ++i) {
    const std::size_t end = encoding.ends[i];
    while (span != text->trained.end() && span->end <= begin) ++span;
    if (span == text->trained.end()) break;
    example.trained[i] = end > span->begin;
    begin = end;
  }
  return example;
}

bool truncate(Example& example, std::int64_t cutoff_len) {
  const auto longest = static_cast<std::size_t>(cutoff_len);
  if (example.ids.size() <= longest) return false;
  example.ids.resize(longest);
  example.trained.resize(longest);
  return true;
}

}  // namespace mayfly
