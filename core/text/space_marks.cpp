#include "core/text/space_marks.h"

#include <utility>
#include <vector>

#include "core/text/tokenizer_fields.h"

namespace mayfly {

namespace {

using simdjson::dom::element;

Error not_over_characters(std::string_view what, std::string_view field, std::string_view value) {
  return tokenizer_error(what, ErrorKind::unsupported,
                         std::string(field) + " " + std::string(value) +
                             " is not supported in a tokenizer over characters");
}

// The parts of a Sequence, or the thing itself; nothing for null.
std::vector<element> parts_of(const element& root, std::string_view field, std::string_view list) {
  element value;
  if (root[field].get(value) != simdjson::SUCCESS || value.is_null()) return {};
  simdjson::dom::array parts;
  if (json_text(value, "type") != "Sequence" || value[list].get(parts) != simdjson::SUCCESS) {
    return {value};
  }
  return {parts.begin(), parts.end()};
}

// {"pattern": {"String": from}, "content": to}
bool replaces(const element& part, std::string_view from, std::string_view to) {
  std::string_view pattern;
  return json_text(part, "type") == "Replace" &&
         part["pattern"]["String"].get(pattern) == simdjson::SUCCESS && pattern == from &&
         json_text(part, "content") == to;
}

Status read_normalizer(const element& root, std::string_view what, SpaceMarks& marks) {
  for (const element part : parts_of(root, "normalizer", "normalizers")) {
    const std::string type = json_text(part, "type");
    if (type == "Prepend" && json_text(part, "prepend") == kSpaceMark) {
      marks.prepend = SpaceMarks::Prepend::always;
    } else if (replaces(part, " ", kSpaceMark)) {
      marks.replace = true;
    } else {
      return not_over_characters(what, "normalizer.type", type);
    }
  }
  return Unit{};
}

Status read_metaspace(const element& part, std::string_view what, SpaceMarks& marks) {
  if (json_text(part, "replacement") != kSpaceMark) {
    return not_over_characters(what, "pre_tokenizer.replacement", json_text(part, "replacement"));
  }
  if (marks.replace || marks.prepend != SpaceMarks::Prepend::never) {
    return not_over_characters(what, "pre_tokenizer.type", "Metaspace behind a normalizer");
  }
  const std::string scheme = json_text(part, "prepend_scheme");
  bool add_prefix_space = false;  // of files from before prepend_scheme, true if it is not there
  if (part["add_prefix_space"].get(add_prefix_space) != simdjson::SUCCESS) add_prefix_space = true;
  if (scheme == "first") {
    marks.prepend = SpaceMarks::Prepend::first;
  } else if (scheme == "always" || (scheme.empty() && add_prefix_space)) {
    marks.prepend = SpaceMarks::Prepend::always;
  } else if (scheme != "never" && !scheme.empty()) {
    return not_over_characters(what, "pre_tokenizer.prepend_scheme", scheme);
  }
  marks.replace = true;
  marks.late = true;
  if (part["split"].get(marks.split) != simdjson::SUCCESS) marks.split = true;
  return Unit{};
}

Status read_decoder(const element& root, std::string_view what, SpaceMarks& marks) {
  for (const element part : parts_of(root, "decoder", "decoders")) {
    const std::string type = json_text(part, "type");
    if (type == "ByteFallback" || type == "Fuse" || replaces(part, kSpaceMark, " ")) continue;
    std::int64_t start = 0, stop = 0;
    const bool strips = type == "Strip" && json_text(part, "content") == " " &&
                        part["start"].get(start) == simdjson::SUCCESS && start == 1 &&
                        part["stop"].get(stop) == simdjson::SUCCESS && stop == 0;
    if (!strips) return not_over_characters(what, "decoder.type", type.empty() ? "null" : type);
    marks.strip_decoded = true;
  }
  return Unit{};
}

}  // namespace

Result<SpaceMarks> read_space_marks(const element& root, std::string_view what) {
  SpaceMarks marks;
  if (Status done = read_normalizer(root, what, marks); !done) return std::move(done.error());
  bool is_first = true;
  for (const element part : parts_of(root, "pre_tokenizer", "pretokenizers")) {
    if (json_text(part, "type") == "Metaspace") {
      if (!is_first)
        return not_over_characters(what, "pre_tokenizer.type", "Metaspace behind other steps");
      if (Status done = read_metaspace(part, what, marks); !done) return std::move(done.error());
    }
    is_first = false;
  }
  if (Status done = read_decoder(root, what, marks); !done) return std::move(done.error());
  return marks;
}

Composed with_space_marks(std::string_view text, const SpaceMarks& marks, bool first) {
  Composed marked;
  const bool begins_with_one =
      text.starts_with(kSpaceMark) || (marks.replace && text.starts_with(' '));
  const bool wanted = marks.prepend == SpaceMarks::Prepend::always ||
                      (marks.prepend == SpaceMarks::Prepend::first && first);
  // Metaspace does not repeat a mark; the normalizer Prepend does.
  if (wanted && !text.empty() && !(marks.late && begins_with_one)) {
    marked.text = kSpaceMark;
    // The mark ends where the first character does, as in the reference, so that one that is a
    // token of its own is trained with its word.
    const std::size_t first_size = code_point_at(text, 0).size;
    marked.places.push_back({marked.text.size(), first_size});
    const bool stays = text.front() != ' ' || !marks.replace;
    if (stays) marked.places.push_back({marked.text.size() + first_size, first_size});
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != ' ' || !marks.replace) {
      marked.text += text[i];
      continue;
    }
    marked.places.push_back({marked.text.size(), i});
    marked.text += kSpaceMark;
    marked.places.push_back({marked.text.size(), i + 1});
  }
  marked.places.push_back({marked.text.size(), text.size()});
  return marked;
}

std::string without_space_marks(std::string_view token) {
  std::string text(token);
  for (std::size_t at = text.find(kSpaceMark); at != std::string::npos;
       at = text.find(kSpaceMark, at + 1)) {
    text.replace(at, kSpaceMark.size(), " ");
  }
  return text;
}

}  // namespace mayfly
