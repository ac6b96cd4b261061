// What several benchmarks measure with: the model of ./dev setup and the data of the tests.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "core/result.h"

namespace mayfly {

[[noreturn]] inline void fail(const std::string& why) {
  std::fprintf(stderr, "error: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) fail(located_message(result.error()));
  return std::move(*result);
}

// Unpacks tests/data/<packed> into the build folder, once.
inline std::string unpacked(const std::string& packed, const std::string& name) {
  const std::filesystem::path folder = std::filesystem::path(MAYFLY_BINARY_DIR) / "bench-data";
  const std::filesystem::path path = folder / name;
  if (std::filesystem::exists(path)) return path;
  std::filesystem::create_directories(path.parent_path());
  const std::string command =
      "xz -dc '" MAYFLY_SOURCE_DIR "/tests/data/" + packed + "' > '" + path.string() + ".part'";
  if (std::system(command.c_str()) != 0) fail("unpacking " + packed + " with xz");
  std::filesystem::rename(path.string() + ".part", path);
  return path;
}

inline std::string smollm2_folder() {
  const char* const cache = std::getenv("MAYFLY_CACHE");
  const char* const home = std::getenv("HOME");
  return (cache ? std::string(cache) : std::string(home ? home : "") + "/.cache/mayfly") +
         "/smollm2-135m-instruct";
}

inline std::string gsm8k_file() {
  return unpacked("gsm8k/train.messages.jsonl.xz", "gsm8k.jsonl");
}

}  // namespace mayfly
