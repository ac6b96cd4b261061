// What is missing should be said before a trainer is started for it, by its name.
#include "agent/fetch.h"

#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class FetchTest : public TemporaryFolder {
 protected:
  FetchTest() {
    for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
      put(std::string("base/") + name, "{}");
    }
    plan_.config.model.base = (folder_ / "base").string();
    plan_.config.data.path = {put("data.jsonl", "{}\n").string()};
    fs::create_directories(run_.root);
  }
  Status fetch() {
    return fetch_inputs(
        plan_, run_,
        {.model = [&](const std::string& repo, const std::string& revision, const fs::path& folder,
                      const std::function<void(std::int64_t)>& progress) -> Status {
           asked_ = repo + "@" + revision;
           progress(7);
           fs::create_directories(folder);
           for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
             std::ofstream(folder / name) << "{}";
           }
           return Unit{};
         },
         .libraries = libraries_},
        [&](const std::string& what, std::int64_t bytes) {
          what_.push_back(what);
          EXPECT_GE(bytes, bytes_);
          bytes_ = bytes;
        });
  }
  RunDirectory run_{folder_ / "run"};
  RunPlan plan_;
  std::string asked_;
  std::vector<std::string> what_;
  std::function<Status(const RuntimeProgress&)> libraries_;
  std::int64_t bytes_ = 0;
};

TEST_F(FetchTest, AFolderOfThisMachineIsUsedInPlace) {
  ASSERT_TRUE(fetch());
  EXPECT_EQ(fs::read_symlink(run_.model()), folder_ / "base");
  EXPECT_EQ(asked_, "");
  EXPECT_TRUE(fetch());  // and again, after a restart
}

TEST_F(FetchTest, AModelOfTheHubIsDownloaded) {
  plan_.config.model.base = "owner/name";
  ASSERT_TRUE(fetch());
  EXPECT_EQ(asked_, "owner/name@main");
  EXPECT_EQ(bytes_, 7);
  EXPECT_TRUE(fs::exists(run_.model() / "config.json"));
}

TEST_F(FetchTest, CountsLibrariesAndModelTogether) {
  plan_.config.model.base = "owner/name";
  libraries_ = [](const RuntimeProgress& progress) -> Status {
    progress("libraries", 100);
    progress("libraries", 60);  // a wheel with a wrong hash begins anew
    return Unit{};
  };
  std::vector<std::int64_t> seen;
  const Status done =
      fetch_inputs(plan_, run_,
                   {.model = [&](const std::string&, const std::string&, const fs::path&,
                                 const std::function<void(std::int64_t)>& progress) -> Status {
                      progress(7);
                      return Error{ErrorKind::unreachable, "no hub"};
                    },
                    .libraries = libraries_},
                   [&](const std::string&, std::int64_t bytes) { seen.push_back(bytes); });
  EXPECT_EQ(done.error().kind, ErrorKind::unreachable);
  EXPECT_EQ(seen, (std::vector<std::int64_t>{100, 60, 107}));
}

TEST_F(FetchTest, FetchesNoModelWithoutLibraries) {
  plan_.config.model.base = "owner/name";
  libraries_ = [](const RuntimeProgress&) -> Status {
    return Error{ErrorKind::no_space, "the disk is full"};
  };
  const Status done = fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::no_space);
  EXPECT_EQ(done.error().message, "fetching the trainer's libraries: the disk is full");
  EXPECT_EQ(asked_, "");
}

TEST_F(FetchTest, NamesTheFileThatIsMissing) {
  fs::remove(folder_ / "base/tokenizer.json");
  const Status done = fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::not_found);
  EXPECT_NE(done.error().message.find("tokenizer.json"), std::string::npos);
}

TEST_F(FetchTest, AModelWithoutSafetensorsIsRefused) {
  fs::rename(folder_ / "base/model.safetensors", folder_ / "base/pytorch_model.bin");
  EXPECT_FALSE(fetch());
}

TEST_F(FetchTest, AnEmptyDataFileIsBadData) {
  plan_.config.data.path.push_back(put("empty.jsonl", "").string());
  const Status done = fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::bad_data);
  plan_.config.data.path.back() = (folder_ / "nowhere.jsonl").string();
  EXPECT_EQ(fetch().error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace mayfly
