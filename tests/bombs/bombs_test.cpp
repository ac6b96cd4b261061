// Small files that ask for a great deal. Each must be refused within a second, with the file and
// the rule in the message; none may take the memory it claims. The files are made here, as they are
// too long or too binary to be read in a repository; what the fuzzers start from is in
// tests/data/fuzz.
#include <array>
#include <cstring>
#include <ctime>
#include <fstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "agent/local_boot.h"
#include "agent/state_json.h"
#include "core/atomic_file.h"
#include "core/config/load.h"
#include "core/json.h"
#include "core/model/safetensors.h"
#include "core/provider/local_record.h"
#include "core/run/event_tail.h"
#include "core/run/plan.h"
#include "core/text/records.h"
#include "core/text/template.h"
#include "core/text/tokenizer.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

long peak_megabytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

// Not the time on the wall: the machine may have other work.
double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

class BombTest : public TemporaryFolder {
 protected:
  BombTest() : began_(processor_seconds()), peak_before_(peak_megabytes()) {}
  // Sanitizers take several times as long and as much.
  ~BombTest() override {
    const double took = processor_seconds() - began_;
#if defined(__SANITIZE_ADDRESS__)
    EXPECT_LT(took, 20 * bombs_);
#else
    EXPECT_LT(took, bombs_);
    EXPECT_LT(peak_megabytes() - peak_before_, 128);
#endif
  }
  std::vector<Error> config_problems(const std::string& text) {
    ConfigInputs inputs;
    inputs.files = {put("run.yaml", text).string()};
    inputs.working_directory = folder_;
    return load_config(inputs).problems;
  }
  void refuses_config(const std::string& text, const std::string& rule) {
    const auto problems = config_problems(text);
    ASSERT_FALSE(problems.empty()) << rule;
    EXPECT_THAT(located_message(problems.front()), HasSubstr("run.yaml"));
    EXPECT_THAT(problems.front().message, HasSubstr(rule));
  }
  static std::string safetensors(const std::string& header, const std::string& data,
                                 std::optional<std::uint64_t> claimed = std::nullopt) {
    const std::uint64_t length = claimed.value_or(header.size());
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return bytes + header + data;
  }
  void refuses_weights(const std::string& bytes, const std::string& rule) {
    const auto opened = SafetensorsFile::open(put("weights.safetensors", bytes));
    ASSERT_FALSE(opened) << rule;
    EXPECT_THAT(opened.error().message, HasSubstr("weights.safetensors"));
    EXPECT_THAT(opened.error().message, HasSubstr(rule));
  }
  static std::string nested(int depth, const std::string& open, const std::string& close) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += open;
    for (int i = 0; i < depth; ++i) text += close;
    return text;
  }

  int bombs_ = 1;  // of the test; each has a second

 private:
  double began_;
  long peak_before_;
};

TEST_F(BombTest, YamlAliases) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 9; ++k) text += (k > 0 ? ", " : "") + before;
    text += "]\n";
  }
  refuses_config(text, "anchor");
}

TEST_F(BombTest, YamlDepthAndDuplicatesAndMerges) {
  refuses_config("a: " + nested(20'000, "[", "]"), "levels deep");
  refuses_config("train: {epochs: 1}\ntrain: {epochs: 2}\n", "train");
  refuses_config("base: &b {epochs: 1}\ntrain: {<<: *b}\n", "anchor");
  std::string many = "data: {path: [";
  for (int i = 0; i < 110'000; ++i) many += "a,";
  refuses_config(many + "]}\n", "100000 values");
  refuses_config(std::string((1 << 20) + 1, '#'), "1");
}

TEST_F(BombTest, JsonDepthAndDuplicateKeys) {
  for (const int depth : {65, 100'000, 500'000}) {
    const auto lists = parse_json(nested(depth, "[", "]"), "deep.json");
    ASSERT_FALSE(lists) << depth;
    EXPECT_THAT(lists.error().message, HasSubstr("deep.json"));
    EXPECT_THAT(lists.error().message, HasSubstr("more than 64 levels"));
  }
  EXPECT_TRUE(parse_json(nested(64, "[", "]"), "deep.json"));
  EXPECT_FALSE(parse_json(nested(200'000, "{\"a\":", "}"), "deep.json"));
  const auto twice = parse_json(R"({"a": {"b": 1, "b": 2}})", "twice.json");
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("\"b\" stands twice"));
}

TEST_F(BombTest, EveryDocumentOfOursHasTheDepthLimit) {
  const std::string deep = R"({"plan": )" + nested(300'000, "[", "]") + "}";
  EXPECT_FALSE(read_plan(put("plan.json", deep).string()));
  put("instance.json", deep);
  EXPECT_FALSE(read_local_record(folder_));
  EXPECT_FALSE(parse_event(deep));
}

TEST_F(BombTest, WeightsThatClaimMoreThanTheyHave) {
  refuses_weights(safetensors("{}", "", 100'000'001), "claims 100000001 bytes");
  refuses_weights(safetensors("{}", "", ~0ULL), "claims");
  refuses_weights(safetensors("{}", "", 1), "not valid JSON");
  refuses_weights("1234567", "only 7 bytes");
  refuses_weights(safetensors(nested(400'000, "[", "]"), ""), "levels deep");
  refuses_weights(
      safetensors(R"({"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0]}})",
                  ""),
      "too large");
  refuses_weights(
      safetensors(R"({"a":{"dtype":"U8","shape":[1000000000],"data_offsets":[0,1000000000]}})",
                  "x"),
      "of only 1");
}

TEST_F(BombTest, WeightsThatOverlapOrStandTwice) {
  std::string header = "{";
  for (int i = 0; i < 20'000; ++i) {
    header += (i > 0 ? "," : "") + ("\"t" + std::to_string(i)) +
              R"(":{"dtype":"U8","shape":[8],"data_offsets":[0,8]})";
  }
  refuses_weights(safetensors(header + "}", "12345678"), "overlaps");
  refuses_weights(safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "12"),
                  "hole");
  refuses_weights(safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                              R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                              "1"),
                  "stands twice");
}

TEST_F(BombTest, DatasetLines) {
  const auto refuses = [&](const std::string& text, const std::string& rule) {
    const auto records = parse_records(text, "data.jsonl", DataFormat::automatic, 0);
    ASSERT_FALSE(records) << rule;
    EXPECT_EQ(records.error().kind, ErrorKind::bad_data);
    EXPECT_THAT(located_message(records.error()), HasSubstr("data.jsonl:1"));
    EXPECT_THAT(records.error().message, HasSubstr(rule));
  };
  refuses("{\"messages\": \"" + std::string(17 << 20, 'a') + "\"}\n", "16 MB");
  refuses("{\"messages\": " + nested(10'000, "[", "]") + "}\n", "");
  refuses("{\"messages\": \"\xff\"}\n", "UTF-8");
}

// Sparse: the disk has none of it, and the reader must not either.
TEST_F(BombTest, AFileThatClaimsAGigabyteWithoutALine) {
  const fs::path events = put("events.jsonl", "");
  fs::resize_file(events, std::uintmax_t{1} << 30);
  EventTail tail(events);
  const auto read = tail.read_new();
  if (read) {
    EXPECT_TRUE(read->empty());
  }
}

TEST_F(BombTest, TokenizersThatAreHuge) {
  const auto refused = [&](const std::string& text) {
    const auto tokenizer = Tokenizer::parse(text, "tokenizer.json");
    ASSERT_FALSE(tokenizer);
    EXPECT_THAT(located_message(tokenizer.error()), HasSubstr("tokenizer.json"));
  };
  refused(nested(300'000, "[", "]"));
  refused(R"({"model": {"type": "BPE", "vocab": )" + nested(100'000, "{\"a\":", "}") + "}}");
  refused(R"({"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []}})");
  // An id of two thousand million would be a table of that size.
  refused(R"({"model": {"type": "BPE", "vocab": {"a": 2147483646}, "merges": []}})");
  std::string merges;
  for (int i = 0; i < 100'000; ++i) merges += (i > 0 ? "," : "") + std::string(R"("a b")");
  refused(R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [)" + merges + "]}}");
}

TEST_F(BombTest, ChatTemplates) {
  const std::array messages = {Message{"user", "a"}, Message{"assistant", "b"}};
  for (const std::string& source :
       {std::string("{% for i in range(10**9) %}a{% endfor %}"),
        std::string("{{ range(10**9) | list | length }}"),
        std::string("{{ range(1000000000) | list | length }}"),
        std::string("{% for i in range(30000) %}{% for j in range(30000) %}{% for k in "
                    "range(30000) %}{% endfor %}{% endfor %}{% endfor %}"),
        std::string("{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(64) %}{% set ns.s = "
                    "ns.s ~ ns.s %}{% endfor %}{{ ns.s }}"),
        std::string("{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(64) %}{% set ns.s = "
                    "ns.s | replace('a', 'aa') %}{% endfor %}{{ ns.s }}"),
        std::string("{% set ns = namespace(s=[1]) %}{% for i in range(64) %}{% set ns.s = ns.s + "
                    "ns.s %}{% endfor %}{{ ns.s | length }}"),
        std::string("{{ 'a' * 10**9 }}"),
        std::string("{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}"),
        std::string("{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}"),
        std::string("{{ '%1000000000d' % 1 }}"), std::string("{{ 'a'.ljust(1000000000) }}"),
        std::string("{{ 'a' | indent(1000000000) }}"), std::string("{{ 'a'.center(10**9) }}"),
        // Not bombs but mines: the engine's own asserts, found by the fuzzer.
        std::string("{{ 'a' | 'b' }}"), std::string("{{ messages | 3 }}"),
        "{{ " + nested(100'000, "(", ")") + " }}", "{{ " + nested(100'000, "[", "]") + " }}",
        nested(50'000, "{% if true %}", "{% endif %}"), std::string(300'000, 'a'),
        "{{ 1" + nested(100'000, "+1", "") + " }}"}) {
    TokenizerConfig config;
    config.chat_template = source;
    config.chat_template_file = "chat_template.jinja";
    ++bombs_;
    [[maybe_unused]] const double began = processor_seconds();
    const auto compiled = ChatTemplate::compile(config, WallTime{});
    const bool refused = !compiled || !compiled->render(messages, true);
    EXPECT_TRUE(refused) << source.substr(0, 100);
#if !defined(__SANITIZE_ADDRESS__)
    EXPECT_LT(processor_seconds() - began, 1) << source.substr(0, 100);
#endif
  }
}

TEST_F(BombTest, UserData) {
  std::string aliases = "#cloud-config\na0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    aliases += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 1; k < 9; ++k) aliases += "," + before;
    aliases += "]\n";
  }
  EXPECT_FALSE(parse_cloud_config(aliases));
  EXPECT_FALSE(parse_cloud_config("#cloud-config\nruncmd: " + nested(20'000, "[", "]")));
}

}  // namespace
}  // namespace mayfly
