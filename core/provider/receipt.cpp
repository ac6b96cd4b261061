#include "core/provider/receipt.h"

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"

namespace mayfly {

using nlohmann::json;

namespace {

constexpr std::string_view kConfirmed = "confirmed";
constexpr std::string_view kAccepted = "accepted-unconfirmed";

json time_or_null(const std::optional<WallTime>& time) {
  return time ? json(format_utc(*time)) : json(nullptr);
}

// Throws json's own exceptions on a wrong type; nullopt for null.
std::optional<WallTime> time_at(const json& from, const char* key) {
  if (from.at(key).is_null()) return std::nullopt;
  const Result<WallTime> time = parse_utc(from.at(key).get_ref<const std::string&>());
  return time ? std::optional(*time) : std::nullopt;
}

}  // namespace

Status write_receipt(const RunDirectory& run, const Receipt& receipt) {
  const json out = {
      {"schema", "mayfly.receipt/1"},
      {"run_id", receipt.run_id},
      {"run_name", receipt.run_name},
      {"provider", receipt.provider},
      {"instance_id", receipt.instance_id},
      {"state", receipt.state == ReceiptState::confirmed ? kConfirmed : kAccepted},
      {"reason", receipt.reason},
      {"exit_code", receipt.exit_code},
      {"created_at", format_utc(receipt.created_at)},
      {"destroy_asked_at", format_utc(receipt.destroy_asked_at)},
      {"destroy_answer", receipt.destroy_answer},
      {"gone_listed_at", time_or_null(receipt.gone_listed_at)},
      {"ended_at", time_or_null(receipt.ended_at)},
      {"cost_usd", usd_decimal(receipt.cost)},
      {"safe_branches", receipt.safe_branches},
      {"final_upload_sha256", receipt.final_upload_sha256},
  };
  return write_file(run.receipt(), json_text(out));
}

Result<Receipt> read_receipt(const RunDirectory& run) {
  const Result<std::string> text = read_file(run.receipt());
  if (!text) return text.error();
  const Result<json> parsed = parse_json(*text, run.receipt().string());
  if (!parsed) return parsed.error();
  try {
    const json& from = *parsed;
    Receipt receipt;
    receipt.run_id = from.at("run_id");
    receipt.run_name = from.at("run_name");
    receipt.provider = from.at("provider");
    receipt.instance_id = from.at("instance_id");
    receipt.state = from.at("state") == kConfirmed ? ReceiptState::confirmed
                                                   : ReceiptState::accepted_unconfirmed;
    receipt.reason = from.at("reason");
    receipt.exit_code = from.at("exit_code");
    const auto created = time_at(from, "created_at");
    const auto asked = time_at(from, "destroy_asked_at");
    if (!created || !asked) return Error{ErrorKind::corrupt, "receipt: a time is missing"};
    receipt.created_at = *created;
    receipt.destroy_asked_at = *asked;
    receipt.destroy_answer = from.at("destroy_answer");
    receipt.gone_listed_at = time_at(from, "gone_listed_at");
    receipt.ended_at = time_at(from, "ended_at");
    const Result<Usd> cost = parse_usd(from.at("cost_usd").get_ref<const std::string&>());
    if (!cost) return cost.error();
    receipt.cost = *cost;
    receipt.safe_branches = from.at("safe_branches").get<std::vector<std::string>>();
    receipt.final_upload_sha256 = from.at("final_upload_sha256");
    return receipt;
  } catch (const json::exception& error) {
    return Error{ErrorKind::corrupt, "receipt: " + std::string(error.what())};
  }
}

Result<Receipt> confirm_receipt(Receipt receipt, Provider& provider, const Price& price,
                                Clock& clock) {
  if (receipt.state == ReceiptState::confirmed) return receipt;
  const Result<std::vector<Instance>> listed = provider.find_run(receipt.run_id);
  if (!listed) return while_doing("listing the run's instances", listed.error());
  for (const Instance& instance : *listed) {
    if (instance.id != receipt.instance_id) continue;
    return Error{ErrorKind::outcome_unknown,
                 "instance " + receipt.instance_id + " is still listed by " + receipt.provider,
                 "ask again; it may still cost money"};
  }
  receipt.state = ReceiptState::confirmed;
  receipt.gone_listed_at = clock.now();
  if (const Result<Instance> last = provider.get(receipt.instance_id)) {
    receipt.ended_at = last->ended_at;
  }
  const WallTime until = receipt.ended_at.value_or(*receipt.gone_listed_at);
  receipt.cost = SpendMeter(price, receipt.created_at).spent(until);
  return receipt;
}

}  // namespace mayfly
