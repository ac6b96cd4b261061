#include "core/config/resolved.h"

#include "core/config/value.h"
#include "core/config/visit.h"
#include "core/config/yaml.h"

namespace mayfly {

namespace {

// Makes ${ of a text stay what it is when the file is loaded again.
ConfigNode escaped(ConfigNode node) {
  if (node.kind == ConfigNode::Kind::scalar) {
    for (auto at = node.text.find("${"); at != std::string::npos;
         at = node.text.find("${", at + 3)) {
      node.text.insert(at, "$");
    }
  }
  for (ConfigNode& item : node.items) item = escaped(std::move(item));
  for (ConfigEntry& entry : node.entries) entry.value = escaped(std::move(entry.value));
  return node;
}

class ResolvedWriter {
 public:
  ResolvedWriter(const LoadedConfig& loaded, bool origins) : loaded_(loaded), origins_(origins) {}

  std::string write() {
    for_each_field(
        [&](std::string_view section, std::string_view key, const FieldDoc&, const auto& get) {
          using T = std::remove_cvref_t<decltype(get(loaded_.config))>;
          if (section != section_ && !section.empty()) text_ += std::string(section) + ":\n";
          section_ = section;
          const std::string indent = section.empty() ? "" : "  ";
          const std::string path = field_path(section, key);
          const T& value = get(loaded_.config);
          if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
            add_map(indent + std::string(key), path, value);
          } else if constexpr (std::is_same_v<T, Secret>) {
            add_line(indent + std::string(key), secret_text(path, value), path);
          } else {
            add_line(indent + std::string(key), inline_yaml(escaped(write_value(value))), path);
          }
        });
    return std::move(text_);
  }

 private:
  const Origin* origin(const std::string& path) const {
    const auto found = loaded_.origins.find(path);
    return found == loaded_.origins.end() ? nullptr : &found->second;
  }

  std::string secret_text(const std::string& path, const Secret& secret) const {
    if (secret.empty()) return "null";
    const Origin* const from = origin(path);
    if (from != nullptr && !from->variable.empty()) return "${" + from->variable + "}";
    return "${HF_TOKEN}";
  }

  void add_line(const std::string& key, const std::string& value, const std::string& path) {
    text_ += key + ": " + value;
    if (origins_) {
      const Origin* const from = origin(path);
      text_ += "  # " + (from != nullptr ? origin_text(*from) : origin_text({}));
    }
    text_ += "\n";
  }

  void add_map(const std::string& key, const std::string& path,
               const std::map<std::string, std::string>& entries) {
    if (entries.empty()) return add_line(key, "{}", path);
    text_ += key + ":\n";
    for (const auto& [name, value] : entries) {
      const ConfigNode text = escaped(scalar_node(value, ConfigNode::Style::text));
      add_line("    " + inline_yaml(scalar_node(name, ConfigNode::Style::text)), inline_yaml(text),
               path + "." + name);
    }
  }

  const LoadedConfig& loaded_;
  bool origins_;
  std::string section_;
  std::string text_;
};

}  // namespace

std::string resolved_yaml(const RunConfig& config) {
  LoadedConfig loaded;
  loaded.config = config;
  return resolved_yaml(loaded, false);
}

std::string resolved_yaml(const LoadedConfig& loaded, bool origins) {
  return ResolvedWriter(loaded, origins).write();
}

}  // namespace mayfly
