#include "trainer/tokenizer_files.h"

#include <string>

#include "core/atomic_file.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

bool belongs_to_tokenizer(const std::string& name) {
  return name.rfind("tokenizer", 0) == 0 || name == "special_tokens_map.json" ||
         name == "chat_template.jinja";
}

}  // namespace

Status copy_tokenizer(const fs::path& from, const fs::path& to) {
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(from, code)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || !belongs_to_tokenizer(name)) continue;
    const Result<std::string> bytes = read_file(entry.path());
    if (!bytes) return bytes.error();
    if (Status written = write_file(to / name, *bytes); !written) return written;
  }
  if (code) {
    return Error{ErrorKind::not_found,
                 "listing the model folder " + from.string() + ": " + code.message()};
  }
  return Unit{};
}

Status copy_chat_template(const fs::path& from, const fs::path& to) {
  constexpr const char* kName = "chat_template.jinja";
  std::error_code code;
  if (from.empty() || !fs::is_regular_file(from / kName, code)) return Unit{};
  const Result<std::string> bytes = read_file(from / kName);
  if (!bytes) return bytes.error();
  return write_file(to / kName, *bytes);
}

}  // namespace mayfly
