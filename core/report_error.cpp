#include "core/report_error.h"

#include <cassert>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/log.h"

namespace mayfly {

namespace {

nlohmann::json error_object(const Error& error) {
  nlohmann::json location = nullptr;
  if (!error.at.file.empty()) {
    location = {{"file", error.at.file}, {"line", error.at.line}, {"column", error.at.column}};
  }
  return {{"code", error_code(error.kind)},
          {"message", mask_tokens(error.message)},
          {"hint", mask_tokens(error.hint)},
          {"exit_code", static_cast<int>(exit_code(error.kind))},
          {"retryable", is_retryable(error.kind)},
          {"location", std::move(location)}};
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

std::string_view error_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::internal:
      return "internal";
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::invalid_config:
      return "invalid_config";
    case ErrorKind::unauthorized:
      return "unauthorized";
    case ErrorKind::refused:
      return "refused";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::no_capacity:
      return "no_capacity";
    case ErrorKind::guard:
      return "guard";
    case ErrorKind::rate_limited:
      return "rate_limited";
    case ErrorKind::unreachable:
      return "unreachable";
    case ErrorKind::outcome_unknown:
      return "outcome_unknown";
    case ErrorKind::corrupt:
      return "corrupt";
    case ErrorKind::bad_data:
      return "bad_data";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::no_space:
      return "no_space";
    case ErrorKind::out_of_memory:
      return "out_of_memory";
    case ErrorKind::diverged:
      return "diverged";
    case ErrorKind::failed:
      return "failed";
  }
  return "internal";
}

bool is_retryable(ErrorKind kind) {
  return kind == ErrorKind::rate_limited || kind == ErrorKind::unreachable ||
         kind == ErrorKind::no_capacity;
}

std::string error_text(const Error& error) {
  std::string text = "error: " + mask_tokens(located_message(error)) + "\n";
  if (!error.hint.empty()) text += "  hint: " + mask_tokens(error.hint) + "\n";
  return text;
}

std::string error_json(const Error& error) {
  return json_line({{"ok", false}, {"error", error_object(error)}}) + "\n";
}

ExitCode report_error(const Error& error, bool json) {
  print(json ? error_json(error) : error_text(error));
  return exit_code(error.kind);
}

ExitCode report_errors(const std::vector<Error>& errors, bool json) {
  assert(!errors.empty());
  if (json) {
    nlohmann::json document = {{"ok", false}, {"error", error_object(errors.front())}};
    for (std::size_t i = 1; i < errors.size(); ++i) {
      document["more"].push_back(error_object(errors[i]));
    }
    print(json_line(document) + "\n");
  } else {
    std::string text;
    for (const Error& error : errors) text += error_text(error);
    print(text);
  }
  return exit_code(errors.front().kind);
}

}  // namespace mayfly
