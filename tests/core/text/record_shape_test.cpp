// People bring data in the shapes that other tools taught them: each must come out as the turns, or
// the text, that they meant.
#include "core/text/record_shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include "core/text/records.h"
#include "tests/core/text/tiny_model.h"

namespace mayfly {
namespace {

using testing::ElementsAre;

// With the checksum that the command-line tool adds.
std::string packed_by_zstd(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  packed.resize(ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return packed;
}

Record only(std::string json, DataFormat format = DataFormat::automatic) {
  std::erase(json, '\n');
  auto records = parse_records(json, "data.jsonl", format, 0);
  if (!records) {
    ADD_FAILURE() << located_message(records.error());
    return {};
  }
  return std::move(records->records.at(0));
}

std::vector<std::string> turns(const Record& record) {
  std::vector<std::string> said;
  for (const Message& message : std::get<Conversation>(record.content).messages) {
    said.push_back(message.role + ": " + message.content);
  }
  return said;
}

TEST(RecordShapeTest, ShareGptNamesBecomeRoles) {
  EXPECT_THAT(turns(only(R"({"conversations": [{"from": "system", "value": "s"},
      {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]})")),
              ElementsAre("system: s", "user: q", "assistant: a"));
  EXPECT_THAT(turns(only(R"({"system": "s", "conversations": [{"role": "user", "content": "q"},
      {"role": "assistant", "content": "a"}]})")),
              ElementsAre("system: s", "user: q", "assistant: a"));
}

TEST(RecordShapeTest, AlpacaJoinsInstructionAndInputByOneLineFeed) {
  EXPECT_THAT(turns(only(R"({"instruction": "Add", "input": "1 2", "output": "3"})")),
              ElementsAre("user: Add\n1 2", "assistant: 3"));
  EXPECT_THAT(turns(only(R"({"instruction": "Add", "input": "", "output": "3", "system": "s",
      "history": [["q", "a"]]})")),
              ElementsAre("system: s", "user: q", "assistant: a", "user: Add", "assistant: 3"));
}

TEST(RecordShapeTest, PromptAndCompletionAsTextsStayTexts) {
  const Record record = only(R"({"prompt": "1+1=", "completion": "2"})");
  EXPECT_EQ(std::get<PromptedText>(record.content).prompt, "1+1=");
  EXPECT_EQ(std::get<PromptedText>(record.content).completion, "2");
}

TEST(RecordShapeTest, PromptAndCompletionAsMessagesAreAConversation) {
  EXPECT_THAT(turns(only(R"({"prompt": [{"role": "user", "content": "q"}],
      "completion": [{"role": "assistant", "content": "a"}]})")),
              ElementsAre("user: q", "assistant: a"));
}

TEST(RecordShapeTest, TokensKeepTheirLabels) {
  const Record record = only(R"({"input_ids": [5, 6, 7], "labels": [-100, 6, 7]})");
  EXPECT_THAT(std::get<TokenRow>(record.content).ids, ElementsAre(5, 6, 7));
  EXPECT_THAT(std::get<TokenRow>(record.content).trained, ElementsAre(0, 1, 1));
  EXPECT_THAT(std::get<TokenRow>(only(R"({"input_ids": [5, 6]})").content).trained,
              ElementsAre(1, 1));
}

TEST(RecordShapeTest, AFormatThatIsAskedForIsTheOnlyOne) {
  constexpr const char* kBoth =
      R"({"text": "t", "messages": [{"role": "assistant", "content": "a"}]})";
  EXPECT_EQ(std::get<PlainText>(only(kBoth, DataFormat::text).content).text, "t");
  EXPECT_THAT(turns(only(kBoth)), ElementsAre("assistant: a"));
  const auto refused = parse_records(kBoth, "d", DataFormat::alpaca, 0);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("there is no \"instruction\""), std::string::npos);
}

Record renamed(std::string json, const DataConfig& config) {
  std::erase(json, '\n');
  auto records = parse_records(json, "data.jsonl", RecordNames(config), 0);
  if (!records) {
    ADD_FAILURE() << located_message(records.error());
    return {};
  }
  return std::move(records->records.at(0));
}

TEST(RecordShapeTest, KeysAndRolesMayBeCalledOtherwise) {
  DataConfig config;
  config.fields_named = {{"messages", "dialogue"}, {"role", "speaker"}, {"content", "said"}};
  config.roles = {{"customer", "user"}, {"bot", "assistant"}};
  EXPECT_THAT(turns(renamed(R"({"dialogue": [{"speaker": "system", "said": "s"},
      {"speaker": "customer", "said": "q"}, {"speaker": "bot", "said": [{"type": "text",
      "text": "a"}]}]})",
                            config)),
              ElementsAre("system: s", "user: q", "assistant: a"));
  config.fields_named = {{"from", "by"}, {"value", "said"}};
  EXPECT_THAT(turns(renamed(R"({"conversations": [{"by": "human", "said": "q"},
      {"by": "bot", "said": "a"}]})",
                            config)),
              ElementsAre("user: q", "assistant: a"));
  config.fields_named = {{"instruction", "q"}, {"output", "a"}, {"history", "past"}};
  EXPECT_THAT(turns(renamed(R"({"q": "q2", "a": "a2", "past": [["q1", "a1"]]})", config)),
              ElementsAre("user: q1", "assistant: a1", "user: q2", "assistant: a2"));
}

// A renamed key is looked for under its new name alone, so two may change places.
TEST(RecordShapeTest, KeysMayBeExchanged) {
  DataConfig config;
  config.fields_named = {{"prompt", "completion"}, {"completion", "prompt"}};
  const Record record = renamed(R"({"prompt": "2", "completion": "1+1="})", config);
  EXPECT_EQ(std::get<PromptedText>(record.content).prompt, "1+1=");
  EXPECT_EQ(std::get<PromptedText>(record.content).completion, "2");
}

TEST(RecordShapeTest, FaultsSpeakOfTheFilesOwnKeys) {
  DataConfig config;
  config.fields_named = {{"messages", "dialogue"}, {"content", "said"}, {"completion", "reply"}};
  const auto fault_of = [&](std::string_view json) {
    const auto records = parse_records(json, "d", RecordNames(config), 0);
    return records ? "" : records.error().message;
  };
  EXPECT_EQ(fault_of(R"({"messages": []})"), "no \"dialogue\"; found \"messages\"");
  EXPECT_EQ(fault_of(R"({"dialogue": [{"role": "user", "content": "q"}]})"),
            "dialogue[0] has no \"said\"");
  EXPECT_EQ(fault_of(R"({"dialogue": {}})"), "\"dialogue\" is not a list");
  EXPECT_EQ(fault_of(R"({"reply": "a"})"), "there is no \"prompt\"");
  config.format = DataFormat::prompt_completion;
  EXPECT_EQ(fault_of(R"({"prompt": "q", "completion": "a"})"),
            "there is no \"reply\", which data.format: prompt_completion needs");
}

TEST(RecordShapeTest, AFileMayBeOneList) {
  const auto records = parse_records("\xef\xbb\xbf [\n{\"text\": \"a\"},\n\n{\"text\": \"b\"}\n]\n",
                                     "data.json", DataFormat::automatic, 0);
  ASSERT_TRUE(records) << located_message(records.error());
  ASSERT_EQ(records->records.size(), 2u);
  EXPECT_EQ(records->records[1].line, 2);
  EXPECT_EQ(parse_records("[{\"text\": \"a\"}, {}]", "d", DataFormat::automatic, 1)->records.size(),
            1u);
  const auto bad = parse_records("[{\"text\": \"a\"}, {}]", "d", DataFormat::automatic, 0);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().at.line, 2);
}

TEST(RecordShapeTest, AFileMayBeCompressed) {
  TinyModel files;
  const std::string path = files.write("data.jsonl", "");
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "{\"text\": \"row " + std::to_string(i) + "\"}\n";
  files.write("data.jsonl", text);
  ASSERT_EQ(std::system(("gzip -k " + path).c_str()), 0);
  const auto records = read_records(path + ".gz", DataFormat::automatic, 0);
  ASSERT_TRUE(records) << located_message(records.error());
  ASSERT_EQ(records->records.size(), 50000u);
  EXPECT_EQ(std::get<PlainText>(records->records.back().content).text, "row 49999");
  std::filesystem::resize_file(path + ".gz", std::filesystem::file_size(path + ".gz") / 2);
  const auto cut = read_records(path + ".gz", DataFormat::automatic, 0);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().kind, ErrorKind::bad_data);
}

TEST(RecordShapeTest, AFileMayBePackedByZstandard) {
  TinyModel files;
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "{\"text\": \"row " + std::to_string(i) + "\"}\n";
  const std::string path = files.write("data.jsonl.zst", packed_by_zstd(text));
  const auto records = read_records(path, DataFormat::automatic, 0);
  ASSERT_TRUE(records) << located_message(records.error());
  ASSERT_EQ(records->records.size(), 50000u);
  EXPECT_EQ(std::get<PlainText>(records->records.back().content).text, "row 49999");
  // Files that were appended to each other, and one frame that readers skip.
  const std::string skipped("\x50\x2a\x4d\x18\x03\x00\x00\x00???", 11);
  files.write("data.jsonl.zst", skipped + packed_by_zstd("{\"text\": \"a\"}\n") +
                                    packed_by_zstd("{\"text\": \"b\"}\n"));
  EXPECT_EQ(read_records(path, DataFormat::automatic, 0)->records.size(), 2u);
}

TEST(RecordShapeTest, ADamagedZstandardFileIsAnErrorWithItsName) {
  TinyModel files;
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "{\"text\": \"row " + std::to_string(i) + "\"}\n";
  const std::string whole = packed_by_zstd(text);
  const auto error_of = [&](const std::string& bytes) {
    const std::string path = files.write("data.jsonl.zst", bytes);
    const auto records = read_records(path, DataFormat::automatic, 0);
    EXPECT_FALSE(records);
    if (records) return std::string();
    EXPECT_EQ(records.error().at.file, path);
    EXPECT_EQ(records.error().kind, ErrorKind::bad_data);
    return records.error().message;
  };
  // Cut anywhere, also between a frame's last block and its checksum.
  for (const std::size_t size : {5ul, whole.size() / 2, whole.size() - 5, whole.size() - 1}) {
    EXPECT_THAT(error_of(whole.substr(0, size)), testing::HasSubstr("cut short")) << size;
  }
  std::string damaged = whole;
  damaged[damaged.size() - 2] ^= 1;  // of the checksum
  EXPECT_THAT(error_of(damaged), testing::HasSubstr("cannot be read"));
  EXPECT_THAT(error_of(whole + "rest"), testing::HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace mayfly
