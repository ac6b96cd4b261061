#include "core/run/event.h"

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/json.h"

namespace mayfly {

namespace {

constexpr int kFormatVersion = 1;
// A line is at most 4 KB; the texts people wrote (messages, hints) are what could grow.
constexpr std::size_t kLongestText = 1200;

// What each event is called and holds. Writing and reading are visitors of these lists.
template <class T>
constexpr std::string_view kEventName = "";
template <>
constexpr std::string_view kEventName<StartedEvent> = "started";
template <>
constexpr std::string_view kEventName<StageEvent> = "stage";
template <>
constexpr std::string_view kEventName<DataEvent> = "data";
template <>
constexpr std::string_view kEventName<StepEvent> = "step";
template <>
constexpr std::string_view kEventName<EvaluatedEvent> = "evaluated";
template <>
constexpr std::string_view kEventName<CheckpointEvent> = "checkpoint";
template <>
constexpr std::string_view kEventName<WarningEvent> = "warning";
template <>
constexpr std::string_view kEventName<FailedEvent> = "failed";
template <>
constexpr std::string_view kEventName<FinishedEvent> = "finished";

void fields_of(auto& event, auto&& field) {
  using T = std::remove_cvref_t<decltype(event)>;
  if constexpr (std::is_same_v<T, StartedEvent>) {
    field("version", event.version);
    field("plan_hash", event.plan_hash);
    field("phase", event.phase);
    field("device", event.device);
    field("resumed_from_step", event.resumed_from_step);
  } else if constexpr (std::is_same_v<T, StageEvent>) {
    field("name", event.name);
    field("done", event.done);
    field("of", event.of);
  } else if constexpr (std::is_same_v<T, DataEvent>) {
    field("examples", event.examples);
    field("tokens", event.tokens);
    field("tokens_trained_on", event.tokens_trained_on);
    field("truncated", event.truncated);
    field("dropped", event.dropped);
    field("validation_examples", event.validation_examples);
    field("total_steps", event.total_steps);
  } else if constexpr (std::is_same_v<T, StepEvent>) {
    field("step", event.step);
    field("of", event.of);
    field("epoch", event.epoch);
    field("loss", event.loss);
    field("learning_rate", event.learning_rate);
    field("grad_norm", event.grad_norm);
    field("tokens", event.tokens);
    field("tokens_per_second", event.tokens_per_second);
    field("memory_bytes", event.memory_bytes);
  } else if constexpr (std::is_same_v<T, EvaluatedEvent>) {
    field("step", event.step);
    field("loss", event.loss);
    field("examples", event.examples);
    field("tokens", event.tokens);
  } else if constexpr (std::is_same_v<T, CheckpointEvent>) {
    field("step", event.step);
    field("epoch", event.epoch);
    field("whole_epoch", event.whole_epoch);
    field("path", event.path);
    field("bytes", event.bytes);
  } else if constexpr (std::is_same_v<T, WarningEvent>) {
    field("code", event.code);
    field("what", event.what);
    field("hint", event.hint);
  } else if constexpr (std::is_same_v<T, FailedEvent>) {
    field("kind", event.kind);
    field("what", event.what);
    field("hint", event.hint);
  } else {
    static_assert(std::is_same_v<T, FinishedEvent>);
    field("steps", event.steps);
    field("seconds", event.seconds);
    field("stopped", event.stopped);
    field("path", event.path);
  }
}

std::string cut(const std::string& text) {
  if (text.size() <= kLongestText) return text;
  std::size_t end = kLongestText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

struct Writer {
  nlohmann::ordered_json& json;

  void operator()(const char* name, const std::string& value) const {
    json[name] = cut(value);
  }
  void operator()(const char* name, const std::optional<std::int64_t>& value) const {
    if (value) json[name] = *value;
  }
  void operator()(const char* name, const auto& value) const {
    json[name] = value;
  }
};

// Notes the first field of the wrong type; a field that is not there keeps its default, because a
// newer version may have added it.
struct Reader {
  const nlohmann::json& json;
  std::string& fault;

  void operator()(const char* name, auto& value) const {
    const auto found = json.find(name);
    if (found == json.end()) return;
    if (!read(*found, value) && fault.empty()) {
      fault = std::string("the field \"") + name + "\" is " + found->type_name();
    }
  }

 private:
  static bool read(const nlohmann::json& from, std::string& value) {
    if (!from.is_string()) return false;
    value = from.get<std::string>();
    return true;
  }
  static bool read(const nlohmann::json& from, std::int64_t& value) {
    if (!from.is_number_integer()) return false;
    value = from.get<std::int64_t>();
    return true;
  }
  static bool read(const nlohmann::json& from, std::optional<std::int64_t>& value) {
    return from.is_null() || read(from, value.emplace());
  }
  static bool read(const nlohmann::json& from, bool& value) {
    if (!from.is_boolean()) return false;
    value = from.get<bool>();
    return true;
  }
  static bool read(const nlohmann::json& from, double& value) {
    // JSON has no infinity and no NaN: such a number is written as null.
    value = std::numeric_limits<double>::quiet_NaN();
    if (from.is_null()) return true;
    if (!from.is_number()) return false;
    value = from.get<double>();
    return true;
  }
};

template <std::size_t index = 0>
std::optional<EventBody> empty_body(std::string_view name) {
  if constexpr (index == std::variant_size_v<EventBody>) {
    return std::nullopt;
  } else {
    using T = std::variant_alternative_t<index, EventBody>;
    if (name == kEventName<T>) return EventBody{T{}};
    return empty_body<index + 1>(name);
  }
}

Error corrupt(std::string why) {
  return Error{ErrorKind::corrupt, "reading an event: " + std::move(why)};
}

}  // namespace

std::string event_line(const Event& event) {
  nlohmann::ordered_json json;
  json["v"] = kFormatVersion;
  json["seq"] = event.seq;
  json["time"] = format_utc(event.time);
  std::visit(
      [&](const auto& body) {
        json["event"] = kEventName<std::remove_cvref_t<decltype(body)>>;
        fields_of(body, Writer{json});
      },
      event.body);
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<std::optional<Event>> parse_event(std::string_view line) {
  const Result<nlohmann::json> json = parse_json(line, "event");
  if (!json) return json.error();
  if (!json->is_object()) return corrupt("it is not a JSON object");
  const auto version = json->find("v");
  if (version == json->end() || !version->is_number_integer()) return corrupt("it has no \"v\"");
  const auto name = json->find("event");
  if (name == json->end() || !name->is_string()) return corrupt("it has no \"event\"");
  std::optional<EventBody> body = empty_body(name->get<std::string>());
  if (version->get<std::int64_t>() > kFormatVersion || !body) return std::optional<Event>{};

  Event event;
  std::string fault;
  std::string time;
  const Reader reader{*json, fault};
  event.seq = -1;
  reader("seq", event.seq);
  reader("time", time);
  std::visit([&](auto& fields) { fields_of(fields, reader); }, *body);
  if (!fault.empty()) return corrupt(fault);
  if (event.seq < 0) return corrupt("it has no \"seq\"");
  const Result<WallTime> at = parse_utc(time);
  if (!at) return corrupt("it has no readable \"time\"");
  event.time = *at;
  event.body = std::move(*body);
  return std::optional<Event>(std::move(event));
}

}  // namespace mayfly
