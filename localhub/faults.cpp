#include "localhub/faults.h"

#include <fnmatch.h>
#include <nlohmann/json.hpp>

#include "core/json.h"

namespace mayfly::localhub {

using nlohmann::json;

namespace {

const std::map<std::string, FaultKind> kKinds = {{"answer", FaultKind::answer},
                                                 {"drop_before", FaultKind::drop_before},
                                                 {"drop_after", FaultKind::drop_after},
                                                 {"cut", FaultKind::cut},
                                                 {"slow", FaultKind::slow},
                                                 {"hang", FaultKind::hang},
                                                 {"ignore_range", FaultKind::ignore_range},
                                                 {"garble", FaultKind::garble},
                                                 {"reset", FaultKind::reset},
                                                 {"endless", FaultKind::endless}};

Error wrong(const std::string& why) {
  return Error{ErrorKind::usage, "the list of faults: " + why};
}

// Reads one key; false: unknown, or of the wrong type.
bool read_key(Fault& fault, const std::string& key, const json& value) {
  if (value.is_string()) {
    const auto text = value.get<std::string>();
    if (key == "method") fault.method = text;
    if (key == "path") fault.path = text;
    if (key == "body") fault.answer.body = text;
    if (const auto kind = kKinds.find(text); key == "do" && kind != kKinds.end()) {
      fault.kind = kind->second;
      return true;
    }
    return key == "method" || key == "path" || key == "body";
  }
  if (key == "headers" && value.is_object()) {
    for (const auto& [name, text] : value.items()) {
      if (!text.is_string()) return false;
      fault.answer.headers.push_back({name, text.get<std::string>()});
    }
    return true;
  }
  if (!value.is_number() || value.get<double>() < 0) return false;
  if (key == "skip") fault.skip = value.get<int>();
  if (key == "times") fault.times = value.get<int>();
  if (key == "status") fault.answer.status = value.get<int>();
  if (key == "bytes") fault.bytes = value.get<std::int64_t>();
  if (key == "seconds") fault.seconds = value.get<double>();
  return key == "skip" || key == "times" || key == "status" || key == "bytes" || key == "seconds";
}

}  // namespace

Result<std::vector<Fault>> read_faults(std::string_view text) {
  const auto list = parse_json(text, "faults");
  if (!list) return wrong(located_message(list.error()));
  if (!list->is_array()) return wrong("it must be a list");
  std::vector<Fault> faults;
  for (const json& rule : *list) {
    if (!rule.is_object() || !rule.contains("do")) return wrong("a rule needs \"do\"");
    Fault fault;
    for (const auto& [key, value] : rule.items()) {
      if (!read_key(fault, key, value)) return wrong("\"" + key + "\" cannot be " + value.dump());
    }
    for (const Header& header : fault.answer.headers) {
      if (header.name == "Content-Type") fault.answer.content_type = header.value;
    }
    std::erase_if(fault.answer.headers,
                  [](const Header& header) { return header.name == "Content-Type"; });
    faults.push_back(std::move(fault));
  }
  return faults;
}

void Faults::add(Fault fault) {
  const std::lock_guard lock(mutex_);
  rules_.push_back(std::move(fault));
}

void Faults::clear() {
  const std::lock_guard lock(mutex_);
  rules_.clear();
}

std::optional<Fault> Faults::next(const HubRequest& request) {
  const std::lock_guard lock(mutex_);
  for (Fault& rule : rules_) {
    const bool fits = (rule.method.empty() || rule.method == request.method) &&
                      ::fnmatch(rule.path.c_str(), request.path.c_str(), 0) == 0;
    if (!fits || rule.times == 0) continue;
    if (rule.skip > 0) {
      --rule.skip;
      continue;
    }
    --rule.times;
    return rule;
  }
  return std::nullopt;
}

}  // namespace mayfly::localhub
