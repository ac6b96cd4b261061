#include "core/text/zstd_file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include <zstd.h>

namespace mayfly {

namespace {

// RFC 8878, 3.1.1 and 3.1.2: a frame, or one that readers skip.
bool begins_as_zstd(const std::array<unsigned char, 4>& bytes) {
  const bool is_frame =
      bytes[0] == 0x28 && bytes[1] == 0xb5 && bytes[2] == 0x2f && bytes[3] == 0xfd;
  const bool is_skipped =
      (bytes[0] & 0xf0) == 0x50 && bytes[1] == 0x2a && bytes[2] == 0x4d && bytes[3] == 0x18;
  return is_frame || is_skipped;
}

}  // namespace

bool is_zstd_file(const std::filesystem::path& path) {
  std::FILE* const file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return false;
  std::array<unsigned char, 4> bytes{};
  const std::size_t got = std::fread(bytes.data(), 1, bytes.size(), file);
  std::fclose(file);
  return got == bytes.size() && begins_as_zstd(bytes);
}

struct ZstdFile::Open {
  std::string path;
  std::FILE* file;
  ZSTD_DStream* stream;
  std::vector<char> packed;
  ZSTD_inBuffer in;
  bool in_a_frame = false;  // more of it must come

  ~Open() {
    ZSTD_freeDStream(stream);
    std::fclose(file);
  }
};

ZstdFile::ZstdFile(std::unique_ptr<Open> open) : open_(std::move(open)) {}
ZstdFile::ZstdFile(ZstdFile&&) noexcept = default;
ZstdFile& ZstdFile::operator=(ZstdFile&&) noexcept = default;
ZstdFile::~ZstdFile() = default;

Result<ZstdFile> ZstdFile::open(const std::filesystem::path& path) {
  std::FILE* const file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) {
    const ErrorKind kind = errno == ENOENT ? ErrorKind::not_found : ErrorKind::refused;
    return Error{kind, "cannot be opened", {}, {path.string()}};
  }
  std::unique_ptr<Open> opened(new Open{
      path.string(), file, ZSTD_createDStream(), std::vector<char>(ZSTD_DStreamInSize()), {}});
  if (opened->stream == nullptr) {
    return Error{ErrorKind::out_of_memory, "there is no memory to unpack " + path.string()};
  }
  opened->in = {opened->packed.data(), 0, 0};
  return ZstdFile(std::move(opened));
}

Result<bool> ZstdFile::append_to(std::string& text, std::size_t most_bytes) {
  const auto bad = [&](const std::string& why) {
    return Error{ErrorKind::bad_data, "cannot be read: " + why, {}, {open_->path}};
  };
  Open& from = *open_;
  const std::size_t kept = text.size();
  text.resize(kept + most_bytes);
  ZSTD_outBuffer out{text.data() + kept, most_bytes, 0};
  bool ended = false;
  while (out.pos < out.size && !ended) {
    if (from.in.pos == from.in.size) {
      from.in.size = std::fread(from.packed.data(), 1, from.packed.size(), from.file);
      from.in.pos = 0;
      if (std::ferror(from.file) != 0) return bad(std::strerror(errno));
    }
    // Without any more input, what the decoder still holds comes out, or nothing.
    const bool no_more = from.in.size == 0;
    if (no_more && !from.in_a_frame) break;
    const std::size_t before = out.pos;
    const std::size_t wanted = ZSTD_decompressStream(from.stream, &out, &from.in);
    if (ZSTD_isError(wanted) != 0) return bad(ZSTD_getErrorName(wanted));
    from.in_a_frame = wanted != 0;
    if (no_more && from.in_a_frame && out.pos == before) return bad("the file is cut short");
    ended = no_more && !from.in_a_frame;
  }
  text.resize(kept + out.pos);
  return out.pos > 0;
}

}  // namespace mayfly
