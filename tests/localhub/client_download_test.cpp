// Downloads against localhub: what arrives has its hash, a broken transfer goes on where it ended,
// and nothing that a server names can be written outside the folder.
#include <sys/stat.h>

#include "core/sha256.h"
#include "core/store/hub_download.h"
#include "tests/localhub/running_hub.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class ClientDownloadTest : public RunningHubTest {
 protected:
  void SetUp() override {
    RunningHubTest::SetUp();
    make_repository();
    weights_ = bytes(700'000);
    ASSERT_TRUE(store().commit(
        "main", "A model",
        {local_file("model.safetensors", weights_), local_file("config.json", R"({"a": 1})"),
         local_file("sub/notes.txt", "hello"), local_file("empty.txt", "")}));
    requests();
  }
  Result<Snapshot> download(std::vector<std::string> allow = {}, const std::string& to = "copy") {
    SnapshotRequest request;
    request.repo = {RepoKind::model, {"local", "demo"}};
    request.allow = std::move(allow);
    request.folder = folder_ / to;
    request.progress = [this](const DownloadProgress& at) { progress_.push_back(at); };
    return download_snapshot(*hub_, request);
  }
  std::string copied(const std::string& path) {
    const auto text = read_file(folder_ / "copy" / path);
    return text ? *text : "<missing>";
  }
  std::string weights_;
  std::vector<DownloadProgress> progress_;
};

TEST_F(ClientDownloadTest, FetchesEverythingOnce) {
  const auto snapshot = download();
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  EXPECT_EQ(snapshot->commit.size(), 40u);
  EXPECT_EQ(snapshot->files.size(), 5u);
  EXPECT_EQ(copied("model.safetensors"), weights_);
  EXPECT_EQ(copied("config.json"), R"({"a": 1})");
  EXPECT_EQ(copied("sub/notes.txt"), "hello");
  EXPECT_EQ(copied("empty.txt"), "");
  EXPECT_FALSE(fs::exists(folder_ / "copy" / ".download"));
  EXPECT_EQ(progress_.back().bytes_done, snapshot->bytes);
  EXPECT_EQ(progress_.back().files_done, 5);

  requests();
  ASSERT_TRUE(download());
  EXPECT_EQ(count("GET /local/demo/resolve"), 0);
}

TEST_F(ClientDownloadTest, FetchesOnlyWhatIsAskedFor) {
  const auto snapshot = download({"*.json", "sub/*"});
  ASSERT_TRUE(snapshot);
  EXPECT_THAT(snapshot->files, testing::ElementsAre("config.json", "sub/notes.txt"));
  const auto nothing = download({"*.gguf"});
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().kind, ErrorKind::not_found);
}

TEST_F(ClientDownloadTest, GoesOnWhereATransferBroke) {
  inject(R"([{"path": "/objects/*", "do": "cut", "bytes": 300000},
             {"path": "/objects/*", "do": "cut", "bytes": 200000}])");
  ASSERT_TRUE(download());
  EXPECT_EQ(copied("model.safetensors"), weights_);
  std::vector<std::string> ranges;
  for (const auto& line : log_) {
    if (line["origin"] == "storage") ranges.push_back(line.value("Range", "all"));
  }
  // Each piece that was sent is kept: the second and third requests ask for the rest.
  ASSERT_EQ(ranges.size(), 3u);
  EXPECT_EQ(ranges[0], "all");
  EXPECT_EQ(ranges[1], "bytes=300000-");
  EXPECT_EQ(ranges[2], "bytes=500000-");
}

TEST_F(ClientDownloadTest, GoesOnInAnotherProcess) {
  fs::create_directories(folder_ / "copy" / ".download");
  ASSERT_TRUE(write_file(folder_ / "copy" / ".download" / sha256_hex(weights_),
                         weights_.substr(0, 650'000)));
  ASSERT_TRUE(download({"*.safetensors"}));
  EXPECT_EQ(copied("model.safetensors"), weights_);
  ASSERT_EQ(log_.back()["Range"], "bytes=650000-");
}

TEST_F(ClientDownloadTest, StartsOverWhenTheServerIgnoresTheRange) {
  fs::create_directories(folder_ / "copy" / ".download");
  ASSERT_TRUE(write_file(folder_ / "copy" / ".download" / sha256_hex(weights_), "wrong start"));
  inject(R"([{"path": "/objects/*", "do": "ignore_range"}])");
  ASSERT_TRUE(download({"*.safetensors"}));
  EXPECT_EQ(copied("model.safetensors"), weights_);
}

TEST_F(ClientDownloadTest, ThrowsAwayAPartThatDoesNotFit) {
  fs::create_directories(folder_ / "copy" / ".download");
  const fs::path partial = folder_ / "copy" / ".download" / sha256_hex(weights_);
  ASSERT_TRUE(write_file(partial, std::string(400'000, 'x')));
  ASSERT_TRUE(download({"*.safetensors"}));
  EXPECT_EQ(copied("model.safetensors"), weights_);
  // Longer than the file: the server cannot satisfy the range.
  fs::remove(folder_ / "copy" / "model.safetensors");
  fs::create_directories(partial.parent_path());
  ASSERT_TRUE(write_file(partial, std::string(800'000, 'x')));
  ASSERT_TRUE(download({"*.safetensors"}));
  EXPECT_EQ(copied("model.safetensors"), weights_);
}

TEST_F(ClientDownloadTest, FetchesAgainWhatArrivesDamaged) {
  inject(R"([{"path": "/objects/*", "do": "garble"}])");
  ASSERT_TRUE(download({"*.safetensors"}));
  EXPECT_EQ(copied("model.safetensors"), weights_);
}

TEST_F(ClientDownloadTest, NeverKeepsWhatIsDamagedForGood) {
  inject(R"([{"path": "/objects/*", "do": "garble", "times": 100}])");
  const auto snapshot = download({"*.safetensors"});
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(copied("model.safetensors"), "<missing>");
}

TEST_F(ClientDownloadTest, AsksForAFreshAddressWhenOneHasExpired) {
  inject(R"([{"path": "/objects/*", "do": "answer", "status": 403}])");
  ASSERT_TRUE(download({"*.safetensors"}));
  EXPECT_EQ(count("GET /local/demo/resolve"), 2);
}

TEST_F(ClientDownloadTest, DoesNotInsistWhenTheHubItselfForbids) {
  inject(R"([{"path": "*/resolve/*", "do": "answer", "status": 403, "times": 100,
              "headers": {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}}])");
  const auto snapshot = download();
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().kind, ErrorKind::unauthorized);
  EXPECT_THAT(snapshot.error().message, testing::HasSubstr("Access is restricted"));
  EXPECT_TRUE(clock_.waits().empty());
}

TEST_F(ClientDownloadTest, SendsTheTokenToTheHubOnly) {
  ASSERT_TRUE(download());
  for (const auto& line : log_) {
    EXPECT_EQ(line["auth"].get<bool>(), line["origin"] == "hub") << line;
  }
}

TEST_F(ClientDownloadTest, EndsAStalledTransfer) {
  connect(kToken, seconds(3));
  inject(R"([{"path": "/objects/*", "do": "slow", "bytes": 20, "times": 1000}])");
  const auto begin = std::chrono::steady_clock::now();
  const auto snapshot = download({"*.safetensors"});
  ASSERT_FALSE(snapshot);
  EXPECT_TRUE(is_transient(snapshot.error(), true)) << snapshot.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(20));
}

struct HostileName {
  const char* name;
  const char* path;
};

class HostileListTest : public ClientDownloadTest,
                        public testing::WithParamInterface<HostileName> {};

TEST_P(HostileListTest, WritesNothingOutsideTheFolder) {
  const nlohmann::json list = nlohmann::json::array(
      {{{"type", "file"}, {"path", GetParam().path}, {"size", 1}, {"oid", std::string(40, 'a')}}});
  const nlohmann::json rule = nlohmann::json::array(
      {{{"path", "*/tree/*"}, {"do", "answer"}, {"status", 200}, {"body", list.dump()}}});
  inject(rule.dump());
  fs::create_directories(folder_ / "copy");
  fs::create_symlink(folder_, folder_ / "copy" / "link");
  const auto snapshot = download();
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().kind, ErrorKind::refused) << snapshot.error().message;
  EXPECT_FALSE(fs::exists(folder_ / "evil"));
}

INSTANTIATE_TEST_SUITE_P(Names, HostileListTest,
                         testing::Values(HostileName{"up", "../evil"}, HostileName{"root", "/evil"},
                                         HostileName{"inner", "a/../../evil"},
                                         HostileName{"link", "link/evil"},
                                         HostileName{"ours", ".download/evil"},
                                         HostileName{"backslash", "..\\evil"}),
                         [](const auto& hostile) { return std::string(hostile.param.name); });

TEST_F(ClientDownloadTest, RefusesAListWithoutUsableHashes) {
  inject(R"([{"path": "*/tree/*", "do": "answer", "status": 200,
              "body": "[{\"type\":\"file\",\"path\":\"x\",\"size\":1,\"oid\":\"../../evil\"}]"}])");
  const auto snapshot = download();
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().kind, ErrorKind::refused);
}

TEST_F(ClientDownloadTest, SaysWhatIsMissing) {
  SnapshotRequest request;
  request.repo = {RepoKind::model, {"local", "nothing"}};
  request.folder = folder_ / "copy";
  const auto no_repo = download_snapshot(*hub_, request);
  ASSERT_FALSE(no_repo);
  EXPECT_EQ(no_repo.error().kind, ErrorKind::not_found);
  request.repo.name.name = "demo";
  request.revision = "no-such-branch";
  const auto no_revision = download_snapshot(*hub_, request);
  ASSERT_FALSE(no_revision);
  EXPECT_EQ(no_revision.error().kind, ErrorKind::not_found);
  EXPECT_THAT(no_revision.error().message, testing::HasSubstr("no-such-branch"));
}

}  // namespace
}  // namespace mayfly
