#include "launcher/cloud_launch.h"

#include <algorithm>

#include "core/log.h"
#include "core/provider/destroy.h"
#include "core/provider/rent.h"
#include "core/run/user_data.h"
#include "launcher/bundle.h"
#include "launcher/follow.h"
#include "launcher/handover.h"
#include "launcher/make_plan.h"
#include "launcher/ssh_link.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

// Passes on, and remembers the attempt: it says which offer the machine is of.
class CountedJournal final : public LaunchJournal {
 public:
  explicit CountedJournal(LaunchJournal& journal) : journal_(journal) {}
  Status write(const LaunchProgress& progress) override {
    attempt_ = progress.attempt;
    return journal_.write(progress);
  }
  int attempt() const {
    return attempt_;
  }

 private:
  LaunchJournal& journal_;
  int attempt_ = 0;
};

Result<InstanceSpec> spec_of(const CloudLaunch& launch, const Provider& provider, Desk& desk) {
  const ProviderTraits traits = provider.traits();
  InstanceSpec spec;
  spec.run_id = launch.plan.run_id;
  const Result<std::string> ours = laptop_ssh_key(desk.state_dir);
  if (!ours) return while_doing("making a key for SSH", ours.error());
  spec.ssh_public_key = *ours;
  if (traits.boot != BootForm::over_ssh) {
    const Result<SshKeyPair> key =
        make_ssh_key(desk.state_dir / "ssh" / ("host-" + launch.plan.run_id));
    if (!key) return while_doing("making a host key", key.error());
    const Status pinned = pin_host_key(desk.state_dir, launch.plan.run_id, key->public_line);
    if (!pinned) return pinned.error();
    Result<std::string> text =
        cloud_user_data(launch.plan, traits.boot, key->private_text, key->public_line);
    if (!text) return text.error();
    spec.user_data = *std::move(text);
  }
  // Behind everything that the machine itself does: the fuse begins to burn when it has booted.
  spec.limits.end_by =
      desk.clock.now() + launch.plan.config.instance.boot_timeout + fuse_of(launch.plan);
  spec.limits.spend_cap = launch.plan.config.limits.spend_limit;
  spec.limits.power_off_ends_billing = traits.power_off_ends_billing;
  return spec;
}

RentPatience patience_of(const RunPlan& plan) {
  RentPatience patience;
  patience.boot = plan.config.instance.boot_timeout;
  patience.interrupted = [] { return Interrupts::seen() != 0; };
  return patience;
}

// The machine is there and of no use.
Error give_up(const Error& why, const Instance& instance, Provider& provider, Desk& desk) {
  note(desk, "destroying " + instance.id + ": " + why.message);
  const Status gone = destroy_until_gone(provider, instance.id, desk.clock, kDestroyPatience);
  Error error = why;
  if (gone) {
    error.message += "; the machine is destroyed, confirmed";
    return error;
  }
  error = while_doing(why.message, gone.error());
  error.kind = ErrorKind::outcome_unknown;
  error.hint = "instance " + instance.id + " may still cost money: `launch reap`, or at " +
               provider.traits().console_url;
  return error;
}

}  // namespace

Result<std::string> cloud_user_data(const RunPlan& plan, BootForm form, const std::string& host_key,
                                    const std::string& host_public_key) {
  const CloudBoot boot{plan.programs, {.fuse = fuse_of(plan)}, host_key, host_public_key};
  return render_cloud_user_data(
      boot, form == BootForm::cloud_config ? UserDataForm::cloud_config : UserDataForm::script);
}

Result<Instance> launch_on_cloud(const CloudLaunch& launch, Provider& provider,
                                 LaunchJournal& journal, Desk& desk) {
  Handover handover{launch.plan, {}, launch.secrets, launch.environment, {}, {}};
  // All that can go wrong here goes wrong before there is a machine.
  if (launch.plan.programs.front().url == kOverSsh) {
    const Result<Bundle> bundle = make_bundle(launch.programs, launch.cache);
    if (!bundle) return bundle.error();
    if (bundle->sha256 != launch.plan.programs.front().sha256) {
      return Error{ErrorKind::corrupt, "the programs have changed since the plan was made"};
    }
    handover.bundle = bundle->file;
  }
  const Result<InstanceSpec> spec = spec_of(launch, provider, desk);
  if (!spec) return spec.error();
  if (provider.traits().boot == BootForm::over_ssh) {
    Result<std::string> script = cloud_user_data(launch.plan, BootForm::script, "", "");
    if (!script) return script.error();
    handover.start_script = *std::move(script);
  }

  CountedJournal counted(journal);
  note(desk, "renting a machine at " + provider.name());
  Result<Instance> instance = rent(provider, *spec, launch.offers, LaunchProgress{}, counted,
                                   desk.clock, patience_of(launch.plan));
  if (!instance) return instance.error();
  const auto used = static_cast<std::size_t>(std::max(1, counted.attempt())) - 1;
  handover.offer = launch.offers[std::min(used, launch.offers.size() - 1)];
  // What the provider lists is what it bills.
  if (instance->price.per_hour > handover.offer.price.per_hour) {
    handover.offer.price.per_hour = instance->price.per_hour;
  }
  note(desk, instance->id + " runs; setting it up over SSH");
  const Status done = hand_over(handover, *instance, provider, desk);
  if (!done) return give_up(done.error(), *instance, provider, desk);
  const Status noted = desk.state.update(launch.plan.run_id,
                                         [&](KnownRun& run) { run.price = handover.offer.price; });
  if (!noted) log_warn("noting the price failed: " + noted.error().message);
  return instance;
}

}  // namespace mayfly
