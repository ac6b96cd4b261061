// Whatever answers in the hub's place: every call of the client with answers of any status, headers
// and body. The first byte of a piece says which status, the piece is the answer; the pieces are
// separated by 0xFF.
#include <array>

#include "core/http/retry.h"
#include "core/store/hub.h"
#include "core/store/hub_download.h"
#include "core/store/hub_upload.h"
#include "core/url.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fuzz/fuzzed_file.h"

namespace mayfly {
namespace {

class FuzzedHub final : public HttpClient {
 public:
  explicit FuzzedHub(std::string_view answers) : answers_(answers) {}

  Result<HttpResponse> send(const HttpRequest& request) override {
    // A hub that never comes to an end is the deadline's business, not this test's.
    if (++calls_ > 40 || answers_.empty()) return Error{ErrorKind::refused, "no more answers"};
    const auto end = std::min(answers_.find('\xff'), answers_.size());
    std::string_view piece = answers_.substr(0, end);
    answers_.remove_prefix(std::min(end + 1, answers_.size()));
    constexpr std::array kStatus = {200, 200, 200, 201, 204, 302, 307, 400,
                                    401, 403, 404, 409, 412, 416, 429, 500};
    HttpResponse response;
    response.status = piece.empty() ? 200 : kStatus[static_cast<unsigned char>(piece[0]) % 16];
    if (!piece.empty()) piece.remove_prefix(1);
    // Lines "Name: value" up to an empty one are headers.
    while (!piece.empty()) {
      const auto stop = std::min(piece.find('\n'), piece.size());
      const std::string_view line = piece.substr(0, stop);
      const auto colon = line.find(": ");
      if (colon == std::string_view::npos && !line.empty()) break;
      piece.remove_prefix(std::min(stop + 1, piece.size()));
      if (line.empty()) break;
      response.headers.push_back(
          {std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
    }
    response.body = piece;
    response.body_bytes = static_cast<std::int64_t>(piece.size());
    // Whatever the hub answers, the token goes to the hub alone.
    for (const HttpHeader& header : request.headers) {
      if (!same_header_name(header.name, "Authorization")) continue;
      require(origin_of(request.url) == origin_of("http://hub"));
    }
    return response;
  }

 private:
  std::string_view answers_;
  int calls_ = 0;
};

}  // namespace
}  // namespace mayfly

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  if (size == 0) return 0;
  static const std::filesystem::path file = [] {
    const auto path = fuzz_folder() / "adapter_model.safetensors";
    FILE* out = std::fopen(path.c_str(), "wb");
    require(out != nullptr && std::fputs("weights", out) >= 0);
    std::fclose(out);
    return path;
  }();
  FuzzedHub http(text_of(bytes + 1, size - 1));
  FakeClock clock;
  HubPatience patience;
  patience.deadline = std::chrono::seconds(20);
  HubSession session(http, clock, {"http://hub", Secret("hf_token")}, patience);
  const HubRepo repo{RepoKind::model, *parse_repo_name("me/one")};
  HubStore store(session, repo, false);
  switch (bytes[0] % 6) {
    case 0:
      (void)store.ensure_repository();
      break;
    case 1:
      (void)store.ensure_branch("checkpoint-epoch-1");
      break;
    case 2:
      if (const auto listed = store.list("main")) {
        (void)compare_listing(*listed, "main", {{file, "adapter_model.safetensors"}});
      }
      break;
    case 3:
      (void)store.commit("main", "one", {{file, "adapter_model.safetensors"}});
      break;
    case 4:
      (void)store.branches();
      break;
    default: {
      SnapshotRequest request{.repo = repo, .folder = fuzz_folder() / "download"};
      (void)download_snapshot(session, request);
      // Nothing may lead out of the folder.
      require(!std::filesystem::exists(fuzz_folder() / "escaped"));
    }
  }
  return 0;
}
