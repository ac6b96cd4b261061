// A wrong signature is a 403 that nobody can read anything from, so each rule is checked with what
// AWS itself published: its signing test suite (scope us-east-1/service, 2015-08-30) and the
// examples of the S3 API reference. tests/s3 compares random requests with botocore.
#include "core/http/sigv4.h"

#include <gtest/gtest.h>

#include "core/sha256.h"

namespace mayfly {
namespace {

std::string signature_of(const HttpRequest& request) {
  for (const HttpHeader& header : request.headers) {
    if (header.name == "Authorization") return header.value.substr(header.value.rfind('=') + 1);
  }
  return "";
}

std::string header_of(const HttpRequest& request, std::string_view name) {
  for (const HttpHeader& header : request.headers) {
    if (header.name == name) return header.value;
  }
  return "";
}

struct Published {
  const char* name;
  const char* method;
  const char* path;
  std::vector<HttpHeader> headers;
  const char* body;
  const char* signature;
};

class SigV4SuiteTest : public testing::TestWithParam<Published> {};

TEST_P(SigV4SuiteTest, SignsAsPublished) {
  const Published& example = GetParam();
  HttpRequest request;
  request.method = example.method;
  request.url = std::string("https://example.amazonaws.com") + example.path;
  request.headers = example.headers;
  request.body = example.body;
  const AwsCredentials credentials{
      "AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), {}};
  sign_v4(request, credentials, {"us-east-1", "service"}, *parse_utc("2015-08-30T12:36:00Z"),
          sha256_hex(request.body));
  EXPECT_EQ(signature_of(request), example.signature);
  EXPECT_EQ(header_of(request, "X-Amz-Date"), "20150830T123600Z");
}

INSTANTIATE_TEST_SUITE_P(
    AwsSuite, SigV4SuiteTest,
    testing::Values(Published{"get_vanilla",
                              "GET",
                              "/",
                              {},
                              "",
                              "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
                    Published{"no_path",
                              "GET",
                              "",
                              {},
                              "",
                              "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
                    Published{"query_order",
                              "GET",
                              "/?Param2=value2&Param1=value1",
                              {},
                              "",
                              "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
                    Published{"query_order_encoded",
                              "GET",
                              "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
                              {},
                              "",
                              "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
                    Published{"empty_query_key",
                              "GET",
                              "/?Param1=value1",
                              {},
                              "",
                              "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
                    Published{"utf8_query",
                              "GET",
                              "/?\xE1\x88\xB4=bar",
                              {},
                              "",
                              "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
                    Published{"utf8_path",
                              "GET",
                              "/\xE1\x88\xB4",
                              {},
                              "",
                              "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
                    Published{"space_in_path",
                              "GET",
                              "/example space/",
                              {},
                              "",
                              "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
                    Published{"header_trimmed",
                              "GET",
                              "/",
                              {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
                              "",
                              "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
                    Published{"form",
                              "POST",
                              "/",
                              {{"Content-Type", "application/x-www-form-urlencoded"}},
                              "Param1=value1",
                              "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(SigV4Test, SignsTheSessionToken) {
  HttpRequest request;
  request.url = "https://example.amazonaws.com/";
  const AwsCredentials credentials{
      "AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
      Secret("6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267")};
  sign_v4(request, credentials, {"us-east-1", "service"}, *parse_utc("2015-08-30T12:36:00Z"),
          kEmptyPayload);
  EXPECT_EQ(signature_of(request),
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8");
}

struct S3Example {
  const char* method;
  const char* path;
  std::vector<HttpHeader> headers;
  std::string payload;
  const char* signature;
};

// The four examples of "Signature Calculations for the Authorization Header: Transferring Payload
// in a Single Chunk".
TEST(SigV4Test, SignsTheExamplesOfTheS3Reference) {
  const S3Example examples[] = {
      {"GET",
       "/test.txt",
       {{"Range", "bytes=0-9"}},
       "",
       "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
      {"PUT",
       "/test%24file.text",
       {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
       "Welcome to Amazon S3.",
       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
      {"GET",
       "/?lifecycle",
       {},
       "",
       "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
      {"GET",
       "/?max-keys=2&prefix=J",
       {},
       "",
       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"}};
  const AwsCredentials credentials{
      "AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), {}};
  for (const S3Example& example : examples) {
    HttpRequest request;
    request.method = example.method;
    request.url = std::string("https://examplebucket.s3.amazonaws.com") + example.path;
    request.headers = example.headers;
    sign_v4(request, credentials, {"us-east-1", "s3"}, *parse_utc("2013-05-24T00:00:00Z"),
            sha256_hex(example.payload));
    EXPECT_EQ(signature_of(request), example.signature) << example.path;
  }
}

// A request that is sent again is signed again, as if for the first time.
TEST(SigV4Test, ReplacesAnEarlierSignature) {
  const AwsCredentials credentials{"id", Secret("key"), Secret("session")};
  const AwsScope scope{"eu-west-1", "s3"};
  HttpRequest once;
  once.url = "http://127.0.0.1:5000/bucket/key";
  HttpRequest twice = once;
  sign_v4(twice, credentials, scope, *parse_utc("2026-11-22T11:00:00Z"), kEmptyPayload);
  EXPECT_NE(signature_of(twice), "");
  const WallTime later = *parse_utc("2026-11-22T12:00:00Z");
  sign_v4(twice, credentials, scope, later, kUnsignedPayload);
  sign_v4(once, credentials, scope, later, kUnsignedPayload);
  EXPECT_EQ(signature_of(twice), signature_of(once));
  EXPECT_EQ(twice.headers.size(), once.headers.size());
  EXPECT_EQ(header_of(once, "X-Amz-Content-Sha256"), "UNSIGNED-PAYLOAD");
}

}  // namespace
}  // namespace mayfly
