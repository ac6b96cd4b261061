// Two minutes are all the notice there is. One that is not seen costs the work since the last
// upload; one that was never given would end a run that could go on.
#include "agent/reclaim_watch.h"

#include <deque>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

using Answer = ReclaimNotice::Answer;

// Answers as it is told, and keeps what it was asked.
class Script final : public HttpClient {
 public:
  Result<HttpResponse> send(const HttpRequest& request) override {
    asked.push_back(request.method + " " + request.url + " " + request.headers[0].name + "=" +
                    request.headers[0].value);
    if (answers.empty()) return Error{ErrorKind::unreachable, "no answer"};
    HttpResponse response;
    response.status = answers.front().first;
    response.body = answers.front().second;
    answers.pop_front();
    return response;
  }
  std::deque<std::pair<int, std::string>> answers;
  std::vector<std::string> asked;
};

class ReclaimNoticeTest : public ::testing::Test {
 protected:
  Script http_;
  ReclaimNotice notice_{http_, "http://169.254.169.254"};
};

TEST_F(ReclaimNoticeTest, AsksWithATokenAndKeepsIt) {
  http_.answers = {{200, "T1"}, {404, ""}, {404, ""}, {200, R"({"action": "stop"})"}};
  EXPECT_EQ(notice_.ask(), Answer::none);
  EXPECT_EQ(notice_.ask(), Answer::none);
  EXPECT_EQ(notice_.ask(), Answer::notice);
  ASSERT_EQ(http_.asked.size(), 4U);
  EXPECT_EQ(http_.asked[0],
            "PUT http://169.254.169.254/latest/api/token "
            "X-aws-ec2-metadata-token-ttl-seconds=21600");
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(http_.asked[static_cast<std::size_t>(i)],
              "GET http://169.254.169.254/latest/meta-data/spot/instance-action "
              "X-aws-ec2-metadata-token=T1");
  }
}

TEST_F(ReclaimNoticeTest, ATokenWhoseTimeIsOverIsMadeAnewAtOnce) {
  http_.answers = {{200, "T1"}, {404, ""}, {401, ""}, {200, "T2"}, {200, "{}"}};
  EXPECT_EQ(notice_.ask(), Answer::none);
  EXPECT_EQ(notice_.ask(), Answer::notice);
  EXPECT_TRUE(http_.asked.back().ends_with("=T2"));
}

TEST_F(ReclaimNoticeTest, WhatIsNoAnswerIsNotTakenForOne) {
  EXPECT_EQ(notice_.ask(), Answer::unknown) << "no token";
  http_.answers = {{503, "busy"}};
  EXPECT_EQ(notice_.ask(), Answer::unknown) << "no token";
  http_.answers = {{200, "T1"}};
  EXPECT_EQ(notice_.ask(), Answer::unknown) << "the answer is lost";
  http_.answers = {{500, ""}};
  EXPECT_EQ(notice_.ask(), Answer::unknown);
  http_.answers = {{401, ""}, {403, ""}};
  EXPECT_EQ(notice_.ask(), Answer::unknown);
  http_.answers = {{404, ""}};
  EXPECT_EQ(notice_.ask(), Answer::none) << "and it goes on";
}

TEST(MetadataServiceTest, IsAwsOrWhatWasSet) {
  EXPECT_EQ(metadata_service("aws"), "http://169.254.169.254");
  EXPECT_EQ(metadata_service("lambda"), "");
  ::setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/", 1);
  EXPECT_EQ(metadata_service("local"), "http://127.0.0.1:1338");
  ::unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
}

}  // namespace
}  // namespace mayfly
