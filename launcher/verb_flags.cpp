#include <array>
#include <charconv>
#include <utility>

#include "launcher/verb_parser.h"

namespace mayfly {

namespace {

constexpr std::array<std::pair<const char*, const char*>, 3> kSmoke = {
    std::pair{"data.sample_size", "16"}, std::pair{"train.max_steps", "5"},
    std::pair{"limits.ttl_hours", "1"}};

}  // namespace

void VerbParser::add_own(const Verb& verb) {
  const std::string_view name = verb.name;
  if (name == "run" || name == "plan") add_run(name == "plan");
  if (name == "down" || name == "stop") {
    words("RUN", "Names or ids of runs");
    app_.add_flag("--all", line_.down.all, "All runs that may still have a machine");
    if (name == "down") {
      app_.add_flag("--orphans", line_.down.orphans, "Machines nobody accounts for: `launch reap`");
    } else {
      app_.add_flag("--now", line_.down.now, "Do not save what is not saved yet");
    }
  }
  if (name == "checkpoint" || name == "extend" || name == "ssh") {
    words("RUN", "Name or id of the run; the one that goes on if none is given");
  }
  if (name == "resume") add_resume();
  if (name == "extend") add_extend();
  if (name == "logs") add_logs();
  if (name == "pull") {
    words("RUN", "Name or id of the run");
    app_.add_option("--to", line_.to, "Folder to put the adapter in; must not exist")
        ->type_name("DIR");
  }
  if (name == "receipt") {
    words("RUN", "Name or id of the run");
    app_.add_flag("--verify", line_.verify, "Check it against the provider's listing and the hub");
  }
  if (name == "name" || name == "doctor") words("FILE", "A run file, as -c");
  if (name == "config") {
    words("WHAT", "show, check FILE..., schema, init or list");
    app_.add_flag("--origin", line_.config.origin, "Show where each value came from");
    app_.add_option("--format", line_.config.format, "yaml, json, json-schema or text")
        ->type_name("FORMAT");
  }
  if (name == "data") add_data();
  if (name == "hub") {
    words("WHAT", "create, put, get, ls or branches; a repository; files");
    app_.add_flag("--private", line_.is_private, "Make the repository for yourself only");
  }
  if (name == "bundle") words("WHAT", "push, and a repository that everybody can read");
  if (name == "offers") add_offers();
  if (name == "apply") add_apply();
  if (name == "step") add_step();
  if (name == "completion") words("SHELL", "bash, zsh or fish");
  if (name == "status") {
    words("RUN", "Names or ids of runs; all that may be billing if none is given");
    app_.add_flag("--all", line_.status.all, "Runs that have ended, too");
    add_watch();
  }
}

void VerbParser::add_run(bool plan) {
  line_.run.dry_run = plan;
  words("FILE", "A run file, as -c");
  if (!plan) {
    app_.add_flag("--dry-run", line_.run.dry_run, "Show the plan, create nothing");
    app_.add_flag("-f,--follow", line_.run.follow, "Show the progress until the machine is gone");
    app_.add_flag("--wait", line_.run.wait, "Wait quietly until the machine is gone");
    // Spelled out for scripts; it is what happens anyway.
    app_.add_flag_callback(
        "--detach", [] {}, "Return after the agent's first sign of life (default)");
    // Of scripts that are replaced.
    app_.add_flag_callback(
        "--no-docker", [] {}, "No container is built, with or without it");
    app_.add_flag("--destroy", line_.run.destroy,
                  "Start nothing; end the runs that are named, or all, as `launch down` does");
    app_.add_option("--resume", line_.run.resume, "Go on with this run, as `launch resume` does")
        ->type_name("RUN");
    seconds("--timeout", line_.run.timeout, "Longest wait of --follow and --wait");
  }
  app_.add_flag("--user-data", line_.run.user_data, "Print the machine's start-up file");
  app_.add_flag("--all-configs", line_.run.all_configs, "Offers with 1, 2, 4 and 8 GPUs");
  app_.add_flag_callback(
          "--smoke",
          [this] {
            for (const auto& [path, text] : kSmoke) {
              line_.common.settings.push_back({path, text, "--smoke"});
            }
          },
          "16 examples, 5 steps, one hour at most")
      ->trigger_on_parse();
}

void VerbParser::add_resume() {
  words("RUN", "Name or id of a run that has ended");
  app_.add_option("--from", line_.from, "The branch to go on from; default: the newest that can")
      ->type_name("BRANCH");
  app_.add_flag("--dry-run", line_.run.dry_run, "Show the plan, create nothing");
  app_.add_flag("-f,--follow", line_.run.follow, "Show the progress until the machine is gone");
  app_.add_flag("--wait", line_.run.wait, "Wait quietly until the machine is gone");
}

void VerbParser::add_data() {
  words("WHAT", "preview, check or stats");
  setting("--model", "model.base", "The same as --base-model", "PATH");
  each(
      "--rows",
      [this](const std::string& text) {
        const char* end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, line_.data.rows);
        if (text == "all") {
          line_.data.rows = 0;
        } else if (read.ec != std::errc() || read.ptr != end || line_.data.rows < 1) {
          fail(Error{ErrorKind::usage, "--rows takes a number or all, not \"" + text + "\""});
        }
      },
      "How many rows preview shows (3), or all", "N");
}

void VerbParser::add_offers() {
  OfferWish& wish = line_.offers.wish;
  app_.add_option("--provider", wish.provider, "Ask this cloud only")->type_name("NAME");
  app_.add_option("--gpu", wish.gpus, "Only these, such as H100,A100")
      ->type_name("TYPE")
      ->delimiter(',');
  app_.add_option("--num-gpus", wish.counts, "Only with so many GPUs")
      ->type_name("N")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  app_.add_flag("--all-configs", line_.offers.all_configs, "With 1, 2, 4 and 8 GPUs")
      ->excludes("--num-gpus");
  each(
      "--max-price",
      [this](const std::string& text) {
        const Result<Usd> price = parse_usd(text);
        if (!price) return fail({ErrorKind::usage, "--max-price: " + price.error().message});
        line_.offers.wish.max_price = *price;
      },
      "Not above this price per instance-hour", "USD");
  app_.add_option("--cloud", wish.cloud, "Whose machines, of a broker's")->type_name("NAME");
  app_.add_option("--region", wish.region, "Only there; the beginning of a name will do")
      ->type_name("NAME");
  app_.add_option("--zone", wish.zone,
                  "Only in this part of a region, as spot offers of aws say theirs")
      ->type_name("NAME");
  app_.add_option("--instance-type", wish.instance_type, "Only this type")->type_name("TYPE");
  app_.add_option("--country", wish.country, "Only there")->type_name("NAME");
  app_.add_option("--city", wish.city, "Only there")->type_name("NAME");
  const auto speed = [this](const std::string& flag, std::optional<double>& into,
                            const std::string& help) {
    app_.add_option(flag, into, help)->type_name("MBIT/S")->check(CLI::NonNegativeNumber);
  };
  speed("--min-upload", wish.min_upload_mbps, "At least this fast out");
  speed("--min-download", wish.min_download_mbps, "At least this fast in");
  const auto either = [this](const std::string& flag, std::optional<bool>& into,
                             const std::string& help) {
    app_.add_flag_function(
        "--" + flag + "{true},!--no-" + flag, [&into](std::int64_t count) { into = count > 0; },
        help);
  };
  either("nvlink", wish.nvlink, "Only with NVLink between the GPUs; or only without");
  either("spot", wish.spot, "Only what may be taken away; or only what may not");
  app_.add_option("--disk-gb", wish.disk_gb, "Only with so much disk; made so large at aws")
      ->type_name("GB")
      ->check(CLI::PositiveNumber);
  app_.add_option("--fits", line_.offers.fits, "Say where an adapter of this model can be trained")
      ->type_name("MODEL");
  app_.add_flag("--wide", line_.offers.wide, "More columns");
  app_.add_flag("--all", line_.offers.all, "Every row, however many");
  app_.add_flag("--select", line_.offers.select, "Choose one, and print the flags that name it");
}

void VerbParser::add_step() {
  words("STEP", "setup, generate, train, eval-model, upload or terminate; then a run file, as -c");
  app_.add_flag("--dry-run", line_.run.dry_run, "Of train: show the plan, create nothing");
  app_.add_flag("-f,--follow", line_.run.follow, "Of train: show the progress to the end");
  app_.add_flag("--wait", line_.run.wait, "Of train: wait quietly for the end");
}

void VerbParser::add_apply() {
  ApplyFlags& flags = line_.apply;
  words("FILE", "A file with a fleet or a sweep, as -c");
  app_.add_flag("--dry-run", line_.run.dry_run, "Show the runs and what they cost");
  app_.add_flag("--deploy-only", flags.deploy_only,
                "Show the cost, destroy what is extra, start no experiment");
  app_.add_flag("--no-deploy", flags.no_deploy,
                "Start experiments only in pods that have a machine now");
  app_.add_flag("--no-sync", flags.no_sync, "Changes nothing: no code is synced");
  app_.add_flag("--no-setup", flags.no_setup, "Changes nothing: there is no set-up to leave out");
  app_.add_flag("--prune{true},!--no-prune", flags.prune,
                "Destroy runs of the fleet that the file does not name any more (default)");
}

void VerbParser::add_extend() {
  each(
      "--hours",
      [this](const std::string& text) {
        const char* end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, line_.extend.hours);
        constexpr double kYear = 8760;
        // Written so that "nan", which is a number to from_chars, is none.
        if (read.ec == std::errc() && read.ptr == end && line_.extend.hours > 0 &&
            line_.extend.hours <= kYear) {
          return;
        }
        fail(Error{ErrorKind::usage, "--hours takes hours such as 1 or 0.5, not \"" + text + "\""});
      },
      "Hours to add to the time limit", "H");
  each(
      "--usd",
      [this](const std::string& text) {
        const Result<Usd> amount = parse_usd(text);
        if (!amount || amount->micros <= 0) {
          return fail(Error{ErrorKind::usage,
                            "--usd takes dollars such as 5 or 0.50, not \"" + text + "\""});
        }
        line_.extend.spend = *amount;
      },
      "Dollars to add to the spend limit", "D");
}

void VerbParser::add_logs() {
  words("RUN", "Name or id of the run; the newest if none is given");
  app_.add_flag("-f,--follow", line_.logs.follow, "Go on showing what is added");
  app_.add_option("--tail", line_.logs.tail, "Only the last so many lines")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  app_.add_option("--save", line_.logs.save, "Copy the logs into this folder")->type_name("DIR");
  app_.add_option("--stage", line_.logs.stage, "train or agent; default both")
      ->type_name("STAGE")
      ->check(CLI::IsMember({"train", "agent"}));
}

void VerbParser::add_watch() {
  each(
      "--watch",
      [this](const std::string& text) {
        const auto every = read_seconds(text.empty() ? "60" : text, "--watch");
        if (!every) return fail(every.error());
        if (every->count() < 1) {
          return fail(Error{ErrorKind::usage, "--watch takes at least 1 second"});
        }
        line_.status.watch = *every;
      },
      "Again every so many seconds (60)", "SECONDS")
      ->expected(0, 1);
}

}  // namespace mayfly
