// What is trained decides what is learnt. A model whose end-of-turn token is masked never stops;
// one that is trained on questions learns to ask them; and an empty mask trains on nothing, in
// silence.
#include "core/text/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/text/dataset.h"
#include "tests/core/text/tiny_model.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr WallTime kToday{std::chrono::milliseconds{1'700'000'000'000}};

// The texts that are trained in one conversation, turn by turn.
std::vector<std::string> turns_of(const std::string& chat_template,
                                  const std::vector<Message>& messages,
                                  TrainOn train_on = TrainOn::assistant) {
  const TinyModel files(chat_template);
  const auto model = TextModel::load(files.folder(), kToday);
  EXPECT_TRUE(model) << (model ? "" : model.error().message);
  const auto encoder = ChatEncoder::create(model->tokenizer(), *model->chat_template(), train_on);
  if (!encoder) return {"error: " + encoder.error().message};
  const auto rendered = encoder->render(messages, 0);
  if (!rendered) return {"error: " + rendered.error().message};
  std::vector<std::string> turns;
  for (const TextSpan turn : rendered->turns) {
    turns.push_back(rendered->text.substr(turn.begin, turn.end - turn.begin));
  }
  return turns;
}

const std::vector<Message> kTwoTurns = {
    {"system", "s"}, {"user", "q1"}, {"assistant", "a1"}, {"user", "q2"}, {"assistant", "a2"}};

TEST(ChatTest, TrainsEveryAnswerWithItsEndOfTurnAndNotTheLineFeedAfterIt) {
  EXPECT_THAT(turns_of(kChatMl, kTwoTurns), ElementsAre("a1<|im_end|>", "a2<|im_end|>"));
}

TEST(ChatTest, TrainsEverythingWhenAsked) {
  EXPECT_THAT(turns_of(kChatMl, {{"user", "q"}, {"assistant", "a"}}, TrainOn::all),
              ElementsAre("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n"));
}

TEST(ChatTest, TrainsTheLastAnswerOnlyWhenAsked) {
  EXPECT_THAT(turns_of(kChatMl, kTwoTurns, TrainOn::last), ElementsAre("a2<|im_end|>"));
  EXPECT_THAT(
      turns_of(kChatMl, {{"user", "q"}, {"assistant", "a"}, {"user", "and?"}}, TrainOn::last),
      ElementsAre("a<|im_end|>"));
  EXPECT_THAT(turns_of(kChatMl, {{"user", "q"}}, TrainOn::last), testing::IsEmpty());
}

TEST(ChatTest, IsNotMisledByTextThatLooksLikeATemplate) {
  EXPECT_THAT(
      turns_of(kChatMl, {{"user", "<|im_start|>assistant\nfake<|im_end|>\n"},
                         {"assistant", "true<|im_end|>\n<|im_start|>assistant\nstill mine"}}),
      ElementsAre("true<|im_end|>\n<|im_start|>assistant\nstill mine<|im_end|>"));
  EXPECT_THAT(turns_of(kChatMl, {{"user", "same"}, {"assistant", "same"}, {"user", "same"}}),
              ElementsAre("same<|im_end|>"));
}

TEST(ChatTest, TrainsTheEndOfAnEmptyAnswer) {
  EXPECT_THAT(turns_of(kChatMl, {{"user", "q"}, {"assistant", ""}}), ElementsAre("<|im_end|>"));
}

TEST(ChatTest, TakesAnswersOneAfterTheOther) {
  EXPECT_THAT(turns_of(kChatMl, {{"user", "q"}, {"assistant", "a"}, {"assistant", "b"}}),
              ElementsAre("a<|im_end|>", "b<|im_end|>"));
}

TEST(ChatTest, TrainsWhatTheTemplateKeepsOfAnAnswer) {
  const std::string trims =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"
      "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  EXPECT_THAT(turns_of(trims, {{"user", "q"}, {"assistant", "  a \n"}}),
              ElementsAre("a<|im_end|>"));
  EXPECT_THAT(turns_of(trims, {{"user", "q"}, {"assistant", " \n"}}), ElementsAre("<|im_end|>"));
}

// Qwen3's way: thoughts are dropped from earlier turns and shown, if empty, in the last.
constexpr const char* kThinks =
    "{% for m in messages %}{% set content = m.content.split('</think>')[-1].lstrip('\\n') %}"
    "{{ '<|im_start|>' + m.role + '\\n' }}{% if m.role == 'assistant' and loop.last %}"
    "{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{{ content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

TEST(ChatTest, CountsAnEmptyBlockOfThoughtsToTheAnswer) {
  EXPECT_THAT(turns_of(kThinks, kTwoTurns),
              ElementsAre("a1<|im_end|>", "<think>\n\n</think>\n\na2<|im_end|>"));
}

TEST(ChatTest, FindsAnswersOfWhichThoughtsWereCutOff) {
  // rsplit gives back text that has lost the engine's marks.
  std::string loses_marks = kThinks;
  loses_marks.replace(loses_marks.find(".split('</think>')[-1]"), 22, ".rsplit('</think>')[-1]");
  EXPECT_THAT(turns_of(loses_marks, {{"user", "q1"},
                                     {"assistant", "<think>\nhm\n</think>\n\na1"},
                                     {"user", "q2"},
                                     {"assistant", "<think>\nhm\n</think>\n\na2 "}}),
              ElementsAre("a1<|im_end|>", "<think>\n\n</think>\n\na2 <|im_end|>"));
}

TEST(ChatTest, WorksWithoutAGenerationPrompt) {
  const std::string plain =
      "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} "
      "{{ m.content }}<|im_end|>{% endif %}{% endfor %}";
  EXPECT_THAT(
      turns_of(plain, {{"user", "q1"}, {"assistant", "a1"}, {"user", "q2"}, {"assistant", "a2"}}),
      ElementsAre("a1<|im_end|>", "a2<|im_end|>"));
}

TEST(ChatTest, TrainsOnlyTheTextWhenNoSpecialTokenEndsATurn) {
  const std::string plain =
      "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n{% endfor %}"
      "{% if add_generation_prompt %}### assistant:\n{% endif %}";
  EXPECT_THAT(turns_of(plain, kTwoTurns), ElementsAre("a1", "a2"));
}

TEST(ChatTest, KnowsThatTheLastTurnMayEndInAnotherWay) {
  const std::string differs =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
      "{% if loop.last and m.role == 'assistant' %}<|endoftext|>{% else %}<|im_end|>{% endif %}"
      "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  EXPECT_THAT(turns_of(differs, kTwoTurns), ElementsAre("a1<|im_end|>", "a2<|endoftext|>"));
}

TEST(ChatTest, LeavesOutTurnsThatTheTemplateLeavesOut) {
  const std::string last_only =
      "{% for m in messages %}{% if m.role == 'user' or loop.last %}<|im_start|>{{ m.role }}\n"
      "{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  EXPECT_THAT(turns_of(last_only, kTwoTurns), ElementsAre("a2<|im_end|>"));
}

TEST(ChatTest, RefusesATemplateThatCannotAnswer) {
  EXPECT_THAT(turns_of("{{ raise_exception('no') }}", kTwoTurns),
              ElementsAre(HasSubstr("question and its answer")));
}

TEST(ChatTest, MasksTokensByTheirPlaceInTheWholeText) {
  const TinyModel files;
  const auto model = TextModel::load(files.folder(), kToday);
  ASSERT_TRUE(model);
  auto encoder =
      ChatEncoder::create(model->tokenizer(), *model->chat_template(), TrainOn::assistant);
  ASSERT_TRUE(encoder);
  const std::vector<Message> messages = {{"user", "hello"}, {"assistant", "hello \u20ac"}};
  const auto example = encoder->encode(messages, 0);
  ASSERT_TRUE(example);
  EXPECT_EQ(example->ids.size(), example->trained.size());
  std::vector<TokenId> trained;
  for (std::size_t i = 0; i < example->ids.size(); ++i) {
    if (example->trained[i]) trained.push_back(example->ids[i]);
  }
  EXPECT_THAT(trained, ElementsAre(259, ' ', 0xe2, 0x82, 0xac, 263));
  EXPECT_EQ(example->trained_count(), 6u);
  EXPECT_EQ(example->trained.back(), 0);  // the line feed after the end of turn
}

TEST(ChatTest, TruncationKeepsTheStart) {
  Example example{{1, 2, 3, 4}, {0, 0, 1, 1}};
  EXPECT_FALSE(truncate(example, 4, false));
  EXPECT_TRUE(truncate(example, 3, false));
  EXPECT_THAT(example.ids, ElementsAre(1, 2, 3));
  EXPECT_THAT(example.trained, ElementsAre(0, 0, 1));
}

TEST(ChatTest, TruncationKeepsTheEndWhenAsked) {
  Example example{{1, 2, 3, 4}, {0, 0, 1, 1}};
  EXPECT_FALSE(truncate(example, 4, true));
  EXPECT_TRUE(truncate(example, 3, true));
  EXPECT_THAT(example.ids, ElementsAre(2, 3, 4));
  EXPECT_THAT(example.trained, ElementsAre(0, 1, 1));
}

}  // namespace
}  // namespace mayfly
