#include "core/text/turns.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mayfly {

namespace {

// Private-use characters that no text holds by accident, and that no template strips.
constexpr std::string_view kSign = "\xf4\x8f\xbf\xbb\xf4\x8f\xbf\xbc";
constexpr std::string_view kWhiteSpace = " \t\n\r\v\f";

struct Special {
  std::size_t begin, end;
};

// The first special token in `text`, of those that begin there the longest.
std::optional<Special> first_special(std::string_view text, const Tokenizer& tokenizer) {
  std::optional<Special> first;
  for (const AddedToken& token : tokenizer.special_tokens()) {
    const std::size_t at = text.find(token.content);
    if (at == std::string_view::npos) continue;
    const std::size_t end = at + token.content.size();
    if (!first || at < first->begin || (at == first->begin && end > first->end)) first = {at, end};
  }
  return first;
}

// What the template writes after an answer, up to and with the token that ends the turn: the first
// special token, or, when the end-of-sequence token follows at once (Cohere), that.
std::string end_of(std::string_view rest, const Tokenizer& tokenizer, std::string_view eos) {
  const auto first = first_special(rest, tokenizer);
  if (!first) return {};
  std::size_t end = first->end;
  while (rest.substr(0, end).ends_with(eos) == false) {
    const auto next = first_special(rest.substr(end), tokenizer);
    if (!next || next->begin != 0) return std::string(rest.substr(0, first->end));
    end += next->end;
  }
  return std::string(rest.substr(0, eos.empty() ? first->end : end));
}

// What may stand before an answer and is not the model's to write: the generation prompt, when
// answers are written as if they followed it, else all that stands there; and how much of that is
// still there when the answer has thoughts of its own.
std::vector<std::string> prompts_of(const ChatTemplate& chat_template, const Message& question,
                                    const RenderedText& answered) {
  const std::array alone = {question};
  const std::array with_thoughts = {question,
                                    Message{"assistant", "<think>\nthought\n</think>\n\nanswer"}};
  const auto asked = chat_template.render(alone, false);
  const auto prompted = chat_template.render(alone, true);
  if (!asked || !answered.text.starts_with(asked->text)) return {};
  const std::size_t at = asked->text.size();
  if (answered.assistant.empty() || answered.assistant.front().begin <= at) return {};
  std::string prompt = answered.text.substr(at, answered.assistant.front().begin - at);
  if (prompted && prompted->text.starts_with(asked->text) && prompted->text.size() > at &&
      prompt.starts_with(prompted->text.substr(at))) {
    prompt = prompted->text.substr(at);
  }
  std::vector<std::string> prompts = {prompt};
  const auto thought = chat_template.render(with_thoughts, false);
  if (!thought || !thought->text.starts_with(asked->text)) return prompts;
  const std::string_view rest = std::string_view(thought->text).substr(at);
  const auto differs = std::mismatch(prompt.begin(), prompt.end(), rest.begin(), rest.end()).first;
  const auto same = static_cast<std::size_t>(differs - prompt.begin());
  if (same > 0 && same < prompt.size()) prompts.push_back(prompt.substr(0, same));
  return prompts;
}

}  // namespace

TurnFinder::TurnFinder(const ChatTemplate& chat_template, TurnMarks marks)
    : template_(&chat_template), marks_(std::move(marks)) {}

Result<TurnFinder> TurnFinder::create(const Tokenizer& tokenizer,
                                      const ChatTemplate& chat_template) {
  const std::array turns = {Message{"user", "question"}, Message{"assistant", "answer"},
                            Message{"user", "question"}, Message{"assistant", "answer"}};
  const std::span all(turns);
  const auto answered = chat_template.render(all.first(2), false);
  if (!answered) {
    return Error{ErrorKind::unsupported, "trying the chat template on a question and its answer: " +
                                             answered.error().message};
  }
  TurnMarks marks;
  marks.prompts = prompts_of(chat_template, turns[0], *answered);
  const auto add_end = [&](std::string_view text, std::size_t from, std::size_t to) {
    std::string end =
        end_of(text.substr(from, to - from), tokenizer, chat_template.config().eos_token);
    if (end.empty() || std::ranges::find(marks.ends, end) != marks.ends.end()) return;
    marks.ends.push_back(std::move(end));
  };
  if (!answered->assistant.empty()) {
    add_end(answered->text, answered->assistant.back().end, answered->text.size());
  }
  if (const auto twice = chat_template.render(all, false); twice && twice->assistant.size() == 2) {
    // Only what precedes the next question can close the answer.
    const std::size_t first = twice->assistant.front().end;
    add_end(twice->text, first, std::min(twice->text.find("question", first), twice->text.size()));
  }
  return TurnFinder(chat_template, std::move(marks));
}

Result<RenderedTurns> TurnFinder::render(std::span<const Message> messages) const {
  auto rendered = template_->render(messages, false);
  if (!rendered) return std::move(rendered.error());
  const auto answers = static_cast<std::size_t>(
      std::ranges::count(messages, std::string_view("assistant"), &Message::role));
  if (auto turns = by_marks(*rendered, answers)) {
    return RenderedTurns{std::move(rendered->text), std::move(*turns)};
  }
  auto turns = by_signs(rendered->text, messages);
  if (!turns) return std::move(turns.error());
  return RenderedTurns{std::move(rendered->text), std::move(*turns)};
}

Result<RenderedTurns> TurnFinder::render_completion(std::span<const Message> messages,
                                                    std::size_t prompt_size) const {
  if (prompt_size == 0) {
    return Error{
        ErrorKind::bad_data,
        "data.train_on: completion needs rows with a prompt and a completion, and this one "
        "is a conversation",
        "assistant trains every answer of it, last the last"};
  }
  auto whole = template_->render(messages, false);
  if (!whole) return std::move(whole.error());
  const auto prompt = template_->render(messages.first(prompt_size), true);
  if (!prompt) return prompt.error();
  if (!whole->text.starts_with(prompt->text)) {
    return Error{
        ErrorKind::bad_data,
        "the chat template writes the prompt otherwise when a completion follows, so where "
        "that begins is not known",
        "set data.train_on: assistant, which looks for the answers"};
  }
  const TextSpan completion{prompt->text.size(), whole->text.size()};
  return RenderedTurns{std::move(whole->text), {completion}};
}

// nullopt when the marks do not make as many turns as there are answers.
std::optional<std::vector<TextSpan>> TurnFinder::by_marks(const RenderedText& rendered,
                                                          std::size_t answers) const {
  const std::string_view text = rendered.text;
  std::vector<TextSpan> turns;
  for (const TextSpan content : rendered.assistant) {
    const std::size_t before = turns.empty() ? 0 : turns.back().end;
    if (content.begin < before) return std::nullopt;
    std::size_t begin = content.begin;
    if (!marks_.prompts.empty()) {
      const auto prompted = prompt_end(text, before, content.begin);
      if (!prompted && turns.empty()) return std::nullopt;
      if (!prompted) {  // more of the same message
        turns.back().end = with_end(text, content.end);
        continue;
      }
      begin = *prompted;
    }
    turns.push_back({begin, with_end(text, content.end)});
  }
  if (turns.size() != answers) return std::nullopt;
  return turns;
}

Result<std::vector<TextSpan>> TurnFinder::by_signs(std::string_view text,
                                                   std::span<const Message> messages) const {
  std::vector<TextSpan> turns;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != "assistant") continue;
    const auto content = content_by_signs(text, messages, i);
    if (!content) return content.error();
    if (!*content) continue;  // the template leaves this turn out
    const std::size_t before = turns.empty() ? 0 : turns.back().end;
    const std::size_t begin = std::max((*content)->begin, before);
    turns.push_back(
        {prompt_end(text, before, begin).value_or(begin), with_end(text, (*content)->end)});
  }
  return turns;
}

// Where message `index` stands in `text`, from its first to its last printed character and the
// white space the template kept after it. nullopt when the template leaves it out.
Result<std::optional<TextSpan>> TurnFinder::content_by_signs(std::string_view text,
                                                             std::span<const Message> messages,
                                                             std::size_t index) const {
  std::vector<Message> signed_messages(messages.begin(), messages.end());
  const std::string& content = messages[index].content;
  const std::size_t last = content.find_last_not_of(kWhiteSpace);
  const std::size_t end = last == std::string::npos ? content.size() : last + 1;
  const std::size_t first = content.find_first_not_of(kWhiteSpace);
  const std::size_t begin = first == std::string::npos ? 0 : first;

  // Each sign by itself: the text around it must be what it was, and the sign stands once.
  const auto place_of = [&](std::size_t at) -> Result<std::optional<std::size_t>> {
    signed_messages[index].content =
        content.substr(0, at) + std::string(kSign) + content.substr(at);
    auto rendered = template_->render(signed_messages, false);
    if (!rendered) return std::move(rendered.error());
    const std::size_t place = rendered->text.find(kSign);
    if (place == std::string::npos) {
      if (rendered->text == text) return std::optional<std::size_t>();
    } else {
      rendered->text.erase(place, kSign.size());
      if (rendered->text == text) return std::optional(place);
    }
    return Error{ErrorKind::bad_data, "message " + std::to_string(index + 1) +
                                          " cannot be found in what the chat template makes of it"};
  };
  const auto ends = place_of(end);
  if (!ends) return ends.error();
  if (!*ends) return std::optional<TextSpan>();
  const auto begins = place_of(begin);
  // A text before the content's end that vanishes (thoughts of earlier turns) hides the beginning.
  const std::size_t from = begins && *begins ? **begins : **ends;
  std::size_t to = **ends;
  for (std::size_t i = end; i < content.size() && to < text.size() && text[to] == content[i]; ++i) {
    ++to;
  }
  return std::optional(TextSpan{std::min(from, to), to});
}

// Where the last prompt within [from, to) ends; nullopt when there is none.
std::optional<std::size_t> TurnFinder::prompt_end(std::string_view text, std::size_t from,
                                                  std::size_t to) const {
  const std::string_view gap = text.substr(from, to - from);
  for (const std::string& prompt : marks_.prompts) {
    const std::size_t at = gap.rfind(prompt);
    if (at != std::string_view::npos) return from + at + prompt.size();
  }
  return std::nullopt;
}

// Where the turn ends whose content ends there: after the end-of-turn token, if it has one.
std::size_t TurnFinder::with_end(std::string_view text, std::size_t content_end) const {
  std::size_t longest = 0;
  for (const std::string& end : marks_.ends) {
    if (text.substr(content_end).starts_with(end)) longest = std::max(longest, end.size());
  }
  return content_end + longest;
}

}  // namespace mayfly
