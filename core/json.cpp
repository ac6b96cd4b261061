#include "core/json.h"

#include <set>
#include <vector>

#include <nlohmann/json.hpp>

namespace mayfly {

namespace {

constexpr int kMaxDepth = 64;

struct Place {
  int line = 1;
  int column = 1;
};

Place place_of(std::string_view text, std::size_t offset) {
  Place place;
  for (std::size_t i = 0; i < offset && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++place.line;
      place.column = 1;
    } else {
      ++place.column;
    }
  }
  return place;
}

Error fault(std::string_view text, std::string_view what, std::size_t offset, std::string why) {
  const Place place = place_of(text, offset);
  return Error{
      ErrorKind::corrupt, std::move(why), {}, {std::string(what), place.line, place.column}};
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::string_view what) {
  std::vector<std::set<std::string>> keys;  // of the objects we are inside of
  std::string refusal;
  using Event = nlohmann::json::parse_event_t;
  const auto watch = [&](int depth, Event event, nlohmann::json& parsed) {
    if (depth > kMaxDepth && refusal.empty()) {
      refusal = "nested more than " + std::to_string(kMaxDepth) + " levels deep";
    }
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && refusal.empty()) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) refusal = "the key \"" + key + "\" stands twice";
    }
    return true;
  };
  try {
    nlohmann::json value = nlohmann::json::parse(text.begin(), text.end(), watch);
    if (!refusal.empty()) return Error{ErrorKind::corrupt, std::string(what) + ": " + refusal};
    return value;
  } catch (const nlohmann::json::parse_error& error) {
    // The library's text has its own "[json.exception...]" prefix and position; ours is enough.
    std::string why = error.what();
    if (const auto colon = why.rfind(": "); colon != std::string::npos) {
      const auto start = why.find("syntax error");
      why = start != std::string::npos ? why.substr(start) : why.substr(colon + 2);
    }
    return fault(text, what, error.byte > 0 ? error.byte - 1 : 0, "not valid JSON: " + why);
  }
}

std::string json_line(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_text(const nlohmann::json& value) {
  return value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace mayfly
