#include "core/http/xml_text.h"

#include <array>
#include <utility>

namespace mayfly {

namespace {

constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {
    {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};

std::string plain(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t taken = 1;
    char letter = text.front();
    for (const auto& [entity, meaning] : kEntities) {
      if (!text.starts_with(entity)) continue;
      taken = entity.size();
      letter = meaning;
    }
    out += letter;
    text.remove_prefix(taken);
  }
  return out;
}

}  // namespace

std::vector<std::string_view> xml_blocks(std::string_view xml, std::string_view element) {
  std::vector<std::string_view> blocks;
  const std::string open = "<" + std::string(element);
  const std::string close = "</" + std::string(element) + ">";
  std::size_t at = 0;
  while ((at = xml.find(open, at)) != std::string_view::npos) {
    at += open.size();
    const bool whole_name = at < xml.size() && (xml[at] == '>' || xml[at] == ' ');
    if (!whole_name) continue;
    const auto start = xml.find('>', at);
    const auto end = start == std::string_view::npos ? start : xml.find(close, start);
    if (end == std::string_view::npos) break;
    blocks.push_back(xml.substr(start + 1, end - start - 1));
    at = end;
  }
  return blocks;
}

std::string xml_text(std::string_view xml, std::string_view element) {
  const auto blocks = xml_blocks(xml, element);
  return blocks.empty() ? std::string() : plain(blocks.front());
}

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    std::string_view written(&letter, 1);
    for (const auto& [entity, meaning] : kEntities) {
      if (letter == meaning) written = entity;
    }
    out += written;
  }
  return out;
}

}  // namespace mayfly
