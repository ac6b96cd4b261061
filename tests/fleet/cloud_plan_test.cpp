// What a plan on a cloud says before anything is paid for, by the real program in front of a fake
// cloud: the price of the right machine, and the mistakes that would be money thrown away.
#include <gmock/gmock.h>

#include "tests/clouds/rig.h"
#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class CloudPlanTest : public LaunchTest {
 protected:
  CloudPlanTest() : cloud(cloud_kinds()[0].fake(clock)) {
    cloud->start();
    make_tiny_data(root / "data.jsonl", 400);
  }
  std::vector<std::string> environment() const override {
    std::vector<std::string> all = LaunchTest::environment();
    all.push_back("SHADEFORM_API_KEY=" + std::string(FakeCloud::kKey));
    all.push_back("SHADEFORM_ENDPOINT=" + cloud->endpoint());
    all.push_back("AWS_ENDPOINT_URL_EC2=" + cloud->endpoint());
    return all;
  }
  json plan(const std::string& words) {
    const Answer answer = run("launch", "plan run.yaml --json " + words);
    EXPECT_EQ(answer.code, 0) << answer.err;
    const auto document = parse_json(answer.out, "plan");
    return document ? *document : json();
  }
  // Nothing but looking.
  void expect_nothing_asked_but_offers() {
    for (const FakeRequest& request : cloud->journal()) EXPECT_EQ(request.op, Op::offers);
    EXPECT_THAT(cloud->fleet.all(), IsEmpty());
  }

  VirtualClock clock;
  std::unique_ptr<FakeCloud> cloud;
};

TEST_F(CloudPlanTest, TakesTheOnlyCloudThatThereIsAKeyForAndPricesItsCheapestOffer) {
  const json document = plan("--gpu A100");
  const json& offer = document["plan"]["offer"];
  EXPECT_EQ(offer["provider"], "shadeform");
  EXPECT_EQ(offer["gpu"], "A100");
  EXPECT_EQ(offer["usd_per_hour"], "1.29");
  EXPECT_EQ(document["offers_that_fit"], 2);  // in two regions
  const json& estimate = document["plan"]["estimate"];
  EXPECT_THAT(estimate["basis"].get<std::string>(), HasSubstr("roofline"));
  EXPECT_GT(estimate["seconds"].get<double>(), 300);  // the machine's start is paid for, too
  EXPECT_NE(estimate["usd"], "0");
  // What it will fetch there is pinned, CUDA's libraries too.
  EXPECT_EQ(document["plan"]["runtime"].size(), 15u);
  EXPECT_GT(document["memory"]["total"].get<std::int64_t>(), 600'000'000);
  expect_nothing_asked_but_offers();
}

// As `aws configure` leaves it: no variable says anything. The price is all that AWS bills.
TEST_F(CloudPlanTest, TakesAwsKeyFromItsOwnFilesAndAsksTheRegionThatIsNamed) {
  cloud = cloud_kinds()[3].fake(clock);
  for (FakeType& type : cloud->types) type.regions = {"eu-west-1"};
  cloud->start();
  ASSERT_TRUE(make_folders(root / ".aws"));
  ASSERT_TRUE(write_file(root / ".aws/credentials",
                         "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = " +
                             std::string(FakeCloud::kKey) + "\n"));
  const std::string words = "plan run.yaml --provider aws --gpu A100 --no-spot --region eu-west-1";
  const Answer answer = run("launch", words);
  EXPECT_EQ(answer.code, 0) << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("in eu-west-1, 1xA100, $1.33 per instance-hour with its disk "
                                    "of 150 GB and its address"));
  const Answer large = run("launch", words + " --disk-gb 1000");
  EXPECT_THAT(large.out, HasSubstr("$1.51 per instance-hour with its disk of 1000 GB"));
  const Answer small = run("launch", words + " --disk-gb 70");
  EXPECT_THAT(small.out, HasSubstr("has 5 GB beside its system's 65: a larger --disk-gb"));
}

TEST_F(CloudPlanTest, SaysWhichMachineAndWhatTakesItsPlace) {
  const Answer answer = run("launch", "run.yaml --dry-run --gpu A100");
  EXPECT_EQ(answer.code, 0) << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("1xA100, $1.29 per instance-hour, billed by"));
  EXPECT_THAT(answer.out, HasSubstr("the cheapest of 2 that fit; if it is taken, 1 more"));
  EXPECT_THAT(answer.out, HasSubstr("libraries 2.5 GB in 15 wheels of PyPI, 3.5 GB on the "));
  EXPECT_THAT(answer.out, HasSubstr("memory    "));
  EXPECT_THAT(answer.out, HasSubstr("nothing was created"));
  expect_nothing_asked_but_offers();
}

TEST_F(CloudPlanTest, SaysBothPricesOfSeveralGpusAndThatOnlyOneTrains) {
  const Answer answer = run("launch", "plan run.yaml --gpu H100 --num-gpus 8");
  EXPECT_EQ(answer.code, 0) << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("$31.92 per instance-hour ($3.99 per GPU-hour)"));
  EXPECT_THAT(answer.out, HasSubstr("7 of the 8 GPUs would stand idle"));
}

// The estimate is that of all of them, and what the machine does not have is a mistake.
TEST_F(CloudPlanTest, SeveralProcessesTakeSeveralGpus) {
  const Answer all = run("launch", "plan run.yaml --gpu H100 --num-gpus 8 --devices 8");
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_THAT(all.out, Not(HasSubstr("stand idle")));
  EXPECT_THAT(all.out, HasSubstr("data sheet of 8 H100"));
  EXPECT_THAT(all.out, HasSubstr("x 8 processes)"));
  const Answer few = run("launch", "plan run.yaml --gpu H100 --num-gpus 8 --devices 6");
  EXPECT_THAT(few.out, HasSubstr("6 GPUs train, so 2 of the 8 GPUs would stand idle"));
  const Answer more = run("launch", "plan run.yaml --gpu A100 --num-gpus 1 --devices 2");
  EXPECT_THAT(more.out, HasSubstr("train.devices is 2, and the machine has 1xA100"));
  const Answer nodes = run("launch", "plan run.yaml --gpu A100 --set train.nodes=2");
  EXPECT_EQ(nodes.code, 2);
  EXPECT_THAT(nodes.err, HasSubstr("`launch` rents one machine"));
}

// Exit 8 before anything is created: a mistake, and no --yes.
TEST_F(CloudPlanTest, StartsNothingThatWouldBeMoneyThrownAway) {
  const Answer answer =
      run("launch", "run.yaml --region r1 --instance-type eight --epochs 1 --max-steps 1");
  EXPECT_EQ(answer.code, 8) << answer.out << answer.err;
  EXPECT_THAT(answer.err, HasSubstr("--yes starts it all the same"));
  expect_nothing_asked_but_offers();
}

TEST_F(CloudPlanTest, AsksNobodyWhenNobodyIsThere) {
  const Answer answer = run("launch", "run.yaml --gpu A100 --epochs 10000");
  EXPECT_EQ(answer.code, 8) << answer.out << answer.err;
  EXPECT_THAT(answer.err, HasSubstr("there is nobody to ask which one"));
  expect_nothing_asked_but_offers();
}

TEST_F(CloudPlanTest, ExplainsWhatEachWishCosts) {
  const Answer answer = run("launch", "plan run.yaml --gpu B200 --max-price 2");
  EXPECT_EQ(answer.code, 7) << answer.err;
  EXPECT_THAT(answer.err, HasSubstr("without --gpu B200: 2 offers, the cheapest 1xA100 at $1.29"));
}

TEST_F(CloudPlanTest, NamesTheMemoryAmongTheWishesThatNothingFulfils) {
  cloud->types[0].vram_gb = 1;
  EXPECT_EQ(run("launch", "plan run.yaml --gpu A100").code, 0);
  const Answer answer = run("launch", "plan run.yaml --gpu A100 --batch-size 65536");
  EXPECT_EQ(answer.code, 7) << answer.err;
  EXPECT_THAT(answer.err, HasSubstr("of GPU memory: 2 offers"));
}

TEST_F(CloudPlanTest, StaysAtHomeWhenToldToAndSaysWhatIsNotUsed) {
  const json document = plan("--provider local --gpu A100");
  EXPECT_EQ(document["plan"]["offer"]["provider"], "local");
  EXPECT_THAT(document["notes"].dump(), HasSubstr("not used: instance.gpu"));
  EXPECT_THAT(cloud->journal(), IsEmpty());
}

}  // namespace
}  // namespace mayfly
