// File contents travel in base64; the vectors are those of RFC 4648, section 10.
#include "core/base64.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

struct Vector {
  const char* plain;
  const char* encoded;
};

constexpr Vector kVectors[] = {{"", ""},
                               {"f", "Zg=="},
                               {"fo", "Zm8="},
                               {"foo", "Zm9v"},
                               {"foob", "Zm9vYg=="},
                               {"fooba", "Zm9vYmE="},
                               {"foobar", "Zm9vYmFy"}};

TEST(Base64Test, AgreesWithTheStandard) {
  for (const auto& [plain, encoded] : kVectors) {
    EXPECT_EQ(base64_encode(plain), encoded);
    EXPECT_EQ(*base64_decode(encoded), plain);
  }
}

TEST(Base64Test, CarriesEveryByte) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(*base64_decode(base64_encode(all)), all);
}

TEST(Base64Test, TakesMissingPaddingAndNothingElse) {
  EXPECT_EQ(*base64_decode("Zg"), "f");
  for (const char* bad : {"Z", "Zg=x", "Zm9v\n", "Zm 9v", "Zm9v=", "====", "Zm-_"}) {
    EXPECT_FALSE(base64_decode(bad)) << bad;
  }
}

}  // namespace
}  // namespace mayfly
