#include "core/model/gguf.h"

#include <bit>
#include <cassert>
#include <cstring>

#include "core/growing_file.h"

namespace mayfly {

namespace {

static_assert(std::endian::native == std::endian::little, "the format is little endian");

constexpr std::uint32_t kVersion3 = 3;
constexpr std::uint64_t kAlignment = 32;

// GGUFValueType.
enum ValueKind : std::uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kText = 8, kList = 9 };

template <class Number>
void put_number(std::string& bytes, Number number) {
  char raw[sizeof number];
  std::memcpy(raw, &number, sizeof number);
  bytes.append(raw, sizeof number);
}

void put_gguf_text(std::string& bytes, std::string_view text) {
  put_number(bytes, static_cast<std::uint64_t>(text.size()));
  bytes += text;
}

std::string gguf_padding(std::uint64_t size) {
  return std::string((kAlignment - size % kAlignment) % kAlignment, '\0');
}

}  // namespace

std::int64_t GgufTensor::bytes() const {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  if (type == GgufType::q8_0) {
    assert(shape.back() % 32 == 0);
    return count / 32 * 34;
  }
  return count * (type == GgufType::f32 ? 4 : 2);
}

void GgufKeys::begin(std::string_view key, std::uint32_t kind) {
  put_gguf_text(bytes_, key);
  put_number(bytes_, kind);
  ++count_;
}

void GgufKeys::text(std::string_view key, std::string_view value) {
  begin(key, kText);
  put_gguf_text(bytes_, value);
}

void GgufKeys::number(std::string_view key, std::uint32_t value) {
  begin(key, kU32);
  put_number(bytes_, value);
}

void GgufKeys::real(std::string_view key, float value) {
  begin(key, kF32);
  put_number(bytes_, value);
}

void GgufKeys::flag(std::string_view key, bool value) {
  begin(key, kBool);
  put_number(bytes_, static_cast<std::uint8_t>(value));
}

void GgufKeys::texts(std::string_view key, std::span<const std::string> values) {
  begin(key, kList);
  put_number(bytes_, static_cast<std::uint32_t>(kText));
  put_number(bytes_, static_cast<std::uint64_t>(values.size()));
  for (const std::string& value : values) put_gguf_text(bytes_, value);
}

void GgufKeys::numbers(std::string_view key, std::span<const std::int32_t> values) {
  begin(key, kList);
  put_number(bytes_, static_cast<std::uint32_t>(kI32));
  put_number(bytes_, static_cast<std::uint64_t>(values.size()));
  for (const std::int32_t value : values) put_number(bytes_, value);
}

Status write_gguf(const std::filesystem::path& path, const GgufKeys& keys,
                  std::span<const GgufTensor> tensors, const GgufSource& source) {
  std::string head = "GGUF";
  put_number(head, kVersion3);
  put_number(head, static_cast<std::uint64_t>(tensors.size()));
  put_number(head, keys.count());
  head += keys.bytes();
  std::uint64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    put_gguf_text(head, tensor.name);
    put_number(head, static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      put_number(head, static_cast<std::uint64_t>(*size));
    }
    put_number(head, static_cast<std::uint32_t>(tensor.type));
    put_number(head, offset);
    offset += static_cast<std::uint64_t>(tensor.bytes());
    offset += gguf_padding(offset).size();
  }
  head += gguf_padding(head.size());

  Result<GrowingFile> file = GrowingFile::create(path);
  if (!file) return file.error();
  Status written = file->append(head);
  for (const GgufTensor& tensor : tensors) {
    if (!written) return written;
    const auto bytes = source(tensor);
    if (!bytes) return bytes.error();
    assert(static_cast<std::int64_t>(bytes->size()) == tensor.bytes());
    written = file->append(*bytes);
    if (written) written = file->append(gguf_padding(bytes->size()));
  }
  return written ? file->publish() : written;
}

}  // namespace mayfly
