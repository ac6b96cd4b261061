// The program on the instance.
//
//   agent run --plan FILE --secrets FILE     runs the plan, then destroys this instance;
//             [--heartbeat FILE] [--trainer-unit UNIT]   where cloud-init/ has started it
//   agent rescue --plan FILE --secrets FILE  when there is no such agent any more: uploads once
//   agent install --root DIR                 writes the watchdog and the units of systemd
//   agent replay FILE                        makes the decisions of a decisions.jsonl again
//   agent local-boot --instance DIR          first process of a local instance
//   agent local-end --instance DIR           back office of the local provider
//
// Exit codes: core/exit_code.h. `run` does not end by itself: the instance ends.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/decision_record.h"
#include "agent/extension.h"
#include "agent/heartbeat.h"
#include "agent/install.h"
#include "agent/kept_secrets.h"
#include "agent/local_boot.h"
#include "agent/loop.h"
#include "agent/machine.h"
#include "agent/publish.h"
#include "agent/replay.h"
#include "agent/report.h"
#include "agent/rescue.h"
#include "agent/steering.h"
#include "agent/true_time.h"
#include "core/atomic_file.h"
#include "core/config/resolved.h"
#include "core/exit_code.h"
#include "core/http/curl_client.h"
#include "core/log.h"
#include "core/open_beneath.h"
#include "core/process_table.h"
#include "core/provider/cloud_keys.h"
#include "core/provider/local_end.h"
#include "core/provider/registry.h"
#include "core/run/directory.h"
#include "core/user_folders.h"
#include "version.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kTurnEvery = 250ms;
constexpr auto kMemoryTakes = 5s;
constexpr const char* kUsage =
    "usage: agent run --plan FILE --secrets FILE [--heartbeat FILE] [--trainer-unit UNIT] |\n"
    "       rescue --plan FILE --secrets FILE [--trainer-unit UNIT] | install --root DIR |\n"
    "       replay FILE | local-boot --instance DIR | local-end --instance DIR";

int fail(const Error& error) {
  std::cerr << "error: " << located_message(error) << "\n";
  if (!error.hint.empty()) std::cerr << "  hint: " << error.hint << "\n";
  return static_cast<int>(exit_code(error.kind));
}

// The value behind `name` on the command line.
Result<std::string> option(int argc, char** argv, std::string_view name) {
  for (int i = 2; i + 1 < argc; i += 2) {
    if (argv[i] == name) return std::string(argv[i + 1]);
  }
  return Error{ErrorKind::usage,
               "agent " + std::string(argv[1]) + ": " + std::string(name) + " is missing"};
}

std::string option_or_none(int argc, char** argv, std::string_view name) {
  const Result<std::string> value = option(argc, argv, name);
  return value ? *value : "";
}

// Nobody reads our memory: not by a core file, not through /proc.
void close_up() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);
}

// SIGTERM, SIGINT and the end of a child, as something to wait for. Before any thread is started,
// so that all of them have these signals blocked.
int signal_descriptor() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Until the next turn is due or something happened; tells the machine of SIGTERM and SIGINT.
void wait_for_turn(int signals, Machine& machine) {
  pollfd waiting{.fd = signals, .events = POLLIN, .revents = 0};
  ::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(kTurnEvery).count()));
  signalfd_siginfo info{};
  while (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo != SIGCHLD) machine.add_termination();
  }
}

Status prepare_folders(const RunDirectory& run, const std::string& plan_path,
                       const RunConfig& config) {
  for (const fs::path& folder : {run.agent(), run.logs(), run.checkpoints()}) {
    if (const Status made = make_folders(folder); !made) return made;
  }
  const Result<std::string> plan = read_file(plan_path);
  if (!plan) return plan.error();
  const Result<std::string> present = read_file(run.plan());
  if (present && *present == *plan) return Unit{};
  if (const Status written = write_file(run.plan(), *plan); !written) return written;
  return write_file(run.resolved_config(), resolved_yaml(config));
}

// The trainer's user owns the folder of the logs: what he puts in the file's place is not written
// to. Then, and on a disk that is full, the log goes to the console alone.
void open_log(const RunDirectory& run) {
  Result<Descriptor> file = open_beneath(run.root, run.agent_log().lexically_relative(run.root),
                                         O_WRONLY | O_APPEND | O_CREAT);
  if (file) return start_log("agent", LogLevel::info, std::move(*file));
  (void)start_log("agent", LogLevel::info);
  log_warn("the log goes to the console alone: " + file.error().message);
}

// Beside the agent.
fs::path trainer_program() {
  return fs::read_symlink("/proc/self/exe").parent_path() / "train";
}

// The instance's own record says since when it is billed, and at what price. If it cannot be read
// now: the plan was made before the instance, so its time is on the safe side.
struct Billing {
  WallTime since;
  Price price;
};
Billing billing_of(Provider& provider, const InstanceId& id, const RunPlan& plan) {
  Billing billing{plan.created_at, plan.offer.price};
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Result<Instance> instance = provider.get(id);
    if (!instance) continue;
    billing.since = instance->created_at;
    if (instance->price.per_hour > billing.price.per_hour) billing.price = instance->price;
    break;
  }
  return billing;
}

// A cloud's key was handed over with the other secrets; where its API is stands in the environment.
Result<std::unique_ptr<Provider>> provider_of(const RunPlan& plan, const std::string& secrets_path,
                                              Clock& clock) {
  ProviderSettings settings{plan.offer.price, state_folder()};
  if (const CloudRow* const row = cloud_row(plan.offer.provider)) {
    const Result<std::map<std::string, Secret>> secrets = read_secrets(secrets_path);
    if (!secrets) return secrets.error();
    Environment environment = current_environment();
    for (const auto& [name, secret] : *secrets) environment[name] = secret.reveal();
    const Result<CloudAccess> access = cloud_access(*row, environment);
    if (!access) return access.error();
    if (access->key.empty()) {
      return Error{ErrorKind::unauthorized,
                   "there is no key for " + plan.offer.provider + " on this machine"};
    }
    settings.access = *access;
  }
  return make_provider(plan.offer.provider, settings, clock);
}

// Who else can tell the time: the hub, and the provider's own address or the one that was set.
std::vector<std::string> time_servers(const RunPlan& plan) {
  std::vector<std::string> addresses;
  if (!plan.hub_endpoint.empty()) addresses.push_back(plan.hub_endpoint);
  if (const CloudRow* const row = cloud_row(plan.offer.provider)) {
    const char* const set = std::getenv(std::string(row->endpoint_variable).c_str());
    std::string address(set == nullptr ? row->endpoint : set);
    if (const auto mark = address.find("{region}"); mark != std::string::npos) {
      address.replace(mark, std::string_view("{region}").size(), plan.offer.region);
    }
    addresses.push_back(address);
  }
  return addresses;
}

FirstAge age_now(const RunPlan& plan, WallTime since, Clock& clock) {
  CurlHttpClient http(curl_options_from_environment());
  const std::vector<TimeReading> readings = ask_the_time(http, time_servers(plan));
  const char* const root = std::getenv("MAYFLY_ROOT");
  const fs::path memory = fs::path(root == nullptr ? "/" : root) / "run/mayfly";
  const std::optional<Age> life = life_by_fuse(memory, boot_id(), clock.steady_now());
  return first_age(since, clock.now(), readings, life);
}

// None where the plan promises none: on provider local the trainer has its own.
std::function<Status(const RuntimeProgress&)> libraries_for(const RunPlan& plan) {
  if (plan.runtime.empty()) return {};
  return [wheels = plan.runtime](const RuntimeProgress& progress) {
    CurlHttpClient http(curl_options_from_environment());
    SystemClock clock;
    return bring_libraries(trainer_program(), wheels,
                           {http, clock, runtime_folder(), free_disk_bytes}, progress);
  };
}

// A run that cannot even begin still ends in good order: it says why, and the instance goes.
AgentState failed_start(AgentState state, const Error& error) {
  if (state.reason != StopReason::none) return state;
  log_error("cannot run this plan: " + located_message(error));
  state.reason = StopReason::failed;
  state.detail = located_message(error);
  state.failure_kind = error.kind == ErrorKind::invalid_config ? "invalid_config" : "";
  state.stage = Stage::uploading;
  return state;
}

// As much as a thread's stack or a child takes; it is never touched, so asking costs microseconds.
bool gets_memory() {
  constexpr std::size_t kBytes = 1 << 20;
  void* const piece =
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (piece == MAP_FAILED) return false;
  ::munmap(piece, kBytes);
  return true;
}

// Without memory nothing can be started, no trainer and no destroy call, and that must not be taken
// for their failure: so nothing is decided meanwhile, and where it stays so, the next life of the
// agent may get what this one does not.
void wait_for_memory() {
  for (auto waited = 0ms; !gets_memory(); waited += kTurnEvery) {
    if (waited >= kMemoryTakes) {
      log_error("the system gives no memory any more: starting anew");
      std::_Exit(static_cast<int>(ExitCode::out_of_memory));
    }
    std::this_thread::sleep_for(kTurnEvery);
  }
}

[[noreturn]] void run_for_ever(Machine& machine, const AgentPolicy& policy, AgentState state,
                               int signals, Heartbeat& heartbeat) {
  while (!state.gone) {
    wait_for_memory();
    state = take_turn(policy, state, machine);
    heartbeat.beat(first_deadline(limits_now(policy, state)).destroy_at - machine.age());
    machine.report(state);
    wait_for_turn(signals, machine);
  }
  log_info("the provider does not list this instance any more");
  // No destructors: a worker thread may hang in a transfer.
  std::_Exit(0);
}

// Where run_plan finds what; "" for what there is not.
struct RunPaths {
  std::string plan;
  std::string secrets;
  std::string heartbeat;
  std::string trainer_unit;
};

int run_plan(RunPaths paths) {
  Result<RunPlan> plan = read_plan(paths.plan);
  if (!plan) return fail(plan.error());
  const char* id = std::getenv("MAYFLY_INSTANCE_ID");
  if (id == nullptr) return fail({ErrorKind::usage, "MAYFLY_INSTANCE_ID is not set"});
  const RunDirectory run{plan->run_dir};
  const Status prepared = prepare_folders(run, paths.plan, plan->config);
  open_log(run);

  close_up();
  paths.secrets = secrets_of_this_boot(paths.secrets, kept_secrets_file());
  const int signals = signal_descriptor();
  SystemClock clock;
  Heartbeat heartbeat(paths.heartbeat, clock);
  auto provider = provider_of(*plan, paths.secrets, clock);
  if (!provider) return fail(provider.error());
  const Billing billing = billing_of(**provider, id, *plan);
  plan->offer.price = billing.price;
  Result<Publishing> publishing = open_publishing(*plan, paths.secrets);
  AgentPolicy policy = make_policy(*plan, destroying_takes(plan->offer.provider));
  policy.has_hub = publishing && !publishing->sinks.empty();
  if (policy.has_hub) policy.sinks = static_cast<int>(publishing->sinks.size());

  const Publishing none;
  const Publishing& hub = publishing ? *publishing : none;
  std::vector<Store*> sinks;
  for (const auto& sink : hub.sinks) sinks.push_back(sink.get());
  Machine machine({.plan = *plan,
                   .instance = id,
                   .created_at = billing.since,
                   .policy = policy,
                   .trainer_program = trainer_program(),
                   .trainer_unit = paths.trainer_unit,
                   .fetch = {hub.download, hub.download_checkpoint, libraries_for(*plan)},
                   .provider = **provider,
                   .sinks = sinks,
                   .clock = clock,
                   .first_age = [&] { return age_now(*plan, billing.since, clock); },
                   .secrets = hub.secrets,
                   .metadata_service = metadata_service(plan->offer.provider),
                   .kept_secrets = kept_secrets_file()});
  AgentState state = machine.remembered_state();
  const auto steering = open_steering(run, static_cast<int>(plan->config.agent.http_port), clock);
  if (steering) {
    log_info("dashboard: http://127.0.0.1:" + std::to_string((*steering)->port()) +
             "/ with the token of agent/http-token");
  } else {
    log_warn("nobody can look at this run over HTTP: " + steering.error().message);
  }
  if (!prepared) state = failed_start(std::move(state), prepared.error());
  if (!publishing) state = failed_start(std::move(state), publishing.error());
  log_info(std::string("agent ") + kVersion + "  run=" + plan->run_name + " instance=" + id +
           " stage=" + std::string(stage_name(state.stage)));
  const std::string begin = begin_record(policy, kVersion, clock.now(), machine.age());
  if (const Status noted = machine.note(begin); !noted) log_error(noted.error().message);
  run_for_ever(machine, policy, std::move(state), signals, heartbeat);
}

int rescue(RunPaths paths) {
  const Result<RunPlan> plan = read_plan(paths.plan);
  if (!plan) return fail(plan.error());
  (void)start_log("rescue", LogLevel::info);
  close_up();
  paths.secrets = secrets_of_this_boot(paths.secrets, kept_secrets_file());
  SystemClock clock;
  const Result<std::string> done = rescue_run(*plan, paths.secrets, paths.trainer_unit, clock);
  if (!done) return fail(done.error());
  std::cout << "rescue: " << *done << std::endl;
  // No destructors: a worker thread may hang in a transfer.
  std::_Exit(0);
}

int replay_file(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return fail(text.error());
  const Result<ReplayReport> report = replay(*text);
  if (!report) return fail(while_doing("replaying " + path, report.error()));
  std::cout << replay_text(*report);
  return static_cast<int>(report->difference ? ExitCode::internal : ExitCode::ok);
}

// Marks the instance before it answers, then goes on in the background, outside of the instance.
int end_instance(const fs::path& folder) {
  const Status marked = mark_terminating(folder);
  const pid_t child = ::fork();
  if (child < 0) return fail({ErrorKind::refused, "cannot start a process"});
  if (child > 0) {
    if (!marked) return fail(marked.error());
    return 0;
  }
  ::setsid();
  SystemClock clock;
  const Status ended = end_local_instance(folder, 2s, clock);
  return ended ? 0 : fail(ended.error());
}

int main_of(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "--version") {
    std::cout << "agent " << kVersion << "\n";
    return 0;
  }
  if (verb == "--help" || verb == "-h") {
    std::cout << kUsage << "\n";
    return 0;
  }
  if (verb == "run" || verb == "rescue") {
    const Result<std::string> plan = option(argc, argv, "--plan");
    const Result<std::string> secrets = option(argc, argv, "--secrets");
    if (!plan) return fail(plan.error());
    if (!secrets) return fail(secrets.error());
    const RunPaths paths{*plan, *secrets, option_or_none(argc, argv, "--heartbeat"),
                         option_or_none(argc, argv, "--trainer-unit")};
    return verb == "run" ? run_plan(paths) : rescue(paths);
  }
  if (verb == "install") {
    const Result<std::string> root = option(argc, argv, "--root");
    if (!root) return fail(root.error());
    const Status installed = install_units(*root);
    return installed ? 0 : fail(installed.error());
  }
  if (verb == "replay" && argc == 3) return replay_file(argv[2]);
  if (verb == "local-boot" || verb == "local-end") {
    const Result<std::string> folder = option(argc, argv, "--instance");
    if (!folder) return fail(folder.error());
    if (verb == "local-end") return end_instance(*folder);
    const Status booted = boot_local_instance(*folder);
    return booted ? 0 : fail(booted.error());
  }
  return fail({ErrorKind::usage, kUsage});
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  return mayfly::main_of(argc, argv);
}
