#include "core/text/packed_file.h"

#include <utility>

namespace mayfly {

Result<PackedFile> PackedFile::open(const std::filesystem::path& path) {
  // Which also says what is no file at all.
  auto file = MaybeGzipFile::open(path);
  if (!file) return std::move(file.error());
  if (!is_zstd_file(path)) return PackedFile(std::move(*file));
  auto packed = ZstdFile::open(path);
  if (!packed) return std::move(packed.error());
  return PackedFile(std::move(*packed));
}

Result<bool> PackedFile::append_to(std::string& text, std::size_t most_bytes) {
  return std::visit([&](auto& reader) { return reader.append_to(text, most_bytes); }, reader_);
}

}  // namespace mayfly
