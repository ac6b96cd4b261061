#include "core/provider/destroy_file.h"

#include "core/atomic_file.h"
#include "core/url.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

std::string with_id(std::string text, const InstanceId& id) {
  constexpr std::string_view kMark = "{id}";
  for (auto at = text.find(kMark); at != std::string::npos; at = text.find(kMark, at + id.size())) {
    text.replace(at, kMark.size(), id);
  }
  return text;
}

// `name = "value"`; inside the quotes curl knows a backslash before a quote and before a backslash.
std::string row(std::string_view name, std::string_view value) {
  std::string text = std::string(name) + " = \"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"\n";
}

// No provider's ids have anything else; they go into an address and into JSON.
bool is_plain(const InstanceId& id) {
  return !id.empty() && id.find_first_not_of(
                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789-_.:") == std::string::npos;
}

Status set_file(const fs::path& path, const std::string& text) {
  if (!text.empty()) return write_file(path, text, 0600);
  std::error_code code;
  fs::remove(path, code);
  if (code) return Error{ErrorKind::refused, "removing " + path.string() + ": " + code.message()};
  return Unit{};
}

std::string power_off_word(Provider& provider, const InstanceId& id) {
  if (provider.traits().power_off_ends_billing) {
    const Result<ServerLimits> noted = provider.limits_of(id);
    // Read back, not remembered: an instance may have been created without it.
    if (noted && noted->power_off_ends_billing) return "ends-billing\n";
  }
  if (!provider.traits().keeps_end_time) return "";
  const Result<ServerLimits> noted = provider.limits_of(id);
  return noted && noted->end_by ? "limit-read-back\n" : "";
}

}  // namespace

Result<std::string> destroy_config(const DestroyCall& call, const InstanceId& id) {
  if (!is_plain(id)) return Error{ErrorKind::invalid_config, "not an instance's id: " + id};
  const std::string url = with_id(call.url, id);
  const std::string origin = origin_of(url);
  const auto host = origin.find("://");
  const auto port = origin.rfind(':');
  if (host == std::string::npos || port <= host) {
    return Error{ErrorKind::invalid_config, "the destroy request has no address"};
  }
  std::string text = "# host " + origin.substr(host + 3, port - host - 3) + " " +
                     origin.substr(port + 1) + "\n" + row("request", call.method) + row("url", url);
  std::string checked = call.method + url + call.body;
  for (const auto& [name, value] : call.headers) {
    text += row("header", name + ": " + value.reveal());
    checked += name + value.reveal();
  }
  // An empty one too: some servers want the length of what a POST brings.
  if (!call.body.empty() || call.method == "POST") text += row("data-raw", with_id(call.body, id));
  if (checked.find_first_of("\r\n") != std::string::npos ||
      checked.find('\0') != std::string::npos) {
    return Error{ErrorKind::invalid_config, "the destroy request has a line break in it"};
  }
  return text;
}

Result<DestroyFiles> destroy_files(Provider& provider, const InstanceId& id) {
  DestroyFiles files;
  if (const std::optional<DestroyCall> call = provider.destroy_call()) {
    Result<std::string> config = destroy_config(*call, id);
    if (!config) return config.error();
    files.request = *std::move(config);
  }
  files.power_off = power_off_word(provider, id);
  return files;
}

Status write_destroy_files(const fs::path& folder, Provider& provider, const InstanceId& id) {
  const Result<DestroyFiles> files = destroy_files(provider, id);
  if (!files) return files.error();
  const Status written = set_file(folder / "destroy.curl", files->request);
  if (!written) return written;
  return set_file(folder / "destroy.power-off", files->power_off);
}

}  // namespace mayfly
