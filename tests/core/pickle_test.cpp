// A pickle is a program. What could go wrong: that ours obeys one, or takes a broken one for a
// whole one. Pickles here are written operation by operation.
#include "core/pickle.h"

#include <array>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using Kind = PickleValue::Kind;

constexpr std::array<std::string_view, 2> kNames = {"collections OrderedDict", "shop Basket"};
const std::string kProtocol4 = "\x80\x04"s;

Result<Pickle> parse(const std::string& operations) {
  return Pickle::parse(kProtocol4 + operations, "a.pkl", kNames);
}

Error refusal(const std::string& operations) {
  const auto result = parse(operations);
  return result ? Error{ErrorKind::internal, "it was accepted"} : result.error();
}

// SHORT_BINUNICODE.
std::string text(const std::string& value) {
  return "\x8c"s + static_cast<char>(value.size()) + value;
}

TEST(PickleTest, ReadsTextsBytesNumbersAndTuples) {
  const auto pickle = parse("("s + text("a") + "C\x02\xff\0"s + "K\xc8"s + "M\x01\x02"s +
                            "J\xfe\xff\xff\xff"s + "\x8a\x02\x00\x80"s + "\x88N)t.");
  ASSERT_TRUE(pickle) << pickle.error().message;
  const PickleValue& root = pickle->root();
  ASSERT_EQ(root.kind, Kind::tuple);
  ASSERT_EQ(root.items.size(), 9U);
  const auto item = [&](std::size_t i) -> const PickleValue& { return (*pickle)[root.items[i]]; };
  EXPECT_EQ(item(0).text, "a");
  EXPECT_EQ(item(1).kind, Kind::bytes);
  EXPECT_EQ(item(1).text, "\xff\0"s);
  EXPECT_EQ(item(2).number, 200);
  EXPECT_EQ(item(3).number, 0x201);
  EXPECT_EQ(item(4).number, -2);
  EXPECT_EQ(item(5).number, -32768);
  EXPECT_EQ(item(6).kind, Kind::boolean);
  EXPECT_EQ(item(7).kind, Kind::none);
  EXPECT_TRUE(item(8).items.empty());
}

TEST(PickleTest, ReadsDictsAndTheirSharedValues) {
  // {"a": ("x",), "b": the same tuple}
  const auto pickle = parse("}("s + text("a") + text("x") + "\x85\x94"s + text("b") + "h\0u."s);
  ASSERT_TRUE(pickle) << pickle.error().message;
  const PickleValue* const a = pickle->find(pickle->root(), "a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a, pickle->find(pickle->root(), "b"));
  EXPECT_EQ((*pickle)[a->items.front()].text, "x");
  EXPECT_EQ(pickle->find(pickle->root(), "c"), nullptr);
}

TEST(PickleTest, ReadsAnOrderedDictAndPassesOverItsAttributes) {
  const std::string made = "ccollections\nOrderedDict\n)R"s;
  const auto pickle = parse(made + text("a") + "K\x07s" + "}" + text("_metadata") + "}s" + "b.");
  ASSERT_TRUE(pickle) << pickle.error().message;
  ASSERT_NE(pickle->find(pickle->root(), "a"), nullptr);
  EXPECT_EQ(pickle->find(pickle->root(), "a")->number, 7);
  EXPECT_EQ(pickle->root().items.size(), 2U);
}

TEST(PickleTest, AnObjectIsItsNameItsArgumentsAndItsState) {
  const auto pickle = parse(text("shop") + text("Basket") + "\x93)\x81}" + text("a") + "K\x01sb.");
  ASSERT_TRUE(pickle) << pickle.error().message;
  const PickleValue& root = pickle->root();
  EXPECT_EQ(root.kind, Kind::object);
  EXPECT_EQ(root.text, "shop Basket");
  ASSERT_EQ(root.items.size(), 2U);
  EXPECT_EQ(pickle->find((*pickle)[root.items[1]], "a")->number, 1);
}

TEST(PickleTest, RefusesEveryOtherNameBeforeAnythingElse) {
  for (const std::string& asked : {"cposix\nsystem\n"s, text("posix") + text("system") + "\x93"}) {
    const Error error = refusal(asked + text("true") + "\x85R.");
    EXPECT_EQ(error.kind, ErrorKind::unsupported);
    EXPECT_THAT(error.message, HasSubstr("a.pkl: it asks for posix.system"));
  }
  // Not even a part of a name that is known, and nothing that a terminal would obey.
  EXPECT_THAT(refusal("cshop\nBask\n.").message, HasSubstr("shop.Bask"));
  EXPECT_THAT(refusal("cshop\n\x1b[2J\n."s).message, HasSubstr("shop.?[2J"));
}

TEST(PickleTest, RefusesOtherOperationsByNumber) {
  for (const char operation : {']', 'G', 'i', 'o', '\x8f', '\x97', '0', 'S', 'I', '\x82'}) {
    const Error error = refusal(std::string(1, operation) + "        .");
    EXPECT_EQ(error.kind, ErrorKind::unsupported) << operation;
    EXPECT_THAT(error.message, HasSubstr("operation 0x")) << operation;
  }
  EXPECT_EQ(refusal("\x8a\x09"s + std::string(9, 'x') + ".").kind, ErrorKind::unsupported);
}

TEST(PickleTest, RefusesWhatIsCutShortAtEveryByte) {
  const std::string whole = "}("s + text("a") + text("x") + "\x85\x94"s + text("b") + "h\0u."s + "";
  ASSERT_TRUE(parse(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(refusal(whole.substr(0, size)).kind, ErrorKind::corrupt) << size;
  }
  EXPECT_EQ(refusal(whole + "x").kind, ErrorKind::corrupt);
}

TEST(PickleTest, RefusesStacksThatDoNotAddUp) {
  for (const std::string& wrong : {"."s,
                                   "NN."s,
                                   "(N."s,
                                   "t."s,
                                   "u."s,
                                   "s."s,
                                   "}Ns."s,
                                   "}(Nu."s,
                                   "N\x85\x85\x86."s,
                                   "h\x05."s,
                                   "r\x01\0\0\0."s,
                                   "NNR."s,
                                   ")N\x81."s,
                                   "NNb."s,
                                   "}(NNs."s,
                                   "(Nb."s,
                                   "NN\x93."s,
                                   "Q."s,
                                   "B\xff\xff\xff\xffx."s,
                                   "\x8e\xff\xff\xff\xff\xff\xff\xff\xffx."s,
                                   "\x95\x01."s}) {
    EXPECT_EQ(refusal(wrong).kind, ErrorKind::corrupt) << testing::PrintToString(wrong);
  }
}

TEST(PickleTest, RefusesWhatIsNoPickleOfTheseProtocols) {
  for (const std::string& bytes : {""s, "N."s, "\x80"s, "\x80\x01N."s, "\x80\x06N."s, "(dp0\n."s}) {
    EXPECT_FALSE(Pickle::parse(bytes, "a.pkl", kNames)) << testing::PrintToString(bytes);
  }
  EXPECT_FALSE(Pickle::parse(std::string((16 << 20) + 1, 'N'), "a.pkl", kNames));
}

}  // namespace
}  // namespace mayfly
