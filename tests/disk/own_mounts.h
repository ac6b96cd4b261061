// Mounts of this process alone, which vanish with it. Needs root; without it, or where the kernel
// lacks something, tests are skipped with the reason.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "core/spawn.h"

namespace mayfly {

// Runs a program of the system: "" if it went well, else what it said or did.
inline std::string run_tool(std::vector<std::string> argv, const std::filesystem::path& output) {
  for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}) {
    if (argv[0].front() != '/' && ::access((folder + argv[0]).c_str(), X_OK) == 0) {
      argv[0] = folder + argv[0];
    }
  }
  if (argv[0].front() != '/') return argv[0] + " is not installed";
  const auto child = spawn({.argv = argv,
                            .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                            .folder = {},
                            .output = output});
  if (!child) return child.error().message;
  const auto code = wait_for_exit(*child, std::chrono::seconds(60));
  if (code && *code == 0) return "";
  return argv[0] + " failed: " + (code ? std::to_string(*code) : code.error().message);
}

// Makes this process's view of the file systems its own. "": done; else why not.
inline std::string own_mounts() {
  static const std::string result = [] {
    if (::geteuid() != 0) return std::string("needs root to mount file systems");
    if (::unshare(CLONE_NEWNS) != 0) return std::string("may not have mounts of its own");
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return std::string("may not make its mounts private");
    }
    return std::string();
  }();
  return result;
}

// A file system in memory of so many bytes. "": mounted.
inline std::string mount_small(const std::filesystem::path& folder, std::size_t bytes) {
  std::filesystem::create_directories(folder);
  const std::string options = "size=" + std::to_string(bytes);
  const bool done = ::mount("tmpfs", folder.c_str(), "tmpfs", 0, options.c_str()) == 0;
  return done ? "" : "cannot mount a small file system";
}

inline void unmount(const std::filesystem::path& folder) {
  ::umount2(folder.c_str(), MNT_DETACH);
}

}  // namespace mayfly
