// Rows without turns have no template to say what is trained: these tests do.
#include "core/text/row_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/text/tiny_model.h"

namespace mayfly {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr WallTime kToday{std::chrono::milliseconds{1'700'000'000'000}};
constexpr TokenId kEnd = 263;  // of the tiny model, as its configuration says

class RowEncoderTest : public testing::Test {
 protected:
  Result<Example> encode(const Record& record) {
    auto model = TextModel::load(files_.folder(), kToday);
    if (!model) return std::move(model.error());
    return RowEncoder(*model, config_).encode(record);
  }
  std::string decoded(const Example& example, std::uint8_t trained) {
    std::vector<TokenId> ids;
    for (std::size_t i = 0; i < example.ids.size(); ++i) {
      if (example.trained[i] == trained) ids.push_back(example.ids[i]);
    }
    return TextModel::load(files_.folder(), kToday)->tokenizer().decode(ids, false);
  }
  // A tokenizer that puts one token before a text and one after it, as Llama 3's does with one.
  static nlohmann::json surrounding() {
    nlohmann::json tokenizer = tiny_tokenizer();
    const auto special = [](const char* name) {
      return nlohmann::json{{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
    };
    const auto explained = [](const char* name, int id) {
      return nlohmann::json{{"id", name}, {"ids", {id}}, {"tokens", {name}}};
    };
    tokenizer["post_processor"] = {
        {"type", "Sequence"},
        {"processors",
         {{{"type", "ByteLevel"}, {"trim_offsets", false}},
          {{"type", "TemplateProcessing"},
           {"single",
            {special("<s>"), {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, special("</s>")}},
           {"special_tokens", {{"<s>", explained("<s>", 7)}, {"</s>", explained("</s>", 8)}}}}}}};
    return tokenizer;
  }

  TinyModel files_;
  DataConfig config_;
};

TEST_F(RowEncoderTest, APlainTextIsTrainedAsTheTokenizerMakesIt) {
  const auto example = encode({PlainText{"hello lo"}, 1});
  ASSERT_TRUE(example) << located_message(example.error());
  EXPECT_THAT(example->ids, ElementsAre(259, ' ', 257));
  EXPECT_THAT(example->trained, Each(1));
}

TEST_F(RowEncoderTest, TheTokenizersOwnTokensStandAroundTextsOnly) {
  files_.write("tokenizer.json", surrounding().dump());
  EXPECT_THAT(encode({PlainText{"hello"}, 1})->ids, ElementsAre(7, 259, 8));
  const auto prompted = encode({PromptedText{"hello", " hello"}, 1});
  ASSERT_TRUE(prompted);
  EXPECT_THAT(prompted->trained.front(), 0);
  const auto chat = encode({Conversation{{{"user", "hello"}, {"assistant", "lo"}}}, 1});
  ASSERT_TRUE(chat);
  EXPECT_NE(chat->ids.front(), 7);
}

TEST_F(RowEncoderTest, OfAPromptedTextTheCompletionIsTrainedAndTheEndAdded) {
  const auto example = encode({PromptedText{"say: ", "hello"}, 1});
  ASSERT_TRUE(example) << located_message(example.error());
  EXPECT_EQ(decoded(*example, 0), "say:");
  EXPECT_EQ(decoded(*example, 1), " hello<|im_end|>");  // " hello" is one token
  EXPECT_EQ(example->ids.back(), kEnd);
  config_.train_on = TrainOn::all;
  EXPECT_THAT(encode({PromptedText{"say: ", "hello"}, 1})->trained, Each(1));
}

TEST_F(RowEncoderTest, AnEndThatIsThereIsNotRepeated) {
  const auto example = encode({PromptedText{"a", "b<|im_end|>"}, 1});
  ASSERT_TRUE(example);
  EXPECT_THAT(example->ids, ElementsAre('a', 'b', kEnd));
}

TEST_F(RowEncoderTest, TokensBeyondTheVocabularyAreRefused) {
  EXPECT_THAT(encode({TokenRow{{1, 263}, {1, 0}}, 1})->ids, ElementsAre(1, 263));
  const auto refused = encode({TokenRow{{1, 264}, {1, 1}}, 1});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("264"));
}

TEST_F(RowEncoderTest, ASystemPromptIsPutWhereNoneIs) {
  config_.system_prompt = "be kind";
  const std::vector<Message> turns = {{"user", "q"}, {"assistant", "a"}};
  const auto with = encode({Conversation{turns}, 1});
  ASSERT_TRUE(with);
  EXPECT_THAT(decoded(*with, 0), HasSubstr("<|im_start|>system\nbe kind<|im_end|>"));
  std::vector<Message> own = {{"system", "be brief"}};
  own.insert(own.end(), turns.begin(), turns.end());
  EXPECT_THAT(decoded(*encode({Conversation{own}, 1}), 0),
              testing::AllOf(HasSubstr("be brief"), testing::Not(HasSubstr("be kind"))));
}

TEST_F(RowEncoderTest, AModelWithoutATemplateReadsTextsButNoChats) {
  files_.write("tokenizer_config.json", R"({"eos_token": "<|endoftext|>"})");
  EXPECT_TRUE(encode({PlainText{"hello"}, 1}));
  const auto chat = encode({Conversation{{{"user", "q"}, {"assistant", "a"}}}, 1});
  ASSERT_FALSE(chat);
  EXPECT_EQ(chat.error().kind, ErrorKind::unsupported);
}

// As TRL does with completion_only_loss: whoever says it, and what the template writes after it.
TEST_F(RowEncoderTest, OfAPromptWithACompletionAllOfTheCompletionIsTrained) {
  config_.train_on = TrainOn::completion;
  const std::vector<Message> turns = {
      {"user", "a"}, {"assistant", "b"}, {"user", "c"}, {"assistant", "d"}, {"user", "e"}};
  const auto last = encode({Conversation{{turns.begin(), turns.begin() + 4}, 3}, 1});
  ASSERT_TRUE(last) << located_message(last.error());
  EXPECT_EQ(decoded(*last, 1), "d<|im_end|>\n");
  EXPECT_THAT(decoded(*last, 0), testing::EndsWith("c<|im_end|>\n<|im_start|>assistant\n"));
  const auto more = encode({Conversation{turns, 1}, 1});
  ASSERT_TRUE(more);
  EXPECT_EQ(decoded(*more, 1),
            "b<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>\n"
            "<|im_start|>user\ne<|im_end|>\n");
  config_.system_prompt = "be kind";
  EXPECT_EQ(decoded(*encode({Conversation{{turns.begin(), turns.begin() + 2}, 1}, 1}), 1),
            "b<|im_end|>\n");
  EXPECT_EQ(decoded(*encode({PromptedText{"say: ", "hello"}, 1}), 1), " hello<|im_end|>");
}

TEST_F(RowEncoderTest, WithoutAPromptThereIsNoCompletion) {
  config_.train_on = TrainOn::completion;
  const auto chat = encode({Conversation{{{"user", "q"}, {"assistant", "a"}}}, 1});
  ASSERT_FALSE(chat);
  EXPECT_EQ(chat.error().kind, ErrorKind::bad_data);
  EXPECT_THAT(chat.error().message, HasSubstr("train_on: completion"));
  EXPECT_THAT(encode({PlainText{"hello"}, 1}).error().message, HasSubstr("is a text"));
  EXPECT_TRUE(encode({TokenRow{{1, 2}, {0, 1}}, 1}));
  files_.write("tokenizer_config.json",
               nlohmann::json{{"chat_template", "{{ messages | length }}"}}.dump());
  EXPECT_FALSE(encode({Conversation{{{"user", "q"}, {"assistant", "a"}}, 1}, 1}));
}

}  // namespace
}  // namespace mayfly
