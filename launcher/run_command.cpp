#include "launcher/run_command.h"

#include <cstdio>
#include <iostream>
#include <optional>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/process_table.h"
#include "core/provider/cloud_keys.h"
#include "core/provider/destroy.h"
#include "core/run/directory.h"
#include "core/run/run_status.h"
#include "core/run/user_data.h"
#include "core/user_folders.h"
#include "launcher/attached_host.h"
#include "launcher/cloud_access.h"
#include "launcher/cloud_launch.h"
#include "launcher/embedded_hub.h"
#include "launcher/follow.h"
#include "launcher/plan_text.h"
#include "launcher/preflight.h"
#include "launcher/pricing.h"
#include "launcher/rental_choice.h"
#include "launcher/rental_wish.h"
#include "launcher/seeds.h"
#include "launcher/status_report.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

using Outcome = std::variant<ExitCode, Failure>;

Failure failed(Error error) {
  return Failure{{std::move(error)}};
}

// Writes each step of creating the machine into the list of runs.
class StateJournal final : public LaunchJournal {
 public:
  StateJournal(StateFile& state, std::string run_id) : state_(state), run_id_(std::move(run_id)) {}
  Status write(const LaunchProgress& progress) override {
    return state_.update(run_id_, [&](KnownRun& run) { run.progress = progress; });
  }

 private:
  StateFile& state_;
  std::string run_id_;
};

// A run that would be money thrown away is started only when that was said to be meant.
Status refuse_mistakes(const PlannedRun& planned, const Desk& desk) {
  if (planned.mistakes.empty() || desk.flags.yes) return Unit{};
  return Error{ErrorKind::guard, planned.mistakes.front(), "--yes starts it all the same"};
}

// Asks before money is spent. Nothing to ask for a machine of one's own, whatever price it
// pretends.
Status confirm(const PlannedRun& planned, const Desk& desk) {
  const PlannedOffer& offer = planned.plan.offer;
  if (offer.provider == "local" || offer.price.per_hour.micros == 0 || desk.flags.yes ||
      planned.machine_named) {
    return Unit{};
  }
  if (::isatty(STDIN_FILENO) == 0 || desk.flags.json) {
    return Error{ErrorKind::guard, "this costs money and there is nobody to ask",
                 "read the plan with --dry-run, then give --yes"};
  }
  std::fprintf(stderr, "Start this run for up to %s? [y/N] ",
               format_usd(planned.plan.config.limits.spend_limit).c_str());
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return Unit{};
  return Error{ErrorKind::guard, "not started: the question was not answered with yes"};
}

// The hub that will be there, and its token.
Result<Secret> prepare_hub(PlannedRun& planned, Desk& desk) {
  if (!planned.hub.embedded) return planned.hub.token;
  Result<EmbeddedHub> hub = ensure_embedded_hub(program_folder(), desk.clock);
  if (!hub) return hub.error();
  planned.plan.hub_endpoint = hub->endpoint;
  planned.hub.endpoint = hub->endpoint;
  return hub->token;
}

KnownRun entry_of(const RunPlan& plan, const fs::path& plan_file) {
  KnownRun run;
  run.run_id = plan.run_id;
  run.name = plan.run_name;
  run.provider = plan.offer.provider;
  run.created_at = plan.created_at;
  run.price = plan.offer.price;
  run.spend_limit = plan.config.limits.spend_limit;
  run.run_dir = plan.run_dir;
  run.plan = plan_file.string();
  run.hub_endpoint = plan.hub_endpoint;
  run.hub_repo = plan.hub_repo;
  run.launcher = process_mark(::getpid());
  if (plan.offer.provider == "attached") {
    run.address = plan.offer.region;
    run.ssh_key = plan.config.ssh.key.value_or("");
  }
  return run;
}

// The plan on disk and the run in the list: after this, nothing that costs money can be forgotten.
Result<KnownRun> note_run(const RunPlan& plan, const std::string& regions, Desk& desk) {
  const fs::path folder = desk.state.path().parent_path() / "plans";
  if (const Status made = make_folders(folder); !made) return made.error();
  const fs::path file = folder / (plan.run_id + ".json");
  const Status written = write_file(file, json_text(plan_to_json(plan)) + "\n", 0600);
  if (!written) return written.error();
  KnownRun run = entry_of(plan, file);
  run.regions = regions;
  if (const Status added = desk.state.add(run); !added) {
    std::error_code code;
    fs::remove(file, code);
    return added.error();
  }
  return run;
}

Offer offer_of(const PlannedOffer& planned) {
  Offer offer;
  offer.provider = planned.provider;
  offer.instance_type = planned.instance_type;
  offer.region = planned.region;
  offer.gpu = planned.gpu;
  offer.gpu_count = planned.gpu_count;
  offer.price = planned.price;
  return offer;
}

Result<Instance> create(const PlannedRun& planned, const std::string& user_data,
                        const Secret& token, Provider& provider, Desk& desk) {
  const RunPlan& plan = planned.plan;
  InstanceSpec spec;
  spec.run_id = plan.run_id;
  spec.user_data = user_data;
  spec.secrets = planned.fallbacks.secrets;
  spec.secrets["HF_TOKEN"] = token;
  StateJournal journal(desk.state, plan.run_id);
  Result<Instance> instance = launch_once(provider, spec, {offer_of(plan.offer)}, LaunchProgress{},
                                          journal, desk.clock, kLaunchPatience);
  if (!instance && instance.error().kind != ErrorKind::outcome_unknown) {
    const Status noted =
        desk.state.update(plan.run_id, [](KnownRun& run) { run.never_created = true; });
    if (!noted) return while_doing("noting that nothing was created", noted.error());
  }
  return instance;
}

void say_where_to_look(const RunPlan& plan, const Desk& desk) {
  if (desk.flags.json) {
    print(json_line({{"ok", true},
                     {"run_id", plan.run_id},
                     {"name", plan.run_name},
                     {"run_dir", plan.run_dir},
                     {"hub_endpoint", plan.hub_endpoint},
                     {"hub_repo", plan.hub_repo}}) +
          "\n");
    return;
  }
  if (desk.flags.verbosity < 0) return;
  print(styled(desk.out, Style::green, plan.run_name + " runs.") +
        " It goes on without this terminal.\n"
        "  look     status " +
        plan.run_name + "\n  follow   launch logs " + plan.run_name +
        " -f\n  end      launch stop " + plan.run_name +
        "   (saves first; `launch down` does not)\n");
}

// As the machine gets it, but for the host key, which is made with the machine.
Result<std::string> start_up_file(const PlannedRun& planned) {
  const RunPlan& plan = planned.plan;
  if (plan.offer.provider == "local") {
    return render_user_data(plan, {.fuse = fuse_of(plan)});
  }
  const bool cloud_init = plan.offer.provider == "lambda" || plan.offer.provider == "aws";
  const BootForm form = cloud_init ? BootForm::cloud_config : BootForm::script;
  return cloud_user_data(plan, form, "", "");
}

Result<Instance> rent_machine(const PlannedRun& planned, const Secret& token,
                              const Environment& environment, Provider& provider, Desk& desk) {
  CloudLaunch launch{planned.plan, planned.offers, planned.fallbacks.secrets,
                     environment,  cache_folder(), program_folder()};
  launch.secrets["HF_TOKEN"] = token;
  StateJournal journal(desk.state, planned.plan.run_id);
  Result<Instance> instance = launch_on_cloud(launch, provider, journal, desk);
  if (instance || instance.error().kind == ErrorKind::outcome_unknown) return instance;
  const Status noted = desk.state.update(planned.plan.run_id, [](KnownRun& run) {
    run.never_created = true;  // or it was, and is confirmed to be gone
  });
  if (!noted) return while_doing("noting that nothing is left", noted.error());
  return instance;
}

Outcome start_run(const CommandLine& line, PlannedRun& planned, const Environment& environment,
                  Desk& desk) {
  if (const Status sound = refuse_mistakes(planned, desk); !sound) return failed(sound.error());
  if (planned.not_startable) return failed(*planned.not_startable);
  if (const Status yes = confirm(planned, desk); !yes) return failed(yes.error());
  const Result<Secret> token = prepare_hub(planned, desk);
  if (!token) return failed(token.error());
  const RunPlan& plan = planned.plan;
  const Result<std::string> user_data = start_up_file(planned);
  if (!user_data) return failed(user_data.error());
  const std::string& name = plan.offer.provider;
  auto provider = cloud_row(name) != nullptr ? cloud_named(environment, name, desk.clock)
                                             : provider_of(desk, name, plan.offer.price);
  if (!provider) return failed(provider.error());
  const Result<KnownRun> noted =
      note_run(plan, name == "aws" ? aws_regions(environment) : std::string(), desk);
  if (!noted) return failed(noted.error());
  // Where that run is, the list says.
  if (plan.offer.provider == "attached") provider = provider_of(desk, "attached");
  if (!provider) return failed(provider.error());

  const Interrupts interrupts;
  const Result<Instance> instance =
      planned.offers.empty() ? create(planned, *user_data, *token, **provider, desk)
                             : rent_machine(planned, *token, environment, **provider, desk);
  if (!instance) return failed(instance.error());
  const Result<bool> alive = wait_for_heartbeat(plan, instance->id, **provider, desk);
  if (!alive) return failed(alive.error());
  if (!*alive || !(line.run.follow || line.run.wait)) {
    say_where_to_look(plan, desk);
    return *alive ? ExitCode::ok : ExitCode::interrupted;
  }
  const Result<ExitCode> end = follow_run(plan, line.run, **provider, desk);
  if (!end) return failed(end.error());
  return *end;
}

}  // namespace

fs::path program_folder() {
  std::error_code code;
  return fs::read_symlink("/proc/self/exe", code).parent_path();
}

std::variant<RunConfig, Failure> read_config(const CommandLine& line, bool must_be_complete) {
  ConfigInputs inputs = process_inputs();
  inputs.files = line.common.config_files;
  inputs.command_line = line.common.settings;
  inputs.must_be_complete = must_be_complete;
  LoadedConfig loaded = load_config(inputs);
  if (!loaded.problems.empty()) return Failure{std::move(loaded.problems)};
  return std::move(loaded.config);
}

namespace {

// "" for this machine, and for an address that is refused when the cloud is asked.
std::string cloud_endpoint(const std::string& provider, const RunConfig& config,
                           const Environment& environment) {
  if (provider == "attached") {
    const Result<SshHost> host = attached_host(config);
    return host ? "http://" + host->address.substr(host->address.find('@') + 1) : "";
  }
  const CloudRow* const row = cloud_row(provider);
  if (row == nullptr) return "";
  const Result<CloudAccess> access = cloud_access(*row, environment);
  return access ? access->endpoint : "";
}

// Chooses the machine that a cloud is to rent out, and prices the plan on it.
Status choose_machine(const CommandLine& line, const Environment& environment, PlannedRun& planned,
                      const std::vector<KnownRun>& known, Desk& desk) {
  const RunConfig& config = planned.plan.config;
  const std::string provider(enum_name(config.provider));
  Result<OfferWish> wish = wish_for(config, provider, line.run.all_configs);
  if (!wish) return wish.error();
  wish->work_disk_gb = disk_gb_for(planned);
  must_fit(*wish, planned.architecture, config, planned.train.longest_sequence);
  Selector selector;
  selector.yes = desk.flags.yes;
  selector.look = line.run.dry_run || line.run.user_data;
  selector.named = config.instance.type && config.instance.region;
  if (!desk.flags.json) selector.ask = ask_at_terminal();
  selector.show = [](const std::string& table) { print(table); };
  Result<RentalChoice> choice = rental_from_clouds(
      environment, *wish, static_cast<int>(config.instance.retry_offers), selector, desk.clock);
  if (!choice) return choice.error();
  planned.offers = std::move(choice->offers);
  planned.fitting = std::move(choice->fitting);
  planned.machine_named = choice->by_person;
  return put_on(planned, planned.offers.front(), known);
}

}  // namespace

std::variant<PlannedRun, Failure> plan_run(const CommandLine& line, RunConfig config, Desk& desk) {
  Result<std::vector<KnownRun>> known = desk.state.runs();
  if (!known) return failed(known.error());
  Result<std::optional<RemoteModel>> model = look_at_model(config, desk.clock);
  if (!model) return failed(model.error());
  std::error_code code;
  const Result<Environment> environment = environment_to_rent(
      std::string(enum_name(config.provider)), config.instance.region.value_or(""));
  if (!environment) return failed(environment.error());
  Result<std::string> provider = provider_for(config, *environment);
  if (!provider) return failed(provider.error());
  const std::string endpoint = cloud_endpoint(*provider, config, *environment);
  const PlanInputs inputs{std::move(config),
                          std::move(*known),
                          program_folder(),
                          fs::current_path(code),
                          run_name_overrides(),
                          std::move(*model),
                          new_run_id(),
                          desk.clock.now(),
                          *provider,
                          cache_folder(),
                          endpoint};
  Result<PlannedRun> planned = make_plan(inputs);
  if (!planned) return failed(planned.error());
  if (inputs.provider == "attached") {
    const Status looked = put_on_host(*planned, inputs.known, desk.state_dir);
    if (!looked) return failed(looked.error());
  } else if (inputs.provider != "local") {
    const Status chosen = choose_machine(line, *environment, *planned, inputs.known, desk);
    if (!chosen) return failed(chosen.error());
  }
  return std::move(*planned);
}

std::variant<ExitCode, Failure> run_command(const CommandLine& line, Desk& desk) {
  auto config = read_config(line, true);
  if (auto* failure = std::get_if<Failure>(&config)) return std::move(*failure);
  if (std::get<RunConfig>(config).run.seeds.size() > 1) {
    return run_seeds(line, std::get<RunConfig>(config), desk);
  }
  auto plan = plan_run(line, std::move(std::get<RunConfig>(config)), desk);
  if (auto* failure = std::get_if<Failure>(&plan)) return std::move(*failure);
  return carry_out_plan(line, std::move(std::get<PlannedRun>(plan)), desk);
}

std::variant<ExitCode, Failure> carry_out_plan(const CommandLine& line, PlannedRun run,
                                               Desk& desk) {
  std::vector<PlannedRun> runs = {std::move(run)};
  if (const Status accepted = check_hub(runs, desk.clock); !accepted) {
    return failed(accepted.error());
  }
  PlannedRun& planned = runs.front();

  if (line.run.user_data) {
    const Result<std::string> text = start_up_file(planned);
    if (!text) return failed(text.error());
    print(*text);
    return ExitCode::ok;
  }
  if (line.run.dry_run) {
    print(desk.flags.json ? json_text(plan_document(planned)) + "\n"
                          : plan_text(planned, desk.out) + "nothing was created\n");
    return ExitCode::ok;
  }
  if (!desk.flags.json && desk.flags.verbosity >= 0) print(plan_text(planned, desk.out) + "\n");
  const RunConfig& chosen = planned.plan.config;
  const Result<Environment> environment = environment_to_rent(
      std::string(enum_name(chosen.provider)), chosen.instance.region.value_or(""));
  if (!environment) return failed(environment.error());
  return start_run(line, planned, *environment, desk);
}

}  // namespace mayfly
