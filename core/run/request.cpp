#include "core/run/request.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::array kWords = {std::pair{RequestKind::down, std::string_view("down")},
                               std::pair{RequestKind::down_now, std::string_view("down_now")},
                               std::pair{RequestKind::checkpoint, std::string_view("checkpoint")},
                               std::pair{RequestKind::extend, std::string_view("extend")}};

fs::path folder_of(const RunDirectory& run) {
  return run.agent() / "requests";
}

// What an extension adds. False: a value that is neither a number of minutes nor an amount.
bool read_amounts(const nlohmann::json& json, Request& request) {
  if (const auto minutes = json.find("minutes"); minutes != json.end()) {
    if (!minutes->is_number()) return false;
    request.minutes = minutes->get<double>();
  }
  if (const auto spend = json.find("dollars"); spend != json.end()) {
    if (!spend->is_string()) return false;
    const Result<Usd> amount = parse_usd(spend->get_ref<const std::string&>());
    if (!amount) return false;
    request.spend = *amount;
  }
  return true;
}

std::optional<Request> read_request(const fs::path& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return std::nullopt;
  const Result<nlohmann::json> json = parse_json(*text, path.string());
  if (!json || !json->is_object()) return std::nullopt;
  const auto word = json->find("request");
  const auto at = json->find("at");
  const auto by = json->find("by");
  if (word == json->end() || !word->is_string() || at == json->end() || !at->is_string()) {
    return std::nullopt;
  }
  const Result<WallTime> time = parse_utc(at->get_ref<const std::string&>());
  if (!time) return std::nullopt;
  for (const auto& [kind, name] : kWords) {
    if (word->get_ref<const std::string&>() != name) continue;
    const bool named = by != json->end() && by->is_string();
    Request request{kind, named ? by->get<std::string>() : "", *time, path.filename().string(), 0,
                    {}};
    if (kind == RequestKind::extend && !read_amounts(*json, request)) return std::nullopt;
    return request;
  }
  return std::nullopt;
}

}  // namespace

std::string_view request_word(RequestKind kind) {
  return std::find_if(kWords.begin(), kWords.end(), [&](auto& row) { return row.first == kind; })
      ->second;
}

RequestFile request_file(const Request& request) {
  const std::string word(request_word(request.kind));
  nlohmann::json json = {{"request", word}, {"by", request.by}, {"at", format_utc(request.at)}};
  if (request.minutes != 0) json["minutes"] = request.minutes;
  if (request.spend.micros != 0) json["dollars"] = usd_decimal(request.spend);
  const std::string name =
      format_utc(request.at) + "-" + word + "-" + std::to_string(::getpid()) + ".json";
  return {name, json_line(json) + "\n"};
}

Status send_request(const RunDirectory& run, const Request& request) {
  if (const Status made = make_folders(folder_of(run)); !made) return made;
  const RequestFile file = request_file(request);
  return write_file(folder_of(run) / file.name, file.text);
}

std::vector<Request> waiting_requests(const RunDirectory& run) {
  std::vector<Request> requests;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder_of(run), code)) {
    if (entry.path().extension() != ".json") continue;
    if (auto request = read_request(entry.path())) requests.push_back(*std::move(request));
  }
  std::sort(requests.begin(), requests.end(),
            [](const Request& a, const Request& b) { return a.file < b.file; });
  return requests;
}

void close_request(const RunDirectory& run, const Request& request) {
  std::error_code ignored;
  fs::remove(folder_of(run) / request.file, ignored);
}

}  // namespace mayfly
