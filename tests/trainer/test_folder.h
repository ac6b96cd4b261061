// A folder of its own for each test, removed after it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace mayfly {

class TestFolder : public testing::Test {
 protected:
  TestFolder() {
    std::string name = (place() / "mayfly-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~TestFolder() override {
    std::error_code code;
    std::filesystem::remove_all(folder_, code);
  }

  std::filesystem::path folder_;

 private:
  // In memory where there is room: the thousand syncs of these tests cost minutes on a busy disk.
  static std::filesystem::path place() {
    constexpr std::uintmax_t kRoom = 512u << 20;
    std::error_code code;
    const std::filesystem::path memory = "/dev/shm";
    const auto space = std::filesystem::space(memory, code);
    const bool usable = !code && space.available >= kRoom && ::access(memory.c_str(), W_OK) == 0;
    return usable ? memory : std::filesystem::temp_directory_path();
  }
};

}  // namespace mayfly
