// Archives come from the network, and what is unpacked of them becomes code that runs. Archives
// here are written byte by byte, so that each can be wrong in one place.
#include "core/zip.h"

#include <random>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/atomic_file.h"
#include "tests/fakes/small_zip.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class ZipTest : public TemporaryFolder {
 protected:
  Result<ZipFile> open(const std::string& archive) const {
    return ZipFile::open(put("a.zip", archive), [](std::string_view) { return true; });
  }
  Status unpack(const std::string& archive, const std::string& name) const {
    const Result<ZipFile> zip = open(archive);
    if (!zip) return zip.error();
    const ZipMember* const member = zip->find(name);
    if (member == nullptr) return Error{ErrorKind::not_found, "no member"};
    return zip->unpack(*member, folder_ / "out", [](std::int64_t) {});
  }
  ErrorKind kind_of(const std::string& archive, const std::string& name) const {
    const Status done = unpack(archive, name);
    EXPECT_FALSE(fs::exists(folder_ / "out"));
    return done ? ErrorKind::internal : done.error().kind;
  }
  std::string out() const {
    const auto text = read_file(folder_ / "out");
    return text ? *text : "";
  }
};

std::string noise(std::size_t size) {
  std::mt19937 random(1);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random() % 50);
  return text;
}

TEST_F(ZipTest, ShowsWhatIsStoredWhereItIs) {
  const auto shown = [this](const SmallZipMember& member) -> Result<std::string> {
    const std::string archive = small_zip({{"before", "x", true}, member});
    const Result<ZipFile> zip = open(archive);
    if (!zip) return zip.error();
    const auto bytes = zip->stored_bytes(*zip->find("data/0"), std::as_bytes(std::span(archive)));
    if (!bytes) return bytes.error();
    return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  };
  const auto kind = [&shown](const SmallZipMember& member) {
    const auto text = shown(member);
    return text ? ErrorKind::internal : text.error().kind;
  };
  ASSERT_TRUE(shown({"data/0", "weights", false}));
  EXPECT_EQ(*shown({"data/0", "weights", false}), "weights");
  EXPECT_EQ(*shown({"data/0", "", false}), "");
  EXPECT_EQ(kind({"data/0", "weights", true}), ErrorKind::unsupported);
  EXPECT_EQ(kind({.name = "data/0", .text = "weights", .deflate = false, .flags = 1}),
            ErrorKind::unsupported);
  EXPECT_EQ(kind({.name = "data/0", .text = "weights", .deflate = false, .says_crc = 1}),
            ErrorKind::corrupt);
  EXPECT_EQ(kind({.name = "data/0", .text = "weights", .deflate = false, .says_bytes = 8}),
            ErrorKind::corrupt);
}

TEST_F(ZipTest, UnpacksWhatIsStoredAndWhatIsDeflated) {
  const std::string large = noise(1'000'000);  // several pieces in, several out
  for (const SmallZipMember& member : {SmallZipMember{"lib/a.so", "short", false},
                                       {"lib/a.so", large, false},
                                       {"lib/a.so", large, true},
                                       {"lib/a.so", "", true},
                                       {"lib/a.so", "", false}}) {
    fs::remove(folder_ / "out");
    const Status done = unpack(small_zip({{"before", "x", true}, member}), "lib/a.so");
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(out(), member.text);
  }
  EXPECT_EQ(fs::status(folder_ / "out").permissions(), fs::perms(0644));
}

TEST_F(ZipTest, IsReadableByOthersWhateverTheMaskIs) {
  const mode_t before = ::umask(077);
  const Status done = unpack(small_zip({{"a", "text"}}), "a");
  ::umask(before);
  ASSERT_TRUE(done);
  EXPECT_EQ(fs::status(folder_ / "out").permissions(), fs::perms(0644));
}

TEST_F(ZipTest, ReadsSizesBeyondFourGigabytesWhereTheyStand) {
  SmallZipMember member{"a", noise(100'000)};
  member.in_64 = true;
  const Status done = unpack(small_zip({member}, {.in_64 = true}), "a");
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(out(), member.text);
}

TEST_F(ZipTest, FindsTheEndBeforeAComment) {
  EXPECT_TRUE(unpack(small_zip({{"a", "text"}}, {.comment = std::string(500, 'c')}), "a"));
}

TEST_F(ZipTest, FindsWhatIsThereOnce) {
  const auto zip = open(small_zip({{"a", "1"}, {"b", "2"}, {"b", "3"}}));
  ASSERT_TRUE(zip);
  EXPECT_EQ(zip->members().size(), 3u);
  EXPECT_NE(zip->find("a"), nullptr);
  EXPECT_EQ(zip->find("b"), nullptr);
  EXPECT_EQ(zip->find("c"), nullptr);
}

TEST_F(ZipTest, RemembersWhatIsWantedAndCountsAll) {
  const auto path = put("a.zip", small_zip({{"a", "1"}, {"b", "2"}, {"c", "3"}}));
  const auto zip = ZipFile::open(path, [](std::string_view name) { return name == "b"; });
  ASSERT_TRUE(zip) << zip.error().message;
  EXPECT_EQ(zip->members().size(), 1u);
  EXPECT_NE(zip->find("b"), nullptr);
  EXPECT_EQ(zip->find("a"), nullptr);
}

TEST_F(ZipTest, RefusesLinksFoldersAndWhatItCannotRead) {
  SmallZipMember link{"a", "/etc/shadow"};
  link.attributes = std::uint32_t{S_IFLNK | 0777} << 16;
  EXPECT_EQ(kind_of(small_zip({link}), "a"), ErrorKind::refused);
  EXPECT_EQ(kind_of(small_zip({{"a/", ""}}), "a/"), ErrorKind::refused);
  SmallZipMember encrypted{"a", "text"};
  encrypted.flags = 1;
  EXPECT_EQ(kind_of(small_zip({encrypted}), "a"), ErrorKind::unsupported);
  SmallZipMember bzip{"a", "text"};
  bzip.method = 12;
  EXPECT_EQ(kind_of(small_zip({bzip}), "a"), ErrorKind::unsupported);
}

TEST_F(ZipTest, WritesOverNothingThatIsThere) {
  const fs::path secret = put("secret", "kept");
  fs::create_symlink(secret, folder_ / "out");
  const Status done = unpack(small_zip({{"a", "text"}}), "a");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::refused);
  EXPECT_EQ(*read_file(secret), "kept");
}

TEST_F(ZipTest, BelievesNoSizeAndNoSum) {
  for (const bool deflate : {false, true}) {
    SmallZipMember member{"a", noise(300'000), deflate};
    member.says_bytes = 299'999;  // a bomb: more comes out than it says
    EXPECT_EQ(kind_of(small_zip({member}), "a"), ErrorKind::corrupt);
    member.says_bytes = 300'001;
    EXPECT_EQ(kind_of(small_zip({member}), "a"), ErrorKind::corrupt);
    member.says_bytes.reset();
    member.says_crc = 7;
    EXPECT_EQ(kind_of(small_zip({member}), "a"), ErrorKind::corrupt);
  }
  SmallZipMember far{"a", "text"};
  far.says_header_at = 1 << 20;
  EXPECT_EQ(kind_of(small_zip({far}), "a"), ErrorKind::corrupt);
}

// Cut anywhere and with any byte changed: an error or the right bytes, never a crash, never others.
TEST_F(ZipTest, IsNotFooledByDamage) {
  const std::string text = noise(200);
  SmallZipMember member{"a", text, true};
  member.in_64 = true;
  const std::string archive = small_zip({{"b", "x"}, member}, {.in_64 = true});
  for (std::size_t length = 0; length < archive.size(); ++length) {
    EXPECT_FALSE(unpack(archive.substr(0, length), "a")) << length;
  }
  for (std::size_t at = 0; at < archive.size(); ++at) {
    for (const int change : {1, 0x80, 0xff}) {
      std::string other = archive;
      other[at] = static_cast<char>(other[at] ^ change);
      fs::remove(folder_ / "out");
      const Status done = unpack(other, "a");
      EXPECT_TRUE(!done || out() == text) << at;
    }
  }
}

}  // namespace
}  // namespace mayfly
