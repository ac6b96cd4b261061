// The data set is what the launcher prices and the trainer trains: the rules that choose rows must
// be exact, and a row that trains nothing must never pass unseen.
#include "core/text/dataset.h"

#include <algorithm>
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

MixSource part(std::vector<std::string> files, double weight = 1) {
  MixSource source;
  source.path = std::move(files);
  source.weight = weight;
  return source;
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

// A mix of the rows 0..count-1 and of 1000...
TEST_F(DatasetTest, MixesByWeightWithoutRepeating) {
  DataConfig config;
  config.mix = {part({write_rows("a.jsonl", 0, 30)}, 3),
                part({write_rows("b.jsonl", 1000, 50), write_rows("c.jsonl", 1050, 50)})};
  config.mix[0].name = "small";
  const auto data = load(config);
  ASSERT_TRUE(data) << located_message(data.error());
  const auto found = numbers(data->train);
  const auto from_small =
      std::count_if(found.begin(), found.end(), [](int number) { return number < 1000; });
  EXPECT_EQ(from_small, 30);
  EXPECT_THAT(found, SizeIs(40));
  EXPECT_EQ(std::set<int>(found.begin(), found.end()).size(), 40u);
  EXPECT_EQ(found, numbers(load(config)->train));
  ASSERT_THAT(data->sources, SizeIs(2));
  EXPECT_EQ(data->sources[0].name, "small");
  EXPECT_EQ(data->sources[0].share, 0.75);
  EXPECT_EQ(data->sources[1].name, "b.jsonl");
  EXPECT_EQ(data->sources[1].available, 100);
  EXPECT_EQ(data->sources[1].rows, 10);
  EXPECT_EQ(data->sources[0].tokens + data->sources[1].tokens, data->train_counts.tokens);
  EXPECT_EQ(data->train_counts.examples, 40);
  config.seed = 43;
  EXPECT_NE(found, numbers(load(config)->train));
}

TEST_F(DatasetTest, RepeatsTheSmallerSourceWhenEveryRowIsWanted) {
  DataConfig config;
  config.mix = {part({write_rows("a.jsonl", 0, 4)}), part({write_rows("b.jsonl", 1000, 10)})};
  config.mix_strategy = MixStrategy::all_exhausted;
  const auto data = load(config);
  ASSERT_TRUE(data);
  const auto found = numbers(data->train);
  EXPECT_EQ(std::set<int>(found.begin(), found.end()).size(), 14u);
  EXPECT_EQ(data->sources[0].rows, 10);
  EXPECT_EQ(data->sources[1].rows, 10);
  config.max_train_samples = 6;
  EXPECT_THAT(load(config)->train, SizeIs(6));
  config.max_train_samples.reset();
  config.mix[0].path = {write_rows("one.jsonl", 0, 1)};
  config.mix[1].path = {write_rows("many.jsonl", 1000, 150)};
  EXPECT_THAT(load(config).error().message, HasSubstr("more than 100 times"));
}

TEST_F(DatasetTest, HoldsOutOfEverySourceBeforeItMixes) {
  DataConfig config;
  config.mix = {part({write_rows("a.jsonl", 0, 20)}, 9), part({write_rows("b.jsonl", 1000, 20)})};
  config.test_size = 0.25;
  config.dedup = Dedup::exact;
  const auto data = load(config);
  ASSERT_TRUE(data);
  const auto held_out = numbers(data->validation);
  EXPECT_THAT(held_out, SizeIs(10));
  EXPECT_EQ(std::count_if(held_out.begin(), held_out.end(), [](int n) { return n < 1000; }), 5);
  for (const int number : numbers(data->train)) {
    EXPECT_THAT(held_out, testing::Not(testing::Contains(number)));
  }
  EXPECT_EQ(data->sources[0].available, 15);
  EXPECT_EQ(data->sources[0].rows, 15);
  EXPECT_EQ(data->sources[1].rows, 2);  // 16.67 rows in all would be exact; 17 need 15.3 and 1.7
}

TEST_F(DatasetTest, LeavesOutWhatAnEarlierSourceHas) {
  DataConfig config;
  config.mix = {part({write_rows("a.jsonl", 0, 6)}), part({write_rows("b.jsonl", 4, 6)})};
  config.dedup = Dedup::exact;
  const auto data = load(config);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->train_counts.duplicates, 2);
  EXPECT_EQ(data->sources[1].available, 4);
  config.mix[1].path = config.mix[0].path;
  const auto refused = load(config);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("no row of a.jsonl is left"));
}

TEST_F(DatasetTest, SharesTheSampleOutAndReadsEachSourceAsItSays) {
  DataConfig config;
  const std::string other = write("b.jsonl", R"({"q": "x", "a": "answer 7"})"
                                             "\n"
                                             R"({"q": "x", "a": "answer 8"})"
                                             "\n");
  config.mix = {part({write_rows("a.jsonl", 0, 20)}, 0.75), part({other}, 0.25)};
  config.mix[1].format = DataFormat::prompt_completion;
  config.mix[1].fields_named = {{"prompt", "q"}, {"completion", "a"}};
  config.sample_size = 4;
  const auto data = load(config);
  ASSERT_TRUE(data) << located_message(data.error());
  auto found = numbers(data->train);
  std::sort(found.begin(), found.end());
  EXPECT_THAT(found, testing::ElementsAre(0, 1, 2, 7));
  config.sample_size = 1;
  EXPECT_THAT(load(config)->warnings, testing::ElementsAre(HasSubstr("no row of b.jsonl")));
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

TEST_F(DatasetTest, LeavesOutWhatIsNearlyTheSame) {
  const std::string question = "what would you say of the weather in the mountains today";
  const std::string long_answer =
      "answer 1 it is fine up there and down here too so take a coat and a hat and a bottle with "
      "you and be back before the sun is gone behind the ridge or the night will find you far "
      "from home";
  std::string other = long_answer;
  other.replace(7, 1, "2");
  DataConfig config;
  config.path = {write("a.jsonl", row(long_answer, question) + row(other, question) +
                                      row("answer 3", question) + row("answer 3", question))};
  config.dedup = Dedup::exact;
  EXPECT_THAT(load(config)->train, SizeIs(3));
  config.dedup = Dedup::near;
  const auto data = load(config);
  ASSERT_TRUE(data);
  EXPECT_THAT(numbers(data->train), testing::ElementsAre(1, 3));
  EXPECT_EQ(data->train_counts.duplicates, 2);
  // A row that is near to a held-out one is not trained on.
  config.val_path = write("b.jsonl", row(long_answer, question));
  EXPECT_THAT(numbers(load(config)->train), testing::ElementsAre(3));
}

TEST_F(DatasetTest, KeepsTheRowsOfBothPartsAsTheyWereGiven) {
  std::string text;
  for (int i = 0; i < 8; ++i) {
    text += R"({"id": )" + std::to_string(i) +
            R"(,  "messages": [{"role": "user", "content": "q"},)" +
            R"({"role": "assistant", "content": "answer )" + std::to_string(i) + "\"}]}\r\n";
  }
  DataConfig config;
  config.path = {write("a.jsonl", text)};
  config.test_size = 0.25;
  config.max_train_samples = 4;
  EXPECT_THAT(load(config)->train_rows, IsEmpty());
  config.save_splits = true;
  auto data = load(config);
  ASSERT_TRUE(data);
  ASSERT_THAT(data->train_rows, SizeIs(4));
  ASSERT_THAT(data->validation_rows, SizeIs(2));
  EXPECT_THAT(text, HasSubstr(data->train_rows[0] + "\r\n"));
  const std::filesystem::path folder = files_.folder() / "run/data";
  ASSERT_TRUE(write_splits(*data, folder));
  // What is written is read as the same rows.
  DataConfig again;
  again.path = {folder / "train.jsonl"};
  again.val_path = folder / "validation.jsonl";
  const auto same = load(again);
  ASSERT_TRUE(same) << located_message(same.error());
  EXPECT_EQ(numbers(same->train), numbers(data->train));
  EXPECT_EQ(numbers(same->validation), numbers(data->validation));
}

TEST_F(DatasetTest, KeepsTheRowsOfAListAndOfAMixAsOftenAsTheyAreTrainedOn) {
  DataConfig config;
  config.mix = {part({write("a.jsonl", R"([{"text": "answer 1",  "n": 1}])")}),
                part({write_rows("b.jsonl", 2, 3)})};
  config.mix_strategy = MixStrategy::all_exhausted;
  config.save_splits = true;
  const auto data = load(config);
  ASSERT_TRUE(data);
  ASSERT_EQ(data->train_rows.size(), data->train.size());
  EXPECT_EQ(
      std::count(data->train_rows.begin(), data->train_rows.end(), R"({"text":"answer 1","n":1})"),
      data->sources[0].rows);
}

}  // namespace
}  // namespace mayfly
