// Data is written by people and scripts: whatever is wrong with it must be said with file and line,
// before an hour of a rented machine is spent on it.
#include "core/text/records.h"

#include <random>

#include <gtest/gtest.h>

#include "tests/core/text/tiny_model.h"

namespace mayfly {
namespace {

constexpr const char* kGood =
    R"({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]})";

const std::vector<Message>& messages_of(const Record& record) {
  return std::get<Conversation>(record.content).messages;
}

Error error_of(const std::string& text) {
  const auto records = parse_records(text, "data.jsonl", DataFormat::automatic, 0);
  return records ? Error{ErrorKind::internal, "no error"} : records.error();
}

TEST(RecordsTest, ReadsMessagesInOrder) {
  const auto records =
      parse_records(std::string(kGood) + "\n", "data.jsonl", DataFormat::automatic, 0);
  ASSERT_TRUE(records);
  ASSERT_EQ(records->records.size(), 1u);
  ASSERT_EQ(messages_of(records->records[0]).size(), 2u);
  EXPECT_EQ(messages_of(records->records[0])[0].role, "user");
  EXPECT_EQ(messages_of(records->records[0])[1].content, "ho");
  EXPECT_EQ(records->records[0].line, 1);
}

TEST(RecordsTest, ToleratesByteOrderMarkCarriageReturnsBlankLinesAndNoLastLineFeed) {
  const std::string text =
      std::string("\xef\xbb\xbf") + kGood + "\r\n\r\n  \n" + kGood + "\r\n\n" + kGood;
  const auto records = parse_records(text, "data.jsonl", DataFormat::automatic, 0);
  ASSERT_TRUE(records) << located_message(records.error());
  ASSERT_EQ(records->records.size(), 3u);
  EXPECT_EQ(records->blank_lines, 3);
  EXPECT_EQ(records->records[1].line, 4);
  EXPECT_EQ(records->records[2].line, 6);
}

TEST(RecordsTest, StopsAtTheLimit) {
  const std::string text = std::string(kGood) + "\n" + kGood + "\nnot JSON\n";
  const auto records = parse_records(text, "data.jsonl", DataFormat::automatic, 2);
  ASSERT_TRUE(records);
  EXPECT_EQ(records->records.size(), 2u);
  EXPECT_FALSE(parse_records(text, "data.jsonl", DataFormat::automatic, 3));
}

TEST(RecordsTest, JoinsTextParts) {
  const auto records = parse_records(
      R"({"messages": [{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]})",
      "data.jsonl", DataFormat::automatic, 0);
  ASSERT_TRUE(records);
  EXPECT_EQ(messages_of(records->records[0])[0].content, "ab");
}

TEST(RecordsTest, KeepsNulAndAstralCharacters) {
  const auto records =
      parse_records(R"({"messages": [{"role": "assistant", "content": "a\u0000b\ud83d\ude00"}]})",
                    "d", DataFormat::automatic, 0);
  ASSERT_TRUE(records);
  EXPECT_EQ(messages_of(records->records[0])[0].content, std::string("a\0b\xf0\x9f\x98\x80", 7));
}

struct Bad {
  const char* name;
  std::string line;
  const char* says;
};

class BadRecordTest : public testing::TestWithParam<Bad> {};

TEST_P(BadRecordTest, IsRefusedWithItsLineAndReason) {
  const Error error = error_of(std::string(kGood) + "\n" + GetParam().line + "\n" + kGood + "\n");
  EXPECT_EQ(error.kind, ErrorKind::bad_data);
  EXPECT_EQ(error.at.file, "data.jsonl");
  EXPECT_EQ(error.at.line, 2);
  EXPECT_NE(error.message.find(GetParam().says), std::string::npos) << error.message;
}

const Bad kBad[] = {
    {"Truncated", R"({"messages": [{"role": "user", "content")", "not valid JSON"},
    {"TwoValues", std::string(kGood) + "{}", "not valid JSON"},
    {"NotUtf8", "{\"messages\": [{\"role\": \"assistant\", \"content\": \"\xff\xfe\"}]}",
     "not UTF-8"},
    {"LoneSurrogate", R"({"messages": [{"role": "assistant", "content": "\ud800"}]})",
     "not valid JSON"},
    {"NotAnObject", "7", "not an object"},
    {"NoRole", R"({"messages": [{"content": "x"}]})", "messages[0] has no \"role\""},
    {"NoContent", R"({"messages": [{"role": "user"}]})", "messages[0] has no \"content\""},
    {"NullContent", R"({"messages": [{"role": "assistant", "content": null}]})",
     "messages[0] has no \"content\""},
    {"NumberContent", R"({"messages": [{"role": "assistant", "content": 7}]})",
     "neither a text nor a list"},
    {"ImagePart",
     R"({"messages": [{"role": "assistant", "content": [{"type": "image", "url": "x"}]}]})",
     "a part that is not"},
    {"UnknownRole", R"({"messages": [{"role": "human", "content": "x"}]})",
     "unknown role \"human\""},
    {"NoAssistant", R"({"messages": [{"role": "user", "content": "x"}]})",
     "no message of the assistant"},
    {"NoMessages", R"({"messages": []})", "no message of the assistant"},
    {"MessagesNotAList", R"({"messages": "x"})", "not a list"},
    {"ToolCalls", R"({"messages": [{"role": "assistant", "content": "", "tool_calls": []}]})",
     "tool_calls"},
    {"ShareGptRole", R"({"conversations": [{"from": "narrator", "value": "x"}]})",
     "conversations[0] has the unknown role \"narrator\""},
    {"ShareGptCall", R"({"conversations": [{"from": "function_call", "value": "x"}]})",
     "tool call"},
    {"ShareGptNoAnswer", R"({"conversations": [{"from": "human", "value": "x"}]})",
     "no message of the assistant"},
    {"AlpacaNoOutput", R"({"instruction": "x"})", "no \"output\""},
    {"AlpacaNumber", R"({"instruction": "x", "output": 7})", "\"output\" is not a text"},
    {"AlpacaHistory", R"({"instruction": "x", "output": "y", "history": [["a"]]})",
     "[question, answer]"},
    {"PromptAlone", R"({"prompt": "x"})", "\"prompt\" without \"completion\""},
    {"CompletionAlone", R"({"completion": "x"})", "no \"prompt\""},
    {"MixedPrompt", R"({"prompt": "x", "completion": [{"role": "assistant", "content": "y"}]})",
     "\"prompt\" is not a list"},
    {"AnswerInPrompt",
     R"({"prompt": [{"role": "assistant", "content": "x"}], "completion": [{"role": "assistant", "content": "y"}]})",
     "message of the assistant, which would be trained"},
    {"UnpairedPreference", R"({"prompt": "x", "completion": "y", "label": true})", "\"label\""},
    {"Preference", R"({"prompt": "x", "chosen": "y", "rejected": "z"})", "preference pairs"},
    {"EmptyText", R"({"text": ""})", "\"text\" is empty"},
    {"NegativeId", R"({"input_ids": [1, -1]})", "no token id"},
    {"NoIds", R"({"input_ids": []})", "\"input_ids\" is empty"},
    {"ShortLabels", R"({"input_ids": [1, 2], "labels": [1]})", "as long as"},
    {"OtherLabels", R"({"input_ids": [1, 2], "labels": [-100, 3]})", "\"labels\"[1]"},
    {"Tools", R"({"messages": [{"role": "assistant", "content": "x"}], "tools": [{}]})",
     "\"tools\""},
    {"Unknown", R"({"a": 1, "b": 2})", "found \"a\", \"b\""},
};
INSTANTIATE_TEST_SUITE_P(All, BadRecordTest, testing::ValuesIn(kBad),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(RecordsTest, RefusesAFileWithoutConversations) {
  EXPECT_NE(error_of("").message.find("no row"), std::string::npos);
  EXPECT_NE(error_of("\n \n").message.find("no row"), std::string::npos);
  EXPECT_EQ(error_of("").at.file, "data.jsonl");
}

TEST(RecordsTest, SaysThatTheFileMayBeCutOff) {
  EXPECT_NE(error_of(std::string(kGood) + "\n{\"messages\": [").hint.find("cut off"),
            std::string::npos);
}

TEST(RecordsTest, RefusesALineOfMoreThan16Megabytes) {
  const auto line = [](std::size_t size) {
    std::string text = R"({"messages": [{"role": "assistant", "content": ")";
    text += std::string(size - text.size() - 4, 'a') + "\"}]}";
    return text;
  };
  EXPECT_TRUE(parse_records(line(16 << 20), "d", DataFormat::automatic, 0));
  EXPECT_NE(error_of(line((16 << 20) + 1)).message.find("16 MB"), std::string::npos);
}

TEST(RecordsTest, RefusesNestingWithoutEnd) {
  const std::string deep = "{\"messages\": " + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_EQ(error_of(deep).at.line, 1);
}

TEST(RecordsTest, ReadsAFileAsItReadsItsText) {
  const TinyModel files;
  std::string text;
  for (int i = 0; i < 3000; ++i) {  // three blocks, lines across their borders
    text += R"({"messages": [{"role": "assistant", "content": ")" + std::string(1000, 'a') +
            std::to_string(i) + "\"}]}" + (i % 2 ? "\r\n" : "\n");
  }
  text.pop_back();
  const std::string path = files.write("a.jsonl", text);
  const auto from_file = read_records(path, DataFormat::automatic, 0);
  const auto from_text = parse_records(text, "a", DataFormat::automatic, 0);
  ASSERT_TRUE(from_file && from_text);
  ASSERT_EQ(from_file->records.size(), 3000u);
  for (std::size_t i = 0; i < 3000; ++i) {
    EXPECT_EQ(messages_of(from_file->records[i])[0].content,
              messages_of(from_text->records[i])[0].content);
    EXPECT_EQ(from_file->records[i].line, from_text->records[i].line);
  }
  EXPECT_EQ(read_records(path, DataFormat::automatic, 7)->records.size(), 7u);
}

TEST(RecordsTest, RefusesALongLineOfAFileWithoutReadingAllOfIt) {
  const TinyModel files;
  const std::string path =
      files.write("a.jsonl", std::string(kGood) + "\n" + std::string(20 << 20, 'x'));
  const auto records = read_records(path, DataFormat::automatic, 0);
  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().at.line, 2);
  EXPECT_NE(records.error().message.find("16 MB"), std::string::npos);
}

// Whatever is done to a line, it is read or refused; run with sanitizers.
TEST(RecordsTest, SurvivesDamagedLines) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text = std::string(kGood) + "\n" + kGood;
    for (int i = 0; i < 1 + round % 4; ++i) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    if (round % 3 == 0) text.resize(random() % text.size());
    const auto records = parse_records(text, "data.jsonl", DataFormat::automatic, 0);
    EXPECT_TRUE(records || records.error().kind == ErrorKind::bad_data);
  }
}

TEST(RecordsTest, SaysWhenThereIsNoFile) {
  const auto records = read_records("/nowhere/data.jsonl", DataFormat::automatic, 0);
  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().kind, ErrorKind::not_found);
  EXPECT_EQ(read_records("/tmp", DataFormat::automatic, 0).error().kind, ErrorKind::refused);
}

}  // namespace
}  // namespace mayfly
