// The key of a paid account comes from a file that other tools write: read as they read it, or not
// at all, and never the wrong one.
#include "launcher/aws_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

TEST(AwsSectionTest, ReadsOneSectionAndLeavesOutWhatIsNested) {
  constexpr const char* kText =
      "# keys\n[default]\naws_access_key_id = AKIA1\r\n"
      "[profile work.eu]\nregion=eu-west-1\ns3 =\n  addressing_style = path\n; no\nempty\n"
      "region =  eu-central-1 \n[ other ]\nsecret=a/b+c=#1\n";
  EXPECT_THAT(aws_section(kText, "default"), ElementsAre(Pair("aws_access_key_id", "AKIA1")));
  EXPECT_THAT(aws_section(kText, "profile work.eu"),
              ElementsAre(Pair("region", "eu-central-1"), Pair("s3", "")));
  EXPECT_THAT(aws_section(kText, "other"), ElementsAre(Pair("secret", "a/b+c=#1")));
  EXPECT_THAT(aws_section(kText, "work.eu"), IsEmpty());
}

class AwsProfileTest : public TemporaryFolder {
 protected:
  AwsProfileTest() {
    put(".aws/credentials",
        "[default]\naws_access_key_id=ID\naws_secret_access_key=SECRET\n"
        "[work]\naws_access_key_id=WORK\naws_secret_access_key=S2\naws_session_token=T\n");
    put(".aws/config", "[default]\nregion=us-west-2\n[profile sso]\nsso_session=corp\n");
  }
  Environment base(Environment more = {}) {
    more["HOME"] = folder_.string();
    return more;
  }
};

TEST_F(AwsProfileTest, FillsInKeyAndRegionOfTheProfile) {
  const auto plain = with_aws_profile(base());
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->at("AWS_ACCESS_KEY_ID"), "ID");
  EXPECT_EQ(plain->at("AWS_SECRET_ACCESS_KEY"), "SECRET");
  EXPECT_EQ(plain->at("AWS_DEFAULT_REGION"), "us-west-2");
  EXPECT_FALSE(plain->contains("AWS_SESSION_TOKEN"));
  const auto work = with_aws_profile(base({{"AWS_PROFILE", "work"}}));
  ASSERT_TRUE(work) << work.error().message;
  EXPECT_EQ(work->at("AWS_ACCESS_KEY_ID"), "WORK");
  EXPECT_EQ(work->at("AWS_SESSION_TOKEN"), "T");
  EXPECT_FALSE(work->contains("AWS_DEFAULT_REGION"));
}

// Half of one key and half of another would be a key of nobody.
TEST_F(AwsProfileTest, LeavesTheEnvironmentsOwnKeyAlone) {
  const auto given = with_aws_profile(base({{"AWS_ACCESS_KEY_ID", "MINE"},
                                            {"AWS_SECRET_ACCESS_KEY", "X"},
                                            {"AWS_DEFAULT_REGION", "eu-north-1"},
                                            {"AWS_PROFILE", "work"}}));
  ASSERT_TRUE(given);
  EXPECT_EQ(given->at("AWS_ACCESS_KEY_ID"), "MINE");
  EXPECT_EQ(given->at("AWS_SECRET_ACCESS_KEY"), "X");
  EXPECT_EQ(given->at("AWS_DEFAULT_REGION"), "eu-north-1");
  EXPECT_FALSE(given->contains("AWS_SESSION_TOKEN"));
}

TEST_F(AwsProfileTest, SaysWhatItDoesNotAsk) {
  const auto missing = with_aws_profile(base({{"AWS_PROFILE", "nobody"}}));
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr("nobody"));
  const auto sign_on = with_aws_profile(base({{"AWS_PROFILE", "sso"}}));
  EXPECT_EQ(sign_on.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(sign_on.error().message, HasSubstr("sso_session"));
  EXPECT_THAT(sign_on.error().hint, HasSubstr("export-credentials --profile sso"));
}

TEST_F(AwsProfileTest, IsContentWithoutFilesAndLooksWhereItIsTold) {
  const auto none = with_aws_profile({{"HOME", "/nowhere"}});
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->contains("AWS_ACCESS_KEY_ID"));
  const std::string file = (folder_ / ".aws/credentials").string();
  const auto told = with_aws_profile({{"HOME", "/nowhere"}, {"AWS_SHARED_CREDENTIALS_FILE", file}});
  EXPECT_EQ(told->at("AWS_ACCESS_KEY_ID"), "ID");
}

}  // namespace
}  // namespace mayfly
