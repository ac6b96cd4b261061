// Reading zip archives (PKWARE's APPNOTE 6.3.10,
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT) as wheels are: stored and deflated
// members, sizes over 4 GB (zip64).
//
// Own code over zlib, which the agent has anyhow. Looked at: libarchive (brings five libraries that
// rented machines need not have), libzip 1.7 of Debian 12 (three, among them a cryptography library
// of its own choice) and minizip (one, without a bound on what a member unpacks to). The part that
// is needed is small: no writing, no encryption, no archives in several parts, one member at a
// time.
//
// What is trusted: nothing but what is asked for. A member is found by its full name and unpacked
// to a path that the caller gives, so no name out of the archive ever becomes a path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/descriptor.h"
#include "core/result.h"

namespace mayfly {

struct ZipMember {
  std::string name;
  std::int64_t bytes = 0;         // unpacked
  std::int64_t packed_bytes = 0;  // in the archive
  std::int64_t header_at = 0;     // where its local header is
  std::uint32_t crc = 0;
  unsigned method = 0;  // 0 stored, 8 deflated
  unsigned flags = 0;
  bool is_plain = true;  // no link, no folder, no device
};

class ZipFile {
 public:
  // Which members to remember, by their names.
  using Wanted = std::function<bool(std::string_view)>;

  // Reads the directory: 150 bytes for each member that is wanted (libtorch's wheel has 11,000, of
  // which a dozen are). Errors: not_found, refused, corrupt, unsupported (several parts, a
  // directory of more than 64 MB).
  static Result<ZipFile> open(const std::filesystem::path& path, const Wanted& wanted);

  const std::vector<ZipMember>& members() const {
    return members_;
  }
  // Null: there is none of that name, or more than one.
  const ZipMember* find(std::string_view name) const;

  // The bytes of a member that is stored as it is, in `archive`, which is the whole file mapped by
  // the caller; compared with the member's checksum. Errors: corrupt, unsupported (it is packed or
  // encrypted).
  Result<std::span<const std::byte>> stored_bytes(const ZipMember& member,
                                                  std::span<const std::byte> archive) const;

  // Unpacks into a new file at `target`, mode 0644, synced; at most `member.bytes` of them, in
  // pieces of 256 KB. `progress` gets the bytes written so far. Errors: corrupt (other bytes,
  // another size or CRC than the directory says), unsupported (encrypted, another method), refused
  // (a link, or something is at `target` already), no_space. On an error the target is removed.
  Status unpack(const ZipMember& member, const std::filesystem::path& target,
                const std::function<void(std::int64_t)>& progress) const;

 private:
  ZipFile(Descriptor file, std::string path, std::int64_t size)
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}

  Status read_directory(const Wanted& wanted);
  Status add_entries(std::string_view directory, std::int64_t count, const Wanted& wanted);
  Result<std::string> read_at(std::int64_t at, std::int64_t count) const;
  Result<std::int64_t> data_start(const ZipMember& member) const;
  Status copy(const ZipMember& member, int target,
              const std::function<void(std::int64_t)>& progress) const;
  Error broken(const std::string& why) const;

  Descriptor file_;
  std::string path_;
  std::int64_t size_;
  std::vector<ZipMember> members_;
};

}  // namespace mayfly
