// Makes what a boot test puts on its machine:
//
//   boot_probe machine DIR NAME=VALUE...   DIR/user-data and DIR/instance.json. Names of BootTimes
//   in
//                                          capitals are seconds; agent, train: URL; agent_sha256,
//                                          train_sha256; hub: endpoint; anything else is a word for
//                                          the fake trainer (generate.vars), text: goes everywhere
//   boot_probe hostile DIR COUNT SEED      DIR/N.yaml and DIR/N.json: user-data made from hostile
//                                          texts, and the plan that must arrive
//
// The plan's provider is `local`: the agent inside of the machine then destroys by a record that
// the test watches. What is rendered is the same for all providers.
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/provider/local_record.h"
#include "core/run/user_data.h"

namespace mayfly {
namespace {

using Words = std::map<std::string, std::string>;

std::string take(Words& words, const std::string& name, const std::string& otherwise) {
  const auto found = words.find(name);
  if (found == words.end()) return otherwise;
  std::string value = found->second;
  words.erase(found);
  return value;
}

BootTimes take_times(Words& words) {
  BootTimes times{};
  const std::pair<const char*, std::chrono::seconds*> rows[] = {
      {"FUSE", &times.fuse},     {"BEHIND", &times.behind}, {"START", &times.start},
      {"TICK", &times.tick},     {"AGAIN", &times.again},   {"LOOK", &times.look},
      {"SILENT", &times.silent}, {"LATE", &times.late},     {"RESCUE", &times.rescue},
      {"NOTIFY", &times.notify}};
  for (const auto& [name, value] : rows) {
    const std::string text = take(words, name, "");
    if (!text.empty()) *value = std::chrono::seconds(std::atoi(text.c_str()));
  }
  return times;
}

RunPlan make_plan(Words& words) {
  SystemClock clock;
  RunPlan plan;
  plan.run_id = "0123456789ab";
  plan.run_name = "boot-test";
  plan.created_at = clock.now();
  plan.run_dir = "/var/lib/mayfly/runs/boot-test";
  plan.config.model.base = "/opt/model";
  plan.config.data.path = {"/opt/model/data.jsonl"};
  plan.config.train.epochs = std::atof(take(words, "epochs", "2").c_str());
  plan.config.hub.push_checkpoints = take(words, "push", "yes") == "yes";
  plan.offer.provider = "local";
  plan.offer.instance_type = "this-machine";
  plan.offer.price = {dollars(12), std::chrono::seconds(1)};
  for (const char* name : {"agent", "train"}) {
    plan.programs.push_back({name, take(words, name, "file:///opt/programs/" + std::string(name)),
                             take(words, std::string(name) + "_sha256", "")});
  }
  plan.hub_endpoint = take(words, "hub", "");
  if (!plan.hub_endpoint.empty()) plan.hub_repo = "local/boot-test";
  const std::string hostile = take(words, "text", "");
  if (!hostile.empty()) {
    plan.config.lora.target_modules = {hostile};
    plan.config.generate.vars["note"] = hostile;
  }
  for (const auto& [name, value] : words) plan.config.generate.vars[name] = value;
  return plan;
}

int make_machine(const std::filesystem::path& folder, Words words) {
  const BootTimes times = take_times(words);
  const RunPlan plan = make_plan(words);
  const Result<std::string> text = render_user_data(plan, times);
  if (!text) {
    std::cerr << text.error().message << "\n";
    return 2;
  }
  const Status written = write_file(folder / "user-data", *text);
  const auto record = change_local_record(folder, [&](LocalRecord& fresh) {
    fresh.instance.id = "local-boot-test";
    fresh.instance.run_id = plan.run_id;
    fresh.instance.state = InstanceState::running;
    fresh.instance.created_at = plan.created_at;
    fresh.instance.price = plan.offer.price;
  });
  std::cout << text->size() << "\n";
  return written && record ? 0 : 1;
}

std::string hostile_text(std::mt19937& random) {
  static const std::vector<std::string> pieces = {"'",
                                                  "\"",
                                                  "\n",
                                                  "\r\n",
                                                  "$(touch /canary)",
                                                  "`touch /canary`",
                                                  "; touch /canary",
                                                  "--",
                                                  "#cloud-config\n",
                                                  "runcmd:\n  - touch /canary\n",
                                                  "@{times}",
                                                  "@{file:fuse.sh}\n",
                                                  "MAYFLY\ntouch /canary\n",
                                                  "\nMAYFLY\n",
                                                  "\xf0\x9f\x92\xa5",
                                                  "\\",
                                                  "\t",
                                                  "${HOME}",
                                                  "|",
                                                  "&",
                                                  "%s",
                                                  "%d/secrets",
                                                  "!!python/object:os.system",
                                                  "{{ 7*7 }}",
                                                  "## template: jinja\n",
                                                  "\x01",
                                                  std::string(1, '\0'),
                                                  std::string(300, 'x')};
  std::string text;
  for (unsigned k = 0; k < 1 + random() % 4; ++k) text += pieces[random() % pieces.size()];
  return text;
}

int make_hostile(const std::filesystem::path& folder, int count, unsigned seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < count; ++i) {
    Words words = {{"text", hostile_text(random)}};
    RunPlan plan = make_plan(words);
    plan.run_name = hostile_text(random);
    plan.run_dir = "/var/lib/mayfly/runs/" + hostile_text(random);
    plan.config.data.path = {hostile_text(random), hostile_text(random)};
    plan.programs[0] = {"agent", "file:///" + hostile_text(random), std::string(64, 'a')};
    const Result<std::string> text = render_user_data(plan, {.fuse = std::chrono::seconds(60)});
    // A line break in an address is refused; nothing else is, for these are short.
    const bool broken = plan.programs[0].url.find_first_of("\r\n") != std::string::npos;
    if (!text != broken) {
      std::cerr << i << ": " << (text ? "accepted" : text.error().message) << "\n";
      return 1;
    }
    if (broken) continue;
    const std::string name = std::to_string(i);
    Status done = write_file(folder / (name + ".yaml"), *text);
    if (done) done = write_file(folder / (name + ".json"), json_line(plan_to_json(plan)));
    if (!done) return 1;
  }
  return 0;
}

int main_of(int argc, char** argv) {
  const std::string verb = argc > 2 ? argv[1] : "";
  if (verb == "hostile" && argc == 5) {
    return make_hostile(argv[2], std::atoi(argv[3]), static_cast<unsigned>(std::atoi(argv[4])));
  }
  if (verb != "machine") return 2;
  Words words;
  for (int i = 3; i < argc; ++i) {
    const std::string word = argv[i];
    words[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  return make_machine(argv[2], std::move(words));
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  return mayfly::main_of(argc, argv);
}
