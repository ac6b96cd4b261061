// The destroy request as a file for curl: what a fuse sends must be what the provider's own code
// would send, to the letter, whatever is in a key.
#include "core/provider/destroy_file.h"

#include <thread>

#include <gtest/gtest.h>
#include <httplib.h>

#include "core/atomic_file.h"
#include "core/spawn.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

class DestroyFileTest : public TemporaryFolder {
 protected:
  DestroyFileTest() {
    const auto note = [this](const httplib::Request& request, httplib::Response&) {
      got_ = request;
    };
    server_.Post(".*", note);
    server_.Delete(".*", note);
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ~DestroyFileTest() override {
    server_.stop();
    thread_.join();
  }

  std::string endpoint() const {
    return "http://127.0.0.1:" + std::to_string(port_);
  }
  void send(const std::string& config) {
    SpawnSpec spec;
    spec.argv = {
        "/usr/bin/curl", "-q", "-s", "-o", "/dev/null", "-K", put("destroy.curl", config).string()};
    spec.output = folder_ / "curl.log";
    const Result<pid_t> child = spawn(spec);
    ASSERT_TRUE(child);
    ASSERT_EQ(*wait_for_exit(*child, std::chrono::seconds(20)), 0)
        << read_file(folder_ / "curl.log").operator*();
  }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  httplib::Request got_;
};

TEST_F(DestroyFileTest, CurlSendsWhatTheProviderWants) {
  if (::access("/usr/bin/curl", X_OK) != 0) GTEST_SKIP() << "curl is not installed";
  const std::string key = R"(a "key" with \backslashes\\ and $(sh) 'quotes' # and = signs)";
  const auto config = destroy_config({"POST",
                                      endpoint() + "/instances/{id}/delete",
                                      R"({"instance_ids":["{id}"],"why":"@file \"{id}\""})",
                                      {{"Authorization", Secret("Bearer " + key)}}},
                                     "i-0a1b");
  ASSERT_TRUE(config) << config.error().message;
  send(*config);
  EXPECT_EQ(got_.method, "POST");
  EXPECT_EQ(got_.path, "/instances/i-0a1b/delete");
  EXPECT_EQ(got_.body, R"({"instance_ids":["i-0a1b"],"why":"@file \"i-0a1b\""})");
  EXPECT_EQ(got_.get_header_value("Authorization"), "Bearer " + key);
  EXPECT_TRUE(config->starts_with("# host 127.0.0.1 " + std::to_string(port_) + "\n"));
}

TEST_F(DestroyFileTest, ARequestWithoutABodyGoesToo) {
  if (::access("/usr/bin/curl", X_OK) != 0) GTEST_SKIP() << "curl is not installed";
  send(*destroy_config({"DELETE", endpoint() + "/pods/{id}", "", {}}, "p1"));
  EXPECT_EQ(got_.method, "DELETE");
  EXPECT_EQ(got_.path, "/pods/p1");
  send(*destroy_config({"POST", endpoint() + "/pods/{id}", "", {}}, "p2"));
  EXPECT_EQ(got_.method, "POST");
  EXPECT_EQ(got_.get_header_value("Content-Length"), "0");
}

TEST_F(DestroyFileTest, WhatCouldBecomeAnotherLineIsRefused) {
  const std::string url = "https://api.example.org/x";
  EXPECT_TRUE(destroy_config({"POST", url, "", {}}, "id"));
  EXPECT_FALSE(destroy_config({"POST", url, "", {{"A", Secret("b\nurl = c")}}}, "id"));
  EXPECT_FALSE(destroy_config({"POST", url, "a\rb", {}}, "id"));
  EXPECT_FALSE(destroy_config({"POST", "file:///etc/passwd", "", {}}, "id"));
  for (const char* id : {"", "a b", "a\"b", "a/b", "a\nb"}) {
    EXPECT_FALSE(destroy_config({"POST", url, "", {}}, id)) << id;
  }
}

TEST_F(DestroyFileTest, AProviderWithoutARequestLeavesNoOldOneBehind) {
  put("destroy.curl", "url = \"x\"\n");
  put("destroy.power-off", "ends-billing\n");
  FakeProvider provider;
  ASSERT_TRUE(write_destroy_files(folder_, provider, "id"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "destroy.curl"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "destroy.power-off"));
}

}  // namespace
}  // namespace mayfly
