#include "launcher/handover.h"

#include <sstream>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/config/data_files.h"
#include "core/json.h"
#include "core/log.h"
#include "core/provider/cloud_keys.h"
#include "core/provider/destroy_file.h"
#include "core/run/directory.h"
#include "core/tar.h"
#include "launcher/attached_host.h"
#include "launcher/follow.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr const char* kRunFolder = "/var/lib/mayfly/run";
constexpr const char* kDataFolder = "/var/lib/mayfly/data/";
constexpr auto kBetweenTries = 2s;
constexpr auto kAskTakes = 40s;
constexpr auto kStartTakes = 5min;  // a container may have to install curl
constexpr auto kTakeTakes = 30min;  // some hundred megabytes over a slow line

std::string data_name(std::size_t number, const std::string& path) {
  // The ending says what is in it; the rest of a name is the user's and could be anything.
  const std::string ending = fs::path(path).extension().string();
  const bool plain =
      ending.size() < 8 &&
      ending.find_first_not_of(".abcdefghijklmnopqrstuvwxyz0123456789") == std::string::npos;
  return std::to_string(number) + (plain ? ending : "");
}

// Lines of NAME='value' that sh and systemd read alike.
Result<std::string> environment_lines(const std::map<std::string, std::string>& variables) {
  std::string lines;
  for (const auto& [name, value] : variables) {
    const bool plain = value.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                           "-_.:/{},@+=") == std::string::npos;
    if (!plain) return Error{ErrorKind::invalid_config, "odd letters in " + name};
    lines += name + "='" + value + "'\n";
  }
  return lines;
}

// What `receive.sh ask` said.
struct Answer {
  std::string root;
  std::string trouble;  // why its start-up failed
  std::string taken;    // the run whose things it has
};

Result<Answer> ask(const SshLink& link) {
  const Result<CommandAnswer> said = link.receive("ask", "", kAskTakes);
  if (!said) return said.error();
  if (said->code != 0) {
    return Error{ErrorKind::unreachable, "its start-up has not come far enough"};
  }
  Answer answer;
  std::istringstream lines(said->out);
  bool whole = false;
  for (std::string line; std::getline(lines, line);) {
    const auto space = line.find(' ');
    const std::string word = line.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (word == "root") {
      answer.root = rest;
      whole = true;
    }
    // Why it failed says more than that its fuse fires.
    if (word == "failed" || (word == "fired" && answer.trouble.empty())) answer.trouble = rest;
    if (word == "taken") answer.taken = rest;
  }
  if (!whole) return Error{ErrorKind::unreachable, "it says nothing of itself"};
  return answer;
}

Status add_data(const RunPlan& plan, std::vector<TarFile>& files) {
  std::vector<std::string> paths;
  for_each_input_file(plan.config.data,
                      [&](const std::string&, const std::string& path) { paths.push_back(path); });
  for (std::size_t i = 0; i < paths.size(); ++i) {
    Result<std::string> bytes = read_file(paths[i]);
    if (!bytes) return bytes.error();
    files.push_back({kDataFolder + 1 + data_name(i, paths[i]), *std::move(bytes), 0644});
  }
  return Unit{};
}

// Everything as one archive; `instance` at its end says that it is whole.
Result<std::string> archive_of(const Handover& handover, const Instance& instance,
                               Provider& provider, const std::string& root) {
  std::vector<TarFile> files;
  nlohmann::json secrets = nlohmann::json::object();
  for (const auto& [name, value] : handover.secrets) secrets[name] = value.reveal();
  std::map<std::string, std::string> variables = {{"MAYFLY_INSTANCE_ID", instance.id},
                                                  {"MAYFLY_RUN_ID", handover.plan.run_id}};
  if (const CloudRow* const row = cloud_row(handover.plan.offer.provider)) {
    const CloudVariables cloud = cloud_variables(*row, handover.environment);
    for (const auto& [name, value] : cloud.secrets) secrets[name] = value.reveal();
    variables.insert(cloud.plain.begin(), cloud.plain.end());
    // It asks about itself alone.
    if (row->name == "aws") variables["AWS_REGION"] = handover.offer.region;
  }
  const Result<std::string> lines = environment_lines(variables);
  if (!lines) return lines.error();
  const Result<DestroyFiles> destroy = destroy_files(provider, instance.id);
  if (!destroy) return destroy.error();
  const RunPlan plan = plan_on_machine(handover.plan, handover.offer, root);

  files.push_back({"run/mayfly/secrets.json", json_line(secrets) + "\n", 0600});
  if (!destroy->request.empty()) {
    files.push_back({"var/lib/mayfly/destroy.curl", destroy->request, 0600});
  }
  if (!destroy->power_off.empty()) {
    files.push_back({"var/lib/mayfly/destroy.power-off", destroy->power_off, 0600});
  }
  files.push_back({"opt/mayfly/plan.json", json_text(plan_to_json(plan)) + "\n", 0600});
  if (const Status data = add_data(handover.plan, files); !data) return data.error();
  if (!handover.bundle.empty()) {
    Result<std::string> bytes = read_file(handover.bundle);
    if (!bytes) return bytes.error();
    files.push_back({"opt/mayfly/handed-over", *std::move(bytes), 0600});
  }
  files.push_back({"var/lib/mayfly/instance", *lines, 0600});
  return tar_archive(files);
}

Instance reached_by(const SshConfig& config, Instance instance) {
  if (config.user) instance.ssh_user = *config.user;
  if (config.port) instance.ssh_port = static_cast<int>(*config.port);
  return instance;
}

// "" : it has no address yet.
std::string address_of(const Handover& handover, const Instance& instance) {
  if (handover.plan.offer.provider == "attached") return instance.address;
  return ssh_address(reached_by(handover.plan.config.ssh, instance));
}

Result<SshLink> link_to(const Handover& handover, const std::string& address, const Desk& desk) {
  KnownRun run;
  run.run_id = handover.plan.run_id;
  run.provider = handover.plan.offer.provider;
  run.address = address;
  run.ssh_key = handover.plan.config.ssh.key.value_or("");
  return link_of(run, desk.state_dir);
}

// One try: a connection, a question, the archive. False: later.
Result<bool> try_once(const Handover& handover, const Instance& instance, Provider& provider,
                      Desk& desk) {
  const std::string address = address_of(handover, instance);
  if (address.empty()) return false;
  const Result<SshLink> link = link_to(handover, address, desk);
  if (!link) return link.error();
  Result<Answer> answer = ask(*link);
  if (!answer && !handover.start_script.empty()) {
    // Arming a fuse that is armed changes nothing, so once too often does no harm.
    const Result<CommandAnswer> started =
        link->run("exec sh -s", handover.start_script, kStartTakes);
    if (started) answer = ask(*link);
  }
  if (!answer) {
    if (answer.error().kind != ErrorKind::unreachable) return answer.error();
    log_debug("not reachable yet: " + answer.error().message);
    return false;
  }
  if (!answer->trouble.empty()) {
    return Error{ErrorKind::failed, "the machine's start-up failed: " + answer->trouble};
  }
  if (answer->taken.empty()) {
    const Result<std::string> archive = archive_of(handover, instance, provider, answer->root);
    if (!archive) return archive.error();
    const Result<CommandAnswer> took = link->receive("take", *archive, kTakeTakes);
    if (!took || took->code != 0) {
      log_warn("handing over failed, again in a moment: " +
               (took ? took->err : took.error().message));
      return false;
    }
  } else if (answer->taken != handover.plan.run_id) {
    return Error{ErrorKind::guard, "the machine belongs to the run " + answer->taken};
  }
  const Status noted =
      desk.state.update(handover.plan.run_id, [&](KnownRun& run) { run.address = address; });
  if (!noted) return noted.error();
  return true;
}

}  // namespace

RunPlan plan_on_machine(const RunPlan& plan, const Offer& offer, const std::string& root) {
  RunPlan there = plan;
  there.run_dir = root + kRunFolder;
  std::size_t number = 0;
  for_each_input_file(there.config.data, [&](const std::string&, std::string& path) {
    path = root + kDataFolder + data_name(number++, path);
  });
  there.offer.instance_type = offer.instance_type;
  there.offer.region = offer.region;
  there.offer.gpu = offer.gpu;
  there.offer.gpu_count = offer.gpu_count;
  there.offer.price = offer.price;
  return there;
}

Status check_reachable_inputs(const RunConfig& config, const std::string& hub_endpoint,
                              bool hub_is_embedded, const std::string& cloud_endpoint) {
  const auto refuse = [](const std::string& what, const std::string& hint) {
    return Error{ErrorKind::unsupported, "a rented machine cannot have " + what, hint};
  };
  if (config.model.base.starts_with('/')) {
    return refuse("the model folder " + config.model.base,
                  "put it on the hub with `launch hub put`, and name it owner/name");
  }
  if (config.lora.init_from) {
    return refuse("lora.init_from, a folder of this machine", "start from a new adapter");
  }
  if (config.train.resume_from && *config.train.resume_from != "latest") {
    return refuse("train.resume_from, a folder of this machine", "leave it out");
  }
  const bool rehearsal = is_this_machine(cloud_endpoint);
  if (!rehearsal && (hub_is_embedded || is_this_machine(hub_endpoint))) {
    return refuse("a way to the hub on this laptop",
                  "give --repo owner/name and set HF_TOKEN, so that results go to huggingface.co");
  }
  return Unit{};
}

Status hand_over(const Handover& handover, const Instance& instance, Provider& provider,
                 Desk& desk) {
  constexpr int kLookEvery = 5;
  const SteadyTime give_up_at =
      desk.clock.steady_now() + handover.plan.config.instance.boot_timeout;
  Instance seen = instance;
  for (int round = 1;; ++round) {
    const Result<bool> done = try_once(handover, seen, provider, desk);
    if (!done) return done.error();
    if (*done) return Unit{};
    if (Interrupts::seen() != 0) return Error{ErrorKind::guard, "interrupted before it was set up"};
    if (desk.clock.steady_now() >= give_up_at) {
      return Error{ErrorKind::unreachable,
                   "the machine could not be set up over SSH within " +
                       format_duration(handover.plan.config.instance.boot_timeout)};
    }
    desk.clock.sleep_for(kBetweenTries);
    if (round % kLookEvery != 0 && !seen.address.empty()) continue;
    const Result<Instance> looked = provider.get(instance.id);
    if (!looked) continue;
    seen = *looked;
    const bool over = seen.state != InstanceState::running && seen.state != InstanceState::pending;
    if (over)
      return Error{ErrorKind::failed, "the machine ended before it was set up: " + seen.detail};
  }
}

}  // namespace mayfly
