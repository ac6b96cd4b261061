// Every call of an upload meets every kind of failure: once, and it ends with the files on the hub
// in exactly one commit; for ever, and it ends in time with an error - never with a claim that the
// files are there when they are not.
#include "tests/localhub/running_hub.h"

namespace mayfly {
namespace {

using std::chrono::seconds;

// The calls of one upload, as shell patterns on their paths.
constexpr std::pair<const char*, const char*> kCalls[] = {
    {"POST", "/api/repos/create"},  {"GET", "*/auth-check/write"}, {"POST", "*/branch/*"},
    {"POST", "*/preupload/*"},      {"POST", "*/objects/batch"},   {"PUT", "/objects/*"},
    {"PUT", "/parts/*/2"},          {"POST", "/complete/*"},       {"POST", "*/objects/verify"},
    {"POST", "/api/validate-yaml"}, {"POST", "*/commit/*"},        {"GET", "*/tree/*"}};

constexpr const char* kFailures[] = {
    R"("do": "answer", "status": 500)",
    R"("do": "answer", "status": 504, "headers": {"Content-Type": "text/html"}, "body": "<html>")",
    R"("do": "answer", "status": 429, "headers": {"Retry-After": "3"})",
    R"("do": "answer", "status": 408)",
    R"("do": "drop_before")",
    R"("do": "drop_after")",
    R"("do": "cut", "bytes": 3)",
    R"("do": "garble")"};

class FaultMatrixTest : public RunningHubTest {
 protected:
  void SetUp() override {
    RunningHubTest::SetUp();
    files_ = {local_file("adapter_model.safetensors", bytes(2'000)),
              local_file("optimizer.safetensors", bytes(1'100'000)),
              local_file("README.md", "---\nlicense: mit\n---\n"), local_file("a.json", "{}")};
  }
  static std::string rule(std::pair<const char*, const char*> call, const char* failure,
                          int times) {
    return std::string(R"([{"method": ")") + call.first + R"(", "path": ")" + call.second +
           R"(", "times": )" + std::to_string(times) + ", " + failure + "}]";
  }
  // A fresh repository each time; objects are forgotten, so that bytes move again.
  void begin(const std::string& faults) {
    server_->faults().clear();
    std::filesystem::remove_all(folder_ / "root" / "objects");
    repo_ = {RepoKind::model, {"local", "demo-" + std::to_string(++runs_)}};
    inject(faults);
  }
  Status upload() {
    HubStore store(*hub_, repo_, false);
    if (Status made = store.ensure_repository(); !made) return made;
    if (Status made = store.ensure_branch("ckpt/1"); !made) return made;
    const auto commit = store.commit("ckpt/1", "One", files_);
    if (!commit) return commit.error();
    return verify_upload(store, commit->commit, files_);
  }
  // Looks into the folder, past the server and its faults.
  bool is_there_once() {
    const auto library = localhub::Library::open_to_read(folder_ / "root");
    const auto repository = (*library)->find(repo_);
    if (!repository || !repository->branches().contains("ckpt/1")) return false;
    const auto head = repository->resolve("ckpt/1");
    for (const StoreUpload& file : files_) {
      const auto entry = head->tree.find(file.path);
      if (entry == head->tree.end()) return false;
      const auto stored = (*library)->objects().read(entry->second.sha256);
      if (!stored || *stored != *read_file(file.source)) return false;
    }
    return repository->history(head->id, 10).size() == 2;
  }

  std::vector<StoreUpload> files_;
  HubRepo repo_;
  int runs_ = 0;
};

TEST_F(FaultMatrixTest, OneFailureOfAnyCallIsSurvived) {
  for (const auto& call : kCalls) {
    for (const char* failure : kFailures) {
      const std::string faults = rule(call, failure, 1);
      begin(faults);
      const Status done = upload();
      // A damaged answer that is not JSON any more is an error of its own, not a network's.
      const bool is_garbled = faults.find("garble") != std::string::npos;
      if (is_garbled && !done) {
        EXPECT_EQ(done.error().kind, ErrorKind::corrupt) << faults << done.error().message;
        continue;
      }
      EXPECT_TRUE(done) << faults << ": " << done.error().message;
      EXPECT_TRUE(is_there_once()) << faults;
    }
  }
}

TEST_F(FaultMatrixTest, AFailureForEverEndsInTimeAndIsToldAsOne) {
  connect(kToken, seconds(30));
  for (const auto& call : kCalls) {
    for (const char* failure : kFailures) {
      const std::string faults = rule(call, failure, 1'000'000);
      begin(faults);
      const SteadyTime start = clock_.steady_now();
      const Status done = upload();
      // Five calls of the store, 30 s each, and what really passed.
      EXPECT_LT(clock_.steady_now() - start, seconds(5 * 30 + 30)) << faults;
      EXPECT_TRUE(!done || is_there_once()) << faults;
    }
  }
}

}  // namespace
}  // namespace mayfly
