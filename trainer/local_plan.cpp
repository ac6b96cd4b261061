#include "trainer/local_plan.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <system_error>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/config/data_files.h"
#include "core/config/resolved.h"
#include "core/json.h"
#include "core/run/run_name.h"
#include "trainer/model_card.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;

std::string absolute(const std::string& path) {
  return fs::absolute(path).lexically_normal().string();
}

void make_paths_absolute(RunConfig& config) {
  for_each_input_file(config.data,
                      [](const std::string&, std::string& path) { path = absolute(path); });
  if (config.lora.init_from) config.lora.init_from = absolute(*config.lora.init_from);
  auto& from = config.train.resume_from;
  if (from && *from != "latest") from = absolute(*from);
  config.paths.outputs_dir = absolute(config.paths.outputs_dir);
}

Status find_model(RunConfig& config) {
  std::error_code code;
  if (fs::is_directory(config.model.base, code)) {
    config.model.base = absolute(config.model.base);
    return Unit{};
  }
  const bool id = is_hub_id(config.model.base);
  return Error{ErrorKind::not_found, "model.base: " + config.model.base + " is not a folder",
               id ? "`train` alone takes folders; `launch` fetches models from the hub"
                  : "give the folder with config.json and the safetensors files"};
}

std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  return names;
}

// The name of the newest run that is there, if the config says to go on with the latest.
Result<std::string> name_of_run(const RunConfig& config) {
  const std::vector<std::string> taken = folders_in(config.paths.outputs_dir);
  RunNameOverrides overrides = run_name_overrides();
  Result<std::string> next = choose_run_name(config, taken, overrides);
  if (!next || config.train.resume_from != "latest") return next;
  if (std::find(taken.begin(), taken.end(), *next) != taken.end()) return next;
  std::string latest;
  for (const std::string& name : taken) {
    // The next number is one above the highest: so the highest is the one that chooses it alone.
    if (choose_run_name(config, {name}, overrides).operator*() == *next) latest = name;
  }
  if (!latest.empty()) return latest;
  return Error{ErrorKind::not_found,
               "train.resume_from is latest, and there is no run " + run_name_prefix(config) +
                   "-run<N> in " + config.paths.outputs_dir,
               "leave it out to start a new run, or name the run by run.name"};
}

std::string new_run_id() {
  std::random_device random;
  constexpr char kHex[] = "0123456789abcdef";
  std::string id;
  for (int i = 0; i < 12; ++i) id += kHex[random() % 16];
  return id;
}

std::vector<std::string> unused_fields(const RunConfig& config) {
  std::vector<std::string> unused;
  if (config.hub.repo) unused.push_back("hub.repo");
  if (config.hub.repo_prefix) unused.push_back("hub.repo_prefix");
  if (config.instance.price) unused.push_back("instance.price");
  return unused;
}

}  // namespace

Result<LocalPlan> make_local_plan(const RunConfig& config, Clock& clock) {
  LocalPlan made;
  RunPlan& plan = made.plan;
  plan.config = config;
  if (Status found = find_model(plan.config); !found) return found.error();
  make_paths_absolute(plan.config);
  if (plan.config.run.seeds.size() != 1) {
    return Error{ErrorKind::invalid_config, "run.seeds: `train` alone makes one run at a time",
                 "give one, such as --seeds 42"};
  }
  plan.config.hub.token = Secret();
  plan.seed = plan.config.run.seeds.front();
  Result<std::string> name = name_of_run(plan.config);
  if (!name) return name.error();
  plan.run_name = *name;
  plan.run_id = new_run_id();
  plan.created_at = clock.now();
  plan.run_dir = (fs::path(plan.config.paths.outputs_dir) / *name).string();
  plan.model_dir = plan.config.model.base;
  plan.offer.provider = "local";
  made.directory = RunDirectory{plan.run_dir};
  made.unused = unused_fields(plan.config);

  std::error_code code;
  if (fs::exists(made.directory.plan(), code)) {
    const Result<RunPlan> earlier = read_plan(made.directory.plan().string());
    if (!earlier) return earlier.error();
    plan.run_id = earlier->run_id;
    plan.created_at = earlier->created_at;
  }
  return made;
}

Status write_local_plan(const LocalPlan& local) {
  const RunDirectory& run = local.directory;
  if (Status folders = make_folders(run.logs()); !folders) return folders;
  if (Status written = write_file(run.plan(), json_text(plan_to_json(local.plan))); !written) {
    return written;
  }
  return write_file(run.resolved_config(), resolved_yaml(local.plan.config));
}

}  // namespace mayfly
