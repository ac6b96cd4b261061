#include "trainer/command_line.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "core/config/edit_distance.h"
#include "core/config/field_list.h"
#include "core/config/not_built.h"
#include "version.h"

namespace mayfly {

namespace {

constexpr std::array<std::pair<const char*, const char*>, 8> kVerbs = {{
    {"sft",
     "Train an adapter on conversations (the default verb).\n\n"
     "Examples:\n"
     "  train sft -c run.yaml                on folders of this machine, without agent or hub\n"
     "  train sft -c run.yaml --epochs 3 --set train.eval_steps=50\n"
     "  train sft -c run.yaml --dry-run      steps and peak memory, without training\n"
     "  train sft --run-dir DIR              a run that has its plan.json, as the agent starts it"},
    {"eval",
     "Print the loss of a model, with or without an adapter, on a file.\n\n"
     "Examples:\n"
     "  train eval --model DIR --adapter outputs/my-run/adapter --data test.jsonl --json\n"
     "  train eval --model DIR --adapter DIR --data gsm8k.jsonl --exact-match"},
    {"chat",
     "Talk to a model: a line is what you say, /new begins anew, Ctrl-D ends.\n\n"
     "Examples:\n"
     "  train chat --model DIR --adapter outputs/my-run/adapter --temperature 0.7"},
    {"generate",
     "Print the answer of a model to one prompt.\n\n"
     "Examples:\n"
     "  train generate --model DIR --adapter DIR --prompt \"What is 7 times 8?\""},
    {"merge",
     "Write a model with an adapter in its weights, for programs that read no adapters.\n\n"
     "Examples:\n"
     "  train merge --model DIR --adapter outputs/my-run/adapter --out merged\n"
     "  train merge --model DIR --adapter DIR --out merged --dtype bf16 --max-shard-gb 2"},
    {"export",
     "Write a model, with an adapter in its weights, as one GGUF file for llama.cpp.\n\n"
     "Examples:\n"
     "  train export --model DIR --adapter outputs/my-run/adapter --out tuned.gguf\n"
     "  train export --model DIR --out model.gguf --type q8_0"},
    {"import",
     "Write a checkpoint that nanochat made as a model folder, to train it further or to load "
     "it.\n\n"
     "Examples:\n"
     "  train import --nanochat ~/.cache/nanochat/chatsft_checkpoints/d20 --out nanochat-d20\n"
     "  train import --nanochat DIR --step 650 --tokenizer DIR --out DIR --dtype bf16"},
    {"env", "Print what this machine offers to train on."},
}};
constexpr std::array kNotBuilt = {"preprocess", "mid", "rl", "serve", "smoke-test", "bench"};
constexpr std::array kTensorTypes = {std::pair{"bf16", TensorType::bf16},
                                     std::pair{"fp16", TensorType::f16},
                                     std::pair{"fp32", TensorType::f32}};
constexpr std::array kNotBuiltFlags = {"--debug", "--rank", "--world"};

constexpr std::array kGgufTypes = {
    std::pair{"f16", GgufType::f16}, std::pair{"q8_0", GgufType::q8_0},
    std::pair{"bf16", GgufType::bf16}, std::pair{"f32", GgufType::f32}};

constexpr const char* kCommon = "Common";
constexpr const char* kConfig = "Configuration";
constexpr const char* kFields = "Fields of the run file";

class VerbParser {
 public:
  VerbParser(const std::string& verb, const std::string& description)
      : app_(description, "train " + verb) {
    line_.verb = verb;
    app_.set_help_flag("");
    app_.set_help_flag("-h,--help", "Show this help")->group(kCommon);
    if (verb == "sft") add_sft();
    if (verb == "eval") add_evaluate();
    if (verb == "generate") add_generate();
    if (verb == "chat") add_chat();
    if (verb == "merge") add_merge();
    if (verb == "export") add_export();
    if (verb == "import") add_import();
    app_.add_flag("--json", line_.json, "Results and errors as JSON")->group(kCommon);
    app_.add_flag_callback(
            "-v,--verbose", [this] { line_.verbosity = 1; }, "Say more")
        ->group(kCommon);
    app_.add_flag_callback(
            "-q,--quiet", [this] { line_.verbosity = -1; }, "Only warnings")
        ->group(kCommon);
    app_.add_flag_callback(
            "--no-color", [this] { line_.color = ColorChoice::never; }, "No colour")
        ->group(kCommon);
    app_.add_flag("--version", version_, "Show the version")->group(kCommon);
    app_.footer("Exit codes: docs/exit_codes.md. All fields of a run file: docs/config.md.");
  }
  VerbParser(const VerbParser&) = delete;
  VerbParser& operator=(const VerbParser&) = delete;

  Result<TrainCommandLine> parse(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    try {
      app_.parse(arguments);
    } catch (const CLI::CallForHelp&) {
      line_.show = app_.help();
    } catch (const CLI::ExtrasError&) {
      return unknown();
    } catch (const CLI::ParseError& error) {
      if (version_) return shown(std::string("mayfly ") + kVersion + "\n");
      return Error{ErrorKind::usage, error.what(), "see `" + app_.get_name() + " --help`"};
    }
    if (version_) line_.show = std::string("mayfly ") + kVersion + "\n";
    return std::move(line_);
  }

 private:
  Result<TrainCommandLine> shown(std::string text) {
    line_.show = std::move(text);
    return std::move(line_);
  }

  // Values are taken one by one in the order given: the later one wins.
  CLI::Option* each(const std::string& names, std::function<void(const std::string&)> take,
                    const std::string& help, const std::string& type) {
    return app_.add_option_function<std::string>(names, std::move(take), help)
        ->type_name(type)
        ->trigger_on_parse();
  }

  void add_sft() {
    app_.add_option("--run-dir", line_.run_dir, "Run directory with its plan.json")
        ->type_name("DIR");
    app_.add_flag(
        "--dry-run", line_.dry_run,
        "Say how many steps there would be and what memory they would take; train nothing");
    each(
        "-c,--config", [this](const std::string& file) { line_.config_files.push_back(file); },
        "Run file; may be given several times, the later one wins", "FILE")
        ->group(kConfig);
    each(
        "--set",
        [this](const std::string& text) {
          line_.settings.push_back({"", text, "--set"});
        },
        "Any field of a run file, such as train.epochs=2", "PATH=VALUE")
        ->group(kConfig);
    for (const FieldInfo& field : all_fields()) {
      if (!field.flag.empty()) add_field(field);
    }
  }

  void add_field(const FieldInfo& field) {
    const auto take = [this, path = field.path, flag = field.flag](const std::string& text) {
      line_.settings.push_back({path, text.empty() ? "true" : text, flag});
    };
    std::string help = field.doc;
    if (field.default_text != "null") help += " [" + field.default_text + "]";
    CLI::Option* const option =
        each(field.flag, take, help, field.is_switch ? "[true|false]" : "VALUE")->group(kFields);
    if (field.is_switch) option->expected(0, 1);
  }

  CLI::Option* add_folders() {
    app_.add_option("--model", line_.model.model_dir, "Folder of the base model")
        ->required()
        ->type_name("DIR");
    return app_.add_option("--adapter", line_.model.adapter_dir, "Folder of an adapter")
        ->type_name("DIR");
  }

  void add_merge() {
    add_folders()->required();
    app_.add_option("--out", line_.exported.out, "New folder for the merged model")
        ->required()
        ->type_name("DIR");
    add_weight_files("as in the model's files");
  }

  void add_weight_files(const std::string& automatic) {
    each(
        "--dtype",
        [this](const std::string& text) {
          line_.exported.type.reset();
          for (const auto& [name, type] : kTensorTypes) {
            if (text == name) line_.exported.type = type;
          }
        },
        "Type of the weights: auto (" + automatic + "), bf16, fp16, fp32", "TYPE")
        ->check(CLI::IsMember({"auto", "bf16", "fp16", "fp32"}));
    app_.add_option("--max-shard-gb", line_.exported.max_shard_gb, "Largest file of weights")
        ->capture_default_str()
        ->type_name("GB")
        ->check(CLI::Range(1e-6, 1e6));
  }

  void add_import() {
    app_.add_option("--nanochat", line_.imported.checkpoint_dir,
                    "Folder with model_NNNNNN.pt and meta_NNNNNN.json")
        ->required()
        ->type_name("DIR");
    app_.add_option("--out", line_.exported.out, "New folder for the model")
        ->required()
        ->type_name("DIR");
    app_.add_option("--step", line_.imported.step, "Which checkpoint [the last]")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    app_.add_option("--tokenizer", line_.imported.tokenizer_dir,
                    "Folder with tokenizer.pkl [where nanochat keeps it, or beside the weights]")
        ->type_name("DIR");
    add_weight_files("each as in the checkpoint");
  }

  void add_export() {
    add_folders();
    app_.add_option("--out", line_.exported.out, "New file")->required()->type_name("FILE");
    each(
        "--type",
        [this](const std::string& text) {
          for (const auto& [name, type] : kGgufTypes) {
            if (text == name) line_.exported.gguf = type;
          }
        },
        "Type of the matrices: f16, q8_0 (eight bits, a scale for 32), bf16, f32 [f16]", "TYPE")
        ->check(CLI::IsMember({"f16", "q8_0", "bf16", "f32"}));
  }

  void add_model() {
    add_folders();
    each(
        "--device",
        [this](const std::string& text) {
          for (const auto& [device, name] : EnumNames<Device>::values) {
            if (name == text) line_.model.device = device;
          }
        },
        "auto, cuda or cpu", "DEVICE")
        ->check(CLI::IsMember({"auto", "cuda", "cpu"}));
    app_.add_option("--threads", line_.model.threads, "Threads on the CPU")
        ->type_name("N")
        ->check(CLI::Range(1, 1024));
    app_.add_option("--bf16", line_.model.bf16, "Compute in bfloat16")
        ->type_name("true|false")
        ->expected(0, 1)
        ->default_str("true");
    add_quant();
  }

  void add_quant() {
    each(
        "--quant-bits", [this](const std::string&) { line_.model.quant.bits = QuantBits::four; },
        "4: keep the linear layers' weights in four bits, as a QLoRA run does", "BITS")
        ->check(CLI::IsMember({"4"}));
  }

  void add_evaluate() {
    add_model();
    app_.add_option("--data", line_.evaluate.data, "JSONL file; may be given several times")
        ->required()
        ->type_name("FILE");
    app_.add_option("--cutoff-len", line_.evaluate.cutoff_len, "Longest example, in tokens")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{8}, std::int64_t{1} << 20));
    app_.add_flag("--all-tokens", line_.evaluate.train_on_all,
                  "Loss over all tokens, not only the assistant's");
    EvaluateFlags& flags = line_.evaluate;
    CLI::Option* const match =
        app_.add_flag("--exact-match", flags.exact_match,
                      "Not the loss: let the model answer, and compare the number behind ####");
    app_.add_option("--limit", flags.limit, "Only the first rows")
        ->needs(match)
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
    app_.add_option("--max-new-tokens", flags.max_new_tokens, "Longest answer")
        ->needs(match)
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20));
    app_.add_option("--samples", flags.samples, "File for each question with its answers, JSONL")
        ->needs(match)
        ->type_name("FILE");
  }

  void add_generate() {
    add_model();
    app_.add_option("--prompt", line_.generate.prompt, "What the user says")
        ->required()
        ->type_name("TEXT");
    add_sampling();
  }

  void add_chat() {
    add_model();
    add_sampling();
  }

  void add_sampling() {
    GenerateFlags& flags = line_.generate;
    app_.add_option("--system", flags.system, "A system message before it")->type_name("TEXT");
    app_.add_option("--max-new-tokens", flags.max_new_tokens, "Longest answer")
        ->capture_default_str()
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20));
    app_.add_option("--temperature", flags.temperature, "0: always the likeliest token")
        ->capture_default_str()
        ->type_name("X")
        ->check(CLI::Range(0.0, 100.0));
    app_.add_option("--top-p", flags.top_p, "Only from the likeliest tokens of this total share")
        ->capture_default_str()
        ->type_name("X")
        ->check(CLI::Range(1e-6, 1.0));
    app_.add_option("--seed", flags.seed, "Of drawing tokens, when the temperature is above 0")
        ->capture_default_str()
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
  }

  Error unknown() const {
    for (const std::string& word : app_.remaining()) {
      if (!word.starts_with('-')) continue;
      const std::string flag = word.substr(0, word.find('='));
      const auto key = not_built_flag(flag);
      const bool listed =
          std::find(kNotBuiltFlags.begin(), kNotBuiltFlags.end(), flag) != kNotBuiltFlags.end();
      if (key || listed) {
        return Error{ErrorKind::unsupported,
                     flag + (key ? " (" + *key + ")" : std::string()) + " is not built yet",
                     "leave it out"};
      }
      std::vector<std::string> names;
      for (const CLI::Option* option : app_.get_options()) {
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
      }
      const std::string near = nearest_word(flag, names);
      return Error{
          ErrorKind::usage, "there is no flag " + flag,
          near.empty() ? "see `" + app_.get_name() + " --help`" : "did you mean " + near + "?"};
    }
    const std::string word = app_.remaining().empty() ? "" : app_.remaining().front();
    return Error{ErrorKind::usage, "\"" + word + "\" is one word too many",
                 "see `" + app_.get_name() + " --help`"};
  }

  CLI::App app_;
  TrainCommandLine line_;
  bool version_ = false;
};

std::string overview() {
  std::string text = "train: fine-tune a language model on this machine\n\nVerbs:\n";
  for (const auto& [name, description] : kVerbs) {
    const std::string_view whole = description;
    const std::string padded = std::string(name) + std::string(10 - std::string(name).size(), ' ');
    text += "  " + padded + std::string(whole.substr(0, whole.find('\n'))) + "\n";
  }
  return text + "\n`train VERB --help` has the flags. Without a verb: sft.\n";
}

}  // namespace

Result<TrainCommandLine> parse_train(const std::vector<std::string>& arguments) {
  std::string verb = "sft";
  std::vector<std::string> rest = arguments;
  if (!rest.empty() && !rest.front().starts_with('-')) {
    verb = rest.front();
    rest.erase(rest.begin());
  } else if (rest == std::vector<std::string>{"--help"} || rest == std::vector<std::string>{"-h"}) {
    TrainCommandLine line;
    line.show = overview();
    return line;
  }
  if (verb == "help") return parse_train({"--help"});
  if (verb.ends_with(".yaml") || verb.ends_with(".yml")) {  // `train run.yaml`
    rest.insert(rest.begin(), {"-c", verb});
    verb = "sft";
  }
  std::vector<std::string> names;
  for (const auto& [name, description] : kVerbs) {
    if (verb == name) return VerbParser(verb, description).parse(std::move(rest));
    names.emplace_back(name);
  }
  if (std::find(kNotBuilt.begin(), kNotBuilt.end(), verb) != kNotBuilt.end()) {
    return Error{ErrorKind::unsupported, "`train " + verb + "` is not built yet",
                 "see what works now with `train --help`"};
  }
  const std::string near = nearest_word(verb, names);
  return Error{ErrorKind::usage, "there is no verb \"" + verb + "\"",
               near.empty() ? "see `train --help`" : "did you mean `train " + near + "`?"};
}

}  // namespace mayfly
