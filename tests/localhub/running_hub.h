// A localhub in this process, in a folder of its own, with our client talking to it. Waits of the
// client's retries cost nothing: its clock only pretends to sleep.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/http/curl_client.h"
#include "core/json.h"
#include "core/store/hub.h"
#include "localhub/server.h"

namespace mayfly {

// Real time, and sleeps that pass at once (and are counted as passed).
class HastyClock final : public Clock {
 public:
  WallTime now() override {
    return system_.now() + slept_;
  }
  SteadyTime steady_now() override {
    return system_.steady_now() + slept_;
  }
  void sleep_for(std::chrono::milliseconds duration) override {
    waits_.push_back(duration);
    slept_ += duration;
  }
  const std::vector<std::chrono::milliseconds>& waits() const {
    return waits_;
  }

 private:
  SystemClock system_;
  std::chrono::milliseconds slept_{0};
  std::vector<std::chrono::milliseconds> waits_;
};

class RunningHubTest : public testing::Test {
 protected:
  static constexpr const char* kToken = "hf_notARealTokenButShapedLikeOne012345";

  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    // In memory where that is possible: every write of the hub waits for the disk, 20 ms each.
    const std::filesystem::path memory = "/dev/shm";
    folder_ =
        (::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path()) /
        ("localhub." + std::string(test->name()) + "." + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ / "local");
    start();
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  localhub::HubSettings settings() const {
    localhub::HubSettings made;
    made.token = Secret(kToken);
    made.page_size = 3;
    made.multipart_above_bytes = 1 << 20;
    made.part_bytes = 300'000;
    return made;
  }
  void start() {
    localhub::ServerOptions options{folder_ / "root", 0, settings(),
                                    [this](const std::string& line) {
                                      const std::lock_guard lock(mutex_);
                                      log_.push_back(nlohmann::json::parse(line));
                                    }};
    auto started = localhub::Server::start(std::move(options), server_clock_);
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
    connect(kToken);
  }
  void connect(const std::string& token, std::chrono::seconds deadline = std::chrono::seconds(60)) {
    HubPatience patience;
    patience.deadline = deadline;
    patience.stall_timeout = std::chrono::seconds(1);
    hub_ = std::make_unique<HubSession>(http_, clock_,
                                        HubAddress{server_->endpoint(), Secret(token)}, patience);
    store_ = std::make_unique<HubStore>(*hub_, HubRepo{RepoKind::model, {"local", "demo"}}, false);
  }
  HubStore& store() {
    return *store_;
  }

  // Makes the repository with a branch.
  void make_repository(const std::string& branch = "checkpoint-epoch-1") {
    const Status repository = store().ensure_repository();
    ASSERT_TRUE(repository) << repository.error().message;
    const Status made = store().ensure_branch(branch);
    ASSERT_TRUE(made) << made.error().message;
  }
  // A local file with this content, to be uploaded under its name.
  StoreUpload local_file(const std::string& path, const std::string& content) {
    const std::filesystem::path file = folder_ / "local" / path;
    std::filesystem::create_directories(file.parent_path());
    EXPECT_TRUE(write_file(file, content));
    return {file, path};
  }
  static std::string bytes(std::size_t size, unsigned seed = 1) {
    std::string made(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
      seed = seed * 1103515245u + 12345u;
      made[i] = static_cast<char>(seed >> 16);
    }
    return made;
  }

  // Rules as --faults reads them.
  void inject(const std::string& json) {
    const auto faults = localhub::read_faults(json);
    ASSERT_TRUE(faults) << faults.error().message;
    for (const auto& fault : *faults) server_->faults().add(fault);
  }
  // "POST /api/models/local/demo/commit/main 200", in order, since the last call.
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> lines;
    for (const auto& line : log_) {
      lines.push_back(line["method"].get<std::string>() + " " + line["path"].get<std::string>() +
                      " " + std::to_string(line["status"].get<int>()));
    }
    log_.clear();
    return lines;
  }
  long count(const std::string& start) {
    long found = 0;
    for (const std::string& line : requests()) found += line.starts_with(start) ? 1 : 0;
    return found;
  }

  std::filesystem::path folder_;
  SystemClock server_clock_;
  HastyClock clock_;
  CurlHttpClient http_;
  std::mutex mutex_;
  std::vector<nlohmann::json> log_;
  std::unique_ptr<localhub::Server> server_;
  std::unique_ptr<HubSession> hub_;
  std::unique_ptr<HubStore> store_;
};

}  // namespace mayfly
