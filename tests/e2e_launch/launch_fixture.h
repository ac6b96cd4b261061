// A folder with a tiny model, tiny data and a run file, programs to run in it, and the promise that
// nothing of it is left running.
#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

#include "core/atomic_file.h"
#include "core/http/curl_client.h"
#include "core/json.h"
#include "core/process_table.h"
#include "core/provider/local_record.h"
#include "core/store/hub.h"
#include "tests/fakes/tiny_model.h"

namespace mayfly {

struct Answer {
  int code = -1;
  std::string out;
  std::string err;
};

class LaunchTest : public testing::Test {
 protected:
  LaunchTest() {
    std::string name = (std::filesystem::temp_directory_path() / "e2e_launch_XXXXXX").string();
    root = ::mkdtemp(name.data());
    EXPECT_TRUE(make_tiny_model(root / "model"));
    make_tiny_data(root / "data.jsonl", 16);
    write_run_file("");
  }
  ~LaunchTest() override {
    if (std::filesystem::exists(root / "state/runs.json")) {
      const Answer down = run("launch", "down --all --yes");
      EXPECT_EQ(down.code, 0) << down.out << down.err;
    }
    if (const auto text = read_file(root / "state/localhub.json")) {
      const auto ready = parse_json(*text, "localhub.json");
      if (ready) ::kill((*ready)["pid"].get<pid_t>(), SIGTERM);
    }
    EXPECT_EQ(machines_running(), 0);
    std::filesystem::remove_all(root);
  }

  // A run of 2 epochs of 4 fake steps; `more` is added to the file.
  void write_run_file(const std::string& more) {
    std::ofstream(root / "run.yaml") << "model: {base: model}\n"
                                        "data: {path: data.jsonl}\n"
                                        "train: {epochs: 2}\n"
                                        "run: {name: one}\n"
                                        "generate: {vars: {steps_per_epoch: '4', step_ms: '40'}}\n"
                                     << more;
  }
  virtual std::vector<std::string> environment() const {
    return {"PATH=/usr/bin:/bin", "HOME=" + root.string(), "LANG=C.UTF-8",
            "MAYFLY_STATE_DIR=" + (root / "state").string(),
            "XDG_DATA_HOME=" + (root / "share").string()};
  }
  Answer run(const std::string& program, const std::string& words) {
    return in_folder(programs + "/" + program + " " + words);
  }
  // Several commands of one shell, which may run side by side.
  Answer shell(const std::string& script) {
    std::ofstream(root / "script.sh") << script;
    return in_folder("sh script.sh");
  }
  // Through a shell, for the redirections; nothing of a user is in the words.
  Answer in_folder(const std::string& words) {
    std::string command = "cd '" + root.string() + "' && exec env -i";
    for (const std::string& variable : environment()) command += " '" + variable + "'";
    command += " " + words + " >out.txt 2>err.txt </dev/null";
    const int status = std::system(command.c_str());
    Answer answer;
    answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    answer.out = *read_file(root / "out.txt");
    answer.err = *read_file(root / "err.txt");
    std::filesystem::remove(root / "out.txt");
    std::filesystem::remove(root / "err.txt");
    return answer;
  }
  nlohmann::json status_of(const std::string& run_name) {
    const Answer answer = run("status", run_name + " --json");
    const auto document = parse_json(answer.out, "status");
    EXPECT_TRUE(document) << answer.err;
    return document ? (*document)["runs"][0] : nlohmann::json();
  }
  bool wait_for(const std::function<bool()>& done, std::chrono::seconds limit) {
    constexpr std::chrono::milliseconds kPause(50);
    for (std::chrono::milliseconds waited(0); waited < limit; waited += kPause) {
      if (done()) return true;
      std::this_thread::sleep_for(kPause);
    }
    return false;
  }
  // Processes of instances whose folder is below ours.
  int machines_running() const {
    int running = 0;
    std::error_code code;
    for (const auto& entry : std::filesystem::directory_iterator(root / "state/local", code)) {
      const auto record = read_local_record(entry.path());
      if (record) running += static_cast<int>(processes_of(*record).size());
    }
    return running;
  }
  std::map<std::string, std::uintmax_t> tree() const {
    std::map<std::string, std::uintmax_t> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      files[entry.path().string()] = entry.is_regular_file() ? entry.file_size() : 0;
    }
    return files;
  }
  // A client of the local hub, which must run.
  struct HubClient {
    SystemClock clock;
    CurlHttpClient http;
    HubSession session;
    HubStore store;
    HubClient(const HubAddress& address, const std::string& repo)
        : session(http, clock, address),
          store(session, HubRepo{RepoKind::model, *parse_repo_name(repo)}, false) {}
  };
  HubAddress hub_address() {
    const auto ready = parse_json(*read_file(root / "state/localhub.json"), "ready file");
    std::string token = *read_file(root / "share/mayfly/hub-token");
    token.erase(token.find('\n'));
    return {(*ready)["endpoint"], Secret(token)};
  }
  std::vector<std::string> branches(const std::string& repo) {
    HubClient hub(hub_address(), repo);
    auto names = hub.store.branches();
    EXPECT_TRUE(names) << names.error().message;
    if (!names) return {};
    std::sort(names->begin(), names->end());
    return *names;
  }

  std::filesystem::path root;
  std::string programs = MAYFLY_PROGRAMS;
};

}  // namespace mayfly
