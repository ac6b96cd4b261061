// A folder of its own for each test, removed after it.
#pragma once

#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace mayfly {

class TestFolder : public testing::Test {
 protected:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "mayfly-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~TestFolder() override {
    std::error_code code;
    std::filesystem::remove_all(folder_, code);
  }

  std::filesystem::path folder_;
};

}  // namespace mayfly
