// A request that is lost leaves a machine running that somebody wanted gone.
#include "core/run/request.h"

#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class RequestTest : public TemporaryFolder {
 protected:
  RunDirectory run_{folder_};
};

TEST_F(RequestTest, WaitsUntilItIsClosedOldestFirst) {
  EXPECT_TRUE(waiting_requests(run_).empty());
  ASSERT_TRUE(send_request(run_, {RequestKind::down, "launch down", FakeClock::kBegin + 1s, ""}));
  ASSERT_TRUE(send_request(run_, {RequestKind::checkpoint, "me", FakeClock::kBegin, ""}));
  const std::vector<Request> waiting = waiting_requests(run_);
  ASSERT_EQ(waiting.size(), 2U);
  EXPECT_EQ(waiting[0].kind, RequestKind::checkpoint);
  EXPECT_EQ(waiting[1].kind, RequestKind::down);
  EXPECT_EQ(waiting[1].by, "launch down");
  EXPECT_EQ(waiting[1].at, FakeClock::kBegin + 1s);

  close_request(run_, waiting[0]);
  close_request(run_, waiting[0]);
  ASSERT_EQ(waiting_requests(run_).size(), 1U);
  EXPECT_EQ(waiting_requests(run_)[0].kind, RequestKind::down);
}

TEST_F(RequestTest, AnExtensionCarriesItsAmounts) {
  Request request{RequestKind::extend, "launch extend", FakeClock::kBegin, "", 90.5, cents(1250)};
  ASSERT_TRUE(send_request(run_, request));
  const std::vector<Request> waiting = waiting_requests(run_);
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting[0].kind, RequestKind::extend);
  EXPECT_EQ(waiting[0].minutes, 90.5);
  EXPECT_EQ(waiting[0].spend, cents(1250));
}

TEST_F(RequestTest, AnAmountThatIsNoneMakesItNoRequest) {
  const std::string begin = "{\"request\": \"extend\", \"at\": \"2026-11-22T14:02:11Z\", ";
  put("agent/requests/a.json", begin + "\"minutes\": \"30\"}");
  put("agent/requests/b.json", begin + "\"dollars\": 5}");
  put("agent/requests/c.json", begin + "\"dollars\": \"-5\"}");
  EXPECT_TRUE(waiting_requests(run_).empty());
}

TEST_F(RequestTest, WhatIsNoRequestIsLeftAlone) {
  put("agent/requests/a.json", "{\"request\": \"dance\", \"at\": \"2026-11-22T14:02:11Z\"}");
  put("agent/requests/b.json", "not json");
  put("agent/requests/c.json.tmp.7", "{\"request\": \"down\", \"at\": \"2026-11-22T14:02:11Z\"}");
  put("agent/requests/d.json", "{\"request\": \"down\", \"at\": \"2026-11-22T14:02:11Z\"}");
  const std::vector<Request> waiting = waiting_requests(run_);
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting[0].file, "d.json");
}

}  // namespace
}  // namespace mayfly
