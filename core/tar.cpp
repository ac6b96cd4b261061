#include "core/tar.h"

#include <array>
#include <cstdio>

namespace mayfly {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kMostBytes = std::size_t{8} << 30;  // eleven octal digits

struct Field {
  std::size_t offset, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kOwner{108, 8}, kGroup{116, 8}, kSize{124, 12},
    kTime{136, 12}, kSum{148, 8}, kMagic{257, 8};

void put(std::string& header, Field field, std::string_view text) {
  header.replace(field.offset, text.size(), text);
}

void put_octal(std::string& header, Field field, unsigned long long value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%0*llo", static_cast<int>(field.size - 1), value);
  put(header, field, text.data());
}

std::string header_of(const TarFile& file) {
  std::string header(kBlock, '\0');
  put(header, kName, file.name);
  put_octal(header, kMode, file.mode);
  put_octal(header, kOwner, 0);
  put_octal(header, kGroup, 0);
  put_octal(header, kSize, file.bytes.size());
  put_octal(header, kTime, 0);
  header[156] = '0';  // a plain file
  put(header, kMagic, std::string_view("ustar\00000", 8));
  // The sum is made with spaces in its own place.
  put(header, kSum, "        ");
  unsigned sum = 0;
  for (const char byte : header) sum += static_cast<unsigned char>(byte);
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%06o", sum);
  put(header, kSum, std::string_view(text.data(), 7));
  return header;
}

bool is_plain(const std::string& name) {
  return !name.empty() && name.size() <= kName.size && name.front() != '/' &&
         name.find("..") == std::string::npos && name.find('\0') == std::string::npos;
}

}  // namespace

Result<std::string> tar_archive(const std::vector<TarFile>& files) {
  std::string archive;
  for (const TarFile& file : files) {
    if (!is_plain(file.name) || file.bytes.size() >= kMostBytes) {
      return Error{ErrorKind::usage, "cannot be put into an archive: " + file.name};
    }
    archive += header_of(file);
    archive += file.bytes;
    archive.resize((archive.size() + kBlock - 1) / kBlock * kBlock, '\0');
  }
  archive.append(2 * kBlock, '\0');
  return archive;
}

}  // namespace mayfly
