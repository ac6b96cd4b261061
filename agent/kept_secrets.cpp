#include "agent/kept_secrets.h"

#include <cstdlib>

#include "agent/publish.h"
#include "core/atomic_file.h"
#include "core/log.h"

namespace mayfly {

namespace fs = std::filesystem;

fs::path kept_secrets_file() {
  return std::getenv("MAYFLY_ROOT") == nullptr ? "/var/lib/mayfly/secrets.kept" : "";
}

std::string secrets_of_this_boot(const std::string& given, const fs::path& kept) {
  if (kept.empty()) return given;
  const Result<std::map<std::string, Secret>> now = read_secrets(given);
  if (!now) return given;  // damaged, or open to others: to be told, and not to be passed over
  if (now->empty()) {
    if (!is_plain_file(kept)) return given;
    log_info("the secrets in memory are gone: a reboot; taking the copy on disk");
    return kept.string();
  }
  const Result<std::string> text = read_file(given);
  const Result<std::string> before = read_file(kept);
  if (!text || (before && *before == *text)) return given;
  const Status written = write_file(kept, *text, 0600);
  if (!written) log_warn("uploads will not survive a reboot: " + written.error().message);
  return given;
}

void forget_secrets(const fs::path& kept) {
  if (kept.empty()) return;
  std::error_code ignored;
  fs::remove(kept, ignored);
}

}  // namespace mayfly
