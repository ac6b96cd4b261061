#include "core/config/yaml.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <istream>
#include <set>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace mayfly {

namespace {

constexpr std::size_t kMaxBytes = 1 << 20;
constexpr int kMaxNodes = 100'000;
constexpr std::size_t kDeepest = 32;

Place place_of(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

// Builds the tree from the parser's events, so that nothing is ever expanded. What it refuses it
// throws as the parser's own exception, which ends the parsing; parse_yaml catches both.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string file) : file_(std::move(file)) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) refuse(mark, "a second YAML document in one file is not read");
  }
  void OnDocumentEnd() override {}

  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    refuse(mark, "anchors (&" + name + ") are not read: write the value out");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "aliases (*name) are not read: write the value out");
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    add(mark, ConfigNode{});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& text) override {
    check_tag(mark, tag);
    // The parser marks a quoted scalar by the tag "!".
    const auto style = tag == "!" ? ConfigNode::Style::text : ConfigNode::Style::bare;
    if (style == ConfigNode::Style::text) last_quoted_ = mark;
    add(mark, scalar_node(text, style));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(mark, ConfigNode::Kind::list);
  }
  void OnSequenceEnd() override {
    close();
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(mark, ConfigNode::Kind::map);
  }
  void OnMapEnd() override {
    close();
  }

  // Refuses a quote that runs to the end of the file: the library takes it for closed, so a file
  // cut short in the middle of a value would be read as if it were whole.
  void check_last_quote(std::string_view text) {
    const auto start = static_cast<std::size_t>(last_quoted_.pos);
    if (last_quoted_.is_null() || start >= text.size()) return;
    const char quote = text[start];
    if (quote != '"' && quote != '\'') return;  // a block of text, | or >
    for (std::size_t i = start + 1; i < text.size(); ++i) {
      const bool doubled = quote == '\'' && text.substr(i, 2) == "''";
      if (doubled || (quote == '"' && text[i] == '\\')) {
        ++i;
      } else if (text[i] == quote) {
        return;
      }
    }
    refuse(last_quoted_, "the quote is not closed");
  }

  ConfigNode root;
  std::vector<Error> problems;

 private:
  // A collection being filled. In a map, keys and values take turns.
  struct Level {
    ConfigNode node;
    bool key_is_next = true;
    std::string key;
    Place key_place;
    std::set<std::string> keys;
  };

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& why) {
    throw YAML::ParserException(mark, why);
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      refuse(mark, "tags (" + tag + ") are not read: the field decides what the value is");
    }
  }

  void open(const YAML::Mark& mark, ConfigNode::Kind kind) {
    if (levels_.size() >= kDeepest) {
      refuse(mark, "nested more than " + std::to_string(kDeepest) + " levels deep");
    }
    if (!levels_.empty() && levels_.back().node.kind == ConfigNode::Kind::map &&
        levels_.back().key_is_next) {
      refuse(mark, "a key must be one word, not a list or a map");
    }
    Level level;
    level.node.kind = kind;
    level.node.place = place_of(mark);
    levels_.push_back(std::move(level));
  }

  void close() {
    ConfigNode done = std::move(levels_.back().node);
    levels_.pop_back();
    attach(std::move(done));
  }

  void add(const YAML::Mark& mark, ConfigNode node) {
    node.place = place_of(mark);
    if (!levels_.empty() && levels_.back().node.kind == ConfigNode::Kind::map &&
        levels_.back().key_is_next) {
      take_key(mark, node);
    } else {
      attach(std::move(node));
    }
    if (++nodes_ > kMaxNodes) {
      refuse(mark, "more than " + std::to_string(kMaxNodes) + " values in one file");
    }
  }

  void take_key(const YAML::Mark& mark, const ConfigNode& node) {
    Level& level = levels_.back();
    if (node.kind != ConfigNode::Kind::scalar || node.text.empty()) {
      refuse(mark, "a key must be one word, not nothing");
    }
    if (node.text == "<<") {
      refuse(mark, "merge keys (<<) are not read: give several files, -c base.yaml -c mine.yaml");
    }
    if (!level.keys.insert(node.text).second) {
      problems.push_back({ErrorKind::invalid_config,
                          "the key \"" + node.text + "\" stands twice",
                          "keep one of the two",
                          {file_, node.place.line, node.place.column}});
    }
    level.key = node.text;
    level.key_place = node.place;
    level.key_is_next = false;
  }

  void attach(ConfigNode node) {
    if (levels_.empty()) {
      root = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == ConfigNode::Kind::list) {
      level.node.items.push_back(std::move(node));
      return;
    }
    // The parser places an empty value at the next token; its key is where a person would look.
    if (node.kind == ConfigNode::Kind::null) node.place = level.key_place;
    level.node.entries.push_back({level.key, level.key_place, std::move(node)});
    level.key_is_next = true;
  }

  std::string file_;
  YAML::Mark last_quoted_ = YAML::Mark::null_mark();
  std::vector<Level> levels_;
  int nodes_ = 0;
  int documents_ = 0;
};

// The offset of the first byte that is not part of valid UTF-8, or npos.
std::size_t invalid_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned lead = byte(i);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    if (length == 0 || i + length > text.size() || lead == 0) return i;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return i;
    }
    const unsigned second = length > 1 ? byte(i + 1) : 0;
    const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
    const bool surrogate = lead == 0xED && second >= 0xA0;
    const bool beyond = lead == 0xF4 && second >= 0x90;
    if (overlong || surrogate || beyond) return i;
    i += length;
  }
  return std::string_view::npos;
}

Place place_at(std::string_view text, std::size_t offset) {
  Place place{1, 1};
  for (std::size_t i = 0; i < offset; ++i) {
    place.column = text[i] == '\n' ? 1 : place.column + 1;
    if (text[i] == '\n') ++place.line;
  }
  return place;
}

Error problem(const std::string& file, Place place, std::string message) {
  return {ErrorKind::invalid_config, std::move(message), {}, {file, place.line, place.column}};
}

bool is_ascii_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "15m": no reader takes it for a number.
bool is_duration(std::string_view text) {
  return text.size() > 1 && text.find_first_not_of("0123456789") == text.size() - 1 &&
         std::string_view("smhd").find(text.back()) != std::string_view::npos;
}

// Whether every reader of YAML 1.1 and 1.2 takes this bare text for this very string. Strict: a
// text that need not be quoted may be.
bool is_safe_bare(const std::string& text) {
  static constexpr std::array kWords = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};
  std::string lower;
  for (const char c : text) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (std::find(kWords.begin(), kWords.end(), lower) != kWords.end()) return false;
  if (is_duration(text)) return true;
  const bool path = text.starts_with("./") || text.starts_with("../");
  if (text.empty() || (!path && !is_ascii_letter(text.front()))) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool last = i + 1 == text.size();
    const bool inner = (c == ' ' || c == ':') && !last && text[i + 1] != ' ';
    if (!inner && !is_ascii_letter(c) && !is_digit(c) &&
        std::string_view(".-+=@~").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

std::string quoted(const std::string& text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

YamlDocument parse_yaml(std::string_view text, const std::string& file) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.size() > kMaxBytes) {
    return {{}, {problem(file, {}, "larger than 1 MiB: this is not a configuration")}};
  }
  if (const auto bad = invalid_utf8(text); bad != std::string_view::npos) {
    return {{}, {problem(file, place_at(text, bad), "not UTF-8 text")}};
  }
  TreeBuilder builder(file);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    builder.check_last_quote(text);
  } catch (const YAML::Exception& error) {
    builder.problems.push_back(problem(file, place_of(error.mark), error.msg));
    return {{}, std::move(builder.problems)};
  }
  return {std::move(builder.root), std::move(builder.problems)};
}

YamlDocument parse_inline_value(std::string_view text) {
  if (text == "null" || text == "~") return {};
  if (text.starts_with("[") || text.starts_with("{")) return parse_yaml(text, {});
  return {scalar_node(std::string(text), ConfigNode::Style::bare), {}};
}

std::string inline_yaml(const ConfigNode& node) {
  std::string out;
  switch (node.kind) {
    case ConfigNode::Kind::null:
      return "null";
    case ConfigNode::Kind::scalar:
      return node.style == ConfigNode::Style::text && !is_safe_bare(node.text) ? quoted(node.text)
                                                                               : node.text;
    case ConfigNode::Kind::list:
      for (const ConfigNode& item : node.items)
        out += (out.empty() ? "" : ", ") + inline_yaml(item);
      return "[" + out + "]";
    case ConfigNode::Kind::map:
      for (const ConfigEntry& entry : node.entries) {
        const auto key = scalar_node(entry.key, ConfigNode::Style::text);
        out += (out.empty() ? "" : ", ") + inline_yaml(key) + ": " + inline_yaml(entry.value);
      }
      return "{" + out + "}";
  }
  return out;
}

}  // namespace mayfly
