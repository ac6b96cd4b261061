// A receipt that says "confirmed" while the machine runs is worse than none.
#include "core/provider/receipt.h"

#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class ReceiptTest : public TemporaryFolder {
 protected:
  Receipt receipt() const {
    Receipt receipt;
    receipt.run_id = "0123456789ab";
    receipt.run_name = "my-run";
    receipt.provider = "fake";
    receipt.instance_id = "i-1";
    receipt.reason = "finished";
    receipt.created_at = FakeClock::kBegin;
    receipt.destroy_asked_at = FakeClock::kBegin + 10min;
    receipt.destroy_answer = "accepted";
    receipt.cost = dollars(2);
    receipt.safe_branches = {"checkpoint-epoch-1", "main"};
    receipt.final_upload_sha256 = "abc";
    return receipt;
  }
  RunDirectory run_{folder_};
  FakeClock clock_;
  FakeProvider provider_;
};

TEST_F(ReceiptTest, ReadsBackWhatWasWritten) {
  ASSERT_TRUE(write_receipt(run_, receipt()));
  const auto read = read_receipt(run_);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->state, ReceiptState::accepted_unconfirmed);
  EXPECT_EQ(read->destroy_asked_at, receipt().destroy_asked_at);
  EXPECT_EQ(read->cost, dollars(2));
  EXPECT_EQ(read->safe_branches, receipt().safe_branches);
  EXPECT_FALSE(read->gone_listed_at);
}

TEST_F(ReceiptTest, IsNotConfirmedWhileTheProviderListsTheInstance) {
  Instance instance;
  instance.id = "i-1";
  instance.state = InstanceState::terminating;
  provider_.listed = {instance};
  const auto confirmed = confirm_receipt(receipt(), provider_, {dollars(12), 1s}, clock_);
  ASSERT_FALSE(confirmed);
  EXPECT_EQ(confirmed.error().kind, ErrorKind::outcome_unknown);
}

TEST_F(ReceiptTest, IsConfirmedByALaterListingAndChargedToTheEnd) {
  Instance other;
  other.id = "i-2";  // another attempt of the same run is not this instance
  provider_.listed = {other};
  provider_.get_error = Error{ErrorKind::not_found, "gone"};
  clock_.elapsed = 30min;
  const auto confirmed = confirm_receipt(receipt(), provider_, {dollars(12), 1s}, clock_);
  ASSERT_TRUE(confirmed) << confirmed.error().message;
  EXPECT_EQ(confirmed->state, ReceiptState::confirmed);
  EXPECT_EQ(confirmed->gone_listed_at, FakeClock::kBegin + 30min);
  EXPECT_EQ(confirmed->cost, dollars(6));

  ASSERT_TRUE(write_receipt(run_, *confirmed));
  clock_.elapsed = 60min;  // and is not charged again by somebody who looks later
  const auto again = confirm_receipt(*read_receipt(run_), provider_, {dollars(12), 1s}, clock_);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->cost, dollars(6));
}

TEST_F(ReceiptTest, ADamagedReceiptIsAnError) {
  put("receipt.json", "{\"run_id\": 7}");
  EXPECT_EQ(read_receipt(run_).error().kind, ErrorKind::corrupt);
}

}  // namespace
}  // namespace mayfly
