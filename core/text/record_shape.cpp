#include "core/text/record_shape.h"

#include <algorithm>
#include <optional>

namespace mayfly {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

// What ShareGPT files call them (LLaMA-Factory 0.9.5 data/parser.py; chatgpt and bing: the files
// that gave the format its name).
constexpr std::array kShareRoles = {
    std::pair{std::string_view("human"), std::string_view("user")},
    std::pair{std::string_view("gpt"), std::string_view("assistant")},
    std::pair{std::string_view("chatgpt"), std::string_view("assistant")},
    std::pair{std::string_view("bing"), std::string_view("assistant")},
    std::pair{std::string_view("observation"), std::string_view("tool")}};
// The key by which a shape is known, in the order in which they are looked for.
constexpr std::array kShapes = {
    std::pair{std::string_view("messages"), DataFormat::messages},
    std::pair{std::string_view("conversations"), DataFormat::sharegpt},
    std::pair{std::string_view("instruction"), DataFormat::alpaca},
    std::pair{std::string_view("completion"), DataFormat::prompt_completion},
    std::pair{std::string_view("input_ids"), DataFormat::tokenized},
    std::pair{std::string_view("text"), DataFormat::text}};
constexpr std::array kUnsupported = {
    std::pair{std::string_view("chosen"), std::string_view("preference pairs (\"chosen\")")},
    std::pair{std::string_view("prompt"), std::string_view("a \"prompt\" without \"completion\"")},
    std::pair{std::string_view("question"),
              std::string_view("question and answer (\"question\")")}};
constexpr std::string_view kShapesHint =
    "known are \"messages\", \"conversations\" (ShareGPT), \"instruction\" and \"output\" "
    "(Alpaca), "
    "\"prompt\" and \"completion\", \"text\", \"input_ids\"";
constexpr std::int64_t kNotTrained = -100;  // torch.nn.CrossEntropyLoss: ignore_index

std::string quoted(std::string_view text) {
  constexpr std::size_t kMost = 40;
  return "\"" + std::string(text.substr(0, kMost)) + (text.size() > kMost ? "...\"" : "\"");
}

Error fault(std::string message, std::string hint = {}) {
  return Error{ErrorKind::bad_data, std::move(message), std::move(hint)};
}

// An object whose keys may be called otherwise.
struct Row {
  object fields;
  const RecordNames& names;

  std::string_view name_of(std::string_view key) const {
    const auto renamed = names.fields.find(key);
    return renamed == names.fields.end() ? key : std::string_view(renamed->second);
  }
};

std::optional<element> field(const Row& row, std::string_view key) {
  element value;
  const auto found = row.fields.at_key(row.name_of(key));
  if (found.get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

Result<std::string> text_of(const Row& row, std::string_view key) {
  const auto value = field(row, key);
  if (!value) return fault("there is no " + quoted(row.name_of(key)));
  std::string_view text;
  if (value->get(text) != simdjson::SUCCESS) {
    return fault(quoted(row.name_of(key)) + " is not a text");
  }
  return std::string(text);
}

Result<std::string> read_content(const element& content, const std::string& name) {
  std::string_view text;
  if (content.get(text) == simdjson::SUCCESS) return std::string(text);
  array parts;
  if (content.get(parts) != simdjson::SUCCESS) {
    return fault(name + ".content is neither a text nor a list of parts");
  }
  std::string joined;
  for (const element part : parts) {
    std::string_view type;
    if (part["type"].get(type) != simdjson::SUCCESS || type != "text" ||
        part["text"].get(text) != simdjson::SUCCESS) {
      return fault(name + ".content has a part that is not {\"type\": \"text\", \"text\": ...}");
    }
    joined += text;
  }
  return joined;
}

Result<std::string> read_role(std::string_view role, const std::string& name, bool share_names,
                              const RecordNames& names) {
  if (const auto given = names.roles.find(role); given != names.roles.end()) return given->second;
  if (share_names) {
    for (const auto& [theirs, ours] : kShareRoles) {
      if (role == theirs) return std::string(ours);
    }
  }
  if (std::find(kChatRoles.begin(), kChatRoles.end(), role) != kChatRoles.end()) {
    return std::string(role);
  }
  if (role == "function_call") return fault(name + " is a tool call, which is not supported");
  return fault(name + " has the unknown role " + quoted(role),
               share_names ? "known are human, gpt, observation, and the roles of a chat"
                           : "known are system, developer, user, assistant, tool");
}

// Of ShareGPT "from" and "value" count as "role" and "content".
Result<Message> read_message(const element& value, const std::string& name, bool share_names,
                             const RecordNames& names) {
  object given_object;
  if (value.get(given_object) != simdjson::SUCCESS) return fault(name + " is not an object");
  const Row fields{given_object, names};
  const bool renamed = share_names && field(fields, "from");
  const std::string_view role_key = fields.name_of(renamed ? "from" : "role");
  const char* const content_key = renamed ? "value" : "content";
  std::string_view given;
  if (given_object.at_key(role_key).get(given) != simdjson::SUCCESS) {
    return fault(name + " has no " + quoted(role_key));
  }
  auto role = read_role(given, name, share_names, names);
  if (!role) return std::move(role.error());
  if (field(fields, "tool_calls")) {
    return fault(name + " has \"tool_calls\", which are not supported");
  }
  const auto content = field(fields, content_key);
  if (!content) return fault(name + " has no " + quoted(fields.name_of(content_key)));
  auto text = read_content(*content, name);
  if (!text) return std::move(text.error());
  return Message{std::move(*role), std::move(*text)};
}

bool is_answer(const Message& message) {
  return message.role == "assistant";
}

Status add_messages(const Row& row, std::string_view key, bool share_names,
                    std::vector<Message>& messages) {
  const std::string_view list = row.name_of(key);
  array values;
  if (field(row, key)->get(values) != simdjson::SUCCESS) {
    return fault(quoted(list) + " is not a list");
  }
  messages.reserve(messages.size() + values.size());
  std::size_t index = 0;
  for (const element value : values) {
    const std::string name = std::string(list) + "[" + std::to_string(index++) + "]";
    auto message = read_message(value, name, share_names, row.names);
    if (!message) return std::move(message.error());
    messages.push_back(std::move(*message));
  }
  return Unit{};
}

Result<Record> as_conversation(std::vector<Message> messages, std::size_t prompt_size) {
  if (std::none_of(messages.begin(), messages.end(), is_answer)) {
    return fault("no message of the assistant: there is nothing to train on");
  }
  return Record{Conversation{std::move(messages), prompt_size}};
}

Result<Record> read_messages(const Row& row, std::string_view key, bool share_names) {
  std::vector<Message> messages;
  if (share_names) {
    if (const auto system = field(row, "system"); system && system->is_string()) {
      messages.push_back({"system", std::string(std::string_view(*system))});
    }
  }
  const Status added = add_messages(row, key, share_names, messages);
  if (!added) return added.error();
  return as_conversation(std::move(messages), 0);
}

// [[question, answer], ...], the turns before this one.
Status add_history(const element& history, std::vector<Message>& messages) {
  array pairs;
  if (history.get(pairs) != simdjson::SUCCESS) return fault("\"history\" is not a list");
  for (const element value : pairs) {
    array pair;
    std::string_view question, answer;
    if (value.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(0).get(question) != simdjson::SUCCESS ||
        pair.at(1).get(answer) != simdjson::SUCCESS) {
      return fault("\"history\" has an entry that is not [question, answer]");
    }
    messages.push_back({"user", std::string(question)});
    messages.push_back({"assistant", std::string(answer)});
  }
  return Unit{};
}

Result<Record> read_alpaca(const Row& row) {
  auto instruction = text_of(row, "instruction");
  if (!instruction) return std::move(instruction.error());
  auto output = text_of(row, "output");
  if (!output) return std::move(output.error());
  std::vector<Message> messages;
  if (field(row, "system")) {
    auto system = text_of(row, "system");
    if (!system) return std::move(system.error());
    if (!system->empty()) messages.push_back({"system", std::move(*system)});
  }
  if (const auto history = field(row, "history")) {
    if (Status added = add_history(*history, messages); !added) return std::move(added.error());
  }
  if (field(row, "input")) {
    const auto input = text_of(row, "input");
    if (!input) return input.error();
    if (!input->empty()) *instruction += (instruction->empty() ? "" : "\n") + *input;
  }
  messages.push_back({"user", std::move(*instruction)});
  const std::size_t prompt_size = messages.size();
  messages.push_back({"assistant", std::move(*output)});
  return Record{Conversation{std::move(messages), prompt_size}};
}

Result<Record> read_prompted(const Row& row) {
  const auto prompt = field(row, "prompt"), completion = field(row, "completion");
  if (!prompt || !completion) {
    return fault("there is no " + quoted(row.name_of(prompt ? "completion" : "prompt")));
  }
  if (field(row, "label")) return fault("found unpaired preferences (\"label\"), not supported");
  if (prompt->is_string() && completion->is_string()) {
    return Record{PromptedText{std::string(std::string_view(*prompt)),
                               std::string(std::string_view(*completion))}};
  }
  std::vector<Message> messages;
  if (Status added = add_messages(row, "prompt", false, messages); !added) {
    return std::move(added.error());
  }
  if (!row.names.answers_in_prompt && std::any_of(messages.begin(), messages.end(), is_answer)) {
    return fault("\"prompt\" has a message of the assistant, which would be trained",
                 "set data.train_on: completion; or give all as \"messages\"");
  }
  const std::size_t prompt_size = messages.size();
  if (Status added = add_messages(row, "completion", false, messages); !added) {
    return std::move(added.error());
  }
  if (std::none_of(messages.begin() + static_cast<std::ptrdiff_t>(prompt_size), messages.end(),
                   is_answer)) {
    return fault("\"completion\" has no message of the assistant: there is nothing to train on");
  }
  return as_conversation(std::move(messages), prompt_size);
}

Result<Record> read_tokens(const Row& row) {
  array ids;
  if (field(row, "input_ids")->get(ids) != simdjson::SUCCESS) {
    return fault(quoted(row.name_of("input_ids")) + " is not a list");
  }
  TokenRow tokens;
  for (const element value : ids) {
    std::int64_t id = 0;
    if (value.get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) {
      return fault("\"input_ids\" has an entry that is no token id");
    }
    tokens.ids.push_back(static_cast<TokenId>(id));
  }
  if (tokens.ids.empty()) return fault("\"input_ids\" is empty");
  tokens.trained.assign(tokens.ids.size(), 1);
  const auto given = field(row, "labels");
  if (!given) return Record{std::move(tokens)};
  array labels;
  if (given->get(labels) != simdjson::SUCCESS || labels.size() != tokens.ids.size()) {
    return fault("\"labels\" is not a list as long as \"input_ids\"");
  }
  std::size_t i = 0;
  for (const element value : labels) {
    std::int64_t label = 0;
    if (value.get(label) != simdjson::SUCCESS || (label != kNotTrained && label != tokens.ids[i])) {
      return fault("\"labels\"[" + std::to_string(i) + "] is neither its token nor -100");
    }
    tokens.trained[i++] = label != kNotTrained;
  }
  return Record{std::move(tokens)};
}

Error unknown_shape(const Row& row) {
  for (const auto& [key, shape] : kUnsupported) {
    if (field(row, key)) {
      return fault("found " + std::string(shape) + ", which is not supported yet",
                   std::string(kShapesHint));
    }
  }
  std::string keys;
  for (const auto& [key, value] : row.fields) {
    keys += (keys.empty() ? "" : ", ") + quoted(key);
    if (keys.size() > 120) break;
  }
  return fault("no " + quoted(row.name_of("messages")) + "; found " +
                   (keys.empty() ? "an empty object" : keys),
               std::string(kShapesHint));
}

Result<Record> read_as(const Row& row, DataFormat format) {
  switch (format) {
    case DataFormat::messages:
      return read_messages(row, "messages", false);
    case DataFormat::sharegpt:
      return read_messages(row, "conversations", true);
    case DataFormat::alpaca:
      return read_alpaca(row);
    case DataFormat::prompt_completion:
      return read_prompted(row);
    case DataFormat::tokenized:
      return read_tokens(row);
    case DataFormat::text: {
      auto text = text_of(row, "text");
      if (!text) return std::move(text.error());
      if (text->empty()) return fault(quoted(row.name_of("text")) + " is empty");
      return Record{PlainText{std::move(*text)}};
    }
    case DataFormat::automatic:
      break;
  }
  return unknown_shape(row);
}

}  // namespace

Result<Record> read_shape(const element& value, const RecordNames& names) {
  const DataFormat format = names.format;
  object given_object;
  if (value.get(given_object) != simdjson::SUCCESS) {
    return fault("the line is not an object with \"messages\"", std::string(kShapesHint));
  }
  const Row row{given_object, names};
  array tools;
  if (const auto given = field(row, "tools");
      given && !(given->get(tools) == simdjson::SUCCESS && tools.size() == 0)) {
    return fault("found \"tools\", which are not supported yet");
  }
  for (const auto& [key, shape] : kShapes) {
    if (format != DataFormat::automatic && format != shape) continue;
    if (field(row, key)) return read_as(row, shape);
    if (format == shape) {
      return fault("there is no " + quoted(row.name_of(key)) +
                   ", which data.format: " + std::string(enum_name(format)) + " needs");
    }
  }
  return unknown_shape(row);
}

}  // namespace mayfly
