// Zip archives of a few members, in memory, with whatever is wrong about them that a test wants.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <zlib.h>

namespace mayfly {

struct SmallZipMember {
  std::string name;
  std::string text;
  bool deflate = true;
  bool in_64 = false;  // numbers stand in the zip64 field
  // What the directory says, if not the truth.
  std::uint32_t attributes = 0;
  unsigned flags = 0;
  std::optional<unsigned> method = {};
  std::optional<std::uint64_t> says_bytes = {};
  std::optional<std::uint32_t> says_crc = {};
  std::optional<std::uint64_t> says_header_at = {};
};

struct SmallZipForm {
  bool in_64 = false;  // the end record of zip64
  std::string comment = {};
};

inline std::string zip_number(std::uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

inline std::string raw_deflate(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline std::string small_zip(const std::vector<SmallZipMember>& members, SmallZipForm form = {}) {
  std::string archive;
  std::string directory;
  for (const SmallZipMember& member : members) {
    const std::string packed = member.deflate ? raw_deflate(member.text) : member.text;
    const auto sum =
        static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(member.text.data()),
                                         static_cast<uInt>(member.text.size())));
    const std::uint64_t bytes = member.says_bytes.value_or(member.text.size());
    const std::uint64_t header_at = member.says_header_at.value_or(archive.size());
    const std::uint64_t ones = 0xffffffff;
    const std::string extra =
        member.in_64 ? zip_number(0x5455, 2) + zip_number(1, 2) + "t" + zip_number(1, 2) +
                           zip_number(24, 2) + zip_number(bytes, 8) + zip_number(packed.size(), 8) +
                           zip_number(header_at, 8)
                     : "";
    const std::string head = zip_number(20, 2) + zip_number(member.flags, 2) +
                             zip_number(member.method.value_or(member.deflate ? 8 : 0), 2) +
                             zip_number(0, 4) + zip_number(member.says_crc.value_or(sum), 4) +
                             zip_number(member.in_64 ? ones : packed.size(), 4) +
                             zip_number(member.in_64 ? ones : bytes, 4) +
                             zip_number(member.name.size(), 2);
    archive += zip_number(0x04034b50, 4) + head + zip_number(3, 2) + member.name + "xyz" + packed;
    directory += zip_number(0x02014b50, 4) + zip_number(0x031e, 2) + head +
                 zip_number(extra.size(), 2) + zip_number(0, 6) + zip_number(member.attributes, 4) +
                 zip_number(member.in_64 ? ones : header_at, 4) + member.name + extra;
  }
  const std::uint64_t at = archive.size();
  archive += directory;
  if (form.in_64) {
    const std::uint64_t end_at = archive.size();
    archive += zip_number(0x06064b50, 4) + zip_number(44, 8) + zip_number(45, 4) +
               zip_number(0, 8) + zip_number(members.size(), 8) + zip_number(members.size(), 8) +
               zip_number(directory.size(), 8) + zip_number(at, 8);
    archive +=
        zip_number(0x07064b50, 4) + zip_number(0, 4) + zip_number(end_at, 8) + zip_number(1, 4);
  }
  const std::uint64_t count = form.in_64 ? 0xffff : members.size();
  archive += zip_number(0x06054b50, 4) + zip_number(0, 4) + zip_number(count, 2) +
             zip_number(count, 2) + zip_number(form.in_64 ? 0xffffffff : directory.size(), 4) +
             zip_number(form.in_64 ? 0xffffffff : at, 4) + zip_number(form.comment.size(), 2) +
             form.comment;
  return archive;
}

}  // namespace mayfly
