// Weights are foreign files. Believing one wrong offset reads another tensor's bytes, or bytes
// outside the file; so each of these damages one field of a right file.
#include "core/model/safetensors.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/atomic_file.h"
#include "core/descriptor.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SafetensorsTest : public testing::Test {
 protected:
  SafetensorsTest()
      : folder_(fs::temp_directory_path() / ("mayfly-st-" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~SafetensorsTest() override {
    fs::remove_all(folder_);
  }

  fs::path write(const std::string& name, const std::string& header, std::size_t data_bytes) {
    std::string bytes(8, '\0');
    const std::uint64_t length = header.size();
    std::memcpy(bytes.data(), &length, 8);
    return write_raw(name, bytes + header + std::string(data_bytes, 'x'));
  }
  fs::path write_raw(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  // The message of the error that opening such a file gives; "" if it opens.
  std::string refusal(const std::string& header, std::size_t data_bytes) {
    const fs::path path = write("bad.safetensors", header, data_bytes);
    const auto file = SafetensorsFile::open(path);
    // Both readers say the same.
    const Descriptor plain(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const auto places = read_tensor_places(plain.get(), path.string());
    EXPECT_EQ(places ? "" : places.error().message, file ? "" : file.error().message);
    if (file) return "";
    EXPECT_EQ(file.error().kind, ErrorKind::corrupt);
    EXPECT_THAT(file.error().message, HasSubstr("bad.safetensors"));
    return file.error().message;
  }

  fs::path folder_;
};

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

TEST_F(SafetensorsTest, PlainReadsFindEachTensorWhereTheMapHasIt) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {7};
  const fs::path path = folder_ / "two.safetensors";
  ASSERT_TRUE(write_safetensors(path, {{"a", TensorType::f32, {2, 3}, bytes_of(a)},
                                       {"b", TensorType::f32, {1}, bytes_of(b)}}));
  const Descriptor plain(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto places = read_tensor_places(plain.get(), "two");
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(places && file);
  ASSERT_EQ(places->size(), 2U);
  const Result<std::string> whole = read_file(path);
  for (const TensorPlace& place : *places) {
    const StoredTensor* const mapped = file->find(place.name);
    ASSERT_NE(mapped, nullptr);
    ASSERT_EQ(place.end - place.begin, mapped->bytes.size());
    EXPECT_EQ(std::memcmp(whole->data() + place.begin, mapped->bytes.data(), mapped->bytes.size()),
              0);
    EXPECT_EQ(place.shape, mapped->shape);
  }
}

// Cut short to every length, as by a process that writes it meanwhile.
TEST_F(SafetensorsTest, PlainReadsOfAFileThatIsCutShortAreAnError) {
  const std::vector<float> a = {1, 2};
  const fs::path path = folder_ / "cut.safetensors";
  ASSERT_TRUE(write_safetensors(path, {{"a", TensorType::f32, {2}, bytes_of(a)}}));
  const auto size = static_cast<off_t>(fs::file_size(path));
  const Descriptor plain(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(read_tensor_places(plain.get(), "cut"));
  for (off_t left = size - 1; left >= 0; --left) {
    ASSERT_EQ(::truncate(path.c_str(), left), 0);
    const auto places = read_tensor_places(plain.get(), "cut");
    ASSERT_FALSE(places) << left;
    EXPECT_EQ(places.error().kind, ErrorKind::corrupt);
  }
}

TEST_F(SafetensorsTest, ReadsBackWhatItWrote) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {7};
  const std::vector<std::uint16_t> c = {8, 9};
  const fs::path path = folder_ / "good.safetensors";
  ASSERT_TRUE(
      write_safetensors(path, {{"b", TensorType::f32, {}, bytes_of(b)},
                               {"ключ\n", TensorType::bf16, {2}, std::as_bytes(std::span(c))},
                               {"a", TensorType::f32, {2, 3}, bytes_of(a)},
                               {"none", TensorType::f16, {0, 4}, {}}}));
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->tensors().size(), 4u);
  const StoredTensor* const found = file->find("a");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(found->bytes.data(), a.data(), found->bytes.size()), 0);
  EXPECT_EQ(file->find("ключ\n")->type, TensorType::bf16);
  EXPECT_EQ(file->find("none")->bytes.size(), 0u);
  EXPECT_EQ(file->find("absent"), nullptr);
  EXPECT_EQ(file->metadata().at("format"), "pt");
}

// The header that save_file of safetensors 0.8.0 writes for the same tensors: float before bf16,
// then by name, padded to a multiple of 8.
TEST_F(SafetensorsTest, WritesTheBytesOfTheReferenceImplementation) {
  const std::vector<float> a = {1}, b = {2};
  const std::vector<std::uint16_t> c = {8};
  const fs::path path = folder_ / "order.safetensors";
  ASSERT_TRUE(write_safetensors(path, {{"b", TensorType::f32, {1}, bytes_of(b)},
                                       {"a", TensorType::bf16, {1}, std::as_bytes(std::span(c))},
                                       {"c", TensorType::f32, {1, 1}, bytes_of(a)}}));
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
      R"("c":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]},)"
      R"("a":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]}})";
  const auto whole = read_file(path);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->substr(8, header.size()), header);
  EXPECT_EQ((whole->size() - 8 - 10) % 8, 0u);
  EXPECT_EQ(whole->substr(8 + header.size(), 1 + whole->size() - 8 - header.size() - 10 - 1),
            std::string(whole->size() - 8 - header.size() - 10, ' '));
}

TEST_F(SafetensorsTest, RefusesAFileThatIsCutShortAnywhere) {
  const std::vector<float> a = {1, 2};
  ASSERT_TRUE(write_safetensors(folder_ / "whole", {{"a", TensorType::f32, {2}, bytes_of(a)}}));
  const std::string whole = *read_file(folder_ / "whole");
  ASSERT_TRUE(SafetensorsFile::open(write_raw("cut", whole)));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(SafetensorsFile::open(write_raw("cut", whole.substr(0, size)))) << size;
  }
  EXPECT_FALSE(SafetensorsFile::open(write_raw("cut", whole + "x")));
  EXPECT_EQ(SafetensorsFile::open(folder_ / "absent").error().kind, ErrorKind::not_found);
}

TEST_F(SafetensorsTest, RefusesAHeaderThatIsNoneOrTooLong) {
  EXPECT_FALSE(SafetensorsFile::open(write_raw("a", std::string(8, '\xff') + "{}")));
  EXPECT_THAT(refusal("[]", 0), HasSubstr("object"));
  EXPECT_THAT(refusal("{\"a\":", 0), HasSubstr("JSON"));
  EXPECT_EQ(refusal("{}", 0), "");
  EXPECT_THAT(refusal("{}", 3), HasSubstr("3 bytes that belong to no tensor"));
}

std::string entry(const std::string& name, const std::string& type, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

TEST_F(SafetensorsTest, RefusesRangesThatOverlapOrLeaveHoles) {
  const std::string a = entry("a", "F32", "[2]", "[0,8]");
  EXPECT_EQ(refusal("{" + a + "," + entry("b", "F32", "[1]", "[8,12]") + "}", 12), "");
  EXPECT_THAT(refusal("{" + a + "," + entry("b", "F32", "[1]", "[4,8]") + "}", 8),
              HasSubstr("\"b\" overlaps"));
  EXPECT_THAT(refusal("{" + a + "," + entry("b", "F32", "[1]", "[12,16]") + "}", 16),
              HasSubstr("\"b\" leaves a hole"));
  EXPECT_THAT(refusal("{" + a + "," + entry("b", "F32", "[1]", "[8,12]") + "}", 11),
              HasSubstr("ends at byte 12 of only 11"));
}

TEST_F(SafetensorsTest, RefusesSizesThatDoNotAgree) {
  EXPECT_THAT(refusal("{" + entry("a", "F32", "[3]", "[0,8]") + "}", 8), HasSubstr("needs 12"));
  EXPECT_THAT(refusal("{" + entry("a", "F9", "[2]", "[0,8]") + "}", 8), HasSubstr("unknown dtype"));
  EXPECT_THAT(refusal("{" + entry("a", "F32", "[-2]", "[0,8]") + "}", 8), HasSubstr("shape"));
  EXPECT_THAT(refusal("{" + entry("a", "F32", "[2.0]", "[0,8]") + "}", 8), HasSubstr("shape"));
  EXPECT_THAT(refusal("{" + entry("a", "F32", "[2]", "[8,0]") + "}", 8), HasSubstr("senseless"));
  EXPECT_THAT(refusal("{" + entry("a", "F32", "[2]", "[-8,0]") + "}", 8), HasSubstr("senseless"));
  // 2^32 x 2^32 floats: the product wraps to 0 in 64 bits.
  EXPECT_THAT(refusal("{" + entry("a", "F32", "[4294967296,4294967296]", "[0,0]") + "}", 0),
              HasSubstr("too large"));
}

TEST_F(SafetensorsTest, RefusesWhatStandsTwiceOrBesides) {
  const std::string a = entry("a", "F32", "[2]", "[0,8]");
  EXPECT_THAT(refusal("{" + a + "," + a + "}", 8), HasSubstr("twice"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2]}})", 8), HasSubstr("exactly"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"format":1}})", 0), HasSubstr("texts only"));
}

class SafetensorsModelTest : public SafetensorsTest {
 protected:
  void shard(const std::string& name, const std::string& tensor) {
    ASSERT_TRUE(
        write_safetensors(folder_ / name, {{tensor, TensorType::f32, {1}, bytes_of(one_)}}));
  }
  void index(const std::string& weight_map) {
    write_raw("model.safetensors.index.json", "{\"weight_map\":" + weight_map + "}");
  }
  std::string refusal_of_model() {
    const auto model = SafetensorsModel::open(folder_);
    return model ? "" : model.error().message;
  }
  std::vector<float> one_ = {1};
};

TEST_F(SafetensorsModelTest, FindsTensorsInAllShards) {
  shard("x-1.safetensors", "a");
  shard("x-2.safetensors", "b");
  index(R"({"a":"x-1.safetensors","b":"x-2.safetensors"})");
  const auto model = SafetensorsModel::open(folder_);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_NE(model->find("a"), nullptr);
  EXPECT_NE(model->find("b"), nullptr);
  EXPECT_EQ(model->find("c"), nullptr);
}

TEST_F(SafetensorsModelTest, RefusesAnIndexThatDoesNotAgreeWithItsShards) {
  shard("x-1.safetensors", "a");
  index(R"({"a":"x-1.safetensors","b":"x-1.safetensors"})");
  EXPECT_THAT(refusal_of_model(), HasSubstr("\"b\" is missing"));
  index(R"({"b":"x-1.safetensors"})");
  EXPECT_THAT(refusal_of_model(), HasSubstr("\"a\" is not where"));
  index(R"({"a":"absent.safetensors"})");
  EXPECT_THAT(refusal_of_model(), HasSubstr("absent.safetensors"));
  index("[]");
  EXPECT_THAT(refusal_of_model(), HasSubstr("weight_map"));
}

TEST_F(SafetensorsModelTest, TakesNoPathOutOfAnIndex) {
  for (const char* name : {"../x", "/etc/passwd", "a/b", "..", "", "a\\\\b"}) {
    index("{\"a\":\"" + std::string(name) + "\"}");
    EXPECT_THAT(refusal_of_model(), HasSubstr("no plain file name")) << name;
  }
}

TEST_F(SafetensorsModelTest, SaysWhenThereAreOnlyPickledWeights) {
  EXPECT_EQ(SafetensorsModel::open(folder_).error().kind, ErrorKind::not_found);
  write_raw("pytorch_model.bin", "x");
  EXPECT_EQ(SafetensorsModel::open(folder_).error().kind, ErrorKind::unsupported);
}

}  // namespace
}  // namespace mayfly
