// An HTTPS server with one thing wrong with its certificate. It keeps what it was asked: whatever
// reaches it in plain text has been told to somebody we do not know.
#pragma once

#include <cstdio>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace mayfly {

// A certificate signed by itself for `host`, good from now - 1 minute, or only until yesterday.
struct SelfSigned {
  SelfSigned(const std::string& host, bool expired) : key(EVP_RSA_gen(2048)), x509(X509_new()) {
    constexpr long kDay = 24 * 3600;
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), expired ? -10 * kDay : -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), expired ? -kDay : kDay);
    X509_set_pubkey(x509, key);
    X509_NAME* const name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(host.c_str()), -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_EXTENSION* const names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + host).c_str());
    X509_add_ext(x509, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x509, key, EVP_sha256());
  }
  ~SelfSigned() {
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  SelfSigned(const SelfSigned&) = delete;
  SelfSigned& operator=(const SelfSigned&) = delete;
  // Adds it to a file of trusted certificates.
  void append_to(const std::filesystem::path& file) const {
    std::FILE* const out = std::fopen(file.c_str(), "a");
    PEM_write_X509(out, x509);
    std::fclose(out);
  }
  EVP_PKEY* key;
  X509* x509;
};

class BadTlsServer {
 public:
  explicit BadTlsServer(const SelfSigned& certificate)
      : server_(certificate.x509, certificate.key) {
    const auto keep = [this](const httplib::Request& in, httplib::Response& out) {
      const std::lock_guard lock(mutex_);
      seen_.push_back(in.method + " " + in.path + " " + in.get_header_value("Authorization"));
      out.status = 500;
    };
    server_.Get(".*", keep).Post(".*", keep).Put(".*", keep);
    server_.set_read_timeout(0, 200000);  // a refused handshake is waited for so long
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~BadTlsServer() {
    server_.stop();
    thread_.join();
  }
  // By the name `host`, which resolves to this machine.
  std::string origin(const std::string& host = "localhost") const {
    return "https://" + host + ":" + std::to_string(port_);
  }
  std::vector<std::string> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  httplib::SSLServer server_;
  int port_ = 0;
  std::mutex mutex_;
  std::vector<std::string> seen_;
  std::thread thread_;
};

}  // namespace mayfly
