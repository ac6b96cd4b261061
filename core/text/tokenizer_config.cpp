#include "core/text/tokenizer_config.h"

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/mapped_file.h"

namespace mayfly {

namespace {

// nullopt: there is no such file.
Result<std::optional<std::string>> read_if_there(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file && file.error().kind == ErrorKind::not_found) return std::optional<std::string>();
  if (!file) return std::move(file.error());
  const auto bytes = file->bytes();
  return std::optional(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// Tokens stand as a string or as an object with `content`.
std::string token_of(const nlohmann::json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content") && (*found)["content"].is_string()) {
    return (*found)["content"].get<std::string>();
  }
  return {};
}

std::optional<std::string> template_of(const nlohmann::json& config) {
  const auto found = config.find("chat_template");
  if (found == config.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return std::nullopt;
  for (const nlohmann::json& entry : *found) {
    if (entry.is_object() && entry.value("name", "") == "default") {
      return entry.value("template", "");
    }
  }
  return std::nullopt;
}

}  // namespace

Result<TokenizerConfig> load_tokenizer_config(const std::filesystem::path& folder) {
  TokenizerConfig config;
  const std::filesystem::path path = folder / "tokenizer_config.json";
  auto text = read_if_there(path);
  if (!text) return std::move(text.error());
  if (*text) {
    auto json = parse_json(**text, path.string());
    if (!json) return std::move(json.error());
    if (!json->is_object()) {
      return Error{ErrorKind::corrupt, "is not a JSON object", {}, {path.string()}};
    }
    config.bos_token = token_of(*json, "bos_token");
    config.eos_token = token_of(*json, "eos_token");
    config.pad_token = token_of(*json, "pad_token");
    config.unk_token = token_of(*json, "unk_token");
    if (const auto more = json->find("additional_special_tokens");
        more != json->end() && more->is_array()) {
      for (const nlohmann::json& token : *more) {
        if (token.is_string()) config.additional_special_tokens.push_back(token);
      }
    }
    config.chat_template = template_of(*json);
    config.chat_template_file = path.string();
  }
  const std::filesystem::path own = folder / "chat_template.jinja";
  auto jinja = read_if_there(own);
  if (!jinja) return std::move(jinja.error());
  if (*jinja) {
    config.chat_template = std::move(**jinja);
    config.chat_template_file = own.string();
  }
  return config;
}

}  // namespace mayfly
