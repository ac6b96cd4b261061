// Scripts read the JSON line and people read the text: both must carry the place, the hint and the
// exit code, and neither may carry a token.
#include "core/report_error.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/json.h"

namespace mayfly {
namespace {

TEST(ReportErrorTest, SaysWhereAndWhatToDo) {
  const Error error{ErrorKind::invalid_config, "no key \"trian\"", "did you mean \"train\"?",
                    FileLocation{"run.yaml", 3, 5}};
  EXPECT_EQ(error_text(error),
            "error: run.yaml:3:5: no key \"trian\"\n  hint: did you mean \"train\"?\n");
}

TEST(ReportErrorTest, LeavesOutTheHintThatIsNotThere) {
  EXPECT_EQ(error_text({ErrorKind::internal, "broken"}), "error: broken\n");
}

TEST(ReportErrorTest, WritesOneJsonLineWithAllFields) {
  const std::string line =
      error_json({ErrorKind::no_capacity, "none", "wait", FileLocation{"a.yaml", 2, 1}});
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  const auto json = parse_json(line, "error");
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["ok"], false);
  const auto& error = (*json)["error"];
  EXPECT_EQ(error["code"], "no_capacity");
  EXPECT_EQ(error["message"], "none");
  EXPECT_EQ(error["hint"], "wait");
  EXPECT_EQ(error["exit_code"], 7);
  EXPECT_EQ(error["retryable"], true);
  EXPECT_EQ(error["location"]["file"], "a.yaml");
  EXPECT_EQ(error["location"]["line"], 2);
}

TEST(ReportErrorTest, HasNoLocationWhenThereIsNone) {
  const auto json = parse_json(error_json({ErrorKind::guard, "too dear"}), "error");
  ASSERT_TRUE(json);
  EXPECT_TRUE((*json)["error"]["location"].is_null());
  EXPECT_EQ((*json)["error"]["exit_code"], 8);
  EXPECT_EQ((*json)["error"]["retryable"], false);
}

TEST(ReportErrorTest, MasksTokensInBothForms) {
  const std::string token = std::string("hf_") + "abcdefghijklmnopqrstuv";
  const Error error{ErrorKind::unauthorized, "the hub refused " + token, "not " + token};
  EXPECT_EQ(error_text(error).find(token), std::string::npos);
  EXPECT_EQ(error_json(error).find(token), std::string::npos);
}

TEST(ReportErrorTest, PrintsAllFaultsAndExitsByTheFirst) {
  testing::internal::CaptureStderr();
  const ExitCode code =
      report_errors({{ErrorKind::invalid_config, "one"}, {ErrorKind::bad_data, "two"}}, true);
  const auto json = parse_json(testing::internal::GetCapturedStderr(), "errors");
  EXPECT_EQ(code, ExitCode::usage);
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["error"]["message"], "one");
  EXPECT_EQ((*json)["more"][0]["message"], "two");
}

}  // namespace
}  // namespace mayfly
