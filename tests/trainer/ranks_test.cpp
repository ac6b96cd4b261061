// Several processes train what one would: the loss curve of one with the same effective batch size,
// checkpoints that each number of them understands, and an end when one of them hangs or dies.
#include "trainer/ranks.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>

#include "core/run/event.h"
#include "tests/trainer/test_folder.h"
#include "tests/trainer/tiny_model.h"
#include "tests/trainer/train_process.h"
#include "trainer/checkpoint.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// One that nobody listens at now.
int free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener, any, size), 0);
  EXPECT_EQ(::getsockname(listener, any, &size), 0);
  ::close(listener);
  return ntohs(address.sin_port);
}

// In a process of its own, as torchrun would.
void set_place(const char* rank, const char* address, const char* port) {
  ::setenv("RANK", rank, 1);
  ::setenv("LOCAL_RANK", "0", 1);
  ::setenv("WORLD_SIZE", "2", 1);
  ::setenv("MASTER_ADDR", address, 1);
  ::setenv("MASTER_PORT", port, 1);
}

class RanksTest : public TestFolder {
 protected:
  RanksTest() {
    write_tiny_model(folder_ / "model");
    EXPECT_TRUE(write_file(folder_ / "train.jsonl", tiny_conversations(40)));
    EXPECT_TRUE(write_file(folder_ / "val.jsonl", tiny_conversations(7)));
    EXPECT_TRUE(write_file(folder_ / "run.yaml", R"(
model: {base: model}
data: {path: [train.jsonl], val_path: val.jsonl, cutoff_len: 192}
lora: {r: 4, alpha: 8}
train:
  {threads: 1, device: cpu, bf16: false, learning_rate: 1e-2, effective_batch_size: 8, epochs: 4,
   eval_steps: 4, save_steps: 3, save_total_limit: 9}
)"));
  }

  RunDirectory run(const std::string& name) const {
    return RunDirectory{folder_ / "outputs" / name};
  }
  std::vector<std::string> words(const std::string& name,
                                 const std::vector<std::string>& set) const {
    std::vector<std::string> all = {"sft", "-c", "run.yaml", "--set", "run.name=" + name};
    for (const std::string& each : set) all.insert(all.end(), {"--set", each});
    return all;
  }
  int train(const std::string& name, const std::vector<std::string>& set) {
    TrainProcess process(folder_, words(name, set));
    const int code = process.wait();
    err_ = process.err();
    return code;
  }
  template <class T>
  std::vector<T> events_of(const std::string& name) const {
    std::vector<T> found;
    std::istringstream lines(*read_file(run(name).events()));
    for (std::string line; std::getline(lines, line);) {
      const auto event = parse_event(line);
      if (!event || !*event) continue;
      if (const T* body = std::get_if<T>(&(*event)->body)) found.push_back(*body);
    }
    return found;
  }
  std::string adapter_bytes(const std::string& name) const {
    return *read_file(run(name).adapter() / "adapter_model.safetensors");
  }
  // Where the second machine's process runs: it has model and data, and makes nothing.
  void make_other_folder() const {
    fs::create_directory(folder_ / "other");
    for (const char* name : {"model", "train.jsonl", "val.jsonl", "run.yaml"}) {
      fs::create_symlink(folder_ / name, folder_ / "other" / name);
    }
  }
  // Float additions in another order, and nothing else.
  void expect_same_curve(const std::string& name, const std::string& reference) const {
    const auto steps = events_of<StepEvent>(name), expected = events_of<StepEvent>(reference);
    ASSERT_EQ(steps.size(), expected.size());
    ASSERT_EQ(steps.size(), 20U);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      EXPECT_EQ(steps[i].tokens, expected[i].tokens);
      EXPECT_NEAR(steps[i].loss, expected[i].loss, 1e-5 * expected[i].loss) << i;
      EXPECT_NEAR(steps[i].grad_norm, expected[i].grad_norm, 1e-4 * expected[i].grad_norm) << i;
    }
    const auto held_out = events_of<EvaluatedEvent>(name);
    const auto right = events_of<EvaluatedEvent>(reference);
    ASSERT_EQ(held_out.size(), right.size());
    for (std::size_t i = 0; i < right.size(); ++i) {
      EXPECT_EQ(held_out[i].tokens, right[i].tokens);
      EXPECT_NEAR(held_out[i].loss, right[i].loss, 1e-5 * right[i].loss);
    }
  }
  // Of a run whose processes wait for each other; 0: not known yet.
  pid_t process_of_rank(const std::string& rank) const {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const Result<std::string> environment = read_file(entry.path() / "environ");
      const Result<std::string> folder = read_file(entry.path() / "cmdline");
      if (!environment || !folder) continue;
      const std::string variable = std::string("\0RANK=", 6) + rank + std::string("\0", 1);
      if (environment->find(variable) == std::string::npos) continue;
      if (folder->find(folder_.string()) == std::string::npos) continue;
      return static_cast<pid_t>(std::stol(entry.path().filename().string()));
    }
    return 0;
  }
  // Two ranks under way, of which the second gets this signal; the message at the end.
  std::string train_with_signal(const std::string& name, int number) {
    TrainProcess process(
        folder_, words(name, {"train.devices=2", "train.epochs=2000", "train.rank_timeout=3s"}));
    EXPECT_TRUE(process.wait_until([&] { return fs::exists(run(name).checkpoint(3)); }))
        << process.err();
    const pid_t second = process_of_rank("1");
    EXPECT_GT(second, 1);
    if (second > 1) ::kill(second, number);
    EXPECT_EQ(process.wait(), 1);
    EXPECT_EQ(process_of_rank("1"), 0);
    return process.err();
  }

  std::string err_;
};

TEST_F(RanksTest, TwoAndFourTrainAsOneDoes) {
  ASSERT_EQ(train("one", {}), 0) << err_;
  ASSERT_EQ(train("two", {"train.devices=2"}), 0) << err_;
  expect_same_curve("two", "one");
  ASSERT_EQ(train("four", {"train.devices=4"}), 0) << err_;
  expect_same_curve("four", "one");
}

// The same bits, also where a run is stopped and goes on.
TEST_F(RanksTest, GoesOnExactlyFromACheckpoint) {
  const std::string two = "train.devices=2";
  ASSERT_EQ(train("whole", {two}), 0) << err_;
  ASSERT_EQ(train("again", {two, "train.resume_from=" + run("whole").checkpoint(9).string()}), 0)
      << err_;
  EXPECT_EQ(adapter_bytes("again"), adapter_bytes("whole"));

  TrainProcess process(folder_, words("stopped", {two}));
  ASSERT_TRUE(process.wait_until([&] { return fs::exists(run("stopped").checkpoint(3)); }))
      << process.err();
  process.signal(SIGTERM);
  ASSERT_EQ(process.wait(), 0) << process.err();
  if (!fs::exists(run("stopped").adapter())) {
    ASSERT_EQ(train("stopped", {two}), 0) << err_;
  }
  EXPECT_EQ(adapter_bytes("stopped"), adapter_bytes("whole"));
}

TEST_F(RanksTest, OneThatDiesEndsTheRunAndIsNamed) {
  EXPECT_THAT(train_with_signal("dead", SIGKILL), HasSubstr("rank 1 is gone or hangs"));
  EXPECT_FALSE(events_of<FailedEvent>("dead").empty());
}

TEST_F(RanksTest, OneThatHangsEndsTheRunAndIsNamed) {
  EXPECT_THAT(train_with_signal("hangs", SIGSTOP), HasSubstr("rank 1 is gone or hangs"));
}

// As torchrun starts them: each by itself, with variables.
TEST_F(RanksTest, TakesItsPlaceFromTheEnvironment) {
  const std::vector<std::string> set = {"train.nodes=2"};
  const std::string port = std::to_string(free_port());
  const auto place = [&](const char* rank) {
    return [rank, port] { set_place(rank, "127.0.0.1", port.c_str()); };
  };
  make_other_folder();
  TrainProcess second(folder_ / "other", words("both", set), place("1"));
  TrainProcess first(folder_, words("both", set), place("0"));
  EXPECT_EQ(first.wait(), 0) << first.err();
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_FALSE(fs::exists(folder_ / "other/outputs"));
  ASSERT_EQ(train("one", {}), 0) << err_;
  expect_same_curve("both", "one");
}

// Two machines with a cable between them, as the kernel sees it: network namespaces.
TEST_F(RanksTest, TrainsOverTheNetwork) {
  const std::string name = "mayfly" + std::to_string(::getpid());
  const std::string a = name + "a", b = name + "b";
  const auto run_all = [](const std::vector<std::string>& commands) {
    return std::all_of(commands.begin(), commands.end(), [](const std::string& command) {
      return std::system(("ip " + command + " 2>/dev/null").c_str()) == 0;
    });
  };
  const bool made = run_all({"netns add " + a, "netns add " + b,
                             "link add eth7 netns " + a + " type veth peer name eth7 netns " + b,
                             "-n " + a + " addr add 10.77.0.1/24 dev eth7",
                             "-n " + b + " addr add 10.77.0.2/24 dev eth7",
                             "-n " + a + " link set lo up", "-n " + b + " link set lo up",
                             "-n " + a + " link set eth7 up", "-n " + b + " link set eth7 up"});
  if (made) {
    const auto place = [](const std::string& space, const char* rank) {
      return [space, rank] {
        const int file = ::open(("/run/netns/" + space).c_str(), O_RDONLY);
        if (::setns(file, CLONE_NEWNET) != 0) ::_exit(125);
        set_place(rank, "10.77.0.1", "29500");
      };
    };
    make_other_folder();
    TrainProcess second(folder_ / "other", words("both", {"train.nodes=2"}), place(b, "1"));
    TrainProcess first(folder_, words("both", {"train.nodes=2"}), place(a, "0"));
    EXPECT_EQ(first.wait(), 0) << first.err();
    EXPECT_EQ(second.wait(), 0) << second.err();
  }
  run_all({"netns del " + a, "netns del " + b});
  if (!made) GTEST_SKIP() << "network namespaces cannot be made here";
  ASSERT_EQ(train("one", {}), 0) << err_;
  expect_same_curve("both", "one");
}

TEST_F(RanksTest, VariablesThatMakeNoSenseAreNamed) {
  const auto said = [&](const std::vector<std::string>& set, const std::function<void()>& place) {
    TrainProcess process(folder_, words("wrong", set), place);
    EXPECT_EQ(process.wait(), 2);
    EXPECT_FALSE(fs::exists(run("wrong").root));
    return process.err();
  };
  EXPECT_THAT(said({"train.nodes=2"}, {}), HasSubstr("nothing says which of the processes"));
  EXPECT_THAT(said({"train.devices=2"}, [] { ::setenv("WORLD_SIZE", "2", 1); }),
              HasSubstr("RANK is not set"));
  EXPECT_THAT(said({"train.devices=2"},
                   [] {
                     ::setenv("WORLD_SIZE", "2", 1);
                     ::setenv("RANK", "2", 1);
                   }),
              HasSubstr("RANK is \"2\", not a number from 0 to 1"));
}

}  // namespace
}  // namespace mayfly
