// A rented machine on which the trainer cannot start. What must not happen: that it stands there
// and bills, or that nobody learns why.
#include <gmock/gmock.h>

#include "tests/e2e_cloud/cloud_run.h"

namespace mayfly {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class LackingMachineTest : public CloudRunTest {
 protected:
  // The programs with a trainer whose library is nowhere.
  void lack() {
    const fs::path folder = root / "programs";
    fs::create_directories(folder);
    for (const char* name : {"launch", "status", "agent", "localhub"}) {
      fs::copy_file(fs::path(programs) / name, folder / name);
    }
    fs::copy_file(MAYFLY_LACKING_TRAINER, folder / "train");
    programs = folder.string();
  }
};

TEST_F(LackingMachineTest, EndsItselfAndSaysWhyOnTheHub) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  lack();
  const Answer answer = run("launch", words("--wait"));
  EXPECT_EQ(answer.code, 10) << answer.out << answer.err << consoles();
  EXPECT_THAT(answer.out, HasSubstr("libmayfly_nowhere.so"));
  EXPECT_EQ(cloud_->fleet.all().size(), 1U);
  EXPECT_EQ(cloud_->fleet.billing(), 0);
  EXPECT_EQ(status_of("one")["receipt"], "confirmed");

  ASSERT_EQ(run("launch", "hub get local/one fetched").code, 0);
  std::string error_log;
  for (const auto& entry : fs::recursive_directory_iterator(root / "fetched")) {
    if (entry.path().filename().string().starts_with("error-")) {
      error_log = *read_file(entry.path());
    }
  }
  EXPECT_THAT(error_log, HasSubstr("it lacks libmayfly_nowhere.so"));
}

}  // namespace
}  // namespace mayfly
