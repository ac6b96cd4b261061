// A chat template comes from strangers. It must render what transformers renders
// (tests/oracle_text), and it must end.
#include "core/text/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/text/tiny_model.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr WallTime kToday{std::chrono::milliseconds{1'700'000'000'000}};  // 2023-11-14

Result<ChatTemplate> compile(const std::string& source) {
  TokenizerConfig config;
  config.chat_template = source;
  config.eos_token = "</s>";
  return ChatTemplate::compile(config, kToday);
}

Result<RenderedText> render(const std::string& source, const std::vector<Message>& messages) {
  const auto compiled = compile(source);
  if (!compiled) return compiled.error();
  return compiled->render(messages, false);
}

std::string text_of(const std::string& source) {
  const auto rendered = render(source, {{"user", "hi"}, {"assistant", "ho"}});
  return rendered ? rendered->text : "error: " + rendered.error().message;
}

TEST(ChatTemplateTest, RendersMessagesAndTheGenerationPrompt) {
  const auto chat = compile(kChatMl);
  ASSERT_TRUE(chat);
  const std::vector<Message> messages = {{"user", "hi"}};
  EXPECT_EQ(chat->render(messages, false)->text, "<|im_start|>user\nhi<|im_end|>\n");
  EXPECT_EQ(chat->render(messages, true)->text,
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplateTest, SaysWhatCameFromTheAssistant) {
  const auto rendered = render(
      "{% for m in messages %}[{{ m.content | trim if m.content else m.content }}]{% endfor %}",
      {{"user", "hi"}, {"assistant", " ho "}, {"user", "hi"}, {"assistant", ""}});
  ASSERT_TRUE(rendered);
  EXPECT_EQ(rendered->text, "[hi][ho][hi][]");
  ASSERT_EQ(rendered->assistant.size(), 2u);
  EXPECT_EQ(rendered->assistant[0].begin, 5u);
  EXPECT_EQ(rendered->assistant[0].end, 7u);
  EXPECT_EQ(rendered->assistant[1].begin, 13u);
  EXPECT_EQ(rendered->assistant[1].end, 13u);
}

TEST(ChatTemplateTest, KnowsSpecialTokensAndTheDayOfTheRun) {
  EXPECT_EQ(text_of("{{ eos_token }}"), "</s>");
  EXPECT_EQ(text_of("{{ bos_token }}"), "");
  EXPECT_EQ(text_of("{{ strftime_now('%Y-%m-%d') }}"), "2023-11-14");
}

TEST(ChatTemplateTest, TrimsBlocksAsTransformersDoes) {
  EXPECT_EQ(text_of("a\n  {% if true %}\nb\n{% endif %}\nc"), "a\nb\nc");
  EXPECT_EQ(text_of("{% generation %}x{% endgeneration %}"), "x");
}

TEST(ChatTemplateTest, PassesOnTheTemplatesOwnRefusal) {
  const auto rendered = render("{{ raise_exception('System role not supported') }}", {});
  ASSERT_FALSE(rendered);
  EXPECT_EQ(rendered.error().kind, ErrorKind::bad_data);
  EXPECT_THAT(rendered.error().message, HasSubstr("System role not supported"));
}

TEST(ChatTemplateTest, RefusesAModelWithoutTemplateOrWithABrokenOne) {
  const auto none = ChatTemplate::compile(TokenizerConfig{}, kToday);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(none.error().message, HasSubstr("no chat template"));
  for (const char* source : {"{% if %}", "{{ ", "{% for x in %}{% endfor %}", "{% unheard_of %}",
                             "{% if true %}no end"}) {
    const auto compiled = compile(source);
    ASSERT_FALSE(compiled) << source;
    EXPECT_EQ(compiled.error().kind, ErrorKind::unsupported);
  }
}

// Each of these took seconds to hours, or gigabytes, without a budget.
class HostileTemplateTest : public testing::TestWithParam<const char*> {};

TEST_P(HostileTemplateTest, EndsWithAnError) {
  const auto rendered = render(GetParam(), {{"user", "hi"}});
  ASSERT_FALSE(rendered);
  EXPECT_THAT(rendered.error().message, testing::MatchesRegex(".*it (does|writes|goes) too .*"));
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileTemplateTest,
    testing::Values(
        "{% for a in range(1000000000) %}{% endfor %}",
        "{% for a in range(40000) %}{% for b in range(40000) %}{% endfor %}{% endfor %}",
        "{% set r = range(30000) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
        "{{ 'x' * 1000000000 }}", "{{ '' * 1000000000 }}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}"
        "{% endfor %}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}"
        "{% set ns.s = ns.s.replace('x', 'xxxxxxxx') %}{% endfor %}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}"
        "{% set ns.s = [ns.s, ns.s] | join(ns.s) %}{% endfor %}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}"
        "{% set ns.s = '{}{}'.format(ns.s, ns.s) %}{% endfor %}",
        "{% set ns = namespace(a=[1, 2]) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}"
        "{% endfor %}",
        "{% set ns = namespace(a=[]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}"
        "{% endfor %}{{ ns.a }}",
        "{% set ns = namespace(a=[]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}"
        "{% endfor %}{{ ns.a | tojson }}",
        "{{ 'x' | indent(1000000000, true) }}", "{{ [1, 2] | tojson(indent=1000000000) }}",
        "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(x) %}{{ m(x) }}{{ m(x) }}{% endmacro %}{{ m(1) }}"));

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(ChatTemplateTest, RefusesNestingWithoutEnd) {
  const auto error_of = [](const std::string& source) {
    const auto compiled = compile(source);
    return compiled ? std::string("none") : compiled.error().message;
  };
  EXPECT_THAT(error_of("{{ " + repeated("(", 20000) + "1" + repeated(")", 20000) + " }}"),
              HasSubstr("nested too deep"));
  EXPECT_THAT(error_of(repeated("{% if true %}", 10000)), HasSubstr("nested too deep"));
  EXPECT_THAT(error_of("{% if a %}" + repeated("{% elif a %}", 10000) + "{% endif %}"),
              HasSubstr("nested too deep"));
  EXPECT_THAT(error_of("{{ " + repeated("not ", 50000) + "true }}"), HasSubstr("nested too deep"));
  EXPECT_THAT(error_of("{{ 1" + repeated("+1", 50000) + " }}"), HasSubstr("nested too deep"));
  EXPECT_THAT(error_of(std::string(300000, 'x')), HasSubstr("larger than"));
  // Within the limits.
  EXPECT_EQ(text_of("{{ " + repeated("(", 40) + "1" + repeated(")", 40) + " }}"), "1");
  EXPECT_EQ(text_of(repeated("{% if true %}", 40) + "x" + repeated("{% endif %}", 40)), "x");
  EXPECT_EQ(text_of(repeated("{% set x = 1 %}", 500)), "");
}

TEST(ChatTemplateTest, AHostileRenderLeavesTheNextOneAlone) {
  const auto hostile = compile("{{ 'x' * 1000000000 }}");
  const auto good = compile(kChatMl);
  ASSERT_TRUE(hostile && good);
  const std::vector<Message> messages = {{"user", "hi"}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(hostile->render(messages, false));
    EXPECT_TRUE(good->render(messages, false));
  }
}

TEST(ChatTemplateTest, LongConversationsFitTheBudget) {
  const auto chat = compile(kChatMl);
  ASSERT_TRUE(chat);
  std::vector<Message> messages;
  for (int i = 0; i < 2000; ++i) messages.push_back({i % 2 ? "assistant" : "user", "text"});
  EXPECT_TRUE(chat->render(messages, false));
  const std::vector<Message> large = {{"user", std::string(15 << 20, 'x')}, {"assistant", "y"}};
  EXPECT_TRUE(chat->render(large, false));
}

TEST(TokenizerConfigTest, TakesTheTemplateFileFirstAndTheDefaultOfAList) {
  const TinyModel model;
  const nlohmann::json list = {{{"name", "tool_use"}, {"template", "T"}},
                               {{"name", "default"}, {"template", "D"}}};
  model.write("tokenizer_config.json", nlohmann::json{{"chat_template", list}}.dump());
  EXPECT_EQ(load_tokenizer_config(model.folder())->chat_template, "D");
  model.write("chat_template.jinja", "F");
  EXPECT_EQ(load_tokenizer_config(model.folder())->chat_template, "F");
}

TEST(TokenizerConfigTest, ReadsTokensWrittenEitherWay) {
  const TinyModel model;
  const auto config = load_tokenizer_config(model.folder());
  ASSERT_TRUE(config);
  EXPECT_EQ(config->eos_token, "<|im_end|>");
  EXPECT_EQ(config->pad_token, "<|endoftext|>");
  EXPECT_EQ(config->bos_token, "");
}

}  // namespace
}  // namespace mayfly
