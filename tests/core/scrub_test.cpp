// Canaries: whatever shape a secret has in a log, nobody may read it there; and a log whose every
// second word is *** is of no use, so what is no secret stays.
#include "core/scrub.h"

#include <gtest/gtest.h>

#include "core/log.h"

namespace mayfly {
namespace {

TEST(ScrubTest, FindsTokensByTheirBeginnings) {
  const std::string body = "Canary0123456789abcdefXYZ";
  for (const char* prefix : {"hf_", "api_org_", "sk-", "sk_", "AKIA", "ASIA", "ghp_", "github_pat_",
                             "xoxb-", "glpat-"}) {
    for (const char* around : {"loading with %s now", "url?x=%s&y=1", "(%s)", "%s"}) {
      std::string text = around;
      text.replace(text.find("%s"), 2, prefix + body);
      const std::string scrubbed = scrub_secrets(text);
      EXPECT_EQ(scrubbed.find("Canary"), std::string::npos) << text << " -> " << scrubbed;
    }
  }
  EXPECT_EQ(scrub_secrets("Authorization: Bearer Canary0123456789"), "Authorization: Bearer ***");
  EXPECT_EQ(scrub_secrets("authorization: Basic Q2FuYXJ5OmNhbmFyeQ=="), "authorization: Basic ***");
}

TEST(ScrubTest, FindsValuesByTheirNames) {
  for (const char* text :
       {"api_key=CanaryValue99", "API-KEY: CanaryValue99", "{\"password\": \"CanaryValue99\"}",
        "{\"password\":\"CanaryValue 99 with spaces\"}", "AWS_SECRET_ACCESS_KEY=CanaryValue99",
        "export WANDB_API_KEY='CanaryValue99'", "?token=CanaryValue99&page=2",
        "hub.token: CanaryValue99", "aws_session_token = CanaryValue99",
        "private-key: CanaryValue99", "db_passwd=CanaryValue99,host=x"}) {
    const std::string scrubbed = scrub_secrets(text);
    EXPECT_EQ(scrubbed.find("Canary"), std::string::npos) << text << " -> " << scrubbed;
    EXPECT_NE(scrubbed.find("***"), std::string::npos) << text;
  }
  EXPECT_EQ(scrub_secrets("?token=CanaryValue99&page=2"), "?token=***&page=2");
}

TEST(ScrubTest, FindsPrivateKeysAlsoWhereOneEndIsCutOff) {
  const std::string begin = std::string("-----BEGIN OPENSSH ") + "PRIVATE KEY-----\n";
  const std::string end = std::string("-----END OPENSSH ") + "PRIVATE KEY-----\n";
  EXPECT_EQ(scrub_secrets("before\n" + begin + "Canary\nCanary\n" + end + "after\n"),
            "before\n*** (a private key)\nafter\n");
  EXPECT_EQ(scrub_secrets("before\n" + begin + "Canary\n"), "before\n*** (a private key)");
  EXPECT_EQ(scrub_secrets("Canary\n" + end + "after\n"), "*** (a private key)\nafter\n");
  // Two of them.
  const std::string both = begin + "Canary\n" + end + "between\n" + begin + "Canary\n" + end;
  EXPECT_EQ(scrub_secrets(both), "*** (a private key)\nbetween\n*** (a private key)\n");
}

TEST(ScrubTest, FindsTheRunsOwnSecretsWhateverTheyLookLike) {
  const std::vector<Secret> own = {Secret("correct horse/battery"), Secret("short")};
  EXPECT_EQ(scrub_secrets("it was correct horse/battery, twice: correct horse/battery", own),
            "it was ***, twice: ***");
  EXPECT_EQ(scrub_secrets("GET /x?k=correct%20horse%2Fbattery", own), "GET /x?k=***");
  EXPECT_EQ(scrub_secrets("a short text", own), "a short text");
}

TEST(ScrubTest, LeavesWhatIsNoSecret) {
  for (const char* text :
       {"tokens=4096 tokens_per_second=1234.5", "\"tokens\": 123456789", "pad_token=<|im_end|>",
        "max_token: 1234567", "hf_hub is a library", "sk-learn", "the secret: x", "step 8 of 10",
        "key=value", "https://huggingface.co/org/model", "cutoff_len: 2048", ""}) {
    EXPECT_EQ(scrub_secrets(text), text);
  }
}

// What is scrubbed stays scrubbed: twice is once.
TEST(ScrubTest, IsIdempotent) {
  const std::string once = scrub_secrets("token=CanaryValue99 hf_Canary0123456789abc x");
  EXPECT_EQ(scrub_secrets(once), once);
  EXPECT_EQ(mask_tokens(once), once);
}

}  // namespace
}  // namespace mayfly
