// What libcurl does by itself and must not do for us: repeat a POST, follow a redirect with a
// token, wait for ever, fill the memory, trust anybody's certificate.
#include "core/http/curl_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "tests/core/http/raw_server.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class CurlClientTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("curl_client_test." + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override {
    fs::remove_all(folder_);
  }
  HttpRequest get(const std::string& url) {
    HttpRequest request;
    request.url = url;
    return request;
  }
  HttpRequest post(const std::string& url, const std::string& body) {
    HttpRequest request;
    request.method = "POST";
    request.url = url;
    request.body = body;
    return request;
  }
  CurlHttpClient client_;
  fs::path folder_;
};

TEST_F(CurlClientTest, TakesAnyStatusAsAnAnswer) {
  RawServer server({{"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nlate"}});
  const auto response = client_.send(get(server.url("/x?q=1")));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 503);
  EXPECT_EQ(response->header("retry-after"), "7");
  EXPECT_EQ(response->header("absent"), "");
  EXPECT_EQ(response->body, "late");
  EXPECT_EQ(response->body_bytes, 4);
  EXPECT_THAT(server.requests()[0], HasSubstr("GET /x?q=1 HTTP/1.1"));
  EXPECT_THAT(server.requests()[0], HasSubstr("Accept-Encoding: identity"));
  EXPECT_THAT(server.requests()[0], HasSubstr("User-Agent: mayfly/"));
}

TEST_F(CurlClientTest, StreamsAPartOfAFile) {
  ASSERT_TRUE(write_file(folder_ / "source", "0123456789"));
  RawServer server({{kOk}, {kOk}});
  HttpRequest request;
  request.method = "PUT";
  request.url = server.url();
  request.body_file = folder_ / "source";
  request.body_offset = 3;
  request.body_size = 4;
  ASSERT_TRUE(client_.send(request));
  EXPECT_THAT(server.requests()[0], HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(server.requests()[0], testing::EndsWith("\r\n\r\n3456"));
  EXPECT_THAT(server.requests()[0], Not(HasSubstr("Expect:")));
  request.body_size = -1;
  ASSERT_TRUE(client_.send(request));
  EXPECT_THAT(server.requests()[1], testing::EndsWith("\r\n\r\n3456789"));
  request.body_size = 8;  // more than there is
  const auto too_much = client_.send(request);
  ASSERT_FALSE(too_much);
  EXPECT_EQ(too_much.error().kind, ErrorKind::corrupt);
}

TEST_F(CurlClientTest, SendsAPostOnceEvenWhenAKeptConnectionDies) {
  // libcurl would send it a second time, by itself, on a reused connection.
  RawServer server({{kOk, true}, {""}, {kOk}});
  ASSERT_TRUE(client_.send(get(server.url("/first"))));
  const auto response = client_.send(post(server.url("/commit"), "x"));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::outcome_unknown);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(CurlClientTest, KnowsThatNothingHappened) {
  int port = 0;
  {
    const RawServer gone({});
    port = gone.port();
  }
  const std::string url = "http://127.0.0.1:" + std::to_string(port) + "/x";
  const auto refused = client_.send(post(url, "x"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unreachable);
  const auto unknown_host = client_.send(post("http://no-such-host.invalid/", "x"));
  ASSERT_FALSE(unknown_host);
  EXPECT_EQ(unknown_host.error().kind, ErrorKind::unreachable);
  // A GET changes nothing, so a lost answer is no riddle.
  RawServer server({{""}});
  const auto lost = client_.send(get(server.url()));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::unreachable);
}

TEST_F(CurlClientTest, NoticesAnAnswerThatIsCutShort) {
  const std::string cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
  RawServer server({{cut}, {cut}});
  const auto read = client_.send(get(server.url()));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::corrupt);
  const auto written = client_.send(post(server.url(), "x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::outcome_unknown);
}

TEST_F(CurlClientTest, EndsATransferThatHangs) {
  RawServer server({{"", false, true}});
  HttpRequest request = get(server.url());
  request.stall_timeout = seconds(1);
  const auto begin = std::chrono::steady_clock::now();
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::unreachable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(6));
}

TEST_F(CurlClientTest, EndsATransferAtItsTotalTime) {
  RawServer server({{"", false, true}});
  HttpRequest request = post(server.url(), "x");
  request.stall_timeout = seconds(0);
  request.total_timeout = seconds(1);
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::outcome_unknown);
}

TEST_F(CurlClientTest, StopsWhenTold) {
  RawServer server({{"", false, true}});
  std::atomic<bool> stop{false};
  CurlHttpClient client({.stop = &stop});
  HttpRequest request = get(server.url());
  std::thread teller([&] {
    while (server.requests().empty()) std::this_thread::yield();
    stop = true;
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto response = client.send(request);
  teller.join();
  EXPECT_FALSE(response);
  EXPECT_FALSE(client.send(request));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
}

TEST_F(CurlClientTest, CapsWhatItKeeps) {
  RawServer server({{"HTTP/1.1 200 OK\r\n\r\n" + std::string(5000, 'x')}, {kOk}});
  HttpRequest request = get(server.url());
  request.max_body_bytes = 4999;
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::corrupt);
  request.max_body_bytes = 2;
  EXPECT_TRUE(client_.send(request));
}

TEST_F(CurlClientTest, ContinuesAFile) {
  const fs::path file = folder_ / "part";
  RawServer server(
      {{"HTTP/1.1 206 Partial\r\nContent-Range: bytes 3-5/6\r\nContent-Length: 3\r\n\r\ndef"},
       {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"},
       {"HTTP/1.1 416 No\r\nContent-Length: 2\r\n\r\nno"},
       {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-2/6\r\nContent-Length: 3\r\n\r\nabc"}});
  ASSERT_TRUE(write_file(file, "abc"));
  HttpRequest request = get(server.url());
  request.to_file = file;
  ASSERT_TRUE(client_.send(request));
  EXPECT_EQ(*read_file(file), "abcdef");
  EXPECT_THAT(server.requests()[0], HasSubstr("Range: bytes=3-\r\n"));
  // The server does not continue: its answer is the whole file.
  ASSERT_TRUE(client_.send(request));
  EXPECT_EQ(*read_file(file), "new");
  // A refusal does not touch the file.
  const auto refused = client_.send(request);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 416);
  EXPECT_EQ(refused->body, "no");
  EXPECT_EQ(*read_file(file), "new");
  // Another part than was asked for would make a file of two halves that do not fit.
  const auto other_part = client_.send(request);
  ASSERT_FALSE(other_part);
  EXPECT_EQ(other_part.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(*read_file(file), "new");
}

TEST_F(CurlClientTest, MakesTheFileOfAnEmptyAnswer) {
  RawServer server({{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}});
  HttpRequest request = get(server.url());
  request.to_file = folder_ / "empty";
  ASSERT_TRUE(client_.send(request));
  EXPECT_EQ(*read_file(folder_ / "empty"), "");
}

TEST_F(CurlClientTest, CapsAFile) {
  RawServer server({{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef"}});
  HttpRequest request = get(server.url());
  request.to_file = folder_ / "capped";
  request.max_file_bytes = 5;
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::corrupt);
}

TEST_F(CurlClientTest, SaysWhenTheDiskIsFull) {
  RawServer server({{kOk}});
  HttpRequest request = get(server.url());
  request.to_file = "/dev/full";
  const auto response = client_.send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::no_space);
}

TEST_F(CurlClientTest, KeepsTheTokenOnItsHost) {
  RawServer elsewhere({{kOk}});
  RawServer server({{"HTTP/1.1 302 Found\r\nLocation: /here\r\nContent-Length: 0\r\n\r\n", true},
                    {"HTTP/1.1 302 Found\r\nLocation: " + elsewhere.url("/there") +
                     "\r\nContent-Length: 0\r\n\r\n"}});
  HttpRequest request = get(server.url("/start"));
  request.headers = {{"Authorization", "Bearer secret"}, {"X-Other", "kept"}};
  request.max_redirects = 3;
  const auto response = client_.send(request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "ok");
  ASSERT_EQ(server.requests().size(), 2u);
  EXPECT_THAT(server.requests()[1], HasSubstr("Bearer secret"));
  EXPECT_THAT(elsewhere.requests()[0], Not(HasSubstr("secret")));
  EXPECT_THAT(elsewhere.requests()[0], HasSubstr("X-Other: kept"));
}

TEST_F(CurlClientTest, FollowsNoRedirectUnlessTold) {
  const std::string found = "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
  RawServer server({{found}, {found}, {found}, {found}});
  const auto response = client_.send(get(server.url()));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 302);
  HttpRequest twice = get(server.url());
  twice.max_redirects = 2;
  const auto too_often = client_.send(twice);
  ASSERT_FALSE(too_often);
  EXPECT_EQ(too_often.error().kind, ErrorKind::refused);
}

TEST_F(CurlClientTest, ShowsNoSignatureInAnError) {
  RawServer server({{""}});
  const auto response = client_.send(get(server.url("/object?signature=secret")));
  ASSERT_FALSE(response);
  EXPECT_THAT(response.error().message, HasSubstr("/object"));
  EXPECT_THAT(response.error().message, Not(HasSubstr("secret")));
}

TEST_F(CurlClientTest, TakesOnlyTheWeb) {
  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/"}) {
    const auto response = client_.send(get(url));
    ASSERT_FALSE(response) << url;
    EXPECT_EQ(response.error().kind, ErrorKind::usage) << response.error().message;
  }
}

TEST_F(CurlClientTest, ReachesLoopbackWithoutTheProxy) {
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  RawServer server({{kOk}});
  const auto response = client_.send(get(server.url()));
  ::unsetenv("http_proxy");
  EXPECT_TRUE(response);
}

TEST_F(CurlClientTest, SurvivesEndlessHeaders) {
  std::string bomb = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 4000; ++i) bomb += "X-Header: " + std::string(200, 'x') + "\r\n";
  RawServer server({{bomb + "\r\n"}});
  EXPECT_FALSE(client_.send(get(server.url())));
}

// A certificate for `host`, signed by itself.
struct Certificate {
  explicit Certificate(const char* host) : key(EVP_RSA_gen(2048)), x509(X509_new()) {
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(host), -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_sign(x509, key, EVP_sha256());
  }
  ~Certificate() {
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  void write(const fs::path& file) const {
    std::FILE* out = std::fopen(file.c_str(), "w");
    PEM_write_X509(out, x509);
    std::fclose(out);
  }
  EVP_PKEY* key;
  X509* x509;
};

TEST_F(CurlClientTest, TrustsOnlyWhoItShould) {
  const Certificate certificate("localhost");
  httplib::SSLServer server(certificate.x509, certificate.key);
  server.Get("/",
             [](const httplib::Request&, httplib::Response& out) { out.set_content("ok", "x/y"); });
  server.set_keep_alive_max_count(1);
  server.set_read_timeout(0, 200000);  // a refused handshake is waited for so long
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  const std::string by_name = "https://localhost:" + std::to_string(port) + "/";
  const std::string by_number = "https://127.0.0.1:" + std::to_string(port) + "/";

  const auto unknown_signer = client_.send(get(by_name));
  ASSERT_FALSE(unknown_signer);
  EXPECT_EQ(unknown_signer.error().kind, ErrorKind::refused) << unknown_signer.error().message;
  EXPECT_THAT(unknown_signer.error().hint, HasSubstr("SSL_CERT_FILE"));

  certificate.write(folder_ / "ca.pem");
  ::setenv("SSL_CERT_FILE", (folder_ / "ca.pem").c_str(), 1);
  CurlHttpClient trusting(curl_options_from_environment());
  ::unsetenv("SSL_CERT_FILE");
  const auto trusted = trusting.send(get(by_name));
  EXPECT_TRUE(trusted) << trusted.error().message;
  const auto wrong_name = trusting.send(get(by_number));
  ASSERT_FALSE(wrong_name);
  EXPECT_EQ(wrong_name.error().kind, ErrorKind::refused);
  server.stop();
  thread.join();
}

}  // namespace
}  // namespace mayfly
