// The main job at a cloud, from `launch` to a receipt: that the machine was rented once, got
// nothing secret on a way that others can read, trained, published, and ended itself within its
// bill.
#include "tests/e2e_cloud/cloud_run.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

class WholeRunTest : public CloudRunTest, public testing::WithParamInterface<const char*> {};

TEST_P(WholeRunTest, RentsTrainsPublishesAndIsGone) {
  if (!start(GetParam())) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  const Answer answer = run("launch", words("--wait --spend-limit 5"));
  ASSERT_EQ(answer.code, 0) << answer.out << answer.err << consoles();
  EXPECT_EQ(branches("local/one"),
            (std::vector<std::string>{"checkpoint-epoch-1", "checkpoint-epoch-2", "main"}));
  ASSERT_EQ(cloud_->fleet.all().size(), 1U);
  EXPECT_EQ(cloud_->fleet.billing(), 0);
  EXPECT_LE(cloud_->fleet.bill(), dollars(5));
  EXPECT_TRUE(stand_ins_->processes().empty()) << consoles();

  const json status = status_of("one");
  EXPECT_EQ(status["state"], "gone");
  EXPECT_EQ(status["receipt"], "confirmed");
  EXPECT_EQ(status["exit_code"], 0);
  EXPECT_EQ(run("launch", "receipt one --verify").code, 0);

  // No secret in what the vendor shows to others, nor in what the laptop keeps.
  const std::string token = hub_address().token.reveal();
  for (const FakeRequest& request : cloud_->journal()) {
    EXPECT_EQ(request.body.find(token), std::string::npos) << request.path;
    EXPECT_EQ(request.body.find(FakeCloud::kKey), std::string::npos) << request.path;
  }
  const std::string user_data = stand_ins_->user_data(cloud_->fleet.all().front().id);
  EXPECT_EQ(user_data.find(token), std::string::npos);
  EXPECT_LE(user_data.size(), 16384U);
  for (const char* file : {"state/runs.json", "outputs/one/logs/agent.log"}) {
    const auto text = read_file(root / file);
    EXPECT_TRUE(!text || text->find(FakeCloud::kKey) == std::string::npos) << file;
  }
}

INSTANTIATE_TEST_SUITE_P(Clouds, WholeRunTest,
                         testing::Values("shadeform", "lambda", "lium", "aws"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace mayfly
