#include "launcher/run_view.h"

#include "core/exit_code.h"
#include "core/run/directory.h"
#include "core/run/spend_meter.h"

namespace mayfly {

namespace {

bool is_over(const RunView& view) {
  return !may_be_billing(view.known) ||
         (view.instance && view.instance->state == InstanceState::gone);
}

WallTime billed_since(const RunView& view) {
  if (view.instance) return view.instance->created_at;
  if (view.agent) return view.agent->created_at;
  return view.known.created_at;
}

Usd spent(const RunView& view, const ProviderAnswer& provider, WallTime now) {
  if (view.receipt && view.receipt->state == ReceiptState::confirmed) return view.receipt->cost;
  if (view.known.never_created || view.known.progress.stage == LaunchStage::planned) return {};
  const bool nothing_there = provider && !view.instance && !view.agent;
  if (nothing_there && view.known.progress.stage == LaunchStage::creating) return {};
  WallTime until = now;
  if (view.known.gone_at) until = *view.known.gone_at;
  if (view.instance && view.instance->ended_at) until = *view.instance->ended_at;
  return SpendMeter(view.known.price, billed_since(view)).spent(until);
}

std::string state_word(const RunView& view) {
  if (view.known.never_created) return "not created";
  if (is_over(view)) return "gone";
  if (view.instance && view.instance->state == InstanceState::failed) return "failed";
  if (view.instance && view.instance->state == InstanceState::terminating) return "destroying";
  if (view.agent && view.agent->state != "ended") return view.agent->state;
  if (view.agent) return "destroying";
  return view.instance ? "booting" : "creating";
}

std::string attention(const RunView& view, const ProviderAnswer& provider) {
  const bool receipt_open =
      !view.receipt || view.receipt->state == ReceiptState::accepted_unconfirmed;
  if (is_over(view)) {
    if (view.agent && view.agent->exit_code == static_cast<int>(ExitCode::upload_failed)) {
      return "the last upload failed; the files are in " + view.known.run_dir;
    }
    return "";
  }
  if (!provider) return "the provider could not be asked whether its machine still bills";
  if (view.state == "failed") {
    return "its machine has died and still bills: end it with `launch down " + view.known.name +
           "`";
  }
  if (view.state == "kept") {
    return "its machine was kept as asked and still bills: end it with `launch down " +
           view.known.name + "`";
  }
  if (!view.instance && view.known.progress.stage == LaunchStage::made && receipt_open) {
    return "its machine is not listed any more, and nobody has a receipt for it";
  }
  if (!view.stale.empty()) return view.stale.front();
  for (const Layer& layer : view.agent ? view.agent->layers : std::vector<Layer>{}) {
    if (layer.state != LayerState::missing) continue;
    return "layer " + layer.name + ", its " + layer.what + ", is not at work: " + layer.detail;
  }
  return "";
}

}  // namespace

RunView view_run(const KnownRun& known, const ProviderAnswer& provider, WallTime now) {
  RunView view;
  view.known = known;
  if (provider) {
    view.instance = *provider;
  } else {
    view.stale.push_back("provider: " + provider.error().message);
  }
  const RunDirectory run{known.run_dir};
  if (Result<RunStatus> agent = read_status(run.status().string());
      agent && agent->run_id == known.run_id) {
    view.agent = std::move(*agent);
  } else if (!agent && agent.error().kind != ErrorKind::not_found) {
    view.stale.push_back("agent: " + agent.error().message);
  }
  if (Result<Receipt> receipt = read_receipt(run); receipt && receipt->run_id == known.run_id) {
    view.receipt = std::move(*receipt);
  }
  if (view.agent && !is_over(view) && view.agent->state != "ended") {
    const auto age = std::chrono::floor<std::chrono::seconds>(now - view.agent->updated_at);
    if (age > kAgentSilence) {
      view.stale.push_back("agent: no sign of life for " + format_duration(age));
    }
  }
  view.state = state_word(view);
  view.spent = spent(view, provider, now);
  view.attention = attention(view, provider);
  return view;
}

}  // namespace mayfly
