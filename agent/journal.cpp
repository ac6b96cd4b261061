#include "agent/journal.h"

#include <cassert>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/crc32c.h"
#include "core/descriptor.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kLength = ",\"length\":";
constexpr std::string_view kCrc = ",\"crc32c\":\"";
constexpr std::size_t kWaitingMost = 1000;  // in memory; far more than a run decides in a day

Error io_error(const std::string& doing, int code) {
  ErrorKind kind = ErrorKind::refused;
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) kind = ErrorKind::no_space;
  if (code == EIO) kind = ErrorKind::corrupt;
  return {kind, doing + ": " + std::strerror(code)};
}

std::string seal_of(std::string_view body) {
  std::string seal(kLength);
  seal += std::to_string(body.size());
  char hex[9];
  std::snprintf(hex, sizeof hex, "%08x", crc32c(body));
  seal += kCrc;
  seal += hex;
  return seal + "\"}";
}

// After a write that failed. Where this fails too, what is torn is found by the next reader.
void cut_back(int file, off_t size) {
  [[maybe_unused]] const int ignored = ::ftruncate(file, size);
}

// The whole of `bytes` at `offset`. Returns errno, or 0.
int write_at(int fd, std::string_view bytes, std::size_t offset) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return done == 0 ? ENOSPC : errno;
    bytes.remove_prefix(static_cast<std::size_t>(done));
    offset += static_cast<std::size_t>(done);
  }
  return 0;
}

}  // namespace

std::string sealed_line(std::string_view object) {
  assert(object.size() > 2 && object.back() == '}');
  object.remove_suffix(1);
  return std::string(object) + seal_of(object);
}

bool is_sealed(std::string_view line) {
  const auto at = line.rfind(kLength);
  return at != std::string_view::npos && line.substr(at) == seal_of(line.substr(0, at));
}

JournalText read_journal(std::string_view text) {
  JournalText read;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (is_sealed(line)) {
      read.lines.emplace_back(line);
    } else if (end != std::string_view::npos && !line.empty()) {
      ++read.damaged;
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return read;
}

ReserveFile::ReserveFile(fs::path path) : path_(std::move(path)) {
  const Descriptor file(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return;
  if (info.st_size == static_cast<off_t>(kBytes)) {
    const Result<std::string> text = read_file(path_);
    const auto end = text ? text->find('\0') : std::string::npos;
    end_ = end == std::string::npos ? 0 : end;
    ready_ = true;
    return;
  }
  // Zeros and not fallocate(): blocks that were only promised still need metadata when written.
  ready_ = ::ftruncate(file.get(), 0) == 0 &&
           write_at(file.get(), std::string(kBytes, '\0'), 0) == 0 && ::fsync(file.get()) == 0;
  if (!ready_) cut_back(file.get(), 0);
}

Status ReserveFile::append(std::string_view line) {
  if (!ready_) return Error{ErrorKind::no_space, "there is no reserve at " + path_.string()};
  // The zero at the end says where the next line goes: what stands behind it is older.
  const std::string bytes = "\n" + std::string(line) + "\n" + '\0';
  if (bytes.size() > kBytes) return Error{ErrorKind::no_space, "a line longer than the reserve"};
  if (end_ + bytes.size() > kBytes) end_ = 0;
  const Descriptor file(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) return io_error("opening " + path_.string(), errno);
  int code = write_at(file.get(), bytes, end_);
  if (code == 0 && ::fdatasync(file.get()) != 0) code = errno;
  if (code != 0) return io_error("writing " + path_.string(), code);
  end_ += bytes.size() - 1;
  return Unit{};
}

std::vector<std::string> ReserveFile::lines() const {
  const Result<std::string> text = read_file(path_);
  return text ? read_journal(*text).lines : std::vector<std::string>{};
}

Journal::Journal(fs::path path, ReserveFile& reserve) : path_(std::move(path)), reserve_(reserve) {}

Status Journal::append(std::string_view object) {
  const std::string line = sealed_line(object);
  std::string lines;
  for (const std::string& earlier : waiting_) lines += earlier + "\n";
  const Status written = write(lines + line + "\n");
  if (written) {
    waiting_.clear();
    return written;
  }
  waiting_.push_back(line);
  if (waiting_.size() > kWaitingMost) waiting_.pop_front();
  return reserve_.append(line);
}

// All of it or nothing: half a line is cut off again, or else ended by the next one's newline.
Status Journal::write(std::string_view lines) {
  if (broken_) return Error{ErrorKind::corrupt, path_.string() + " could not be synced before"};
  const Descriptor file(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) {
    return io_error("opening " + path_.string(), errno);
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  char last = '\n';
  const bool torn =
      size > 0 && ::pread(file.get(), &last, 1, info.st_size - 1) == 1 && last != '\n';
  int code = write_at(file.get(), torn ? "\n" + std::string(lines) : std::string(lines), size);
  if (code != 0) {
    cut_back(file.get(), info.st_size);
    return io_error("writing " + path_.string(), code);
  }
  if (::fdatasync(file.get()) == 0) return Unit{};
  code = errno;
  // After a failed sync the kernel may have dropped the pages and report success next time
  // (https://wiki.postgresql.org/wiki/Fsync_Errors), so this file is not trusted any more.
  broken_ = true;
  return io_error("syncing " + path_.string(), code);
}

}  // namespace mayfly
