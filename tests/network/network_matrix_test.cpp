// Every way in which a network fails, met by every call of an upload and of a download. Passed over
// once, the work gets there, in one commit; met for ever, it ends in time with an error. In no case
// are files said to be there that are not, or is the token told to anybody but the hub.
//
// With MAYFLY_SOAK set (ctest label soak): all cells, three seeds. Without: every fault at every
// call where that costs no real time, the slow ones at a few.
#include <cstdlib>

#include "core/store/hub_download.h"
#include "tests/core/http/raw_server.h"
#include "tests/localhub/running_hub.h"
#include "tests/network/bad_tls_server.h"
#include "tests/network/rerouted_http.h"

namespace mayfly {
namespace {

using std::chrono::seconds;

struct Call {
  const char* name;
  const char* method;
  const char* path;  // a shell pattern
  bool often;        // met by slow faults in the short run too
};

constexpr Call kUploadCalls[] = {{"create_repo", "POST", "/api/repos/create", false},
                                 {"branch", "POST", "*/branch/*", false},
                                 {"preupload", "POST", "*/preupload/*", true},
                                 {"batch", "POST", "*/objects/batch", false},
                                 {"put", "PUT", "/objects/*", true},
                                 {"put_part", "PUT", "/parts/*/2", false},
                                 {"verify", "POST", "*/objects/verify", false},
                                 {"commit", "POST", "*/commit/*", true},
                                 {"listing", "GET", "*/tree/*", true}};
constexpr Call kDownloadCalls[] = {
    {"resolve", "GET", "*/resolve/*/adapter_model.safetensors", true},
    {"bytes", "GET", "/objects/*", true}};

struct NetworkFault {
  const char* name;
  const char* rule;  // of localhub; "" : the call is rerouted
  bool slow = false;
  bool passes = true;  // met once, it is passed over
};

const NetworkFault kFaults[] = {
    {"drip", R"("do": "slow", "bytes": 2)", true},
    {"silence", R"("do": "hang", "seconds": 20)", true},
    {"truncated", R"("do": "cut", "bytes": 5)"},
    {"reset", R"("do": "reset")"},
    {"busy", R"("do": "answer", "status": 503, "headers": {"Retry-After": "100000"})"},
    {"header_bomb", R"("do": "answer", "status": 200, "headers": {BOMB})"},
    {"endless", R"("do": "endless")", true},
    {"garbled", R"("do": "garble")", false, false},
    {"redirect", R"("do": "answer", "status": 307, "headers": {"Location": "ELSEWHERE"})", false,
     false},
    {"tls_self_signed", "", false, false},
    {"tls_wrong_name", "", false, false},
    {"tls_expired", "", false, false},
    {"dns_gone", ""}};

bool is_soak() {
  const char* const soak = std::getenv("MAYFLY_SOAK");
  return soak != nullptr && *soak != '\0';
}

class NetworkMatrixTest : public RunningHubTest, public testing::WithParamInterface<NetworkFault> {
 protected:
  NetworkMatrixTest()
      : self_signed_("localhost", false),
        wrong_name_("another.host.example", false),
        expired_("localhost", true),
        self_signed_server_(self_signed_),
        wrong_name_server_(wrong_name_),
        expired_server_(expired_),
        elsewhere_({}) {}

  void SetUp() override {
    RunningHubTest::SetUp();
    // Small, so that curl's average speed falls below its limit at once where nothing moves.
    files_ = {local_file("adapter_model.safetensors", bytes(900)),
              local_file("optimizer.safetensors", bytes(1'100'000)),
              local_file("README.md", "---\nlicense: mit\n---\n"), local_file("a.json", "{}")};
    // Trusted signers, so that the name and the date are the only things wrong.
    wrong_name_.append_to(folder_ / "ca.pem");
    expired_.append_to(folder_ / "ca.pem");
    curl_ = std::make_unique<CurlHttpClient>(CurlOptions{.ca_file = (folder_ / "ca.pem").string()});
    rerouted_ = std::make_unique<ReroutedHttp>(*curl_);
  }

  std::string rule_text(const Call& call, int skip, int times) const {
    std::string rule = GetParam().rule;
    std::string bomb;
    for (int i = 0; i < 1500; ++i) {
      bomb +=
          (i > 0 ? ", \"X-" : "\"X-") + std::to_string(i) + "\": \"" + std::string(300, 'x') + '"';
    }
    const auto fill = [&rule](const std::string& mark, const std::string& text) {
      if (const auto at = rule.find(mark); at != std::string::npos) {
        rule.replace(at, mark.size(), text);
      }
    };
    fill("BOMB", bomb);
    fill("ELSEWHERE", elsewhere_.url("/steal"));
    return std::string(R"([{"method": ")") + call.method + R"(", "path": ")" + call.path +
           R"(", "skip": )" + std::to_string(skip) + R"(, "times": )" + std::to_string(times) +
           ", " + rule + "}]";
  }
  std::string bad_origin() const {
    const std::string name = GetParam().name;
    if (name == "tls_self_signed") return self_signed_server_.origin();
    if (name == "tls_wrong_name") return wrong_name_server_.origin();
    if (name == "tls_expired") return expired_server_.origin();
    return "http://no-such-host.invalid";
  }
  void arm(const Call& call, int skip, int times) {
    server_->faults().clear();
    rerouted_->reroute.reset();
    if (*GetParam().rule != '\0') {
      inject(rule_text(call, skip, times));
    } else {
      rerouted_->reroute = Reroute{call.method, call.path, bad_origin(), skip, times};
    }
  }
  // A fresh session, a fresh repository, and no bytes in storage.
  void begin(unsigned seed) {
    HubPatience patience;
    patience.deadline = deadline();
    patience.request_timeout = seconds(1);
    patience.stall_timeout = seconds(1);
    patience.seed = seed;
    session_ = std::make_unique<HubSession>(
        *rerouted_, clock_, HubAddress{server_->endpoint(), Secret(kToken)}, patience);
    std::filesystem::remove_all(folder_ / "root" / "objects");
    std::filesystem::remove_all(folder_ / "fetched");
    repo_ = {RepoKind::model, {"local", "demo-" + std::to_string(++runs_)}};
  }
  Status upload() {
    HubStore store(*session_, repo_, false);
    if (Status made = store.ensure_repository(); !made) return made;
    if (Status made = store.ensure_branch("ckpt/1"); !made) return made;
    const auto commit = store.commit("ckpt/1", "One", files_);
    if (!commit) return commit.error();
    return verify_upload(store, commit->commit, files_);
  }
  Status download() {
    const auto snapshot = download_snapshot(
        *session_, {.repo = repo_, .revision = "ckpt/1", .folder = folder_ / "fetched"});
    return snapshot ? Status(Unit{}) : Status(snapshot.error());
  }
  // Looks into the hub's folder, past the server and its faults.
  bool is_uploaded_once() {
    const auto library = localhub::Library::open_to_read(folder_ / "root");
    const auto repository = (*library)->find(repo_);
    if (!repository || !repository->branches().contains("ckpt/1")) return false;
    const auto head = repository->resolve("ckpt/1");
    for (const StoreUpload& file : files_) {
      const auto entry = head->tree.find(file.path);
      if (entry == head->tree.end()) return false;
      const auto stored = (*library)->objects().read(entry->second.sha256);
      if (!stored || *stored != *read_file(file.source)) return false;
    }
    return repository->history(head->id, 10).size() == 2;
  }
  bool is_downloaded() {
    return std::all_of(files_.begin(), files_.end(), [&](const StoreUpload& file) {
      const auto got = read_file(folder_ / "fetched" / file.path);
      return got && *got == *read_file(file.source);
    });
  }
  // Nobody but the hub was told anything.
  void expect_no_leak(const std::string& cell) {
    for (const std::string& request : elsewhere_.requests()) {
      EXPECT_EQ(request.find(kToken), std::string::npos) << cell;
    }
    for (BadTlsServer* server : {&self_signed_server_, &wrong_name_server_, &expired_server_}) {
      EXPECT_TRUE(server->seen().empty()) << cell << ": " << server->seen().front();
    }
  }
  bool runs_here(const Call& call) const {
    return is_soak() || !GetParam().slow || call.often;
  }
  // The soak sends parts of a megabyte into silence too: curl's average speed, over its last five
  // seconds, falls below the limit only after those (everything.curl.dev, "Stop slow transfers"),
  // and then it must be tried again.
  std::chrono::seconds deadline() const {
    return seconds(is_soak() ? 15 : 6);
  }
  std::vector<unsigned> seeds() const {
    return is_soak() ? std::vector<unsigned>{1, 2, 3} : std::vector<unsigned>{1};
  }
  std::string cell(const Call& call, unsigned seed) const {
    return std::string(GetParam().name) + " at " + call.name + ", seed " + std::to_string(seed);
  }

  SelfSigned self_signed_, wrong_name_, expired_;
  BadTlsServer self_signed_server_, wrong_name_server_, expired_server_;
  RawServer elsewhere_;
  std::vector<StoreUpload> files_;
  std::unique_ptr<CurlHttpClient> curl_;
  std::unique_ptr<ReroutedHttp> rerouted_;
  std::unique_ptr<HubSession> session_;
  HubRepo repo_;
  int runs_ = 0;
};

TEST_P(NetworkMatrixTest, MetOnceByAnUpload) {
  for (const Call& call : kUploadCalls) {
    for (const unsigned seed : seeds()) {
      if (!runs_here(call)) continue;
      begin(seed);
      arm(call, 0, 1);
      const Status done = upload();
      if (GetParam().passes) {
        EXPECT_TRUE(done) << cell(call, seed) << ": " << done.error().message;
      }
      EXPECT_TRUE(!done || is_uploaded_once()) << cell(call, seed);
      expect_no_leak(cell(call, seed));
    }
  }
}

TEST_P(NetworkMatrixTest, MetForEverByAnUpload) {
  for (const Call& call : kUploadCalls) {
    for (const unsigned seed : seeds()) {
      if (!runs_here(call)) continue;
      begin(seed);
      arm(call, 0, 1'000'000);
      const SteadyTime start = clock_.steady_now();
      const Status done = upload();
      // Four calls of the store, and what one request may take beyond.
      EXPECT_LT(clock_.steady_now() - start, 4 * deadline() + seconds(6)) << cell(call, seed);
      EXPECT_TRUE(!done || is_uploaded_once()) << cell(call, seed);
      expect_no_leak(cell(call, seed));
    }
  }
}

TEST_P(NetworkMatrixTest, MetByADownload) {
  for (const Call& call : kDownloadCalls) {
    for (const unsigned seed : seeds()) {
      for (const int times : {1, 1'000'000}) {
        begin(seed);
        server_->faults().clear();
        rerouted_->reroute.reset();
        ASSERT_TRUE(upload());
        arm(call, 0, times);
        const SteadyTime start = clock_.steady_now();
        const Status done = download();
        EXPECT_LT(clock_.steady_now() - start, seconds(30)) << cell(call, seed);
        if (times == 1 && GetParam().passes) {
          EXPECT_TRUE(done) << cell(call, seed) << ": " << done.error().message;
        }
        EXPECT_TRUE(!done || is_downloaded()) << cell(call, seed);
        expect_no_leak(cell(call, seed));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, NetworkMatrixTest, testing::ValuesIn(kFaults),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace mayfly
