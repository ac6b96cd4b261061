// A token that cannot write is found out here or after a machine was paid for.
#include "core/store/hub_account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_clock.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OneAnswer final : public HttpClient {
 public:
  Result<HttpResponse> send(const HttpRequest& request) override {
    asked.push_back(request.url);
    return answer;
  }
  HttpResponse answer;
  std::vector<std::string> asked;
};

class HubAccountTest : public testing::Test {
 protected:
  Result<HubAccount> account(const std::string& body, int status = 200) {
    http.answer.status = status;
    http.answer.body = body;
    return hub_account(session);
  }
  Result<std::optional<std::string>> base(const std::string& body, int status) {
    http.answer.status = status;
    http.answer.body = body;
    return adapter_base_of(session, {RepoKind::model, {"me", "adapter"}});
  }
  FakeClock clock;
  OneAnswer http;
  HubSession session{http, clock, HubAddress{"https://hub.test", Secret("t")}};
};

constexpr const char* kMine =
    R"({"type":"user","name":"me","orgs":[{"name":"lab","type":"org"}],"auth":{"type":"access_token",)"
    R"("accessToken":{"displayName":"x","role":"write","expiration":"2026-12-01T00:00:00Z"}}})";

TEST_F(HubAccountTest, ReadsWhoseTheTokenIs) {
  const auto mine = account(kMine);
  ASSERT_TRUE(mine) << mine.error().message;
  EXPECT_EQ(mine->name, "me");
  EXPECT_THAT(mine->organizations, ElementsAre("lab"));
  EXPECT_EQ(mine->role, "write");
  ASSERT_TRUE(mine->expires_at);
  EXPECT_EQ(format_utc(*mine->expires_at).substr(0, 10), "2026-12-01");
  EXPECT_THAT(http.asked, ElementsAre("https://hub.test/api/whoami-v2"));
}

TEST_F(HubAccountTest, TakesNoNonsenseForAnAccount) {
  for (const char* body : {"[]", "{}", R"({"name":3})", R"({"name":""})", "\"me\""}) {
    EXPECT_FALSE(account(body)) << body;
  }
  for (const char* body : {R"({"name":"me","orgs":3,"auth":[]})",
                           R"({"name":"me","orgs":[3,{}],"auth":{"accessToken":"x"}})"}) {
    EXPECT_TRUE(account(body)) << body;
  }
  EXPECT_EQ(account("{}", 401).error().kind, ErrorKind::unauthorized);
}

TEST_F(HubAccountTest, SaysWhyItCannotWrite) {
  HubAccount mine = *account(kMine);
  EXPECT_EQ(why_not_write(mine, {"me", "adapter"}), "");
  EXPECT_EQ(why_not_write(mine, {"lab", "adapter"}), "");
  EXPECT_THAT(why_not_write(mine, {"other", "adapter"}), HasSubstr("only to those of me, lab"));
  mine.role = "fineGrained";
  EXPECT_EQ(why_not_write(mine, {"other", "adapter"}), "");
  mine.role = "read";
  EXPECT_THAT(why_not_write(mine, {"me", "adapter"}), HasSubstr("may only read"));
}

TEST_F(HubAccountTest, ReadsWhatAnAdapterWasTrainedFor) {
  EXPECT_EQ(**base(R"({"base_model_name_or_path":"Qwen/Qwen2.5-7B"})", 200), "Qwen/Qwen2.5-7B");
  EXPECT_EQ(http.asked.back(), "https://hub.test/me/adapter/resolve/main/adapter_config.json");
  EXPECT_EQ(*base("{}", 200), std::nullopt);
  EXPECT_EQ(*base("not found", 404), std::nullopt);
  EXPECT_FALSE(base("not json", 200));
  EXPECT_EQ(base("no", 403).error().kind, ErrorKind::unauthorized);
  http.answer.headers = {{"X-Error-Code", "RepoNotFound"}};
  EXPECT_EQ(*base("no", 401), std::nullopt);
}

}  // namespace
}  // namespace mayfly
