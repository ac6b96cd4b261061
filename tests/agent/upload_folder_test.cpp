// What is frozen is what is published: nothing of it may change or vanish while it is sent, and
// nothing that is not on the list may come along.
#include "agent/upload_folder.h"

#include "core/atomic_file.h"
#include "core/run/checkpoint_folder.h"
#include "core/sha256.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class UploadFolderTest : public TemporaryFolder {
 protected:
  UploadFolderTest() {
    for (const char* name :
         {"adapter_model.safetensors", "adapter_config.json", "README.md", "tokenizer.json",
          "tokenizer_config.json", "optimizer.safetensors", "resume.json", "id_rsa.pem"}) {
      put(std::string("checkpoints/checkpoint-8/") + name, name);
    }
    EXPECT_TRUE(write_manifest(folder_ / "checkpoints/checkpoint-8"));
    put("checkpoints/checkpoint-8/.env", "a secret");
    put("checkpoints/checkpoint-8/tokenizer.backup", "put there later, by somebody");
  }
  RunDirectory run_{folder_};
};

TEST_F(UploadFolderTest, PublishesTheListAndNothingElse) {
  const auto files =
      freeze_folder(run_, "checkpoints/checkpoint-8", "checkpoint-epoch-2", OptimizerState::none);
  ASSERT_TRUE(files) << files.error().message;
  std::vector<std::string> names;
  for (const StoreUpload& file : *files) names.push_back(file.path);
  EXPECT_EQ(names, (std::vector<std::string>{"README.md", "adapter_config.json",
                                             "adapter_model.safetensors", "tokenizer.json",
                                             "tokenizer_config.json"}));
}

// The agent may read what the trainer, which writes these folders, may not.
TEST_F(UploadFolderTest, ALinkToAnotherFileIsNotFollowed) {
  put("secrets.json", "tokenizer.json");  // the very bytes that the manifest promises
  fs::remove(folder_ / "checkpoints/checkpoint-8/tokenizer.json");
  fs::create_symlink(folder_ / "secrets.json", folder_ / "checkpoints/checkpoint-8/tokenizer.json");
  const auto files =
      freeze_folder(run_, "checkpoints/checkpoint-8", "checkpoint-epoch-2", OptimizerState::none);
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().kind, ErrorKind::corrupt) << files.error().message;
}

TEST_F(UploadFolderTest, ALinkThatIsFrozenAlreadyIsNotSent) {
  put("secrets.json", "a secret");
  fs::create_directories(folder_ / "agent/upload/checkpoint-epoch-2");
  fs::create_symlink(folder_ / "secrets.json",
                     folder_ / "agent/upload/checkpoint-epoch-2/tokenizer.json");
  put("agent/upload/checkpoint-epoch-2/README.md", "README.md");
  const auto files =
      freeze_folder(run_, "checkpoints/checkpoint-8", "checkpoint-epoch-2", OptimizerState::none);
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 1U);
  EXPECT_EQ(files->front().path, "README.md");
}

TEST_F(UploadFolderTest, OutlivesTheCheckpointItWasMadeFrom) {
  ASSERT_TRUE(
      freeze_folder(run_, "checkpoints/checkpoint-8", "checkpoint-epoch-2", OptimizerState::none));
  fs::remove_all(folder_ / "checkpoints");
  const auto again =
      freeze_folder(run_, "checkpoints/checkpoint-8", "checkpoint-epoch-2", OptimizerState::none);
  ASSERT_TRUE(again);
  ASSERT_EQ(again->size(), 5U);
  EXPECT_EQ(*read_file((*again)[2].source), "adapter_model.safetensors");
}

TEST_F(UploadFolderTest, OneThatACrashCutShortIsMadeAnew) {
  put("agent/upload/.checkpoint-epoch-2/README.md", "half");
  const auto files =
      freeze_folder(run_, "checkpoints/checkpoint-8", "checkpoint-epoch-2", OptimizerState::none);
  ASSERT_TRUE(files);
  EXPECT_EQ(files->size(), 5U);
  EXPECT_EQ(*read_file((*files)[0].source), "README.md");
}

TEST_F(UploadFolderTest, ACheckpointThatIsNotThereIsSaidSo) {
  EXPECT_EQ(freeze_folder(run_, "checkpoints/checkpoint-9", "x", OptimizerState::none).error().kind,
            ErrorKind::not_found);
}

// A folder has its name before anybody knows whether the disk kept it.
TEST_F(UploadFolderTest, ACheckpointThatIsCutShortOrChangedIsNotSent) {
  const fs::path weights = folder_ / "checkpoints/checkpoint-8/adapter_model.safetensors";
  const std::string whole = *read_file(weights);
  for (const std::string& content : {std::string(), whole.substr(1), "A" + whole.substr(1)}) {
    ASSERT_TRUE(write_file(weights, content));
    const auto files =
        freeze_folder(run_, "checkpoints/checkpoint-8", "checkpoint-epoch-2", OptimizerState::none);
    ASSERT_FALSE(files);
    EXPECT_EQ(files.error().kind, ErrorKind::corrupt);
  }
  ASSERT_TRUE(write_file(weights, whole));
  EXPECT_TRUE(
      freeze_folder(run_, "checkpoints/checkpoint-8", "checkpoint-epoch-2", OptimizerState::none));
}

TEST_F(UploadFolderTest, ALinkInTheFoldersPlaceIsRefused) {
  fs::rename(folder_ / "checkpoints/checkpoint-8", folder_ / "elsewhere");
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "checkpoints/checkpoint-8");
  const auto files =
      freeze_folder(run_, "checkpoints/checkpoint-8", "checkpoint-epoch-2", OptimizerState::none);
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().kind, ErrorKind::refused);
}

TEST_F(UploadFolderTest, TheListsHashIsThatOfSha256sumsOutput) {
  const fs::path file = put("a", "hello");
  EXPECT_EQ(*list_sha256({{file, "a"}}), sha256_hex(sha256_hex("hello") + "  a\n"));
}

}  // namespace
}  // namespace mayfly
