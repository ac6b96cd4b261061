// The data set is what the launcher prices and the trainer trains: the rules that choose rows must
// be exact, and a row that trains nothing must never pass unseen.
#include "core/text/dataset.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/text/tiny_model.h"

namespace mayfly {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr WallTime kToday{std::chrono::milliseconds{1'700'000'000'000}};

std::string row(const std::string& answer, const std::string& question = "q") {
  return nlohmann::json{{"messages",
                         {{{"role", "user"}, {"content", question}},
                          {{"role", "assistant"}, {"content", answer}}}}}
             .dump() +
         "\n";
}

class DatasetTest : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    return files_.write(name, text);
  }
  std::string write_rows(const std::string& name, int first, int count) {
    std::string text;
    for (int i = first; i < first + count; ++i) text += row("answer " + std::to_string(i));
    return write(name, text);
  }
  Result<Dataset> load(const DataConfig& config) {
    auto model = TextModel::load(files_.folder(), kToday);
    EXPECT_TRUE(model);
    model_ = std::make_unique<TextModel>(std::move(*model));
    return load_dataset(config, *model_, {});
  }
  // The number in "answer N" of each example.
  std::vector<int> numbers(const std::vector<Example>& examples) {
    std::vector<int> found;
    for (const Example& example : examples) {
      const std::string text = model_->tokenizer().decode(example.ids, false);
      found.push_back(std::stoi(text.substr(text.find("answer ") + 7)));
    }
    return found;
  }

  TinyModel files_;
  std::unique_ptr<TextModel> model_;
};

TEST_F(DatasetTest, CountsWhatItRead) {
  DataConfig config;
  config.path = {write("a.jsonl", row("hello") + "\n" + row("hello hello"))};
  const auto data = load(config);
  ASSERT_TRUE(data) << located_message(data.error());
  EXPECT_EQ(data->train_counts.examples, 2);
  EXPECT_EQ(data->train_counts.tokens_trained_on, 2 + 3);
  EXPECT_EQ(data->train_counts.tokens,
            static_cast<std::int64_t>(data->train[0].ids.size() + data->train[1].ids.size()));
  EXPECT_EQ(data->train_counts.longest, static_cast<std::int64_t>(data->train[1].ids.size()));
  EXPECT_EQ(data->train_counts.blank_lines, 1);
  EXPECT_THAT(data->warnings, IsEmpty());
}

TEST_F(DatasetTest, TakesTheFirstRowsOfAllFilesTogether) {
  DataConfig config;
  config.path = {write_rows("a.jsonl", 0, 3), write_rows("b.jsonl", 3, 3)};
  config.sample_size = 4;
  const auto data = load(config);
  ASSERT_TRUE(data);
  EXPECT_THAT(numbers(data->train), testing::ElementsAre(0, 1, 2, 3));
}

TEST_F(DatasetTest, HoldsOutTheSameRowsEveryTime) {
  DataConfig config;
  config.path = {write_rows("a.jsonl", 0, 20)};
  config.test_size = 0.25;
  const auto data = load(config);
  const auto again = load(config);
  ASSERT_TRUE(data && again);
  EXPECT_THAT(data->train, SizeIs(15));
  EXPECT_THAT(data->validation, SizeIs(5));
  EXPECT_EQ(numbers(data->validation), numbers(again->validation));
  auto all = numbers(data->train);
  for (const int number : numbers(data->validation)) all.push_back(number);
  EXPECT_EQ(std::set<int>(all.begin(), all.end()).size(), 20u);
  config.seed = 43;
  const auto other = load(config);
  EXPECT_NE(numbers(data->validation), numbers(other->validation));
}

TEST_F(DatasetTest, LeavesRepeatedRowsOutAndNeverTrainsOnHeldOutOnes) {
  DataConfig config;
  config.path = {write("a.jsonl", row("answer 1") + row("answer 2") + row("answer 1") +
                                      row("answer 3") + row("answer 2", "another question"))};
  config.val_path = write("b.jsonl", row("answer 3") + row("answer 4"));
  EXPECT_THAT(load(config)->train, SizeIs(5));
  config.dedup = Dedup::exact;
  const auto data = load(config);
  ASSERT_TRUE(data);
  EXPECT_THAT(numbers(data->train), testing::ElementsAre(1, 2, 2));
  EXPECT_THAT(numbers(data->validation), testing::ElementsAre(3, 4));
  EXPECT_EQ(data->train_counts.duplicates, 2);
}

TEST_F(DatasetTest, PutsShortRowsTogetherWhenAsked) {
  DataConfig config;
  config.path = {write("a.jsonl", row("short") + row(std::string(200, 'x')) + row("brief"))};
  config.cutoff_len = 200;
  const auto alone = load(config);
  ASSERT_TRUE(alone);
  EXPECT_THAT(alone->sequences, testing::ElementsAre(Pack{0}, Pack{1}, Pack{2}));
  EXPECT_EQ(alone->train_counts.sequences, 3);
  EXPECT_EQ(alone->train_counts.longest_sequence, 200);
  config.pack_sequences = true;
  const auto packed = load(config);
  ASSERT_TRUE(packed);
  EXPECT_THAT(packed->sequences, testing::ElementsAre(Pack{0, 2}, Pack{1}));
  EXPECT_EQ(packed->train_counts.sequences, 2);
  EXPECT_EQ(packed->train_counts.examples, 3);
}

TEST_F(DatasetTest, TreatsLongRowsAsAsked) {
  DataConfig config;
  config.path = {write("a.jsonl", row("short") + row(std::string(200, 'x')))};
  config.cutoff_len = 100;
  config.truncation = Truncation::keep_end;
  const auto ends = load(config);
  ASSERT_TRUE(ends);
  EXPECT_THAT(ends->train[1].ids, SizeIs(100));
  EXPECT_EQ(ends->train[1].ids.back(), '\n');
  EXPECT_EQ(ends->train_counts.truncated, 1);
  config.truncation = Truncation::split;
  const auto pieces = load(config);
  ASSERT_TRUE(pieces);
  ASSERT_GE(pieces->train.size(), 3u);
  EXPECT_EQ(pieces->train_counts.split, 1);
  EXPECT_EQ(pieces->train_counts.truncated, 0);
  std::vector<TokenId> joined;
  for (std::size_t i = 1; i < pieces->train.size(); ++i) {
    EXPECT_LE(pieces->train[i].ids.size(), 100u);
    EXPECT_GT(pieces->train[i].trained_count(), 0u);
    joined.insert(joined.end(), pieces->train[i].ids.begin(), pieces->train[i].ids.end());
  }
  config.cutoff_len = 1000;
  EXPECT_EQ(load(config)->train[1].ids, joined);
  config.cutoff_len = 100;
  // A limit of rows counts rows.
  config.max_train_samples = 2;
  EXPECT_EQ(load(config)->train.size(), pieces->train.size());
  config.max_train_samples.reset();
  config.truncation = Truncation::drop;
  const auto dropped = load(config);
  ASSERT_TRUE(dropped);
  EXPECT_THAT(dropped->train, SizeIs(1));
  EXPECT_EQ(dropped->train_counts.too_long, 1);
  config.truncation = Truncation::error;
  const auto refused = load(config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().at.line, 2);
  EXPECT_THAT(refused.error().message, HasSubstr("data.cutoff_len"));
}

TEST_F(DatasetTest, UsesTheValidationFileInsteadOfHoldingOut) {
  DataConfig config;
  config.path = {write_rows("a.jsonl", 0, 4)};
  config.val_path = write_rows("v.jsonl", 100, 2);
  config.test_size = 0.5;
  const auto data = load(config);
  ASSERT_TRUE(data);
  EXPECT_THAT(data->train, SizeIs(4));
  EXPECT_THAT(numbers(data->validation), testing::ElementsAre(100, 101));
  EXPECT_EQ(data->validation_counts.examples, 2);
}

TEST_F(DatasetTest, TrainsOnAtMostSoManyAfterHoldingOut) {
  DataConfig config;
  config.path = {write_rows("a.jsonl", 0, 10)};
  config.test_size = 0.2;
  config.max_train_samples = 3;
  const auto data = load(config);
  ASSERT_TRUE(data);
  EXPECT_THAT(data->train, SizeIs(3));
  EXPECT_THAT(data->validation, SizeIs(2));
}

TEST_F(DatasetTest, ReadsTheNumberOfRowsFromAFilteredFilesName) {
  DataConfig config;
  config.path = {write_rows("dogs-filtered-4.jsonl", 0, 6)};
  EXPECT_THAT(load(config)->train, SizeIs(4));
  config.max_train_samples = 5;
  EXPECT_THAT(load(config)->train, SizeIs(5));
  config.max_train_samples.reset();
  config.path = {write_rows("filtered-x4.jsonl", 0, 6)};
  EXPECT_THAT(load(config)->train, SizeIs(6));
}

TEST_F(DatasetTest, CutsRowsAndCountsWhatTheyLost) {
  DataConfig config;
  config.path = {write("a.jsonl", row("ok") + row(std::string(100, 'x')))};
  config.cutoff_len = 40;
  const auto data = load(config);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->train_counts.truncated, 1);
  EXPECT_GT(data->train_counts.tokens_cut, 60);
  EXPECT_EQ(data->train_counts.longest, 40);
}

TEST_F(DatasetTest, RefusesARowOfWhichNothingIsTrained) {
  DataConfig config;
  config.path = {write("a.jsonl", row("ok") + row("cut off", std::string(100, 'x')))};
  config.cutoff_len = 40;
  const auto data = load(config);
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().kind, ErrorKind::bad_data);
  EXPECT_EQ(data.error().at.line, 2);
  EXPECT_THAT(data.error().message, HasSubstr("data.cutoff_len = 40"));

  config.mask_check = MaskCheck::warn;
  const auto warned = load(config);
  ASSERT_TRUE(warned);
  EXPECT_EQ(warned->train_counts.dropped, 1);
  EXPECT_THAT(warned->warnings, testing::ElementsAre(HasSubstr("a.jsonl:2: ")));

  config.mask_check = MaskCheck::off;
  const auto silent = load(config);
  ASSERT_TRUE(silent);
  EXPECT_EQ(silent->train_counts.dropped, 1);
  EXPECT_THAT(silent->warnings, IsEmpty());
}

TEST_F(DatasetTest, RefusesDataThatLeavesNothing) {
  DataConfig config;
  EXPECT_EQ(load(config).error().kind, ErrorKind::invalid_config);
  config.path = {"/nowhere.jsonl"};
  EXPECT_EQ(load(config).error().kind, ErrorKind::not_found);
  config.path = {write("a.jsonl", row("cut off", std::string(100, 'x')))};
  config.cutoff_len = 40;
  config.mask_check = MaskCheck::warn;
  EXPECT_THAT(load(config).error().message, HasSubstr("no row is left"));
}

TEST_F(DatasetTest, TellsWhichRowTheTemplateRefuses) {
  files_.write("chat_template.jinja",
               std::string("{% if messages[0].content == 'bad' %}{{ raise_exception('bad start') "
                           "}}{% endif %}") +
                   kChatMl);
  DataConfig config;
  config.path = {write("a.jsonl", row("x") + row("x") + row("x", "bad"))};
  const auto data = load(config);
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().at.line, 3);
  EXPECT_THAT(data.error().message, HasSubstr("bad start"));
}

TEST_F(DatasetTest, KnowsTheIdsToPadAndToStopWith) {
  const auto model = TextModel::load(files_.folder(), kToday);
  ASSERT_TRUE(model);
  EXPECT_EQ(model->eos_id(), 263);
  EXPECT_EQ(model->pad_id(), 261);
}

}  // namespace
}  // namespace mayfly
