// Who may look at a live run, who may ask it for something, and what a request becomes. What must
// not happen: a request by the port, a page without the token, a misspelt limit that counts as an
// extension by nothing.
#include "agent/steering.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "core/atomic_file.h"
#include "core/base64.h"
#include "core/json.h"
#include "core/run/event.h"
#include "core/run/request.h"
#include "core/run/run_status.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class SteeringTest : public TemporaryFolder {
 protected:
  SteeringTest() {
    fs::create_directories(run.agent());
    RunStatus status;
    status.name = "one <two>";
    status.state = "training";
    status.step = 3;
    status.total_steps = 8;
    status.loss = 1.5;
    (void)!write_file(run.status(), json_text(status_to_json(status)));
    put("logs/train.log", "step 3 <b>\nhf_abcdefghijklmnopqrstuvwxyz0123456789\n");
  }
  SteeringRequest get(const std::string& path, const std::string& authorization = "") {
    SteeringRequest request{.method = "GET", .path = path, .headers = {}, .body = {}};
    request.headers["host"] = "127.0.0.1:5000";
    if (!authorization.empty()) request.headers["authorization"] = authorization;
    return request;
  }
  SteeringAnswer post(const std::string& body, Door door = Door::socket) {
    SteeringRequest request = get("/request", "Bearer " + token);
    request.method = "POST";
    request.body = body;
    return steering.answer(request, door);
  }

  FakeClock clock;
  RunDirectory run{folder_};
  std::string token = std::string(64, 'a');
  Steering steering{run, Secret(token), "/nonexistent/nvidia-smi", clock};
};

TEST_F(SteeringTest, ThePortShowsNothingWithoutTheToken) {
  for (const char* path : {"/", "/status", "/metrics", "/nothing", "/request"}) {
    for (const std::string& wrong :
         {std::string(), "Bearer " + token.substr(1), "Bearer " + token + "a",
          std::string("Bearer "), "Basic " + base64_encode("user:wrong"),
          "Basic " + base64_encode(token), std::string("Basic ???"), token}) {
      const SteeringAnswer answer = steering.answer(get(path, wrong), Door::port);
      EXPECT_EQ(answer.status, 401) << path << " " << wrong;
      EXPECT_THAT(answer.body, Not(HasSubstr("training")));
      EXPECT_THAT(answer.extra_header, HasSubstr("WWW-Authenticate: Basic"));
    }
  }
  EXPECT_EQ(steering.answer(get("/status", "Bearer " + token), Door::port).status, 200);
  const std::string password = "Basic " + base64_encode("anybody:" + token);
  EXPECT_EQ(steering.answer(get("/status", password), Door::port).status, 200);
}

TEST_F(SteeringTest, ThePortAnswersToThisHostAlone) {
  SteeringRequest request = get("/status", "Bearer " + token);
  for (const char* host : {"evil.example:5000", "", "127.0.0.1.evil.example:80"}) {
    request.headers["host"] = host;
    EXPECT_EQ(steering.answer(request, Door::port).status, 403) << host;
  }
  request.headers["host"] = "localhost:5000";
  EXPECT_EQ(steering.answer(request, Door::port).status, 200);
}

TEST_F(SteeringTest, ThePortIsOnlyToLook) {
  EXPECT_EQ(post(R"({"request": "down"})", Door::port).status, 403);
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    SteeringRequest request = get("/status", "Bearer " + token);
    request.method = method;
    EXPECT_EQ(steering.answer(request, Door::port).status, 405) << method;
  }
  EXPECT_THAT(waiting_requests(run), IsEmpty());
}

TEST_F(SteeringTest, TheSocketTakesRequests) {
  EXPECT_EQ(post(R"({"request": "checkpoint", "by": "a test"})").status, 202);
  clock.elapsed += std::chrono::milliseconds(5);
  EXPECT_EQ(post(R"({"request": "extend", "minutes": 30, "dollars": "2.50"})").status, 202);
  const std::vector<Request> waiting = waiting_requests(run);
  ASSERT_THAT(waiting, SizeIs(2));
  EXPECT_EQ(waiting[0].kind, RequestKind::checkpoint);
  EXPECT_EQ(waiting[0].by, "a test");
  EXPECT_EQ(waiting[1].kind, RequestKind::extend);
  EXPECT_EQ(waiting[1].minutes, 30);
  EXPECT_EQ(waiting[1].spend.micros, 2'500'000);
}

TEST_F(SteeringTest, RefusesARequestThatIsNotUnderstoodWhole) {
  for (const char* body :
       {"", "[]", "{}", R"({"request": "destroy"})", R"({"request": 1})",
        R"({"request": "extend"})", R"({"request": "extend", "hours": 1})",
        R"({"request": "extend", "minutes": "30"})", R"({"request": "extend", "minutes": -1})",
        R"({"request": "extend", "dollars": 5})", R"({"request": "extend", "dollars": "-5"})",
        R"({"request": "down", "minutes": 5})", R"({"request": "down", "now": true})",
        R"({"request": "down", "request": "checkpoint"})", R"({"minutes": 5})"}) {
    EXPECT_EQ(post(body).status, 400) << body;
  }
  EXPECT_THAT(waiting_requests(run), IsEmpty());
}

TEST_F(SteeringTest, ShowsTheStatusAsTheAgentWroteIt) {
  const SteeringAnswer answer = steering.answer(get("/status"), Door::socket);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, *read_file(run.status()));
  EXPECT_EQ(steering.answer(get("/nothing"), Door::socket).status, 404);
  fs::remove(run.status());
  EXPECT_EQ(steering.answer(get("/status"), Door::socket).status, 503);
  EXPECT_THAT(steering.answer(get("/metrics"), Door::socket).body, HasSubstr("mayfly_up 0\n"));
  EXPECT_THAT(steering.answer(get("/"), Door::socket).body, HasSubstr("starting"));
}

TEST_F(SteeringTest, ThePageIsWholeByItselfAndEscapesWhatItShows) {
  const Event step{.seq = 0, .time = {}, .body = StepEvent{.step = 1, .of = 8, .loss = 2.5}};
  put("events.jsonl", event_line(step) + "\n");
  const std::string page = steering.answer(get("/"), Door::socket).body;
  EXPECT_THAT(page, HasSubstr("one &lt;two&gt;"));
  EXPECT_THAT(page, HasSubstr("step 3 &lt;b&gt;"));
  EXPECT_THAT(page, HasSubstr("<svg"));
  EXPECT_THAT(page, HasSubstr("http-equiv=\"refresh\""));
  EXPECT_THAT(page, Not(HasSubstr("hf_abcdefgh")));
  for (const char* other : {"<script", "src=", "href=", "http://", "https://", "@import"}) {
    EXPECT_THAT(page, Not(HasSubstr(other)));
  }
}

TEST_F(SteeringTest, MakesAPrivateTokenAndKeepsIt) {
  const auto first = open_steering(run, 0, clock);
  ASSERT_TRUE(first) << first.error().message;
  struct stat info {};
  for (const char* name : {"http-token", "http.json", "control.sock"}) {
    ASSERT_EQ(::stat((run.agent() / name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 077, 0U) << name;
  }
  const std::string made = *read_file(run.agent() / "http-token");
  EXPECT_EQ(made.size(), 65U);
  const auto where = parse_json(*read_file(run.agent() / "http.json"), "http.json");
  EXPECT_EQ((*where)["port"], (*first)->port());
  const auto second = open_steering(run, 0, clock);
  EXPECT_EQ(*read_file(run.agent() / "http-token"), made);
  // One that others could have read is not used again.
  fs::permissions(run.agent() / "http-token", fs::perms(0644));
  const auto third = open_steering(run, 0, clock);
  EXPECT_NE(*read_file(run.agent() / "http-token"), made);
}

}  // namespace
}  // namespace mayfly
