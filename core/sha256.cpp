#include "core/sha256.h"

#include <array>
#include <charconv>
#include <fstream>
#include <vector>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace mayfly {

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() {
    EVP_MD_CTX_free(context);
  }
};

Digest::Digest(Kind kind) : state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context, kind == Kind::sha256 ? EVP_sha256() : EVP_sha1(), nullptr);
}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::update(const void* bytes, std::size_t size) {
  EVP_DigestUpdate(state_->context, bytes, size);
}

std::string Digest::finish_hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned size = 0;
  EVP_DigestFinal_ex(state_->context, raw.data(), &size);
  return to_hex({reinterpret_cast<const char*>(raw.data()), size});
}

std::string sha256_hex(std::string_view bytes) {
  Digest digest;
  digest.update(bytes);
  return digest.finish_hex();
}

std::string sha256_raw(std::string_view bytes) {
  return from_hex(sha256_hex(bytes));
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), raw.data(), &size);
  return {reinterpret_cast<const char*>(raw.data()), size};
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    hex += kHex[value >> 4];
    hex += kHex[value & 15];
  }
  return hex;
}

std::string from_hex(std::string_view hex) {
  std::string bytes(hex.size() / 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    unsigned value = 0;
    const char* const at = hex.data() + 2 * i;
    const auto [end, fault] = std::from_chars(at, at + 2, value, 16);
    if (fault != std::errc() || end != at + 2) return "";
    bytes[i] = static_cast<char>(value);
  }
  return bytes;
}

Result<std::string> sha256_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorKind::not_found, "cannot open " + path.string()};
  Digest digest;
  std::vector<char> block(1 << 20);
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    digest.update(block.data(), static_cast<std::size_t>(in.gcount()));
  }
  if (in.bad()) return Error{ErrorKind::corrupt, "cannot read " + path.string() + " to its end"};
  return digest.finish_hex();
}

std::string git_blob_id(std::string_view bytes) {
  Digest digest(Digest::Kind::sha1);
  digest.update("blob " + std::to_string(bytes.size()));
  digest.update("", 1);  // the NUL that ends git's header
  digest.update(bytes);
  return digest.finish_hex();
}

}  // namespace mayfly
