// A temporary folder for one test, and a file in it; both gone at its end.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace mayfly {

class TestFolder {
 public:
  TestFolder() {
    const auto* const test = testing::UnitTest::GetInstance()->current_test_info();
    path_ =
        std::filesystem::path(testing::TempDir()) / (std::string(test->test_suite_name()) + "." +
                                                     test->name() + "." + std::to_string(getpid()));
    std::filesystem::create_directories(path_);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::filesystem::remove_all(path_);
  }

  const std::filesystem::path& path() const {
    return path_;
  }
  // Writes a file, with the folders it is in; returns its path.
  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

class TextFile {
 public:
  TextFile(const std::string& name, const std::string& text) : path_(folder_.write(name, text)) {}
  const std::string& path() const {
    return path_;
  }

 private:
  TestFolder folder_;
  std::string path_;
};

}  // namespace mayfly
