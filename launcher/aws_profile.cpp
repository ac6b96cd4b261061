#include "launcher/aws_profile.h"

#include <array>

#include "core/atomic_file.h"

namespace mayfly {

namespace {

using Section = std::map<std::string, std::string>;

// Settings by which a profile has its key from elsewhere.
constexpr std::array<std::string_view, 6> kElsewhere = {
    "sso_session",        "sso_start_url",           "role_arn",
    "credential_process", "web_identity_token_file", "login_session"};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto start = text.find_first_not_of(kBlank);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kBlank) - start + 1);
}

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

// "" for a file that is not there.
Result<std::string> text_of(const std::string& path) {
  Result<std::string> text = read_file(path);
  if (!text && text.error().kind == ErrorKind::not_found) return std::string();
  return text;
}

std::string setting(const Section& section, const std::string& name) {
  const auto found = section.find(name);
  return found == section.end() ? std::string() : found->second;
}

void fill_in(Environment& environment, const std::string& name, const std::string& value) {
  if (!value.empty() && variable(environment, name).empty()) environment[name] = value;
}

}  // namespace

// CLI11, which is here already, reads INI files too, but takes a section's name apart at its dots
// and a value's quotes and brackets as TOML does.
Section aws_section(std::string_view text, std::string_view name) {
  Section section;
  bool is_inside = false;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view words = trimmed(line);
    if (words.empty() || words.front() == '#' || words.front() == ';') continue;
    if (words.front() == '[') {
      is_inside = words.back() == ']' && trimmed(words.substr(1, words.size() - 2)) == name;
      continue;
    }
    const auto equals = words.find('=');
    const bool is_nested = line.front() == ' ' || line.front() == '\t';
    if (!is_inside || is_nested || equals == std::string_view::npos) continue;
    section[std::string(trimmed(words.substr(0, equals)))] = trimmed(words.substr(equals + 1));
  }
  return section;
}

Result<Environment> with_aws_profile(Environment environment) {
  const auto path = [&](const char* named, const char* usual) {
    const std::string given = variable(environment, named);
    return given.empty() ? variable(environment, "HOME") + "/.aws/" + usual : given;
  };
  const std::string credentials_path = path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
  const std::string config_path = path("AWS_CONFIG_FILE", "config");
  const Result<std::string> credentials = text_of(credentials_path);
  if (!credentials) return credentials.error();
  const Result<std::string> config = text_of(config_path);
  if (!config) return config.error();

  const std::string named = variable(environment, "AWS_PROFILE");
  const std::string profile = named.empty() ? "default" : named;
  Section settings = aws_section(*config, profile == "default" ? profile : "profile " + profile);
  for (auto& [name, value] : aws_section(*credentials, profile)) settings[name] = value;
  if (settings.empty() && !named.empty()) {
    return Error{ErrorKind::not_found,
                 "AWS_PROFILE names " + named + ", and neither " + credentials_path + " nor " +
                     config_path + " has it",
                 "`aws configure --profile " + named + "` makes it"};
  }
  fill_in(environment, "AWS_DEFAULT_REGION", setting(settings, "region"));
  if (!variable(environment, "AWS_ACCESS_KEY_ID").empty()) return environment;
  const std::string key_id = setting(settings, "aws_access_key_id");
  if (!key_id.empty()) {
    environment["AWS_ACCESS_KEY_ID"] = key_id;
    environment["AWS_SECRET_ACCESS_KEY"] = setting(settings, "aws_secret_access_key");
    const std::string token = setting(settings, "aws_session_token");
    if (!token.empty()) environment["AWS_SESSION_TOKEN"] = token;
    return environment;
  }
  for (const std::string_view elsewhere : kElsewhere) {
    if (setting(settings, std::string(elsewhere)).empty()) continue;
    return Error{
        ErrorKind::unsupported,
        "the AWS profile " + profile + " has its key by " + std::string(elsewhere) +
            ", which is not asked here",
        "eval \"$(aws configure export-credentials --profile " + profile + " --format env)\""};
  }
  return environment;
}

}  // namespace mayfly
