// After a reboot the memory is empty, and a run that cannot upload loses what it trained. But a
// copy on a disk is also a thing to be found: by another user, or after the end.
#include "agent/kept_secrets.h"

#include <sys/stat.h>

#include "core/atomic_file.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class KeptSecretsTest : public TemporaryFolder {
 protected:
  std::string push(const std::string& text) {
    EXPECT_TRUE(write_file(given_, text, 0600));
    return given_.string();
  }
  // The name of the file that would be read.
  std::string chosen() {
    return fs::path(secrets_of_this_boot(given_, kept_)).filename();
  }
  fs::path given_ = folder_ / "memory.json";
  fs::path kept_ = folder_ / "secrets.kept";
};

TEST_F(KeptSecretsTest, AReboot) {
  push(R"({"HF_TOKEN": "hf_one"})");
  EXPECT_EQ(chosen(), "memory.json");
  fs::remove(given_);
  EXPECT_EQ(chosen(), "secrets.kept");
  push("{}");  // what systemd gives where there is no file
  EXPECT_EQ(chosen(), "secrets.kept");
  EXPECT_EQ(*read_file(kept_), R"({"HF_TOKEN": "hf_one"})");
}

TEST_F(KeptSecretsTest, OnlyItsOwnerReadsTheCopyWhateverTheUmask) {
  const mode_t before = ::umask(0);
  push(R"({"HF_TOKEN": "hf_one"})");
  EXPECT_EQ(chosen(), "memory.json");
  ::umask(before);
  EXPECT_EQ(fs::status(kept_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(KeptSecretsTest, ANewTokenReplacesTheCopy) {
  push(R"({"HF_TOKEN": "hf_one"})");
  chosen();
  push(R"({"HF_TOKEN": "hf_two"})");
  EXPECT_EQ(chosen(), "memory.json");
  EXPECT_EQ(*read_file(kept_), R"({"HF_TOKEN": "hf_two"})");
}

TEST_F(KeptSecretsTest, WithoutSecretsNothingIsKept) {
  EXPECT_EQ(chosen(), "memory.json");
  push("{}");
  EXPECT_EQ(chosen(), "memory.json");
  EXPECT_FALSE(fs::exists(kept_));
}

TEST_F(KeptSecretsTest, ALinkIsNotTakenForTheCopyAndNotWrittenThrough) {
  put("elsewhere", R"({"HF_TOKEN": "of somebody else"})");
  fs::create_symlink(folder_ / "elsewhere", kept_);
  EXPECT_EQ(chosen(), "memory.json");
  push(R"({"HF_TOKEN": "hf_one"})");
  chosen();
  EXPECT_TRUE(is_plain_file(kept_));
  EXPECT_EQ(*read_file(folder_ / "elsewhere"), R"({"HF_TOKEN": "of somebody else"})");
}

TEST_F(KeptSecretsTest, IsForgotten) {
  push(R"({"HF_TOKEN": "hf_one"})");
  chosen();
  forget_secrets(kept_);
  EXPECT_FALSE(fs::exists(kept_));
  forget_secrets(kept_);
  forget_secrets("");
}

TEST_F(KeptSecretsTest, WhereAFolderStandsForTheMachineNothingIsKept) {
  push(R"({"HF_TOKEN": "hf_one"})");
  EXPECT_EQ(secrets_of_this_boot(given_, ""), given_.string());
  EXPECT_FALSE(fs::exists(kept_));
}

}  // namespace
}  // namespace mayfly
