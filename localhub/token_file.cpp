#include "localhub/token_file.h"

#include <fstream>
#include <string>

#include <sys/stat.h>

#include "core/atomic_file.h"

namespace mayfly::localhub {

namespace {

constexpr std::size_t kTokenLetters = 34;

Result<Secret> fresh_token() {
  static constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::ifstream random("/dev/urandom", std::ios::binary);
  std::string token = "hf_";
  while (token.size() < 3 + kTokenLetters && random) {
    const auto byte = static_cast<unsigned>(random.get());
    // Rejecting the rest keeps every letter equally likely.
    if (byte < kLetters.size() * 4) token += kLetters[byte % kLetters.size()];
  }
  if (!random) return Error{ErrorKind::internal, "no random numbers from the system"};
  return Secret(token);
}

}  // namespace

Result<Secret> read_or_make_token(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) {
    const auto token = fresh_token();
    if (!token) return token.error();
    if (Status made = make_folders(std::filesystem::absolute(file).parent_path()); !made) {
      return made.error();
    }
    if (Status written = write_file(file, token->reveal() + "\n", 0600); !written) {
      return written.error();
    }
    return *token;
  }
  if ((info.st_mode & 077) != 0) {
    return Error{ErrorKind::refused, "the token file " + file.string() + " is readable by others",
                 "chmod 600 " + file.string()};
  }
  const auto text = read_file(file);
  if (!text) return text.error();
  const std::string token = text->substr(0, text->find_first_of("\r\n \t"));
  if (token.empty())
    return Error{ErrorKind::refused, "the token file " + file.string() + " is empty"};
  return Secret(token);
}

}  // namespace mayfly::localhub
