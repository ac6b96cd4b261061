#include "core/text/template.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <numeric>
#include <utility>

// The engine's headers; nobody else includes them.
#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <jinja/value.h>

#include "core/text/template_budget.h"

namespace mayfly {

namespace {

constexpr std::size_t kLargestSource = 256 << 10;
constexpr std::size_t kLargestOutput = 4 << 20;  // beyond the messages' own text
// What one render may do. Templates of today take 20 to 100 steps a message.
constexpr std::int64_t kSteps = 50'000;
constexpr std::int64_t kStepsPerMessage = 2'000;
// Text is joined once for every level it stands in.
constexpr std::int64_t kJoinedBytes = 24 << 20;
constexpr std::int64_t kJoinsPerByte = 64;
constexpr int kDeepestBrackets = 64;
constexpr int kDeepestBlocks = 100;
constexpr int kLongestExpression = 2000;

jinja::value text_value(const std::string& text) {
  return jinja::mk_val<jinja::value_string>(text);
}

// The engine's parser calls itself for every bracket and block that stands in another, and so does
// whatever walks over what it made, so their depth is limited, and so is the length of an
// expression.
class Shape {
 public:
  // True when the template is too deep or one of its expressions too long.
  static bool is_too_deep(const std::vector<jinja::token>& tokens) {
    Shape shape;
    for (const jinja::token& token : tokens) {
      if (shape.add(token)) return true;
    }
    return false;
  }

 private:
  bool add(const jinja::token& token) {
    using Token = jinja::token;
    switch (token.t) {
      case Token::open_statement:
      case Token::open_expression:
        tokens_ = brackets_ = 0;
        keyword_.clear();
        assigns_ = false;
        in_statement_ = token.t == Token::open_statement;
        break;
      case Token::close_statement:
        return close_statement();
      case Token::open_paren:
      case Token::open_square_bracket:
      case Token::open_curly_bracket:
        ++brackets_;
        break;
      case Token::close_paren:
      case Token::close_square_bracket:
      case Token::close_curly_bracket:
        --brackets_;
        break;
      case Token::equals:
        assigns_ = true;
        break;
      default:
        if (in_statement_ && keyword_.empty()) keyword_ = token.value;
    }
    return ++tokens_ > kLongestExpression || brackets_ > kDeepestBrackets;
  }

  bool close_statement() {
    static constexpr std::array kOpening = {"if", "for", "macro", "call", "filter"};
    const bool opens =
        std::ranges::find(kOpening, keyword_) != kOpening.end() || (keyword_ == "set" && !assigns_);
    if (opens) {
      blocks_.push_back(1);
    } else if ((keyword_ == "elif" || keyword_ == "else") && !blocks_.empty()) {
      ++blocks_.back();  // an elif is an if inside of the else
    } else if (keyword_.starts_with("end") && keyword_ != "endgeneration" && !blocks_.empty()) {
      blocks_.pop_back();
    }
    return std::accumulate(blocks_.begin(), blocks_.end(), 0) > kDeepestBlocks;
  }

  int tokens_ = 0;
  int brackets_ = 0;
  bool in_statement_ = false;
  bool assigns_ = false;
  std::string keyword_;
  std::vector<int> blocks_;
};

// The engine's errors are a frame around the message; the message is enough.
std::string reason_of(const std::exception& error) {
  std::string text = error.what();
  if (const std::size_t at = text.rfind("Error: "); at != std::string::npos) text.erase(0, at + 7);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

struct ChatTemplate::Compiled {
  jinja::program program;
  std::string source;
  TokenizerConfig config;
  std::time_t today;

  void set_globals(jinja::context& context) const {
    const auto set_token = [&](const char* name, const std::string& token) {
      if (!token.empty()) context.set_val(name, text_value(token));
    };
    context.current_time = today;
    set_token("bos_token", config.bos_token);
    set_token("eos_token", config.eos_token);
    set_token("pad_token", config.pad_token);
    set_token("unk_token", config.unk_token);
  }
};

ChatTemplate::ChatTemplate(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::compile(const TokenizerConfig& config, WallTime today) {
  if (!config.chat_template) {
    return Error{ErrorKind::unsupported, "the model has no chat template",
                 "train an instruct model, or put a chat_template.jinja beside its tokenizer.json"};
  }
  const std::string& source = *config.chat_template;
  const FileLocation at{config.chat_template_file};
  if (source.size() > kLargestSource) {
    return Error{ErrorKind::unsupported, "the chat template is larger than 256 KB", {}, at};
  }
  try {
    jinja::lexer lexer;
    const jinja::lexer_result lexed = lexer.tokenize(source);
    if (Shape::is_too_deep(lexed.tokens)) {
      return Error{ErrorKind::unsupported, "the chat template is nested too deep", {}, at};
    }
    auto compiled = std::make_unique<Compiled>();
    compiled->program = jinja::parse_from_tokens(lexed);
    compiled->source = lexed.source;
    compiled->config = config;
    compiled->today = std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::system_clock::duration>(today));
    return ChatTemplate(std::move(compiled));
  } catch (const std::exception& error) {
    return Error{ErrorKind::unsupported,
                 "the chat template cannot be understood: " + reason_of(error),
                 {},
                 at};
  }
}

const TokenizerConfig& ChatTemplate::config() const {
  return compiled_->config;
}

Result<RenderedText> ChatTemplate::render(std::span<const Message> messages,
                                          bool add_generation_prompt) const {
  std::size_t given = 0;
  for (const Message& message : messages) given += message.content.size();
  const TemplateBudget budget(
      kSteps + kStepsPerMessage * static_cast<std::int64_t>(messages.size()),
      kJoinedBytes + kJoinsPerByte * static_cast<std::int64_t>(given));
  try {
    jinja::context context(compiled_->source);
    compiled_->set_globals(context);
    auto list = jinja::mk_val<jinja::value_array>();
    for (const Message& message : messages) {
      auto object = jinja::mk_val<jinja::value_object>();
      object->insert("role", text_value(message.role));
      auto content = jinja::mk_val<jinja::value_string>(message.content);
      if (message.role == "assistant") content->mark_input();
      object->insert("content", content);
      list->push_back(std::move(object));
    }
    context.set_val("messages", list);
    context.set_val("add_generation_prompt",
                    jinja::mk_val<jinja::value_bool>(add_generation_prompt));

    jinja::runtime runtime(context);
    const jinja::value results = runtime.execute(compiled_->program);
    const jinja::value_string parts = jinja::runtime::gather_string_parts(results);

    RenderedText rendered;
    for (const jinja::string_part& part : parts->val_str.parts) {
      const std::size_t begin = rendered.text.size();
      rendered.text += part.val;
      if (part.is_input) rendered.assistant.push_back({begin, rendered.text.size()});
      if (rendered.text.size() > kLargestOutput + 4 * given) {
        return Error{ErrorKind::bad_data, "the chat template writes too much"};
      }
    }
    return rendered;
  } catch (const std::exception& error) {
    return Error{ErrorKind::bad_data, "the chat template: " + reason_of(error)};
  }
}

}  // namespace mayfly
