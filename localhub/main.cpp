// localhub: a folder behind a server that speaks the hub's protocol.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/clock.h"
#include "core/exit_code.h"
#include "core/json.h"
#include "localhub/listing.h"
#include "localhub/server.h"
#include "localhub/token_file.h"
#include "version.h"

namespace mayfly::localhub {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path root;
  int port = 0;
  fs::path token_file;
  fs::path ready_file;
  fs::path faults_file;
  fs::path request_log;
  std::string idle_exit;
  HubSettings settings;
};

std::atomic<bool> asked_to_stop{false};

void on_signal(int) {
  asked_to_stop = true;
}

fs::path default_root() {
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data != nullptr && data[0] != '\0') return fs::path(data) / "mayfly" / "hub";
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : ".") / ".local" / "share" / "mayfly" / "hub";
}

ExitCode report(const Error& error) {
  std::cerr << "error: " << located_message(error) << "\n";
  if (!error.hint.empty()) std::cerr << "  hint: " << error.hint << "\n";
  return exit_code(error.kind);
}

Status write_ready_file(const fs::path& file, const Server& server) {
  const nlohmann::json ready = {{"port", server.port()},
                                {"storage_port", server.storage_port()},
                                {"endpoint", server.endpoint()},
                                {"pid", ::getpid()}};
  return write_file(file, json_line(ready) + "\n");
}

// "90", "90s", "30m", "2h"; nullopt: none of these.
std::optional<std::chrono::seconds> read_duration(const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  const std::string unit = text.substr(used);
  const double scale = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  if (scale == 0 || !(value * scale >= 1) || value * scale > 1e9) return std::nullopt;
  return std::chrono::seconds(static_cast<std::int64_t>(value * scale));
}

Status load_faults(const fs::path& file, Server& server) {
  const auto text = read_file(file);
  if (!text) return text.error();
  const auto faults = read_faults(*text);
  if (!faults) return faults.error();
  for (const Fault& fault : *faults) server.faults().add(fault);
  return Unit{};
}

// Until a signal, or nobody has asked for anything for so long.
void wait_for_the_end(const Server& server, Clock& clock,
                      std::optional<std::chrono::seconds> idle_exit) {
  while (!asked_to_stop) {
    clock.sleep_for(std::chrono::milliseconds(100));
    if (idle_exit && clock.steady_now() - server.last_used() >= *idle_exit) return;
  }
}

ExitCode serve(Options options) {
  std::optional<std::chrono::seconds> idle_exit;
  if (!options.idle_exit.empty()) {
    idle_exit = read_duration(options.idle_exit);
    if (!idle_exit) {
      return report({ErrorKind::usage, "--idle-exit \"" + options.idle_exit + "\" is no duration",
                     "write it as 90s, 30m or 2h"});
    }
  }
  if (Status made = make_folders(options.root); !made) return report(made.error());
  const auto token =
      read_or_make_token(options.token_file.empty() ? options.root / "token" : options.token_file);
  if (!token) return report(token.error());
  options.settings.token = *token;
  ServerOptions server_options{options.root, options.port, options.settings, {}};
  if (!options.request_log.empty()) {
    server_options.log = [file = options.request_log](const std::string& line) {
      if (!append_line(file, line)) std::cerr << "warning: cannot write the request log\n";
    };
  }
  SystemClock clock;
  const auto server = Server::start(std::move(server_options), clock);
  if (!server) return report(server.error());
  if (!options.faults_file.empty()) {
    if (Status loaded = load_faults(options.faults_file, **server); !loaded) {
      return report(loaded.error());
    }
  }
  if (!options.ready_file.empty()) {
    if (Status written = write_ready_file(options.ready_file, **server); !written) {
      return report(written.error());
    }
  }
  std::cout << "localhub serves " << options.root.string() << " at " << (*server)->endpoint()
            << std::endl;
  wait_for_the_end(**server, clock, idle_exit);
  return ExitCode::ok;
}

}  // namespace
}  // namespace mayfly::localhub

int main(int argc, char** argv) {
  using namespace mayfly;
  using namespace mayfly::localhub;
  Options options;
  options.root = default_root();
  CLI::App app("A folder behind a server that speaks the HuggingFace hub's protocol.", "localhub");
  app.set_version_flag("--version", std::string("localhub ") + kVersion);
  app.add_option("--root", options.root, "The folder; made if missing")->capture_default_str();
  app.add_option("--port", options.port, "Port of 127.0.0.1; 0: any free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--token-file", options.token_file,
                 "File with the token that may write; made if missing (default: ROOT/token)");
  app.add_option("--ready-file", options.ready_file, "Written with port and pid once it serves");
  app.add_option("--idle-exit", options.idle_exit, "End when unused for so long, such as 30m");
  app.add_option("--faults", options.faults_file,
                 "Rules for failures on purpose (docs/localhub.md)");
  app.add_option("--request-log", options.request_log, "Append a line of JSON for every request");
  app.add_option("--account", options.settings.account, "The user's name")->capture_default_str();
  app.add_option("--lfs-above", options.settings.lfs_above_bytes,
                 "Text files above so many bytes go by LFS")
      ->capture_default_str();
  app.add_option("--multipart-above", options.settings.multipart_above_bytes,
                 "LFS files above so many bytes go in parts")
      ->capture_default_str();
  app.add_option("--part-size", options.settings.part_bytes, "Bytes of a part")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--page-size", options.settings.page_size, "Entries in a page of a file list")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI::App* ls = app.add_subcommand("ls", "List the repositories and branches in the folder");
  ls->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
  }
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
  if (ls->parsed()) {
    const Status listed = list_folder(options.root, std::cout);
    return static_cast<int>(listed ? ExitCode::ok : report(listed.error()));
  }
  return static_cast<int>(serve(std::move(options)));
}
