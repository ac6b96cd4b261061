#include "launcher/run_table.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "core/provider/offer_choice.h"
#include "launcher/figures.h"
#include "launcher/rental_choice.h"

namespace mayfly {

using nlohmann::json;

namespace {

struct Sums {
  std::int64_t runs = 0;
  double hours = 0;
  double gpu_hours = 0;
  Usd cost;
  Usd most;
};

Sums sums_of(const std::vector<RunRow>& rows) {
  Sums sums;
  for (const RunRow& row : rows) {
    if (row.kind != RowKind::make || !row.planned) continue;
    const RunPlan& plan = row.planned->plan;
    const double hours = plan.estimate.seconds / 3600;
    ++sums.runs;
    sums.hours += hours;
    sums.gpu_hours += hours * plan.offer.gpu_count;
    sums.cost.micros += plan.estimate.cost.micros;
    if (plan.offer.price.per_hour.micros > 0) {
      sums.most.micros += plan.config.limits.spend_limit.micros;
    }
  }
  return sums;
}

const char* mark_of(RowKind kind) {
  return kind == RowKind::make ? "+" : kind == RowKind::keep ? "=" : "-";
}

std::string machine_of(const PlannedRun& planned) {
  const PlannedOffer& offer = planned.plan.offer;
  if (offer.provider == "local") return "this machine";
  return offer.provider + " " + gpus_text(planned.offers.front());
}

std::string price_of(const PlannedRun& planned) {
  const Usd price = planned.plan.offer.price.per_hour;
  return price.micros == 0 ? "free" : format_usd(price);
}

std::vector<std::string> cells_of(const RunRow& row) {
  std::vector<std::string> cells = {mark_of(row.kind), row.pod, row.run_name, row.state};
  if (!row.planned) {
    cells.insert(cells.end(), {"", "", "", "", "", ""});
    return cells;
  }
  const RunPlan& plan = row.planned->plan;
  const double hours = plan.estimate.seconds / 3600;
  cells.insert(cells.end(),
               {machine_of(*row.planned), price_of(*row.planned),
                std::to_string(plan.estimate.steps), number("%.2f", hours),
                number("%.2f", hours * plan.offer.gpu_count), format_usd(plan.estimate.cost)});
  return cells;
}

std::string sums_text(const std::vector<RunRow>& rows) {
  const Sums sums = sums_of(rows);
  std::set<std::string> pods;
  for (const RunRow& row : rows) {
    if (row.kind == RowKind::make) pods.insert(row.pod);
  }
  std::string text = std::to_string(sums.runs) + (sums.runs == 1 ? " run" : " runs") + " in " +
                     std::to_string(pods.size()) + (pods.size() == 1 ? " pod, " : " pods, ") +
                     number("%.2f", sums.hours) + " instance-hours, " +
                     number("%.2f", sums.gpu_hours) + " GPU-hours, about " + format_usd(sums.cost);
  if (sums.most.micros > 0) text += ", at most " + format_usd(sums.most) + " by their spend limits";
  return text + ". Price/hr is per instance-hour.\n";
}

Status ask_yes(const std::string& question, const std::string& refusal, const Desk& desk) {
  if (desk.flags.yes) return Unit{};
  const AskLine ask = desk.flags.json ? AskLine() : ask_at_terminal();
  if (!ask) {
    return Error{ErrorKind::guard, refusal + ", and there is nobody to ask",
                 "look with --dry-run, then give --yes"};
  }
  const std::optional<std::string> answer = ask(question + " [y/N] ");
  if (answer && (*answer == "y" || *answer == "Y" || *answer == "yes")) return Unit{};
  return Error{ErrorKind::guard, "nothing was done: the question was not answered with yes"};
}

}  // namespace

std::variant<PlannedRun, Failure> plan_job(const CommandLine& line, Job& job, Desk& desk) {
  CommandLine look = line;
  look.run.dry_run = true;
  auto plan = plan_run(look, job.config, desk);
  if (const auto* planned = std::get_if<PlannedRun>(&plan)) {
    const Usd price = planned->plan.offer.price.per_hour;
    if (planned->plan.offer.provider != "local" && !job.config.instance.max_price) {
      job.config.instance.max_price =
          Usd{std::llround(kDearer * static_cast<double>(price.micros))};
    }
  }
  return plan;
}

std::string run_table(const std::vector<RunRow>& rows, const Terminal& terminal) {
  std::vector<std::vector<std::string>> cells = {
      {"", "Pod", "Run", "State", "Machine", "Price/hr", "Steps", "Hours", "GPU-hours", "Cost"}};
  for (const RunRow& row : rows) cells.push_back(cells_of(row));
  std::string text =
      aligned_table(cells, {Align::left, Align::left, Align::left, Align::left, Align::left,
                            Align::right, Align::right, Align::right, Align::right, Align::right});
  text += "\n" + sums_text(rows);
  std::set<std::string> told;
  for (const RunRow& row : rows) {
    if (!row.planned) continue;
    for (const std::string& mistake : row.planned->mistakes) {
      if (told.insert(mistake).second) {
        text += "mistake?  " + styled(terminal, Style::red, row.run_name + ": " + mistake) + "\n";
      }
    }
    for (const std::string& one : row.planned->notes) {
      if (told.insert(one).second) text += "note      " + row.run_name + ": " + one + "\n";
    }
  }
  return text;
}

json run_table_json(const std::vector<RunRow>& rows) {
  json list = json::array();
  for (const RunRow& row : rows) {
    json one = {{"mark", mark_of(row.kind)},
                {"pod", row.pod},
                {"name", row.run_name},
                {"state", row.state}};
    if (row.planned) {
      const RunPlan& plan = row.planned->plan;
      one["provider"] = plan.offer.provider;
      one["hub_repo"] = plan.hub_repo;
      one["run_dir"] = plan.run_dir;
      one["seed"] = plan.seed;
      one["usd_per_instance_hour"] = usd_decimal(plan.offer.price.per_hour);
      one["gpu_count"] = plan.offer.gpu_count;
      one["steps"] = plan.estimate.steps;
      one["seconds"] = plan.estimate.seconds;
      one["usd"] = usd_decimal(plan.estimate.cost);
      one["spend_limit"] = usd_decimal(plan.config.limits.spend_limit);
      one["mistakes"] = row.planned->mistakes;
    }
    list.push_back(std::move(one));
  }
  const Sums sums = sums_of(rows);
  return {{"runs", list},
          {"instance_hours", sums.hours},
          {"gpu_hours", sums.gpu_hours},
          {"usd", usd_decimal(sums.cost)},
          {"usd_at_most", usd_decimal(sums.most)}};
}

Status confirm_rows(const std::vector<RunRow>& rows, const Desk& desk) {
  std::string destroyed;
  for (const RunRow& row : rows) {
    if (row.kind == RowKind::destroy) destroyed += " " + row.run_name;
    if (!row.planned || row.planned->mistakes.empty() || desk.flags.yes) continue;
    return Error{ErrorKind::guard, row.run_name + ": " + row.planned->mistakes.front(),
                 "--yes starts it all the same"};
  }
  if (!destroyed.empty()) {
    const Status yes = ask_yes("Destroy" + destroyed + "? What is not uploaded is lost.",
                               "this destroys" + destroyed, desk);
    if (!yes) return yes;
  }
  const Sums sums = sums_of(rows);
  if (sums.most.micros == 0) return Unit{};
  return ask_yes("Start " + std::to_string(sums.runs) + " runs for about " + format_usd(sums.cost) +
                     ", at most " + format_usd(sums.most) + "?",
                 "this costs money", desk);
}

}  // namespace mayfly
