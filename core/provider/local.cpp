#include "core/provider/local.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/spawn.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

// An instance that has not shown a process after this long never will.
constexpr auto kBootTakes = 30s;

// What an instance inherits of the environment of whoever creates it: how to find programs and
// ways through the network, nothing else. No token has a name of this list.
constexpr std::array kInherited = {"PATH",
                                   "HOME",
                                   "USER",
                                   "LANG",
                                   "LC_ALL",
                                   "TZ",
                                   "TMPDIR",
                                   "LD_LIBRARY_PATH",
                                   "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                   "SSL_CERT_FILE",
                                   "SSL_CERT_DIR",
                                   "CURL_CA_BUNDLE",
                                   "CUDA_VISIBLE_DEVICES",
                                   "OMP_NUM_THREADS",
                                   "HTTP_PROXY",
                                   "HTTPS_PROXY",
                                   "NO_PROXY",
                                   "http_proxy",
                                   "https_proxy",
                                   "no_proxy",
                                   "XDG_CACHE_HOME",
                                   "XDG_DATA_HOME",
                                   "XDG_STATE_HOME"};

InstanceId new_id() {
  std::random_device device;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "local-%08x%04x", device(), device() & 0xffffU);
  return text.data();
}

std::vector<std::string> host_environment(const fs::path& state_dir) {
  std::vector<std::string> environment;
  for (const char* name : kInherited) {
    if (const char* value = std::getenv(name)) {
      environment.push_back(std::string(name) + "=" + value);
    }
  }
  environment.push_back("MAYFLY_STATE_DIR=" + state_dir.string());
  return environment;
}

Status write_secrets(const fs::path& folder, const InstanceSpec& spec) {
  nlohmann::json secrets = nlohmann::json::object();
  for (const auto& [name, value] : spec.secrets) secrets[name] = value.reveal();
  if (const Status made = make_folders(folder); !made) return made;
  std::error_code code;
  fs::permissions(folder, fs::perms::owner_all, code);
  return write_file(folder / "secrets.json", json_line(secrets) + "\n", 0600);
}

}  // namespace

fs::path default_host_program() {
  std::error_code code;
  const fs::path self = fs::read_symlink("/proc/self/exe", code);
  return self.filename() == "agent" ? self : self.parent_path() / "agent";
}

LocalProvider::LocalProvider(LocalOptions options, Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

std::string LocalProvider::name() const {
  return "local";
}

fs::path LocalProvider::folder_of(const InstanceId& id) const {
  return options_.state_dir / "local" / id;
}

Result<std::vector<Offer>> LocalProvider::offers() {
  Offer offer;
  offer.provider = name();
  offer.instance_type = "this-machine";
  offer.region = "here";
  offer.price = options_.price;
  return std::vector<Offer>{offer};
}

// Everything the boot process finds when it starts.
Status LocalProvider::furnish(const fs::path& folder, const InstanceId& id,
                              const InstanceSpec& spec) {
  if (const Status made = make_folders(folder / "root/run"); !made) return made;
  const fs::path secrets =
      "/dev/shm/mayfly-" + std::to_string(::getuid()) + "-" + id;  // memory, never a disk
  if (const Status written = write_secrets(secrets, spec); !written) {
    return while_doing("putting the secrets into memory", written.error());
  }
  std::error_code code;
  fs::create_directory_symlink(secrets, folder / "root/run/mayfly", code);
  const Status user_data = write_file(folder / "user-data.yaml", spec.user_data, 0600);
  if (!user_data) return user_data;
  const auto record = change_local_record(folder, [&](LocalRecord& fresh) {
    fresh.instance = Instance{.id = id,
                              .run_id = spec.run_id,
                              .state = InstanceState::pending,
                              .created_at = clock_.now(),
                              .ended_at = {},
                              .price = spec.offer.price,
                              .address = folder.string()};
    fresh.attempt = spec.attempt;
    fresh.secrets_folder = secrets.string();
  });
  if (!record) return record.error();
  return Unit{};
}

CreateOutcome LocalProvider::create(const InstanceSpec& spec) {
  const InstanceId id = new_id();
  const fs::path folder = folder_of(id);
  const auto refuse = [&](Error error) {
    std::error_code code;
    fs::remove_all(folder, code);
    fs::remove_all("/dev/shm/mayfly-" + std::to_string(::getuid()) + "-" + id, code);
    return CreateOutcome{CreateOutcome::Kind::refused, {}, std::move(error)};
  };
  if (::access(options_.host_program.c_str(), X_OK) != 0) {
    return refuse({ErrorKind::not_found,
                   "cannot find the program " + options_.host_program.string(),
                   "build it, or keep `agent` beside `launch`"});
  }
  if (const Status furnished = furnish(folder, id, spec); !furnished) {
    return refuse(while_doing("making the instance's folder", furnished.error()));
  }
  SpawnSpec boot;
  boot.argv = {options_.host_program.string(), "local-boot", "--instance", folder.string()};
  boot.environment = host_environment(options_.state_dir);
  boot.environment.push_back(std::string(kInstanceVariable) + "=" + id);
  boot.output = folder / "console.log";
  boot.own_session = true;
  boot.folder = folder / "root";
  const Result<pid_t> started = spawn(boot);
  if (!started) return refuse(while_doing("starting the instance", started.error()));
  return CreateOutcome{CreateOutcome::Kind::made, id, Error{ErrorKind::internal, ""}};
}

// The record says what was ordered; whether processes are there, only /proc knows.
Instance LocalProvider::as_listed(const LocalRecord& record) const {
  Instance instance = record.instance;
  const bool should_run =
      instance.state == InstanceState::running ||
      (instance.state == InstanceState::pending && clock_.now() - instance.created_at > kBootTakes);
  if (should_run && processes_of(record).empty()) instance.state = InstanceState::failed;
  return instance;
}

Result<Instance> LocalProvider::get(const InstanceId& id) {
  const Result<LocalRecord> record = read_local_record(folder_of(id));
  if (!record) {
    if (record.error().kind != ErrorKind::not_found) return record.error();
    return Error{ErrorKind::not_found, "there is no local instance " + id};
  }
  return as_listed(*record);
}

Result<std::vector<Instance>> LocalProvider::list_ours() {
  std::vector<Instance> instances;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(options_.state_dir / "local", code)) {
    const Result<LocalRecord> record = read_local_record(entry.path());
    if (!record) {
      if (record.error().kind == ErrorKind::not_found) continue;  // being created or removed
      return while_doing("listing local instances", record.error());
    }
    if (record->instance.state == InstanceState::gone) continue;
    instances.push_back(as_listed(*record));
  }
  std::sort(instances.begin(), instances.end(),
            [](const Instance& a, const Instance& b) { return a.created_at < b.created_at; });
  return instances;
}

Result<std::vector<Instance>> LocalProvider::find_run(const std::string& run_id) {
  Result<std::vector<Instance>> all = list_ours();
  if (!all) return all;
  std::erase_if(*all, [&](const Instance& instance) { return instance.run_id != run_id; });
  return all;
}

// The back office marks the record before it answers, and does the rest in the background.
Status LocalProvider::terminate(const InstanceId& id) {
  const fs::path folder = folder_of(id);
  const Result<LocalRecord> record = read_local_record(folder);
  if (!record && record.error().kind == ErrorKind::not_found) {
    return Error{ErrorKind::not_found, "there is no local instance " + id};
  }
  if (record && record->instance.state == InstanceState::gone) return Unit{};
  SpawnSpec office;
  office.argv = {options_.host_program.string(), "local-end", "--instance", folder.string()};
  office.environment = host_environment(options_.state_dir);
  office.own_session = true;  // it must outlive the instance, from which it may be called
  const Result<pid_t> started = spawn(office);
  if (!started) return while_doing("starting the provider's back office", started.error());
  const Result<int> code = wait_for_exit(*started, 10s);
  if (!code) return while_doing("asking the provider's back office", code.error());
  if (*code != 0) {
    return Error{ErrorKind::unreachable,
                 "the provider's back office refused: exit " + std::to_string(*code)};
  }
  return Unit{};
}

}  // namespace mayfly
