#include "localhub/card.h"

#include <yaml-cpp/yaml.h>

namespace mayfly::localhub {

namespace {

// The text between the first line, "---", and the next such line; false if that is missing.
bool cut_metadata(std::string_view readme, std::string& metadata) {
  if (readme.starts_with("\xEF\xBB\xBF")) readme.remove_prefix(3);
  const auto first = readme.find('\n');
  if (first == std::string_view::npos) return false;
  readme.remove_prefix(first + 1);
  for (std::size_t at = 0; at <= readme.size();) {
    const auto end = readme.find('\n', at);
    std::string_view line = readme.substr(at, end - at);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line == "---") {
      metadata = std::string(readme.substr(0, at));
      return true;
    }
    if (end == std::string_view::npos) break;
    at = end + 1;
  }
  return false;
}

void check_types(const YAML::Node& metadata, std::vector<std::string>& errors) {
  for (const char* key : {"license", "base_model", "library_name", "pipeline_tag", "language"}) {
    const YAML::Node value = metadata[key];
    if (value && !value.IsNull() && !value.IsScalar() && !value.IsSequence()) {
      errors.push_back("\"" + std::string(key) + "\" must be a string");
    }
  }
  for (const char* key : {"tags", "datasets"}) {
    const YAML::Node value = metadata[key];
    if (value && !value.IsNull() && !value.IsSequence()) {
      errors.push_back("\"" + std::string(key) + "\" must be an array");
    }
  }
}

}  // namespace

CardProblems check_card(std::string_view readme) {
  CardProblems problems;
  if (!readme.starts_with("---\n") && !readme.starts_with("---\r\n")) {
    problems.warnings.push_back("empty or missing yaml metadata in repo card");
    return problems;
  }
  std::string text;
  if (!cut_metadata(readme, text)) {
    problems.errors.push_back("the yaml metadata does not end: a line \"---\" is missing");
    return problems;
  }
  try {
    const YAML::Node metadata = YAML::Load(text);
    if (metadata.IsMap()) {
      check_types(metadata, problems.errors);
    } else if (!metadata.IsNull()) {
      problems.errors.push_back("the yaml metadata must be a mapping");
    }
  } catch (const YAML::Exception& error) {
    problems.errors.push_back(std::string("bad yaml metadata: ") + error.what());
  }
  return problems;
}

}  // namespace mayfly::localhub
