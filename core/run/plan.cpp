#include "core/run/plan.h"

#include <set>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/config/config_json.h"
#include "core/json.h"
#include "core/sha256.h"

namespace mayfly {

namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

// Takes the members of one JSON object, each once; what is left at the end is refused.
class ObjectReader {
 public:
  ObjectReader(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
    if (!json.is_object()) fail("", "must be an object");
  }

  void text(const char* key, std::string& target) {
    const Json* const value = take(key);
    if (value == nullptr) return;
    if (!value->is_string()) return fail(key, "must be a string");
    target = value->get<std::string>();
  }

  void integer(const char* key, std::int64_t& target) {
    const Json* const value = take(key);
    if (value == nullptr) return;
    const bool fits = value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<std::uint64_t>() <= INT64_MAX);
    if (!fits) return fail(key, "must be a whole number");
    target = value->get<std::int64_t>();
  }

  void number(const char* key, double& target) {
    const Json* const value = take(key);
    if (value == nullptr) return;
    if (!value->is_number()) return fail(key, "must be a number");
    target = value->get<double>();
  }

  void amount(const char* key, Usd& target) {
    std::string decimal;
    text(key, decimal);
    if (problem) return;
    const Result<Usd> read = parse_usd(decimal);
    if (!read) return fail(key, "must be an amount such as \"12.50\"");
    target = *read;
  }

  void time(const char* key, WallTime& target) {
    std::string stamp;
    text(key, stamp);
    if (problem) return;
    const Result<WallTime> read = parse_utc(stamp);
    if (!read) return fail(key, "must be a time such as 2026-11-22T14:02:11.482Z");
    target = *read;
  }

  // The member itself; null, and a problem, when it is missing.
  const Json* take(const std::string& key) {
    if (problem) return nullptr;
    taken_.insert(key);
    const auto found = json_.find(key);
    if (found != json_.end()) return &*found;
    fail(key, "is missing");
    return nullptr;
  }

  // What a nested reader found wrong becomes this one's problem.
  void adopt(const std::optional<Error>& inner) {
    if (inner && !problem) problem = inner;
  }

  void finish() {
    if (problem) return;
    for (const auto& [key, value] : json_.items()) {
      if (!taken_.contains(key)) return fail(key, "is not known");
    }
  }

  void fail(const std::string& key, const std::string& why) {
    const std::string place = path_.empty() || key.empty() ? path_ + key : path_ + "." + key;
    if (!problem) problem = Error{ErrorKind::corrupt, "plan: " + place + " " + why};
  }

  std::optional<Error> problem;

 private:
  const Json& json_;
  std::string path_;
  std::set<std::string> taken_;
};

Json offer_json(const PlannedOffer& offer) {
  return {{"provider", offer.provider},
          {"instance_type", offer.instance_type},
          {"region", offer.region},
          {"gpu", offer.gpu},
          {"gpu_count", offer.gpu_count},
          {"usd_per_hour", usd_decimal(offer.price.per_hour)},
          {"billing_step_seconds", offer.price.billing_step.count()}};
}

std::optional<Error> read_offer(const Json& json, PlannedOffer& offer) {
  ObjectReader reader(json, "offer");
  reader.text("provider", offer.provider);
  reader.text("instance_type", offer.instance_type);
  reader.text("region", offer.region);
  reader.text("gpu", offer.gpu);
  std::int64_t count = 0;
  reader.integer("gpu_count", count);
  if (count < 0 || count > 100'000) reader.fail("gpu_count", "is out of range");
  offer.gpu_count = static_cast<int>(count);
  reader.amount("usd_per_hour", offer.price.per_hour);
  std::int64_t step = 1;
  reader.integer("billing_step_seconds", step);
  // A step of nothing would divide by zero where the bill is computed.
  if (step < 1 || step > 31'536'000) reader.fail("billing_step_seconds", "is out of range");
  offer.price.billing_step = std::chrono::seconds(step);
  reader.finish();
  return reader.problem;
}

Json estimate_json(const Estimate& estimate) {
  return {{"examples", estimate.examples},     {"tokens", estimate.tokens},
          {"steps", estimate.steps},           {"seconds", estimate.seconds},
          {"usd", usd_decimal(estimate.cost)}, {"basis", estimate.basis}};
}

std::optional<Error> read_estimate(const Json& json, Estimate& estimate) {
  ObjectReader reader(json, "estimate");
  reader.integer("examples", estimate.examples);
  reader.integer("tokens", estimate.tokens);
  reader.integer("steps", estimate.steps);
  reader.number("seconds", estimate.seconds);
  reader.amount("usd", estimate.cost);
  reader.text("basis", estimate.basis);
  reader.finish();
  return reader.problem;
}

std::optional<Error> read_resume(const Json& json, PlannedResume& resume) {
  ObjectReader reader(json, "resume");
  reader.text("repo", resume.repo);
  reader.text("commit", resume.commit);
  reader.text("branch", resume.branch);
  reader.integer("step", resume.step);
  reader.finish();
  return reader.problem;
}

std::optional<Error> read_programs(const Json& json, std::vector<PlannedProgram>& programs) {
  if (!json.is_array()) return Error{ErrorKind::corrupt, "plan: programs must be a list"};
  for (const Json& item : json) {
    PlannedProgram program;
    ObjectReader reader(item, "programs[" + std::to_string(programs.size()) + "]");
    reader.text("name", program.name);
    reader.text("url", program.url);
    reader.text("sha256", program.sha256);
    reader.finish();
    if (reader.problem) return reader.problem;
    programs.push_back(std::move(program));
  }
  return {};
}

std::optional<Error> read_wheel(const Json& json, const std::string& path, PlannedWheel& wheel) {
  ObjectReader reader(json, path);
  reader.text("name", wheel.name);
  reader.text("url", wheel.url);
  reader.text("sha256", wheel.sha256);
  reader.integer("bytes", wheel.bytes);
  const Json* const files = reader.take("files");
  if (files != nullptr && !files->is_object()) reader.fail("files", "must be an object");
  if (reader.problem) return reader.problem;
  for (const auto& [name, bytes] : files->items()) {
    PlannedFile file{name, 0};
    ObjectReader sizes(*files, path + ".files");
    sizes.integer(name.c_str(), file.bytes);
    if (file.bytes < 0) sizes.fail(name, "is out of range");
    if (!leads_below(name)) sizes.fail(name, "is no name below a folder");
    if (sizes.problem) return sizes.problem;
    wheel.files.push_back(std::move(file));
  }
  reader.finish();
  return reader.problem;
}

std::optional<Error> read_runtime(const Json& json, std::vector<PlannedWheel>& wheels) {
  if (!json.is_array()) return Error{ErrorKind::corrupt, "plan: runtime must be a list"};
  for (const Json& item : json) {
    PlannedWheel wheel;
    const std::string path = "runtime[" + std::to_string(wheels.size()) + "]";
    if (auto problem = read_wheel(item, path, wheel)) return problem;
    wheels.push_back(std::move(wheel));
  }
  return {};
}

Json runtime_json(const std::vector<PlannedWheel>& wheels) {
  Json list = Json::array();
  for (const PlannedWheel& wheel : wheels) {
    Json files = Json::object();
    for (const PlannedFile& file : wheel.files) files[file.name] = file.bytes;
    list.push_back({{"name", wheel.name},
                    {"url", wheel.url},
                    {"sha256", wheel.sha256},
                    {"bytes", wheel.bytes},
                    {"files", std::move(files)}});
  }
  return list;
}

void read_members(ObjectReader& reader, RunPlan& plan) {
  std::int64_t format = 0;
  reader.integer("format", format);
  if (format != kFormat) {
    reader.fail("format", "is not " + std::to_string(kFormat) + ": written by another version");
  }
  reader.text("run_id", plan.run_id);
  reader.text("run_name", plan.run_name);
  reader.time("created_at", plan.created_at);
  reader.integer("seed", plan.seed);
  reader.text("run_dir", plan.run_dir);
  reader.text("model_dir", plan.model_dir);
  reader.text("hub_endpoint", plan.hub_endpoint);
  reader.text("hub_repo", plan.hub_repo);
  if (const Json* const offer = reader.take("offer")) reader.adopt(read_offer(*offer, plan.offer));
  if (const Json* const estimate = reader.take("estimate")) {
    reader.adopt(read_estimate(*estimate, plan.estimate));
  }
  if (const Json* const programs = reader.take("programs")) {
    reader.adopt(read_programs(*programs, plan.programs));
  }
  if (const Json* const runtime = reader.take("runtime")) {
    reader.adopt(read_runtime(*runtime, plan.runtime));
  }
  if (const Json* const resume = reader.take("resume")) {
    reader.adopt(read_resume(*resume, plan.resume));
  }
  if (const Json* const config = reader.take("config")) {
    Result<RunConfig> read = config_from_json(*config);
    if (read) {
      plan.config = std::move(*read);
    } else {
      reader.adopt(while_doing("plan", read.error()));
    }
  }
  reader.finish();
}

}  // namespace

Json plan_to_json(const RunPlan& plan) {
  Json programs = Json::array();
  for (const PlannedProgram& program : plan.programs) {
    programs.push_back({{"name", program.name}, {"url", program.url}, {"sha256", program.sha256}});
  }
  return {{"format", kFormat},
          {"run_id", plan.run_id},
          {"run_name", plan.run_name},
          {"created_at", format_utc(plan.created_at)},
          {"seed", plan.seed},
          {"config", config_to_json(plan.config)},
          {"run_dir", plan.run_dir},
          {"model_dir", plan.model_dir},
          {"offer", offer_json(plan.offer)},
          {"programs", std::move(programs)},
          {"runtime", runtime_json(plan.runtime)},
          {"resume",
           {{"repo", plan.resume.repo},
            {"commit", plan.resume.commit},
            {"branch", plan.resume.branch},
            {"step", plan.resume.step}}},
          {"hub_endpoint", plan.hub_endpoint},
          {"hub_repo", plan.hub_repo},
          {"estimate", estimate_json(plan.estimate)}};
}

Result<RunPlan> plan_from_json(const Json& json) {
  RunPlan plan;
  ObjectReader reader(json, "");
  read_members(reader, plan);
  if (reader.problem) return *reader.problem;
  return plan;
}

Result<RunPlan> read_plan(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  const Result<Json> json = parse_json(*text, path);
  if (!json) return json.error();
  Result<RunPlan> plan = plan_from_json(*json);
  if (!plan) plan.error().at.file = path;
  return plan;
}

std::string plan_hash(const RunPlan& plan) {
  return sha256_hex(json_line(plan_to_json(plan)));
}

}  // namespace mayfly
