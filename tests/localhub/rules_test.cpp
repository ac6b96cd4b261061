// The small rules of the stand-in hub: which files go by LFS, what a card must be, what a fault is,
// what a log line shows, who may read a token.
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "localhub/card.h"
#include "localhub/faults.h"
#include "localhub/request_log.h"
#include "localhub/signed_address.h"
#include "localhub/token_file.h"
#include "localhub/upload_mode.h"

namespace mayfly::localhub {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

TEST(UploadModeTest, FollowsPatternsContentAndSize) {
  const auto lfs = [](const std::string& path, std::int64_t size, std::string_view sample) {
    return goes_by_lfs(kDefaultAttributes, path, size, sample, 1000);
  };
  EXPECT_TRUE(lfs("adapter_model.safetensors", 10, "x"));
  EXPECT_TRUE(lfs("deep/down/model.bin", 10, "x"));
  EXPECT_FALSE(lfs("adapter_config.json", 10, "{}"));
  EXPECT_FALSE(lfs("model.safetensors.txt", 10, "x"));
  EXPECT_TRUE(lfs("tokenizer.json", 1001, "{}"));
  EXPECT_FALSE(lfs("tokenizer.json", 1000, "{}"));
  EXPECT_TRUE(lfs("unknown", 10, std::string_view("a\0b", 3)));
  EXPECT_FALSE(lfs("empty.safetensors", 0, ""));
}

TEST(UploadModeTest, ReadsAttributesAsGitDoes) {
  EXPECT_TRUE(attributes_say_lfs("# x\n*.a filter=lfs -text\n", "b/c.a"));
  EXPECT_FALSE(attributes_say_lfs("*.a text\n", "c.a"));
  EXPECT_FALSE(attributes_say_lfs("*.a filter=lfs\n*.a -filter\n", "c.a"));
  EXPECT_TRUE(attributes_say_lfs("/sub/*.a filter=lfs", "sub/c.a"));
  EXPECT_FALSE(attributes_say_lfs("/sub/*.a filter=lfs", "other/c.a"));
}

TEST(UploadModeTest, MarksExactlyOnePath) {
  for (const std::string path : {"plain.x", "a b/c d.x", "odd[1]*?.x", "back\\slash"}) {
    const std::string line = attributes_line(path);
    EXPECT_TRUE(attributes_say_lfs(line, path)) << line;
    EXPECT_FALSE(attributes_say_lfs(line, path + "y")) << line;
    EXPECT_FALSE(attributes_say_lfs(line, "other/" + path)) << line;
  }
}

TEST(CardTest, TakesCardsThatTheHubTakes) {
  EXPECT_TRUE(check_card("---\nlicense: mit\ntags: [a, b]\n---\ntext").errors.empty());
  EXPECT_TRUE(check_card("---\r\nlicense: mit\r\n---\r\ntext").errors.empty());
  const CardProblems none = check_card("# Only text");
  EXPECT_TRUE(none.errors.empty());
  EXPECT_EQ(none.warnings.size(), 1u);
}

TEST(CardTest, RefusesBrokenMetadata) {
  for (const char* card : {"---\nlicense: mit\n", "---\n- a\n- b\n---\n", "---\na: [\n---\n",
                           "---\ntags: one\n---\n", "---\nlicense: {a: b}\n---\n"}) {
    EXPECT_FALSE(check_card(card).errors.empty()) << card;
  }
}

HubRequest request_to(const std::string& method, const std::string& target) {
  HubRequest request;
  request.method = method;
  EXPECT_TRUE(read_target(target, request));
  return request;
}

TEST(ExchangeTest, ReadsTargets) {
  const HubRequest request =
      request_to("GET", "/api/models/a/b/tree/ckpt%2Fone?recursive=True&x=a+b%26");
  EXPECT_THAT(request.segments,
              testing::ElementsAre("api", "models", "a", "b", "tree", "ckpt/one"));
  EXPECT_TRUE(request.is_true("recursive"));
  EXPECT_FALSE(request.is_true("expand"));
  EXPECT_EQ(request.parameter("x"), "a b&");
  HubRequest bad;
  EXPECT_FALSE(read_target("/a%zz", bad));
}

TEST(FaultsTest, HitOnlyWhatTheyName) {
  const auto read = read_faults(
      R"([{"method":"POST","path":"*/commit/*","skip":1,"times":2,"do":"answer","status":503,
           "headers":{"Retry-After":"1"}}])");
  ASSERT_TRUE(read) << read.error().message;
  Faults faults;
  for (const Fault& fault : *read) faults.add(fault);
  const HubRequest commit = request_to("POST", "/api/models/a/b/commit/main?x=1");
  EXPECT_FALSE(faults.next(request_to("GET", "/api/models/a/b/commit/main")));
  EXPECT_FALSE(faults.next(request_to("POST", "/api/models/a/b/preupload/main")));
  EXPECT_FALSE(faults.next(commit));  // skipped
  for (int i = 0; i < 2; ++i) {
    const auto fault = faults.next(commit);
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->answer.status, 503);
    EXPECT_EQ(fault->answer.header("retry-after"), "1");
  }
  EXPECT_FALSE(faults.next(commit));
}

TEST(FaultsTest, AreRefusedWhenMisspelt) {
  for (const char* text :
       {"{}", "[{}]", R"([{"do":"explode"}])", R"([{"do":"cut","bites":3}])",
        R"([{"do":"cut","bytes":-1}])", R"([{"do":"answer","headers":{"a":1}}])", "not json"}) {
    const auto faults = read_faults(text);
    ASSERT_FALSE(faults) << text;
    EXPECT_EQ(faults.error().kind, ErrorKind::usage);
  }
}

TEST(RequestLogTest, ShowsShapesAndNoSecrets) {
  HubRequest request = request_to(
      "POST", "/objects/" + std::string(64, 'a') + "?signature=topsecret&expires=1&page=2");
  request.headers = {{"Authorization", "Bearer hf_abcdefghijklmnopqrst"}, {"Range", "bytes=5-"}};
  request.body = R"({"content":"QUJD","oid":")" + std::string(40, 'b') +
                 R"(","note":"hf_abcdefghijklmnopqrst"})";
  const std::string line = request_log_line("hub", request, 200);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["path"], "/objects/<hash>");
  EXPECT_EQ(json["auth"], true);
  EXPECT_EQ(json["Range"], "bytes=5-");
  EXPECT_EQ(json["query"]["page"], "2");
  EXPECT_EQ(json["body"]["content"], "<4>");
  EXPECT_EQ(json["body"]["oid"], "<hash>");
  EXPECT_THAT(line, Not(HasSubstr("topsecret")));
  EXPECT_THAT(line, Not(HasSubstr("abcdefghijklmnopqrst")));
}

TEST(RequestLogTest, MasksHashesOfAnyPlace) {
  EXPECT_EQ(mask_hashes(std::string(39, 'a')), std::string(39, 'a'));
  EXPECT_EQ(mask_hashes("x/" + std::string(40, '0') + ".json"), "x/<hash>.json");
}

class SignedAddressTest : public testing::Test {
 protected:
  class StandingClock final : public Clock {
   public:
    WallTime now() override {
      return time;
    }
    SteadyTime steady_now() override {
      return {};
    }
    void sleep_for(std::chrono::milliseconds duration) override {
      time += duration;
    }
    WallTime time{std::chrono::seconds(1'700'000'000)};
  };
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("signed_address_test." + std::to_string(::getpid()));
    library_ = std::move(*Library::open(root_));
    hub_.emplace(Hub{*library_, clock_, {}, "key", "http://hub", "http://storage"});
  }
  void TearDown() override {
    fs::remove_all(root_);
  }
  bool is_good(const std::string& method, const std::string& address) {
    return has_valid_signature(
        *hub_, request_to(method, address.substr(std::string("http://storage").size())));
  }
  fs::path root_;
  std::unique_ptr<Library> library_;
  StandingClock clock_;
  std::optional<Hub> hub_;
};

TEST_F(SignedAddressTest, AllowsOneThingForAWhile) {
  const std::string address = signed_address(*hub_, "PUT", "/objects/a");
  EXPECT_TRUE(is_good("PUT", address));
  EXPECT_FALSE(is_good("GET", address));
  std::string other = address;
  other.replace(other.find("/a?"), 3, "/b?");
  EXPECT_FALSE(is_good("PUT", other));
  std::string longer = address;
  longer.replace(longer.find("expires=17"), 10, "expires=18");
  EXPECT_FALSE(is_good("PUT", longer));
  EXPECT_FALSE(is_good("PUT", "http://storage/objects/a"));
  clock_.sleep_for(std::chrono::hours(1));
  EXPECT_TRUE(is_good("PUT", address));
  clock_.sleep_for(std::chrono::seconds(1));
  EXPECT_FALSE(is_good("PUT", address));
}

TEST_F(SignedAddressTest, AllowsALookAtWhatMayBeRead) {
  EXPECT_TRUE(is_good("HEAD", signed_address(*hub_, "GET", "/objects/a")));
}

TEST(TokenFileTest, MakesOneTokenThatOnlyItsOwnerReads) {
  const fs::path folder =
      fs::temp_directory_path() / ("token_file_test." + std::to_string(::getpid()));
  const fs::path file = folder / "sub" / "token";
  const auto made = read_or_make_token(file);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(made->reveal(), testing::MatchesRegex("hf_[A-Za-z0-9]{34}"));
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(*read_or_make_token(file), *made);

  ::chmod(file.c_str(), 0644);
  const auto open = read_or_make_token(file);
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().kind, ErrorKind::refused);
  EXPECT_THAT(open.error().message, Not(HasSubstr(made->reveal())));

  ASSERT_TRUE(write_file(file, "\n", 0600));
  EXPECT_FALSE(read_or_make_token(file));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace mayfly::localhub
