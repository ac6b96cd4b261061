// `launch data check` must see what would spoil a run: each kind of it, once, with its place.
#include "core/text/data_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/text/tiny_model.h"

namespace mayfly {
namespace {

using testing::HasSubstr;

constexpr WallTime kToday{std::chrono::milliseconds{1'700'000'000'000}};

std::string row(const std::string& answer) {
  return nlohmann::json{
             {"messages",
              {{{"role", "user"}, {"content", "q"}}, {{"role", "assistant"}, {"content", answer}}}}}
             .dump() +
         "\n";
}

class DataReportTest : public testing::Test {
 protected:
  DataReport examine() {
    const auto model = TextModel::load(files_.folder(), kToday);
    EXPECT_TRUE(model);
    auto report = examine_data(config_, *model, LookForNear::yes);
    if (report) return std::move(*report);
    ADD_FAILURE() << located_message(report.error());
    return {};
  }
  // The only finding.
  DataFinding finding() {
    const DataReport report = examine();
    EXPECT_EQ(report.findings.size(), 1u);
    return report.findings.empty() ? DataFinding{} : report.findings.front();
  }
  void write_data(const std::string& text) {
    config_.path = {files_.write("data.jsonl", text)};
  }

  TinyModel files_;
  DataConfig config_;
};

TEST_F(DataReportTest, FindsNothingInGoodData) {
  write_data(row("one") + row("two"));
  const DataReport report = examine();
  EXPECT_TRUE(report.findings.empty());
  EXPECT_EQ(report.rows, 2);
  EXPECT_EQ(report.tokens, report.lengths[0] + report.lengths[1]);
  EXPECT_EQ(report.tokens_trained, 2 * 4);  // three letters and the end of the turn
}

TEST_F(DataReportTest, FindsRepeatedRows) {
  write_data(row("one") + row("two") + row("one") + row("one"));
  EXPECT_THAT(finding().what, HasSubstr("repeat"));
  EXPECT_EQ(finding().rows, 2);
  EXPECT_EQ(finding().first.line, 3);
  EXPECT_FALSE(finding().is_error);
}

TEST_F(DataReportTest, FindsWhatIsTrainedAndHeldOut) {
  write_data(row("one") + row("two"));
  config_.val_path = files_.write("held.jsonl", row("two"));
  EXPECT_THAT(finding().what, HasSubstr("held out"));
  EXPECT_EQ(finding().first.line, 2);
  EXPECT_EQ(examine().held_out, 1);
}

TEST_F(DataReportTest, FindsAnswersBeyondTheCut) {
  write_data(row("one") + row(std::string(100, 'x')));
  config_.cutoff_len = 50;
  EXPECT_THAT(finding().what, HasSubstr("longer than data.cutoff_len"));
  config_.cutoff_len = 20;  // the prompt alone is longer
  const DataReport report = examine();
  ASSERT_EQ(report.findings.size(), 2u);
  EXPECT_TRUE(report.findings[0].is_error);
  EXPECT_EQ(report.findings[0].rows, 2);
  EXPECT_THAT(report.findings[0].what, HasSubstr("beyond data.cutoff_len"));
}

TEST_F(DataReportTest, FindsAnswersThatTheTemplateDoesNotShow) {
  files_.write("tokenizer_config.json",
               nlohmann::json{{"chat_template",
                               "{% for message in messages %}{% if message.role == 'user' or "
                               "message.content != 'two' %}{{ message.content }}<|im_end|>{% endif "
                               "%}{% endfor %}"},
                              {"eos_token", "<|im_end|>"}}
                   .dump());
  write_data(row("one") + row("two"));
  const DataFinding found = finding();
  EXPECT_TRUE(found.is_error);
  EXPECT_EQ(found.first.line, 2);
}

TEST_F(DataReportTest, FindsAnswersWhoseEndIsNotTrained) {
  files_.write("tokenizer_config.json",
               nlohmann::json{{"chat_template",
                               "{% for message in messages %}{{ message.role }}: {{ "
                               "message.content }}\n{% endfor %}"}}
                   .dump());
  write_data(row("one"));
  EXPECT_THAT(finding().what, HasSubstr("no end of a turn"));
}

TEST_F(DataReportTest, CountsWhatACutCosts) {
  write_data(row("one") + row(std::string(100, 'x')));
  const DataReport report = examine();
  const std::int64_t longest = report.length_at(1);
  EXPECT_EQ(report.rows_beyond(longest), 0);
  EXPECT_EQ(report.rows_beyond(longest - 1), 1);
  EXPECT_EQ(report.tokens_beyond(longest - 5), 5);
  EXPECT_EQ(report.length_at(0), report.lengths.front());
  EXPECT_EQ(DataReport{}.length_at(0.5), 0);
}

TEST_F(DataReportTest, NamesBothRowsThatAreNearlyTheSame) {
  const std::string text = "one two three four five six seven eight nine ten eleven twelve";
  write_data(row("something else") + row(text) + row(text + " thirteen"));
  const DataFinding near = finding();
  EXPECT_THAT(near.what, HasSubstr("nearly the same"));
  EXPECT_FALSE(near.is_error);
  EXPECT_EQ(near.first.line, 3);
  ASSERT_TRUE(near.like);
  EXPECT_EQ(near.like->line, 2);
}

}  // namespace
}  // namespace mayfly
