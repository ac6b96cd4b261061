#include "launcher/verbs.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace mayfly {

namespace {

constexpr std::array kVerbs = {
    Verb{.name = "run",
         .summary = "Rent a machine, train there, publish, and make the machine go away.",
         .examples = "  launch -c run.yaml                    start, return when it runs\n"
                     "  launch --phase sft -c run.yaml -f     start and watch to the end\n"
                     "  launch run.yaml --dry-run             what would happen, at what cost\n"
                     "  launch run.yaml --epochs 2 --spend-limit 5 --set lora.r=16\n",
         .takes_config = true,
         .asks = true},
    Verb{.name = "plan",
         .summary = "Show what `launch` would do, for how long and at what cost. Creates nothing.",
         .examples = "  launch plan -c run.yaml\n"
                     "  launch plan run.yaml --json           the plan for a script\n"
                     "  launch plan run.yaml --user-data      the machine's start-up file\n",
         .takes_config = true},
    Verb{.name = "apply",
         .summary = "Make what runs agree with a file of pods and experiments.",
         .examples =
             "  launch apply -c lr_sweep --dry-run     the runs and what they cost\n"
             "  launch apply -c fleet.yaml             make what is missing, destroy extra\n"
             "  launch apply -c lr_sweep --deploy-only\n",
         .takes_config = true,
         .asks = true},
    Verb{.name = "step",
         .summary = "Carry out one step alone: setup, train, upload or terminate.",
         .examples = "  launch step train -c my-run.yaml\n"
                     "  launch step upload -c my-run.yaml      if it is not on the hub yet\n"
                     "  launch step terminate -c my-run.yaml\n",
         .takes_config = true,
         .asks = true},
    Verb{.name = "offers",
         .summary = "Show what can be rented, and at what price.",
         .examples = "  launch offers --gpu H100,A100 --num-gpus 1\n"
                     "  launch offers --max-price 2.50 --region us --json\n"
                     "  launch offers --gpu B200 --all-configs --select\n",
         .asks = true},
    Verb{.name = "down",
         .summary = "Destroy machines and check that they are gone.",
         .examples = "  launch down my-run\n"
                     "  launch down --all --yes\n"
                     "  launch down --orphans                 as launch reap\n",
         .asks = true},
    Verb{.name = "stop",
         .summary = "End runs in good order: checkpoint, upload, destroy.",
         .examples = "  launch stop                           the one that goes on\n"
                     "  launch stop my-run\n"
                     "  launch stop my-run --now              do not save what is not saved\n",
         .asks = true},
    Verb{.name = "resume",
         .summary = "Go on with a run whose machine is gone, on a new one, from its hub.",
         .examples = "  launch resume my-run\n"
                     "  launch resume my-run --dry-run         from where, and at what cost\n"
                     "  launch resume my-run --from checkpoint-epoch-2\n",
         .asks = true},
    Verb{.name = "checkpoint",
         .summary = "Have a run save a checkpoint at its next step, and go on.",
         .examples = "  launch checkpoint\n"
                     "  launch checkpoint my-run\n"},
    Verb{.name = "extend",
         .summary = "Raise the limits of a run; none more than doubles.",
         .examples = "  launch extend --hours 1 --usd 5\n"
                     "  launch extend my-run --usd 2.50\n",
         .asks = true},
    Verb{.name = "reap",
         .summary =
             "Find machines that nobody accounts for, destroy them, check that they are gone.",
         .examples = "  launch reap\n"
                     "  launch reap --yes --json              for cron\n",
         .asks = true},
    Verb{.name = "ssh",
         .summary = "Open a shell on a run's machine.",
         .examples = "  launch ssh my-run\n"
                     "  launch ssh my-run -- ls opt/mayfly\n"},
    Verb{.name = "logs",
         .summary = "Show the logs of a run.",
         .examples = "  launch logs my-run -f                 go on as they grow\n"
                     "  launch logs my-run --tail 50\n"
                     "  launch logs my-run --save logs/       copy them\n"},
    Verb{.name = "pull",
         .summary = "Fetch the adapter of a run.",
         .examples = "  launch pull my-run --to adapter/\n"},
    Verb{.name = "receipt",
         .summary = "Show the proof that a run's machine is gone, and what it cost.",
         .examples = "  launch receipt my-run\n"
                     "  launch receipt my-run --verify        check it against the provider\n"},
    Verb{.name = "config",
         .summary = "Make, check and explain run files.",
         .examples = "  launch config init > my-run.yaml\n"
                     "  launch config check my-run.yaml\n"
                     "  launch config show --origin -c my-run.yaml\n",
         .takes_config = true},
    Verb{.name = "data",
         .summary = "Show what is trained of your data, and what is wrong with it.",
         .examples =
             "  launch data preview -c run.yaml               3 rows, trained text in colour\n"
             "  launch data check -c run.yaml                 masks, ends, repeats, leaks\n"
             "  launch data stats --model DIR --data a.jsonl  lengths, what a cut costs\n"
             "  launch data preview -c run.yaml --rows all --json\n",
         .takes_config = true},
    Verb{.name = "name",
         .summary = "Show the name the run would get.",
         .examples = "  launch name -c run.yaml\n"
                     "  FORCE_RUN_INDEX=12 launch name -c run.yaml\n",
         .takes_config = true},
    Verb{.name = "doctor",
         .summary = "Check that this machine has what a run needs.",
         .examples = "  launch doctor\n"
                     "  launch doctor -c run.yaml\n",
         .takes_config = true},
    Verb{.name = "hub",
         .summary = "Make repositories, upload, download and list files on a hub.",
         .examples = "  launch hub ls local/my-run@checkpoint-epoch-1\n"
                     "  launch hub create me/data --private\n"
                     "  launch hub put me/data tokenizer/ tokenizer\n"
                     "  launch hub get me/data@main folder '*.json'\n"},
    Verb{.name = "bundle",
         .summary = "Put the programs for rented machines on your hub, for agent.url.",
         .examples =
             "  launch bundle push me/mayfly-programs   prints agent.url and agent.sha256\n"},
    Verb{.name = "completion",
         .summary = "Print a script that completes commands and flags.",
         .examples =
             "  launch completion bash > ~/.local/share/bash-completion/completions/launch\n"},
};

constexpr Verb kStatus{.name = "status",
                       .summary = "Show what runs, what it costs and when it will be done.",
                       .examples =
                           "  status\n"
                           "  status my-run --json\n"
                           "  status --watch 30\n"};

constexpr auto kUnbuiltVerbs = std::to_array<std::string_view>(
    {"shell", "exec", "open", "tunnel", "sync", "report", "chat", "convert"});

constexpr auto kUnbuiltFlags = std::to_array<std::string_view>(
    {"--steps", "--instance-id", "--insecure", "--keep-volume", "--destroy-volume", "--what",
     "--filter-langs", "--max-workers", "--dataset-name"});

template <class List>
bool contains(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

std::span<const Verb> launch_verbs() {
  return kVerbs;
}

const Verb& status_verb() {
  return kStatus;
}

const Verb& find_verb(std::string_view name) {
  const auto found = std::find_if(kVerbs.begin(), kVerbs.end(),
                                  [name](const Verb& verb) { return verb.name == name; });
  assert(found != kVerbs.end());
  return *found;
}

bool is_verb_name(std::string_view word) {
  return word == "help" || is_unbuilt_verb(word) ||
         std::any_of(kVerbs.begin(), kVerbs.end(),
                     [word](const Verb& verb) { return verb.name == word; });
}

bool is_unbuilt_verb(std::string_view word) {
  return contains(kUnbuiltVerbs, word);
}

bool is_unbuilt_flag(std::string_view flag) {
  return contains(kUnbuiltFlags, flag);
}

std::string list_of_verbs(const std::string& help) {
  constexpr std::size_t kNameWidth = 12;
  std::string list = "\nCommands (`launch COMMAND --help` explains each; without one: run):\n";
  for (const Verb& verb : kVerbs) {
    std::string name(verb.name);
    name.resize(kNameWidth, ' ');
    list += "  " + name + std::string(verb.summary) + "\n";
  }
  list += "  Beside it, `status` shows what runs and what it costs.\n";
  const std::size_t usage = help.find("\nUsage:");
  if (usage == std::string::npos) return help + list;
  return help.substr(0, usage) + list + help.substr(usage);
}

}  // namespace mayfly
