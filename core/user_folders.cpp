#include "core/user_folders.h"

#include <cstdlib>

#include <pwd.h>
#include <unistd.h>

namespace mayfly {

namespace fs = std::filesystem;

namespace {

fs::path home() {
  if (const char* text = std::getenv("HOME"); text != nullptr && *text == '/') return text;
  // A service or cron job may have no HOME.
  if (const passwd* user = ::getpwuid(::getuid()); user != nullptr) return user->pw_dir;
  return "/";
}

fs::path folder(const char* variable, const char* below_home) {
  if (const char* text = std::getenv(variable); text != nullptr && *text == '/') {
    return fs::path(text) / "mayfly";
  }
  return home() / below_home / "mayfly";
}

}  // namespace

fs::path state_folder() {
  if (const char* text = std::getenv("MAYFLY_STATE_DIR"); text != nullptr && *text == '/') {
    return text;
  }
  return folder("XDG_STATE_HOME", ".local/state");
}

fs::path cache_folder() {
  return folder("XDG_CACHE_HOME", ".cache");
}

fs::path data_folder() {
  return folder("XDG_DATA_HOME", ".local/share");
}

fs::path config_folder() {
  return folder("XDG_CONFIG_HOME", ".config");
}

}  // namespace mayfly
