// The template decides what a model learns to read: the one that was asked for must be used, and
// one that cannot work must be refused before anything is trained.
#include "core/text/text_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/text/tiny_model.h"

namespace mayfly {
namespace {

using testing::HasSubstr;

constexpr WallTime kToday{std::chrono::milliseconds{1'700'000'000'000}};
constexpr const char* kShouting =
    "{% for message in messages %}{{ message['role'] | upper + ': ' + message['content'] + "
    "'<|im_end|>' }}{% endfor %}";

class TextModelTest : public testing::Test {
 protected:
  std::string shown() {
    const std::vector<Message> messages = {{"user", "hello"}, {"assistant", "lo"}};
    const auto text = model_.chat_template()->render(messages, false);
    return text ? text->text : "error: " + text.error().message;
  }
  Status choose(const std::string& name) {
    DataConfig config;
    config.chat_template = name;
    return model_.choose_template(config, kToday);
  }

  TextModel loaded() {
    auto model = TextModel::load(files_.folder(), kToday);
    EXPECT_TRUE(model);
    return std::move(*model);
  }

  TinyModel files_{kShouting};
  TextModel model_ = loaded();
};

TEST_F(TextModelTest, UsesItsOwnTemplateUnlessAnotherIsNamed) {
  ASSERT_TRUE(choose("tokenizer"));
  EXPECT_EQ(shown(), "USER: hello<|im_end|>ASSISTANT: lo<|im_end|>");
  ASSERT_TRUE(choose("chatml"));
  EXPECT_EQ(shown(), "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\nlo<|im_end|>\n");
  const std::vector<Message> question = {{"user", "q"}};
  EXPECT_EQ(model_.chat_template()->render(question, true)->text,
            "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(TextModelTest, ReadsATemplateFromAFile) {
  ASSERT_TRUE(choose(files_.write("mine.jinja", "{{ messages[0]['content'] }}!")));
  EXPECT_EQ(shown(), "hello!");
  EXPECT_EQ(model_.config().chat_template, "{{ messages[0]['content'] }}!");
}

TEST_F(TextModelTest, RefusesATemplateThatCannotBeUsed) {
  const auto missing = choose("llama3");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_THAT(missing.error().hint, HasSubstr("tokenizer, chatml or a file"));
  EXPECT_FALSE(choose(files_.write("bad.jinja", "{% for %}")));
  nlohmann::json plain = tiny_tokenizer();
  plain["added_tokens"].erase(1);
  files_.write("tokenizer.json", plain.dump());
  model_ = loaded();
  const auto untold = choose("chatml");
  ASSERT_FALSE(untold);
  EXPECT_THAT(untold.error().message, HasSubstr("<|im_start|>"));
}

TEST_F(TextModelTest, TakesTheTemplateOfAnAdapter) {
  ASSERT_TRUE(model_.take_template_of("", kToday));
  ASSERT_TRUE(model_.take_template_of(files_.folder(), kToday));
  EXPECT_THAT(shown(), HasSubstr("USER"));
  files_.write("chat_template.jinja", "adapter's");
  ASSERT_TRUE(model_.take_template_of(files_.folder(), kToday));
  EXPECT_EQ(shown(), "adapter's");
}

}  // namespace
}  // namespace mayfly
