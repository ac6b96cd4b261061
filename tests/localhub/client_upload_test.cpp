// Our hub client against localhub over real connections: what is uploaded is what is listed,
// nothing is sent twice, and every way in which a hub or a network misbehaves ends in success or in
// an error that says so - never in silence.
#include <algorithm>

#include "core/sha256.h"
#include "tests/localhub/running_hub.h"

namespace mayfly {
namespace {

using std::chrono::seconds;

class ClientUploadTest : public RunningHubTest {
 protected:
  std::vector<StoreUpload> checkpoint(unsigned seed = 1) {
    return {local_file("adapter_model.safetensors", bytes(200'000, seed)),
            local_file("adapter_config.json", R"({"r": 16})"),
            local_file("README.md", "---\nlicense: mit\n---\n# A card\n")};
  }
  std::size_t commits_on(const std::string& branch) {
    auto library = localhub::Library::open_to_read(folder_ / "root");
    const auto repository = (*library)->find({RepoKind::model, {"local", "demo"}});
    return repository->history(repository->branches().at(branch), 100).size();
  }
};

TEST_F(ClientUploadTest, PutsACheckpointOnItsBranchInOneCommit) {
  make_repository();
  const auto files = checkpoint();
  const auto commit = store().commit("checkpoint-epoch-1", "Epoch 1", files);
  ASSERT_TRUE(commit) << commit.error().message;
  EXPECT_EQ(commits_on("checkpoint-epoch-1"), 2u);
  EXPECT_EQ(commits_on("main"), 1u);
  const Status verified = verify_upload(store(), commit->commit, files);
  EXPECT_TRUE(verified) << verified.error().message;
  const auto branches = store().branches();
  ASSERT_TRUE(branches);
  EXPECT_THAT(*branches, testing::ElementsAre("checkpoint-epoch-1", "main"));
}

TEST_F(ClientUploadTest, SendsLargeFilesInParts) {
  make_repository();
  const auto file = local_file("big.safetensors", bytes(2'000'000));
  ASSERT_TRUE(store().commit("main", "Big", {file}));
  EXPECT_EQ(count("PUT /parts/"), 7);
  EXPECT_TRUE(verify_upload(store(), "main", {file}));
}

TEST_F(ClientUploadTest, SendsNothingThatTheHubHas) {
  make_repository();
  const auto files = checkpoint();
  const auto first = store().commit("checkpoint-epoch-1", "Epoch 1", files);
  ASSERT_TRUE(first);
  requests();
  // The same bytes to another branch: a commit, and no bytes.
  ASSERT_TRUE(store().commit("main", "Final", files));
  EXPECT_EQ(count("PUT "), 0);
  // The same to the same branch: no commit.
  const auto again = store().commit("checkpoint-epoch-1", "Epoch 1", files);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->commit, first->commit);
  EXPECT_EQ(count("POST /api/models/local/demo/commit"), 0);
}

TEST_F(ClientUploadTest, NoticesAFileThatDiffersOrIsMissing) {
  make_repository();
  auto files = checkpoint();
  ASSERT_TRUE(store().commit("main", "First", files));
  files[0] = local_file("adapter_model.safetensors", bytes(200'000, 2));
  const Status changed = verify_upload(store(), "main", files);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().kind, ErrorKind::corrupt);
  EXPECT_THAT(changed.error().message, testing::HasSubstr("adapter_model.safetensors"));
  EXPECT_FALSE(verify_upload(store(), "main", {local_file("other.txt", "x")}));
}

TEST_F(ClientUploadTest, DoesNotRepeatACommitWhoseAnswerWasLost) {
  make_repository();
  inject(R"([{"method": "POST", "path": "*/commit/*", "do": "drop_after"}])");
  const auto files = checkpoint();
  const auto commit = store().commit("checkpoint-epoch-1", "Epoch 1", files);
  ASSERT_TRUE(commit) << commit.error().message;
  EXPECT_EQ(commits_on("checkpoint-epoch-1"), 2u);
  EXPECT_TRUE(verify_upload(store(), commit->commit, files));
}

TEST_F(ClientUploadTest, RepeatsACommitThatWasNotMade) {
  make_repository();
  inject(R"([{"method": "POST", "path": "*/commit/*", "do": "drop_before", "times": 2}])");
  const auto commit = store().commit("checkpoint-epoch-1", "Epoch 1", checkpoint());
  ASSERT_TRUE(commit) << commit.error().message;
  EXPECT_EQ(commits_on("checkpoint-epoch-1"), 2u);
}

struct Trouble {
  const char* name;
  const char* faults;
};

class EveryTroubleTest : public ClientUploadTest, public testing::WithParamInterface<Trouble> {};

TEST_P(EveryTroubleTest, EndsWithTheCheckpointOnTheHubOnce) {
  make_repository();
  inject(GetParam().faults);
  auto files = checkpoint();
  files.push_back(local_file("big.safetensors", bytes(1'200'000)));
  const auto commit = store().commit("checkpoint-epoch-1", "Epoch 1", files);
  ASSERT_TRUE(commit) << commit.error().message;
  EXPECT_EQ(commits_on("checkpoint-epoch-1"), 2u);
  const Status verified = verify_upload(store(), commit->commit, files);
  EXPECT_TRUE(verified) << verified.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Troubles, EveryTroubleTest,
    testing::Values(
        Trouble{"busy",
                R"([{"path": "*/commit/*", "do": "answer", "status": 409, "times": 3, "body":
          "{\"error\":\"Another commit operation is in progress for this repository. Please try again later.\"}"}])"},
        Trouble{"moved_on", R"([{"path": "*/commit/*", "do": "answer", "status": 412}])"},
        Trouble{"rate_limited", R"([{"do": "answer", "status": 429, "times": 3,
          "headers": {"RateLimit": "\"api\";r=0;t=7"}}])"},
        Trouble{"commit_limit",
                R"([{"path": "*/commit/*", "do": "answer", "status": 429, "times": 2,
          "headers": {"RateLimit": "\"api\";r=99;t=7"}}])"},
        Trouble{"every_5xx", R"([{"do": "answer", "status": 500}, {"do": "answer", "status": 502},
          {"do": "answer", "status": 503, "headers": {"Retry-After": "2"}}, {"do": "answer", "status": 504}])"},
        Trouble{"commit_500",
                R"([{"path": "*/commit/*", "do": "answer", "status": 500, "times": 2}])"},
        Trouble{"html_page", R"([{"do": "answer", "status": 502, "body": "<html>Bad gateway</html>",
          "headers": {"Content-Type": "text/html"}, "times": 2}])"},
        Trouble{
            "expired_put",
            R"([{"method": "PUT", "path": "/objects/*", "do": "answer", "status": 403, "times": 2}])"},
        Trouble{"expired_part",
                R"([{"method": "PUT", "path": "/parts/*/2", "do": "answer", "status": 403}])"},
        Trouble{"put_dropped", R"([{"method": "PUT", "do": "drop_before", "times": 3}])"},
        Trouble{"put_answer_lost", R"([{"method": "PUT", "do": "drop_after", "times": 3}])"},
        Trouble{"complete_lost", R"([{"path": "/complete/*", "do": "drop_after"}])"},
        Trouble{"verify_503", R"([{"path": "*/verify", "do": "answer", "status": 503}])"},
        Trouble{"answers_cut", R"([{"path": "/api/*", "do": "cut", "bytes": 5, "times": 3}])"},
        Trouble{"batch_dropped", R"([{"path": "*/batch", "do": "drop_after", "times": 2}])"}),
    [](const testing::TestParamInfo<Trouble>& trouble) { return trouble.param.name; });

TEST_F(ClientUploadTest, WaitsAsLongAsTheHubAsks) {
  make_repository();
  inject(R"([{"path": "*/preupload/*", "do": "answer", "status": 429,
              "headers": {"RateLimit": "\"api\";r=0;t=41"}}])");
  ASSERT_TRUE(store().commit("main", "One", {local_file("a.txt", "1")}));
  ASSERT_EQ(clock_.waits().size(), 1u);
  EXPECT_GE(clock_.waits()[0], seconds(42));
  EXPECT_LE(clock_.waits()[0], seconds(60));
}

TEST_F(ClientUploadTest, GivesUpWhenItsTimeIsOver) {
  make_repository();
  inject(R"([{"path": "*/commit/*", "do": "answer", "status": 503, "times": 1000000}])");
  const auto commit = store().commit("main", "One", {local_file("a.txt", "1")});
  ASSERT_FALSE(commit);
  EXPECT_EQ(commit.error().kind, ErrorKind::unreachable);
  EXPECT_THAT(commit.error().message, testing::HasSubstr("503"));
  std::chrono::milliseconds waited{0};
  for (const auto wait : clock_.waits()) waited += wait;
  EXPECT_LE(waited, seconds(61));
}

TEST_F(ClientUploadTest, ReportsASecretInAFileInTheHubsWords) {
  make_repository();
  const auto commit =
      store().commit("main", "Logs", {local_file("logs/run.log", std::string("token ") + kToken)});
  ASSERT_FALSE(commit);
  EXPECT_EQ(commit.error().kind, ErrorKind::refused);
  EXPECT_THAT(commit.error().message, testing::HasSubstr("secrets"));
  EXPECT_THAT(commit.error().message, testing::Not(testing::HasSubstr(kToken)));
  EXPECT_THAT(commit.error().hint, testing::HasSubstr("token"));
}

TEST_F(ClientUploadTest, ReportsABadCardBeforeTheCommit) {
  make_repository();
  requests();
  const auto commit =
      store().commit("main", "Card", {local_file("README.md", "---\ntags: {a: [\n---\n")});
  ASSERT_FALSE(commit);
  EXPECT_EQ(commit.error().kind, ErrorKind::refused);
  EXPECT_THAT(commit.error().message, testing::HasSubstr("yaml"));
  EXPECT_EQ(count("POST /api/models/local/demo/commit"), 0);
}

TEST_F(ClientUploadTest, SaysWhenTheTokenIsWrong) {
  connect("hf_anotherTokenThatIsNotTheRightOne00");
  const Status made = store().ensure_repository();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::unauthorized);
  EXPECT_THAT(made.error().message, testing::HasSubstr("Invalid credentials"));
  EXPECT_THAT(made.error().hint, testing::HasSubstr("HF_TOKEN"));
  EXPECT_TRUE(clock_.waits().empty());
}

TEST_F(ClientUploadTest, SaysWhenThereIsNoToken) {
  connect("");
  const Status made = store().ensure_repository();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::unauthorized);
}

TEST_F(ClientUploadTest, TakesARepositoryThatItMayNotCreateButMayWrite) {
  make_repository();
  inject(R"([{"path": "/api/repos/create", "do": "answer", "status": 403}])");
  EXPECT_TRUE(store().ensure_repository());
}

TEST_F(ClientUploadTest, RefusesARepositoryThatItMayOnlyRead) {
  make_repository();
  inject(R"([{"path": "*/auth-check/write", "do": "answer", "status": 403}])");
  const Status checked = store().ensure_repository();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::unauthorized);
}

TEST_F(ClientUploadTest, SaysWhichBranchIsMissing) {
  make_repository();
  const auto commit = store().commit("nowhere", "One", {local_file("a.txt", "1")});
  ASSERT_FALSE(commit);
  EXPECT_EQ(commit.error().kind, ErrorKind::not_found);
  EXPECT_THAT(commit.error().message, testing::HasSubstr("nowhere"));
}

TEST_F(ClientUploadTest, FollowsThePagesOfAList) {
  make_repository();
  std::vector<StoreUpload> files;
  for (int i = 0; i < 10; ++i) {
    files.push_back(local_file("logs/" + std::to_string(i) + ".txt", std::to_string(i)));
  }
  ASSERT_TRUE(store().commit("main", "Ten", files));
  requests();
  const auto listed = store().list("main");
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->size(), 11u);  // and .gitattributes
  EXPECT_GE(count("GET /api/models/local/demo/tree/main"), 4);
}

TEST_F(ClientUploadTest, NeverTakesItsTokenToAnotherHost) {
  make_repository();
  CurlHttpClient other_http;
  localhub::ServerOptions other{folder_ / "other", 0, settings(), [this](const std::string& line) {
                                  const std::lock_guard lock(mutex_);
                                  log_.push_back(nlohmann::json::parse(line));
                                }};
  const auto elsewhere = localhub::Server::start(other, server_clock_);
  ASSERT_TRUE(elsewhere);
  inject(R"([{"path": "*/tree/main", "do": "answer", "status": 200, "body": "[]", "headers":
             {"Link": "<)" +
         (*elsewhere)->endpoint() + R"(/api/next>; rel=\"next\""}}])");
  const auto listed = store().list("main");
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().kind, ErrorKind::refused);
}

TEST_F(ClientUploadTest, SendsNoTokenToStorage) {
  make_repository();
  ASSERT_TRUE(store().commit("main", "Big",
                             {local_file("big.safetensors", bytes(1'500'000)),
                              local_file("small.safetensors", bytes(1'000))}));
  int to_storage = 0;
  for (const auto& line : log_) {
    if (line["origin"] != "storage") continue;
    ++to_storage;
    EXPECT_FALSE(line["auth"].get<bool>()) << line;
  }
  EXPECT_EQ(to_storage, 7);  // five parts, completion, and one whole
}

TEST_F(ClientUploadTest, KeepsEverythingOverARestart) {
  make_repository();
  const auto files = checkpoint();
  const auto commit = store().commit("checkpoint-epoch-1", "Epoch 1", files);
  ASSERT_TRUE(commit);
  server_.reset();
  start();
  EXPECT_TRUE(verify_upload(store(), commit->commit, files));
  ASSERT_TRUE(store().ensure_repository());
  ASSERT_TRUE(store().ensure_branch("checkpoint-epoch-1"));
}

TEST_F(ClientUploadTest, EndsAHungUploadAfterTheStallTimeout) {
  make_repository();
  connect(kToken, seconds(2));
  inject(R"([{"method": "PUT", "do": "hang", "seconds": 30, "times": 100}])");
  const auto begin = std::chrono::steady_clock::now();
  const auto commit =
      store().commit("main", "Hang", {local_file("small.safetensors", bytes(1'000))});
  ASSERT_FALSE(commit);
  EXPECT_TRUE(is_transient(commit.error(), true)) << commit.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
}

}  // namespace
}  // namespace mayfly
