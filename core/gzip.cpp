#include "core/gzip.h"

#include <array>
#include <cassert>
#include <utility>

#include <zlib.h>

namespace mayfly {

namespace {

// zlib's window of 32 KB, and 16 more for a gzip header (zlib.h, deflateInit2).
constexpr int kGzip = 15 + 16;

// zlib reads only, whatever its type says.
Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

}  // namespace

std::string gzip_compress(std::string_view text) {
  z_stream stream{};
  [[maybe_unused]] const int begun =
      deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY);
  assert(begun == Z_OK);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = bytes_of(text);
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = bytes_of(packed);
  stream.avail_out = static_cast<uInt>(packed.size());
  [[maybe_unused]] const int done = deflate(&stream, Z_FINISH);
  assert(done == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

Result<std::string> gzip_expand(std::string_view packed, std::size_t most_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzip) != Z_OK) return Error{ErrorKind::internal, "zlib"};
  stream.next_in = bytes_of(packed);
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  std::array<char, 16384> part{};
  int code = Z_OK;
  while (code == Z_OK && text.size() <= most_bytes) {
    stream.next_out = reinterpret_cast<Bytef*>(part.data());
    stream.avail_out = static_cast<uInt>(part.size());
    code = inflate(&stream, Z_NO_FLUSH);
    text.append(part.data(), part.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (text.size() > most_bytes) {
    return Error{ErrorKind::corrupt,
                 "unpacked, it is more than " + std::to_string(most_bytes) + " bytes"};
  }
  if (code != Z_STREAM_END) return Error{ErrorKind::corrupt, "not a whole gzip file"};
  return text;
}

struct MaybeGzipFile::Open {
  std::string path;
  gzFile file;
  ~Open() {
    gzclose(file);
  }
};

MaybeGzipFile::MaybeGzipFile(std::unique_ptr<Open> open) : open_(std::move(open)) {}
MaybeGzipFile::MaybeGzipFile(MaybeGzipFile&&) noexcept = default;
MaybeGzipFile& MaybeGzipFile::operator=(MaybeGzipFile&&) noexcept = default;
MaybeGzipFile::~MaybeGzipFile() = default;

Result<MaybeGzipFile> MaybeGzipFile::open(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    const bool there = std::filesystem::exists(path, error);
    return Error{there ? ErrorKind::refused : ErrorKind::not_found,
                 there ? "is not a regular file" : "there is no such file",
                 {},
                 {path.string()}};
  }
  const gzFile file = gzopen(path.c_str(), "rbe");
  if (file == nullptr) return Error{ErrorKind::refused, "cannot be opened", {}, {path.string()}};
  return MaybeGzipFile(std::unique_ptr<Open>(new Open{path.string(), file}));
}

Result<bool> MaybeGzipFile::append_to(std::string& text, std::size_t most_bytes) {
  const std::size_t kept = text.size();
  text.resize(kept + most_bytes);
  const int got = gzread(open_->file, text.data() + kept, static_cast<unsigned>(most_bytes));
  text.resize(kept + static_cast<std::size_t>(got > 0 ? got : 0));
  int code = Z_OK;
  const std::string why = gzerror(open_->file, &code);
  // Z_BUF_ERROR: the compressed file ends in the middle.
  if (got < 0 || code == Z_BUF_ERROR || code == Z_DATA_ERROR) {
    return Error{ErrorKind::bad_data, "cannot be read: " + why, {}, {open_->path}};
  }
  return got > 0;
}

}  // namespace mayfly
