// decisions.jsonl: what the agent decided, one JSON object a line, written before it is acted upon.
//
// Every line ends with its own length and CRC-32C,
//
//   {"time":"...", ... ,"length":412,"crc32c":"9bd12f0e"}
//
// over all bytes before `,"length":`. So `jq` and people read it, and a line that a crash tore or a
// disk damaged is told from a decision: readers skip it.
//
// A disk that refuses writes delays nothing. What decisions.jsonl does not take goes to a file of
// 1 MB whose blocks were written when the disk still had room, and if that fails too it is kept in
// memory; both catch up in decisions.jsonl when it takes lines again. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly {

// `object`: a JSON object on one line, not empty. Returned without a newline.
std::string sealed_line(std::string_view object);
// Whether the line is one that sealed_line made, all of it.
bool is_sealed(std::string_view line);

// What of a journal's text can be read.
struct JournalText {
  std::vector<std::string> lines;
  int damaged = 0;  // lines that are not sealed; a torn last one is not counted
};
JournalText read_journal(std::string_view text);

// A file whose room is taken beforehand. Errors: no_space, refused, corrupt (EIO).
class ReserveFile {
 public:
  static constexpr std::size_t kBytes = 1 << 20;

  // Takes the room, unless an earlier life did. A disk that is full already: every append fails.
  explicit ReserveFile(std::filesystem::path path);

  // A sealed line, on disk when this returns. When the room is used up, the oldest are overwritten.
  Status append(std::string_view line);
  // The sealed lines, in no certain order.
  std::vector<std::string> lines() const;

 private:
  std::filesystem::path path_;
  bool ready_ = false;
  std::size_t end_ = 0;  // where the next line goes
};

class Journal {
 public:
  // `reserve` outlives it.
  Journal(std::filesystem::path path, ReserveFile& reserve);

  // Seals `object` and writes it. On disk when it returns without an error, be it in the reserve;
  // with one, it is in memory only.
  Status append(std::string_view object);

  // Lines that decisions.jsonl has not taken so far.
  std::size_t waiting() const {
    return waiting_.size();
  }

 private:
  Status write(std::string_view lines);

  std::filesystem::path path_;
  ReserveFile& reserve_;
  bool broken_ = false;  // fsync failed: what was written since may be gone, so no more of it
  std::deque<std::string> waiting_;
};

}  // namespace mayfly
