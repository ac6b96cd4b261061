// Steering a live run as a user does, with real processes: what is asked must happen, what cannot
// happen must be said, and nothing that bills may be left out of the count.
#include <csignal>

#include <fcntl.h>
#include <sys/stat.h>

#include "core/provider/local.h"
#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;

class SteerTest : public LaunchTest {
 protected:
  // A run that would go on for minutes; returns when it trains.
  void start(const std::string& more = "") {
    const Answer answer =
        run("launch", "run.yaml --set generate.vars.steps_per_epoch=10000 " + more);
    ASSERT_EQ(answer.code, 0) << answer.err;
    ASSERT_TRUE(wait_for([&] { return status_of("one")["step"].get<int>() > 0; }, 20s));
  }
  fs::path run_dir() {
    return status_of("one")["run_dir"].get<std::string>();
  }
  json reaped(const std::string& words = "") {
    const Answer answer = run("launch", "reap --json " + words);
    const auto document = parse_json(answer.out, "reap");
    EXPECT_TRUE(document) << answer.out << answer.err;
    json result = document ? *document : json();
    result["code"] = answer.code;
    return result;
  }
};

TEST_F(SteerTest, ChecksPointsExtendsAndOpensAShell) {
  EXPECT_EQ(run("launch", "checkpoint").code, 5);  // nothing runs
  start("--price 36 --spend-limit 50 --ttl 1");
  const fs::path folder = run_dir();

  const Answer asked = run("launch", "checkpoint");
  EXPECT_EQ(asked.code, 0) << asked.err;
  EXPECT_TRUE(wait_for(
      [&] {
        std::error_code code;
        return !fs::is_empty(folder / "checkpoints", code) && !code;
      },
      10s));

  const std::string id = status_of("one")["instance"]["id"];
  fs::create_directories(root / "state/local" / id / "root/var/lib/mayfly");  // of the fuse
  EXPECT_EQ(run("launch", "extend").code, 2);
  EXPECT_EQ(run("launch", "extend --usd 0").code, 2);
  EXPECT_EQ(run("launch", "extend --hours nan").code, 2);
  const Answer extended = run("launch", "extend one --usd 10 --hours 0.5 --json");
  ASSERT_EQ(extended.code, 0) << extended.err;
  EXPECT_EQ(json::parse(extended.out)["spend_limit_usd"], 60.0);
  EXPECT_EQ(json::parse(extended.out)["ttl_seconds"], 5400.0);
  EXPECT_EQ(status_of("one")["spend"]["limit_usd"], 60.0);

  const Answer shell = run("launch", "ssh -- sh -c 'pwd; echo $MAYFLY_INSTANCE_ID'");
  EXPECT_NE(shell.out.find("/local/" + id + "/root\n" + id + "\n"), std::string::npos)
      << shell.out << shell.err;
  EXPECT_EQ(run("launch", "ssh one -- sh -c 'exit 3'").code, 3);

  EXPECT_EQ(run("launch", "stop").code, 0);
  ASSERT_TRUE(wait_for([&] { return status_of("one")["state"] == "gone"; }, 30s));
  for (const char* words : {"checkpoint one", "extend one --usd 1", "ssh one"}) {
    const Answer late = run("launch", words);
    EXPECT_EQ(late.code, 5) << words;
    EXPECT_NE(late.err.find("has ended"), std::string::npos) << late.err;
  }
}

TEST_F(SteerTest, AStopThatHasBegunIsNotUndoneByAnExtension) {
  // A trainer that takes its time over the last checkpoint.
  start("--spend-limit 50 --price 36");
  const fs::path folder = run_dir();
  ASSERT_EQ(run("launch", "stop one").code, 0);
  const Answer late = run("launch", "extend one --usd 10");
  EXPECT_NE(late.code, 0) << late.out;
  ASSERT_TRUE(wait_for([&] { return status_of("one")["state"] == "gone"; }, 30s));
}

TEST_F(SteerTest, TheAgentIsLookedAtByThePortAndAskedByTheSocket) {
  start();
  const fs::path agent = run_dir() / "agent";
  struct stat info {};
  ASSERT_EQ(::stat((agent / "control.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  const json where = json::parse(*read_file(agent / "http.json"));
  std::string token = *read_file(agent / "http-token");
  token.pop_back();
  CurlHttpClient http;
  const std::string base = "http://127.0.0.1:" + std::to_string(where["port"].get<int>());
  const auto get = [&](const std::string& path, const std::string& sent) {
    HttpRequest request;
    request.url = base + path;
    if (!sent.empty()) request.headers.push_back({"Authorization", "Bearer " + sent});
    return http.send(request);
  };
  const auto page = get("/", token);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->status, 200);
  EXPECT_NE(page->body.find("<svg"), std::string::npos);
  EXPECT_NE(get("/metrics", token)->body.find("\nmayfly_state{state=\"training\"} 1\n"),
            std::string::npos);
  EXPECT_EQ(get("/status", "")->status, 401);
  // A hub never gets what opens these doors.
  EXPECT_EQ(run("launch", "stop one").code, 0);
  ASSERT_TRUE(wait_for([&] { return status_of("one")["state"] == "gone"; }, 30s));
}

TEST_F(SteerTest, ReapKeepsWhatIsAccountedForAndDestroysTheRest) {
  EXPECT_EQ(reaped()["code"], 0);
  start();
  const std::string id = status_of("one")["instance"]["id"];
  json found = reaped();
  EXPECT_EQ(found["code"], 0) << found;
  ASSERT_EQ(found["machines"].size(), 1U);
  EXPECT_EQ(found["machines"][0]["verdict"], "kept");

  // The list of runs is lost: the machine is nobody's, but young.
  fs::rename(root / "state/runs.json", root / "runs.json");
  fs::remove(root / "state/runs.json.bak");
  found = reaped();
  EXPECT_EQ(found["code"], 9) << found;
  EXPECT_EQ(found["machines"][0]["verdict"], "left alone");
  EXPECT_GT(machines_running(), 0);

  // Half an hour later it is a leak: said by every command, destroyed by one.
  const auto aged = change_local_record(
      root / "state/local" / id, [](LocalRecord& record) { record.instance.created_at -= 31min; });
  ASSERT_TRUE(aged);
  const Answer notice = run("launch", "doctor");
  EXPECT_NE(notice.err.find("launch reap"), std::string::npos) << notice.err;
  EXPECT_GT(machines_running(), 0);
  found = reaped("--yes");
  EXPECT_EQ(found["code"], 0) << found;
  EXPECT_EQ(found["machines"][0]["verdict"], "destroyed, confirmed");
  EXPECT_EQ(machines_running(), 0);
  EXPECT_EQ(run("launch", "down --orphans").out, "no machines\n");
  fs::rename(root / "runs.json", root / "state/runs.json");
}

TEST_F(SteerTest, ReapNamesWhatItCannotKnow) {
  ASSERT_EQ(run("launch", "run.yaml --wait -q").code, 0);
  // A machine whose record cannot be read: the listing fails, and nothing may be called clean.
  fs::create_directories(root / "state/local/local-broken");
  std::ofstream(root / "state/local/local-broken/instance.json") << "{";
  const json found = reaped();
  EXPECT_EQ(found["code"], 9) << found;
  EXPECT_EQ(found["ok"], false);
  EXPECT_FALSE(found["doubts"].empty());
  fs::remove_all(root / "state/local/local-broken");
  EXPECT_EQ(reaped()["code"], 0);
}

}  // namespace
}  // namespace mayfly
