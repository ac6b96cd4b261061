// The agent reads requests from whoever can connect. What must not happen: that it waits for more
// than 16 KB, that it takes something for a request that another reader would take for two, or that
// a letter is lost.
#include "agent/steering_request.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(SteeringRequestTest, ReadsWhatCurlSends) {
  const std::string text =
      "POST /request?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type:application/json\r\n"
      "Content-Length: 4\r\n\r\nbodymore";
  const auto request = parse_steering_request(text);
  ASSERT_TRUE(request && *request);
  EXPECT_EQ((*request)->method, "POST");
  EXPECT_EQ((*request)->path, "/request");
  EXPECT_EQ((*request)->header("host"), "a");
  EXPECT_EQ((*request)->header("content-type"), "application/json");
  EXPECT_EQ((*request)->header("missing"), "");
  EXPECT_EQ((*request)->body, "body");
}

TEST(SteeringRequestTest, WaitsForEveryByteOfTheRequest) {
  const std::string text = "POST /r HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc";
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto request = parse_steering_request(std::string_view(text).substr(0, size));
    ASSERT_TRUE(request) << size;
    EXPECT_FALSE(*request) << size;
  }
  const auto whole = parse_steering_request(text);
  ASSERT_TRUE(whole && *whole);
  EXPECT_EQ((*whole)->body, "abc");
}

TEST(SteeringRequestTest, RefusesWhatIsNoRequest) {
  for (const char* text : {
           "\r\n\r\n",
           "GET\r\n\r\n",
           "GET /\r\n\r\n",
           "GET / HTTP/2\r\n\r\n",
           "G T / HTTP/1.1\r\n\r\n",
           "GET http://a/ HTTP/1.1\r\n\r\n",
           "GET /a b HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nno colon\r\n\r\n",
           "GET / HTTP/1.1\r\n folded: x\r\n\r\n",
           "GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
           "GET / HTTP/1.1\r\n: x\r\n\r\n",
           "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
           "GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
           "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
           "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
           "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "GET / HTTP/1.1\r\nContent-Length: 16385\r\n\r\n",
       }) {
    EXPECT_FALSE(parse_steering_request(text)) << text;
  }
}

TEST(SteeringRequestTest, TakesSixteenKilobytesAndNotOneMore) {
  const std::string head = "GET / HTTP/1.1\r\nA: ";
  const std::string end = "\r\n\r\n";
  const auto with_length = [&](std::size_t size) {
    return head + std::string(size - head.size() - end.size(), 'a') + end;
  };
  const auto most = parse_steering_request(with_length(kMostRequestBytes));
  EXPECT_TRUE(most && *most);
  EXPECT_FALSE(parse_steering_request(with_length(kMostRequestBytes + 1)));
  // Without an end it is refused as soon as it is too long, not later.
  EXPECT_TRUE(parse_steering_request(std::string(kMostRequestBytes - 1, 'a')));
  EXPECT_FALSE(parse_steering_request(std::string(kMostRequestBytes, 'a')));
}

}  // namespace
}  // namespace mayfly
