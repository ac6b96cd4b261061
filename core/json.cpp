#include "core/json.h"

#include <cstdint>
#include <exception>
#include <vector>

#include <nlohmann/json.hpp>

namespace mayfly {

namespace {

constexpr std::size_t kMaxDepth = 64;

struct LineColumn {
  int line = 1;
  int column = 1;
};

LineColumn place_of(std::string_view text, std::size_t offset) {
  LineColumn place;
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

// Builds the value from the library's events. Its own builder keeps the last of two equal keys, and
// its filter, which could see both, looks at all elements of a list or object again for each that
// is itself one: 20,000 tensors of a header took 2 s.
class Builder {
 public:
  bool null() {
    return add(nullptr);
  }
  bool boolean(bool value) {
    return add(value);
  }
  bool number_integer(std::int64_t value) {
    return add(value);
  }
  bool number_unsigned(std::uint64_t value) {
    return add(value);
  }
  bool number_float(double value, const std::string&) {
    return add(value);
  }
  bool string(std::string& value) {
    return add(std::move(value));
  }
  bool binary(std::vector<std::uint8_t>&) {
    return false;  // not in JSON's text form
  }
  bool start_object(std::size_t) {
    return open(nlohmann::json::object());
  }
  bool start_array(std::size_t) {
    return open(nlohmann::json::array());
  }
  bool end_object() {
    open_.pop_back();
    return true;
  }
  bool end_array() {
    return end_object();
  }
  bool key(std::string& name) {
    auto& object = open_.back()->get_ref<nlohmann::json::object_t&>();
    const auto [entry, is_new] = object.try_emplace(std::move(name));
    if (!is_new) refusal = "the key \"" + entry->first + "\" stands twice";
    slot_ = &entry->second;
    return is_new;
  }
  // Also for a number that no double can hold.
  bool parse_error(std::size_t position, const std::string&, const std::exception& error) {
    error_at = position;
    why = error.what();
    return false;
  }

  nlohmann::json whole;
  std::string refusal;       // by our rules
  std::string why;           // by the library's
  std::size_t error_at = 0;  // in bytes, from 1

 private:
  nlohmann::json* place(nlohmann::json&& element) {
    if (open_.empty()) {
      whole = std::move(element);
      return &whole;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(element));
      return &open_.back()->back();
    }
    *slot_ = std::move(element);
    return slot_;
  }
  bool add(nlohmann::json element) {
    place(std::move(element));
    return true;
  }
  bool open(nlohmann::json element) {
    if (open_.size() >= kMaxDepth) {
      refusal = "nested more than " + std::to_string(kMaxDepth) + " levels deep";
      return false;
    }
    open_.push_back(place(std::move(element)));
    return true;
  }

  // Lists and objects we are inside of; none grows while one in it is open, so none moves.
  std::vector<nlohmann::json*> open_;
  nlohmann::json* slot_ = nullptr;  // of the key that was read last
};

Error fault(std::string_view text, std::string_view what, std::size_t offset, std::string why) {
  const LineColumn place = place_of(text, offset);
  return Error{
      ErrorKind::corrupt, std::move(why), {}, {std::string(what), place.line, place.column}};
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::string_view what) {
  Builder builder;
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    return std::move(builder.whole);
  }
  if (!builder.refusal.empty()) {
    return Error{ErrorKind::corrupt, std::string(what) + ": " + builder.refusal};
  }
  // The library's text has its own "[json.exception...]" prefix and position; ours is enough.
  std::string why = builder.why;
  if (const auto colon = why.rfind(": "); colon != std::string::npos) {
    const auto start = why.find("syntax error");
    why = start != std::string::npos ? why.substr(start) : why.substr(colon + 2);
  }
  return fault(text, what, builder.error_at > 0 ? builder.error_at - 1 : 0,
               "not valid JSON: " + why);
}

std::string json_line(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_text(const nlohmann::json& value) {
  return value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string text_at(const nlohmann::json& object, std::string_view key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace mayfly
