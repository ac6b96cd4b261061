#include "localhub/signed_address.h"

#include <array>
#include <charconv>

#include <openssl/hmac.h>

namespace mayfly::localhub {

namespace {

std::string signature(const Hub& hub, const std::string& method, const std::string& path,
                      const std::string& expires) {
  const std::string text = method + " " + path + " " + expires;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), hub.signing_key.data(), static_cast<int>(hub.signing_key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += kHex[digest[i] >> 4];
    hex += kHex[digest[i] & 15];
  }
  return hex;
}

std::int64_t unix_seconds(const Hub& hub) {
  return std::chrono::floor<std::chrono::seconds>(hub.clock.now()).time_since_epoch().count();
}

}  // namespace

std::string signed_address(const Hub& hub, const std::string& method, const std::string& path) {
  const std::string expires =
      std::to_string(unix_seconds(hub) + hub.settings.address_lifetime.count());
  return hub.storage_endpoint + path + "?expires=" + expires +
         "&signature=" + signature(hub, method, path, expires);
}

bool has_valid_signature(const Hub& hub, const HubRequest& request) {
  const std::string expires = request.parameter("expires");
  std::int64_t until = 0;
  const auto [end, error] = std::from_chars(expires.data(), expires.data() + expires.size(), until);
  if (error != std::errc() || end != expires.data() + expires.size() || expires.empty()) {
    return false;
  }
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  return until >= unix_seconds(hub) &&
         request.parameter("signature") == signature(hub, method, request.path, expires);
}

}  // namespace mayfly::localhub
