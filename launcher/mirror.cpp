#include "launcher/mirror.h"

#include <fstream>
#include <sstream>

#include "core/atomic_file.h"
#include "core/base64.h"
#include "core/run/directory.h"
#include "launcher/attached_host.h"
#include "launcher/ssh_link.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr auto kLookTakes = 60s;

struct MirroredFile {
  const char* name;
  bool grows;
  MirrorDepth depth;
};
constexpr MirroredFile kFiles[] = {{"agent/status.json", false, MirrorDepth::status},
                                   {"receipt.json", false, MirrorDepth::status},
                                   {"events.jsonl", true, MirrorDepth::status},
                                   {"logs/agent.log", true, MirrorDepth::logs},
                                   {"logs/train.log", true, MirrorDepth::logs},
                                   {"decisions.jsonl", true, MirrorDepth::logs}};

std::uintmax_t size_here(const fs::path& path) {
  std::error_code code;
  const std::uintmax_t size = fs::file_size(path, code);
  return code ? 0 : size;
}

// A line "NAME OFFSET BASE64".
Status take_line(const std::string& line, const fs::path& root) {
  std::istringstream words(line);
  std::string name, text;
  std::uintmax_t offset = 0;
  words >> name >> offset >> text;
  for (const MirroredFile& file : kFiles) {
    if (name != file.name) continue;  // a name that we did not ask for is nothing to write to
    const Result<std::string> bytes = base64_decode(text);
    if (!bytes) return bytes.error();
    const fs::path path = root / name;
    if (const Status made = make_folders(path.parent_path()); !made) return made;
    if (!file.grows) {
      return bytes->empty() ? Status(Unit{}) : write_file(path, *bytes);
    }
    if (size_here(path) != offset) return Unit{};  // another `status` was faster
    std::ofstream out(path, std::ios::binary | std::ios::app);
    out << *bytes;
    if (!out.flush()) return Error{ErrorKind::no_space, "writing " + path.string()};
  }
  return Unit{};
}

}  // namespace

bool is_elsewhere(const KnownRun& run) {
  return run.provider != "local" && !run.address.empty() && may_be_billing(run);
}

Status refresh_mirror(const KnownRun& run, MirrorDepth depth, const Desk& desk) {
  if (!is_elsewhere(run)) return Unit{};
  const Result<SshLink> link = link_of(run, desk.state_dir);
  if (!link) return link.error();
  std::string words = "show";
  for (const MirroredFile& file : kFiles) {
    if (file.depth == MirrorDepth::logs && depth == MirrorDepth::status) continue;
    const std::uintmax_t from = file.grows ? size_here(fs::path(run.run_dir) / file.name) : 0;
    words += std::string(" ") + file.name + " " + std::to_string(from);
  }
  const Result<CommandAnswer> said = link->receive(words, "", kLookTakes);
  if (!said) return said.error();
  if (said->code != 0) return Error{ErrorKind::unreachable, "the machine has no run directory yet"};
  std::istringstream lines(said->out);
  for (std::string line; std::getline(lines, line);) {
    if (const Status taken = take_line(line, run.run_dir); !taken) return taken;
  }
  return Unit{};
}

Status deliver_request(const KnownRun& run, const Request& request, const Desk& desk) {
  if (!is_elsewhere(run)) {
    if (run.provider == "local") return send_request(RunDirectory{run.run_dir}, request);
    return Error{ErrorKind::unreachable, "the machine of " + run.name + " was not reached yet",
                 "see `status " + run.name + "`"};
  }
  const Result<SshLink> link = link_of(run, desk.state_dir);
  if (!link) return link.error();
  const RequestFile file = request_file(request);
  const Result<CommandAnswer> said = link->receive("request " + file.name, file.text, kLookTakes);
  if (!said) return said.error();
  if (said->code == 0) return Unit{};
  return Error{ErrorKind::refused, "the machine did not take the request: " + said->err};
}

}  // namespace mayfly
