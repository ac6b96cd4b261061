#include "core/config/environment.h"

#include <cctype>

#include <unistd.h>

namespace mayfly {

namespace {

Error invalid(std::string message, std::string hint = {}) {
  return {ErrorKind::invalid_config, std::move(message), std::move(hint)};
}

bool is_name(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text.front())) != 0) return false;
  for (const char c : text) {
    if (c != '_' && std::isalnum(static_cast<unsigned char>(c)) == 0) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The value of a .env line: what is between quotes, or up to a comment.
Result<std::string> dotenv_value(std::string_view text) {
  const char quote = text.empty() ? '\0' : text.front();
  if (quote != '"' && quote != '\'') return std::string(trimmed(text.substr(0, text.find(" #"))));
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == quote) {
      const std::string_view rest = trimmed(text.substr(i + 1));
      if (rest.empty() || rest.front() == '#') return value;
      return invalid("there is text behind the closing quote");
    }
    const bool escaped = quote == '"' && text[i] == '\\' && i + 1 < text.size();
    if (escaped) ++i;
    value += escaped && text[i] == 'n' ? '\n' : text[i];
  }
  return invalid("the quote is not closed");
}

// What one ${...} stands for. `inside` is the text between the braces.
Result<std::string> variable(std::string_view inside, const Environment& environment) {
  const auto dash = inside.find(":-");
  const std::string name(inside.substr(0, dash));
  if (!is_name(name)) {
    return invalid("${" + std::string(inside) + "} is not the name of an environment variable",
                   "write $${ for a literal ${");
  }
  const auto found = environment.find(name);
  if (found != environment.end() && (dash == std::string_view::npos || !found->second.empty())) {
    return found->second;
  }
  if (dash != std::string_view::npos) return std::string(inside.substr(dash + 2));
  return invalid("the environment variable " + name + " is not set",
                 "set it, in the environment or in .env, or write ${" + name + ":-default}");
}

}  // namespace

Environment current_environment() {
  Environment variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) {
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return variables;
}

Result<Environment> parse_dotenv(std::string_view text, const std::string& file) {
  Environment variables;
  for (int number = 1; !text.empty(); ++number) {
    const auto newline = text.find('\n');
    std::string_view line = trimmed(text.substr(0, newline));
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("export ")) line = trimmed(line.substr(7));
    const auto equals = line.find('=');
    const FileLocation at{file, number, 1};
    if (equals == std::string_view::npos || !is_name(trimmed(line.substr(0, equals)))) {
      // The line is not shown: a token may stand alone on it.
      return Error{ErrorKind::invalid_config, "this line is not NAME=value", {}, at};
    }
    Result<std::string> value = dotenv_value(trimmed(line.substr(equals + 1)));
    if (!value) {
      value.error().at = at;
      return value.error();
    }
    variables[std::string(trimmed(line.substr(0, equals)))] = std::move(*value);
  }
  return variables;
}

Result<std::string> expand_variables(std::string_view text, const Environment& environment) {
  std::string out;
  while (!text.empty()) {
    const auto start = text.find("${");
    out += text.substr(0, start);
    if (start == std::string_view::npos) break;
    if (start > 0 && text[start - 1] == '$') {
      out += '{';  // the first dollar sign is already there
      text.remove_prefix(start + 2);
      continue;
    }
    const auto end = text.find('}', start);
    if (end == std::string_view::npos) {
      return invalid("the brace of ${ is not closed", "write $${ for a literal ${");
    }
    Result<std::string> value = variable(text.substr(start + 2, end - start - 2), environment);
    if (!value) return value.error();
    out += *value;
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string sole_variable(std::string_view text) {
  if (!text.starts_with("${") || text.find('}') != text.size() - 1) return {};
  const std::string_view inside = text.substr(2, text.size() - 3);
  const std::string_view name = inside.substr(0, inside.find(":-"));
  return is_name(name) ? std::string(name) : std::string();
}

Result<std::string> fill_names(std::string_view text,
                               const std::map<std::string, std::string>& vars) {
  std::string out;
  while (!text.empty()) {
    const auto start = text.find('{');
    out += text.substr(0, start);
    if (start == std::string_view::npos) break;
    const auto end = text.find('}', start);
    const std::string name(end == std::string_view::npos ? ""
                                                         : text.substr(start + 1, end - start - 1));
    if (!is_name(name) || out.ends_with('$')) {
      out += '{';
      text.remove_prefix(start + 1);
      continue;
    }
    const auto found = vars.find(name);
    if (found == vars.end()) {
      return invalid("{" + name + "} has no value", "set generate.vars." + name);
    }
    out += found->second;
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace mayfly
