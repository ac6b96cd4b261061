#include "core/text/template.h"

#include <chrono>
#include <exception>
#include <utility>

// The engine's headers; nobody else includes them.
#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <jinja/value.h>

namespace mayfly {

namespace {

constexpr std::size_t kLargestSource = 256 << 10;
constexpr std::size_t kLargestOutput = 4 << 20;
constexpr std::int64_t kLongestRange = 1'000'000;

jinja::value text_value(const std::string& text) {
  return jinja::mk_val<jinja::value_string>(text);
}

// range() of the engine builds its list whatever its length.
jinja::value bounded_range(const jinja::func_args& args) {
  const auto at = [&](std::size_t i) { return args.get_pos(i)->as_int(); };
  const std::int64_t start = args.count() > 1 ? at(0) : 0;
  const std::int64_t stop = args.count() > 1 ? at(1) : at(0);
  const std::int64_t step = args.count() > 2 ? at(2) : 1;
  if (step == 0) throw jinja::raised_exception("range() step argument must not be zero");
  const double length =
      (static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step);
  if (length > static_cast<double>(kLongestRange)) {
    throw jinja::raised_exception("range() of more than a million numbers");
  }
  return jinja::global_builtins().at("range")(args);
}

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
    context.set_val("range", jinja::mk_val<jinja::value_func>("range", bounded_range));
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
      if (rendered.text.size() > kLargestOutput) {
        return Error{ErrorKind::bad_data, "the chat template writes more than 4 MB"};
      }
    }
    return rendered;
  } catch (const std::exception& error) {
    return Error{ErrorKind::bad_data, "the chat template: " + reason_of(error)};
  }
}

}  // namespace mayfly
