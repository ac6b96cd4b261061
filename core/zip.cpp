#include "core/zip.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMostDirectory = 64 << 20;
constexpr std::size_t kPiece = 256 << 10;
// Sizes and signatures of the records, APPNOTE 4.3.
constexpr std::int64_t kEndBytes = 22, kLocator64 = 20, kEnd64 = 56, kEntry = 46, kLocal = 30;
constexpr std::uint32_t kEndMark = 0x06054b50, kLocator64Mark = 0x07064b50;
constexpr std::uint32_t kEnd64Mark = 0x06064b50, kEntryMark = 0x02014b50;
constexpr std::uint32_t kLocalMark = 0x04034b50;
constexpr std::int64_t kLongestComment = 0xffff;
constexpr std::uint32_t kIn64 = 0xffffffff;  // the real number is in the zip64 field
constexpr unsigned kEncrypted = 1;

// The little-endian number of `width` bytes at `at`, which must be inside.
std::uint64_t number_at(std::string_view bytes, std::int64_t at, int width) {
  std::uint64_t value = 0;
  for (int i = width; i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes.at(static_cast<std::size_t>(at + i)));
  }
  return value;
}

// Of a number from the archive: negative when it does not fit, which every check then refuses.
std::int64_t offset_of(std::uint64_t value) {
  return value > INT64_MAX ? -1 : static_cast<std::int64_t>(value);
}

// Upper half of the attributes that Unix archivers write, APPNOTE 4.4.15: the file's mode.
bool plain_of(std::uint32_t attributes, std::string_view name) {
  const unsigned kind = attributes >> 16 & S_IFMT;
  return (kind == 0 || kind == S_IFREG) && !name.ends_with('/');
}

// Numbers that did not fit their field stand in the extra field 1, in this order and only those
// (APPNOTE 4.5.3). False: there are fewer than are needed.
bool take_64(std::string_view extra, const std::array<std::int64_t*, 3>& numbers) {
  const bool none = std::none_of(numbers.begin(), numbers.end(),
                                 [](const std::int64_t* at) { return *at == kIn64; });
  while (!none && extra.size() >= 4) {
    const std::uint64_t kind = number_at(extra, 0, 2);
    const std::size_t length = number_at(extra, 2, 2);
    std::string_view field = extra.substr(4, length);
    if (field.size() < length) return false;
    extra.remove_prefix(4 + length);
    if (kind != 1) continue;
    for (std::int64_t* const at : numbers) {
      if (*at != kIn64) continue;
      if (field.size() < 8) return false;
      *at = offset_of(number_at(field, 0, 8));
      field.remove_prefix(8);
    }
    return true;
  }
  return none;
}

Error writing_failed(const fs::path& target) {
  return {errno == ENOSPC || errno == EDQUOT ? ErrorKind::no_space : ErrorKind::refused,
          "writing " + target.string() + ": " + std::strerror(errno)};
}

}  // namespace

Error ZipFile::broken(const std::string& why) const {
  return {ErrorKind::corrupt, path_ + ": " + why};
}

Result<ZipFile> ZipFile::open(const fs::path& path, const Wanted& wanted) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) {
    return Error{errno == ENOENT ? ErrorKind::not_found : ErrorKind::refused,
                 "opening " + path.string() + ": " + std::strerror(errno)};
  }
  ZipFile zip(std::move(file), path.string(), info.st_size);
  if (const Status read = zip.read_directory(wanted); !read) return read.error();
  return zip;
}

Result<std::string> ZipFile::read_at(std::int64_t at, std::int64_t count) const {
  if (at < 0 || count < 0 || at > size_ || count > size_ - at) return broken("it is cut short");
  std::string bytes(static_cast<std::size_t>(count), '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    const auto position = static_cast<off_t>(at + static_cast<std::int64_t>(done));
    const ssize_t got = ::pread(file_.get(), bytes.data() + done, bytes.size() - done, position);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return broken("it cannot be read");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

// The record at the end says where the directory is; for more than 4 GB or 65,535 members it says
// so by numbers that are all ones, and a second record before it says where.
Status ZipFile::read_directory(const Wanted& wanted) {
  const std::int64_t tail = std::min(size_, kEndBytes + kLongestComment);
  const auto last = read_at(size_ - tail, tail);
  if (!last) return last.error();
  std::int64_t at = tail - kEndBytes;
  while (at >= 0 && number_at(*last, at, 4) != kEndMark) --at;
  if (at < 0) return broken("it is no zip archive");
  auto count = offset_of(number_at(*last, at + 10, 2));
  auto bytes = offset_of(number_at(*last, at + 12, 4));
  auto begin = offset_of(number_at(*last, at + 16, 4));
  if (count == 0xffff || bytes == kIn64 || begin == kIn64) {
    const auto locator = read_at(size_ - tail + at - kLocator64, kLocator64);
    if (!locator) return locator.error();
    if (number_at(*locator, 0, 4) != kLocator64Mark) return broken("its end is damaged");
    const auto end = read_at(offset_of(number_at(*locator, 8, 8)), kEnd64);
    if (!end) return end.error();
    if (number_at(*end, 0, 4) != kEnd64Mark) return broken("its end is damaged");
    count = offset_of(number_at(*end, 32, 8));
    bytes = offset_of(number_at(*end, 40, 8));
    begin = offset_of(number_at(*end, 48, 8));
  }
  if (bytes > kMostDirectory) {
    return Error{ErrorKind::unsupported, path_ + ": its directory has more than 64 MB"};
  }
  const auto directory = read_at(begin, bytes);
  if (!directory) return directory.error();
  return add_entries(*directory, count, wanted);
}

Status ZipFile::add_entries(std::string_view directory, std::int64_t count, const Wanted& wanted) {
  std::int64_t seen = 0;
  while (!directory.empty()) {
    const auto left = static_cast<std::int64_t>(directory.size());
    if (left < kEntry || number_at(directory, 0, 4) != kEntryMark) {
      return broken("its directory is damaged");
    }
    const auto name = static_cast<std::int64_t>(number_at(directory, 28, 2));
    const auto extra = static_cast<std::int64_t>(number_at(directory, 30, 2));
    const auto comment = static_cast<std::int64_t>(number_at(directory, 32, 2));
    const std::int64_t whole = kEntry + name + extra + comment;
    if (left < whole) return broken("its directory is damaged");
    const std::string_view entry = directory.substr(0, static_cast<std::size_t>(whole));
    const auto part = [&entry](std::int64_t at, std::int64_t length) {
      return entry.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(length));
    };
    directory.remove_prefix(static_cast<std::size_t>(whole));
    ++seen;
    if (!wanted(entry.substr(kEntry, static_cast<std::size_t>(name)))) continue;
    ZipMember member;
    member.name = part(kEntry, name);
    member.flags = static_cast<unsigned>(number_at(entry, 8, 2));
    member.method = static_cast<unsigned>(number_at(entry, 10, 2));
    member.crc = static_cast<std::uint32_t>(number_at(entry, 16, 4));
    member.packed_bytes = offset_of(number_at(entry, 20, 4));
    member.bytes = offset_of(number_at(entry, 24, 4));
    member.header_at = offset_of(number_at(entry, 42, 4));
    member.is_plain = plain_of(static_cast<std::uint32_t>(number_at(entry, 38, 4)), member.name);
    if (!take_64(part(kEntry + name, extra),
                 {&member.bytes, &member.packed_bytes, &member.header_at})) {
      return broken("the size of " + member.name + " is missing");
    }
    members_.push_back(std::move(member));
  }
  if (seen != count) {
    return broken("its directory has " + std::to_string(seen) + " members and not " +
                  std::to_string(count));
  }
  return Unit{};
}

const ZipMember* ZipFile::find(std::string_view name) const {
  const ZipMember* found = nullptr;
  for (const ZipMember& member : members_) {
    if (member.name != name) continue;
    if (found != nullptr) return nullptr;
    found = &member;
  }
  return found;
}

// The local header has lengths of its own for name and extra field; the rest of it repeats the
// directory, or is zero where the archiver did not know yet.
Result<std::int64_t> ZipFile::data_start(const ZipMember& member) const {
  const auto header = read_at(member.header_at, kLocal);
  if (!header) return header.error();
  if (number_at(*header, 0, 4) != kLocalMark)
    return broken(member.name + " is not where it should be");
  const std::uint64_t behind = number_at(*header, 26, 2) + number_at(*header, 28, 2);
  const std::int64_t start = member.header_at + kLocal + static_cast<std::int64_t>(behind);
  if (member.packed_bytes < 0 || start > size_ || member.packed_bytes > size_ - start) {
    return broken(member.name + " is cut short");
  }
  return start;
}

Result<std::span<const std::byte>> ZipFile::stored_bytes(const ZipMember& member,
                                                         std::span<const std::byte> archive) const {
  if ((member.flags & kEncrypted) != 0 || member.method != 0) {
    return Error{ErrorKind::unsupported, path_ + ": " + member.name + " is packed or encrypted"};
  }
  const Result<std::int64_t> start = data_start(member);
  if (!start) return start.error();
  const auto begin = static_cast<std::size_t>(*start);
  const auto size = static_cast<std::size_t>(member.packed_bytes);
  if (begin > archive.size() || size > archive.size() - begin) {
    return broken(member.name + " is cut short");
  }
  const std::span<const std::byte> bytes = archive.subspan(begin, size);
  const uLong crc =
      crc32_z(crc32(0, nullptr, 0), reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  if (member.bytes != member.packed_bytes || crc != member.crc) {
    return broken(member.name + " is damaged: its size or checksum is another");
  }
  return bytes;
}

Status ZipFile::unpack(const ZipMember& member, const fs::path& target,
                       const std::function<void(std::int64_t)>& progress) const {
  if (!member.is_plain) {
    return Error{ErrorKind::refused, path_ + ": " + member.name + " is no plain file"};
  }
  if ((member.flags & kEncrypted) != 0 || (member.method != 0 && member.method != Z_DEFLATED)) {
    return Error{ErrorKind::unsupported,
                 path_ + ": " + member.name + " is encrypted, or packed in a way that is not read"};
  }
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const Descriptor out(::open(target.c_str(), flags, 0644));
  if (out.get() < 0) return writing_failed(target);
  Status copied = copy(member, out.get(), progress);
  // Whatever the umask is: the trainer is another user.
  if (copied && (::fchmod(out.get(), 0644) != 0 || ::fsync(out.get()) != 0)) {
    copied = writing_failed(target);
  }
  if (!copied) {
    ::unlink(target.c_str());
    if (copied.error().kind != ErrorKind::corrupt) {
      return while_doing("unpacking " + member.name, copied.error());
    }
  }
  return copied;
}

namespace {

// What zlib makes of a member, or the member itself: pieces in, pieces out.
class Unpacker {
 public:
  explicit Unpacker(unsigned method) : stored_(method == 0), room_(kPiece) {
    // Without zlib's own header and checksum, which a zip archive does not have.
    begun_ = stored_ || inflateInit2(&stream_, -MAX_WBITS) == Z_OK;
  }
  ~Unpacker() {
    if (begun_ && !stored_) inflateEnd(&stream_);
  }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  // Gives what `packed` becomes to `sink`, which says whether to go on. False: it is damaged, or
  // the sink had enough.
  bool feed(std::string_view packed, const std::function<bool(std::string_view)>& sink) {
    if (!begun_) return false;
    if (stored_) return sink(packed);
    if (ended_) return packed.empty();
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(room_.data());
      stream_.avail_out = static_cast<uInt>(room_.size());
      const int code = inflate(&stream_, Z_NO_FLUSH);
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return false;
      ended_ = code == Z_STREAM_END;
      if (!sink({room_.data(), room_.size() - stream_.avail_out})) return false;
    } while (!ended_ && (stream_.avail_in > 0 || stream_.avail_out == 0));
    return !ended_ || stream_.avail_in == 0;
  }
  bool is_complete() const {
    return stored_ || ended_;
  }

 private:
  const bool stored_;
  bool begun_ = false;
  bool ended_ = false;
  z_stream stream_{};
  std::vector<char> room_;
};

bool put_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace

Status ZipFile::copy(const ZipMember& member, int target,
                     const std::function<void(std::int64_t)>& progress) const {
  const auto start = data_start(member);
  if (!start) return start.error();
  Unpacker unpacker(member.method);
  std::int64_t written = 0;
  uLong crc = crc32(0, nullptr, 0);
  std::optional<Error> failure;
  const auto sink = [&](std::string_view bytes) {
    // Before it is written: an archive must not fill the disk.
    if (static_cast<std::int64_t>(bytes.size()) > member.bytes - written) return false;
    if (!put_all(target, bytes)) {
      failure = writing_failed(member.name);
      return false;
    }
    crc = crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
    written += static_cast<std::int64_t>(bytes.size());
    progress(written);
    return true;
  };
  for (std::int64_t done = 0; done < member.packed_bytes;) {
    const auto piece =
        read_at(*start + done, std::min<std::int64_t>(kPiece, member.packed_bytes - done));
    if (!piece) return piece.error();
    if (!unpacker.feed(*piece, sink)) {
      return failure ? *failure : broken(member.name + " is damaged");
    }
    done += static_cast<std::int64_t>(piece->size());
  }
  if (!unpacker.is_complete() || written != member.bytes || crc != member.crc) {
    return broken(member.name + " is damaged");
  }
  return Unit{};
}

}  // namespace mayfly
