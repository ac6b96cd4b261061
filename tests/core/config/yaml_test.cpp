// The YAML library expands aliases, keeps the first of two equal keys, reads 010 as 8 and yes as
// true. Guarded here: that none of it reaches a configuration, and that each refusal has its place.
#include "core/config/yaml.h"

#include <chrono>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

std::vector<std::string> problems_of(const std::string& text) {
  std::vector<std::string> lines;
  for (const Error& problem : parse_yaml(text, "f").problems) {
    EXPECT_EQ(problem.kind, ErrorKind::invalid_config);
    lines.push_back(located_message(problem));
  }
  return lines;
}

// The whole tree on one line, to compare with.
std::string tree(const std::string& text) {
  const YamlDocument document = parse_yaml(text, "f");
  EXPECT_THAT(document.problems, IsEmpty()) << text;
  return inline_yaml(document.root);
}

TEST(YamlTest, KeepsEveryScalarAsItWasWritten) {
  EXPECT_EQ(tree("a: 010\nb: yes\nc: 1e400\nd: 1_000\ne: 2026-01-01\nf: 0x1F\n"),
            "{a: 010, b: yes, c: 1e400, d: 1_000, e: 2026-01-01, f: 0x1F}");
}

TEST(YamlTest, ReadsTheStylesPeopleWrite) {
  EXPECT_EQ(tree("a:\n  - x\n  - [y, z]\nb: {c: 'q', d: \"r\"}\n"),
            "{a: [x, [y, z]], b: {c: q, d: r}}");
  EXPECT_EQ(tree("a: |\n  two\n  lines\n"), "{a: \"two\\nlines\\n\"}");
  EXPECT_EQ(tree("# only a comment\n"), "null");
  EXPECT_EQ(tree(""), "null");
  EXPECT_EQ(tree("---\na: 1\n...\n"), "{a: 1}");
  EXPECT_EQ(tree("\xEF\xBB\xBF"
                 "a: 1\r\nb: 2\r\n"),
            "{a: 1, b: 2}");
  EXPECT_EQ(tree("{\"a\": [1, null, true]}"), "{a: [1, null, true]}");
}

TEST(YamlTest, TellsNothingFromAnEmptyText) {
  EXPECT_EQ(tree("a:\nb: ~\nc: null\nd: ''\ne: 'null'\n"),
            "{a: null, b: null, c: null, d: \"\", e: \"null\"}");
}

TEST(YamlTest, KnowsThePlaceOfKeysAndValues) {
  const YamlDocument document = parse_yaml("a: 1\nb:\n  c:   2\n  d:\n", "f");
  const ConfigEntry& b = document.root.entries.at(1);
  EXPECT_EQ(b.place.line, 2);
  EXPECT_EQ(b.place.column, 1);
  EXPECT_EQ(b.value.entries.at(0).value.place.line, 3);
  EXPECT_EQ(b.value.entries.at(0).value.place.column, 8);
  // The library puts an empty value at the next token; a person looks at its key.
  EXPECT_EQ(b.value.entries.at(1).value.place.line, 4);
  EXPECT_EQ(b.value.entries.at(1).value.place.column, 3);
}

TEST(YamlTest, RefusesEveryDuplicateKey) {
  EXPECT_THAT(
      problems_of("a: 1\nb: {c: 1, c: 2}\na: 3\n"),
      ElementsAre("f:2:11: the key \"c\" stands twice", "f:3:1: the key \"a\" stands twice"));
}

TEST(YamlTest, RefusesAnchorsAliasesMergeKeysAndTags) {
  EXPECT_THAT(problems_of("a: &x 1\n"),
              ElementsAre(StartsWith("f:1:4: anchors (&x) are not read")));
  EXPECT_THAT(problems_of("a: 1\nb: *x\n"), ElementsAre(StartsWith("f:2:4: ")));
  EXPECT_THAT(problems_of("a:\n  <<: {b: 1}\n"),
              ElementsAre(StartsWith("f:2:3: merge keys (<<) are not read")));
  EXPECT_THAT(problems_of("a: !!int 1\n"), ElementsAre(StartsWith("f:1:4: tags (")));
  EXPECT_THAT(problems_of("a: !!python/object [1]\n"), ElementsAre(StartsWith("f:1:4: tags (")));
  EXPECT_THAT(problems_of("!!map {a: 1}\n"), ElementsAre(StartsWith("f:1:1: tags (")));
}

TEST(YamlTest, RefusesKeysThatAreNoWords) {
  EXPECT_THAT(problems_of("[a]: 1\n"), ElementsAre(StartsWith("f:1:1: a key must be one word")));
  EXPECT_THAT(problems_of("? {a: 1}\n: 2\n"),
              ElementsAre(StartsWith("f:1:3: a key must be one word")));
  EXPECT_THAT(problems_of("null: 1\n"), ElementsAre(StartsWith("f:1:1: a key must be one word")));
  EXPECT_THAT(problems_of("'': 1\n"), ElementsAre(StartsWith("f:1:1: a key must be one word")));
}

TEST(YamlTest, RefusesASecondDocument) {
  EXPECT_THAT(problems_of("a: 1\n---\nb: 2\n"),
              ElementsAre(StartsWith("f:2:1: a second YAML document")));
}

TEST(YamlTest, PlacesErrorsOfSyntax) {
  EXPECT_THAT(problems_of("a: 1\nb: [1, 2\nc: 3\n"), ElementsAre(StartsWith("f:3:")));
  EXPECT_THAT(problems_of("a: 1\n\tb: 2\n"), ElementsAre(StartsWith("f:2:1: ")));
}

// The library takes a quote for closed by the end of the file.
TEST(YamlTest, RefusesAFileCutShortInAQuote) {
  EXPECT_THAT(problems_of("a: 1\nb: \"open\n"), ElementsAre("f:2:4: the quote is not closed"));
  EXPECT_THAT(problems_of("b: 'it''s\n"), ElementsAre("f:1:4: the quote is not closed"));
  EXPECT_THAT(problems_of("b: \"\\\"\n"), ElementsAre("f:1:4: the quote is not closed"));
  // Columns count bytes.
  EXPECT_THAT(problems_of("\xC3\xA9: \"\xC3\xA9\n"), ElementsAre("f:1:5: the quote is not closed"));
  EXPECT_EQ(tree("b: 'it''s'"), "{b: \"it's\"}");
  EXPECT_EQ(tree("b: \"\\\"\"\n# it's a comment"), "{b: \"\\\"\"}");
  EXPECT_EQ(tree("b: |\n  it's\n"), "{b: \"it's\\n\"}");
}

TEST(YamlTest, RefusesBytesThatAreNoText) {
  EXPECT_THAT(problems_of("a: 1\nb: \xFF\n"), ElementsAre("f:2:4: not UTF-8 text"));
  EXPECT_THAT(problems_of(std::string("a: \0b\n", 6)), ElementsAre("f:1:4: not UTF-8 text"));
  EXPECT_THAT(problems_of("a: \xC0\xAF\n"), ElementsAre("f:1:4: not UTF-8 text"));      // overlong
  EXPECT_THAT(problems_of("a: \xED\xA0\x80\n"), ElementsAre("f:1:4: not UTF-8 text"));  // surrogate
  EXPECT_THAT(problems_of("a: \xE2\x82"), ElementsAre("f:1:4: not UTF-8 text"));        // cut short
  EXPECT_EQ(tree("a: caf\xC3\xA9\n"), "{a: caf\xC3\xA9}");
}

std::string repeated(const std::string& part, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += part;
  return text;
}

TEST(YamlTest, LimitsDepthSizeAndCount) {
  EXPECT_THAT(problems_of("a: " + repeated("[", 31) + repeated("]", 31)), IsEmpty());
  EXPECT_THAT(problems_of("a: " + repeated("[", 32) + repeated("]", 32)),
              ElementsAre(StartsWith("f:1:35: nested more than 32 levels")));
  EXPECT_THAT(problems_of("a: [" + repeated("1,", 99'990) + "1]"), IsEmpty());
  EXPECT_THAT(problems_of("a: [" + repeated("1,", 100'001) + "1]"),
              ElementsAre(StartsWith("f:1:200003: more than 100000 values")));
  EXPECT_THAT(problems_of(std::string(1 << 20, '#')), IsEmpty());
  EXPECT_THAT(problems_of(std::string((1 << 20) + 1, '#')),
              ElementsAre(StartsWith("f: larger than 1 MiB")));
}

// Nine lines that stand for 10^9 values must cost nothing, and deep nesting must not end the
// program.
TEST(YamlTest, SurvivesBombs) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    const std::string last = "*" + std::string(1, static_cast<char>(c - 1)) + ",";
    bomb += std::string(1, c) + ": &" + c + " [" + repeated(last, 9) + "]\n";
  }
  EXPECT_THAT(problems_of(bomb), ElementsAre(StartsWith("f:1:4: anchors")));
  for (const char* opener : {"[", "{a: ", "- ", "? "}) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(problems_of(repeated(opener, 20'000)).size(), 1u) << opener;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5)) << opener;
  }
}

TEST(YamlTest, TakesOneValueFromTheCommandLine) {
  EXPECT_EQ(parse_inline_value("null").root.kind, ConfigNode::Kind::null);
  EXPECT_EQ(parse_inline_value("~").root.kind, ConfigNode::Kind::null);
  EXPECT_EQ(parse_inline_value("[a, 'b, c']").root.items.at(1).text, "b, c");
  EXPECT_EQ(parse_inline_value("{a: b}").root.entries.at(0).key, "a");
  EXPECT_EQ(parse_inline_value("a: b # c").root.text, "a: b # c");
  EXPECT_EQ(parse_inline_value("").root.text, "");
  EXPECT_EQ(parse_inline_value("[a").problems.size(), 1u);
}

// Whatever a text holds, written and read again it is the same.
TEST(YamlTest, WritesEveryTextSoThatItReadsBack) {
  std::mt19937 random(7);
  const std::string alphabet = "ab1 0.-:#,[]{}&*!|>'\"%@`~$\\/=<?+\n\t\x01\x7Fynulost\xC3\xA9";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    const auto length = random() % 9;
    for (std::size_t k = 0; k < length; ++k) {
      const char c = alphabet[random() % alphabet.size()];
      if (static_cast<unsigned char>(c) < 0x80) {
        text += c;
      } else {
        text += "\xC3\xA9";
      }
    }
    ConfigNode list;
    list.kind = ConfigNode::Kind::list;
    list.items = {scalar_node(text, ConfigNode::Style::text)};
    const std::string flow = inline_yaml(list);
    const YamlDocument in_list = parse_yaml(flow, "f");
    ASSERT_THAT(in_list.problems, IsEmpty()) << flow;
    ASSERT_EQ(in_list.root.items.at(0).kind, ConfigNode::Kind::scalar) << flow;
    ASSERT_EQ(in_list.root.items.at(0).text, text) << flow;
    const std::string block = "key: " + inline_yaml(list.items[0]) + "  # comment\n";
    const YamlDocument in_map = parse_yaml(block, "f");
    ASSERT_THAT(in_map.problems, IsEmpty()) << block;
    ASSERT_EQ(in_map.root.entries.at(0).value.text, text) << block;
  }
}

}  // namespace
}  // namespace mayfly
