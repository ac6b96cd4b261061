// Looks whether the provider takes this machine away: the spot notice of EC2's metadata service.
//
// GET /latest/meta-data/spot/instance-action is 404 until there is a notice, about two minutes
// ahead, best effort; AWS advises to ask every 5 s. IMDSv2: every question carries a token, made by
// PUT /latest/api/token. Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide,
// spot-instance-termination-notices.html and instancedata-data-retrieval.html.
// An answer that is lost says nothing, and is never taken for "no notice". Machines that are not
// spot get 404 for ever.
#pragma once

#include <memory>
#include <string>

#include "core/http/client.h"

namespace mayfly {

// Where the metadata service is for a machine of this provider: EC2's own address, or what
// AWS_EC2_METADATA_SERVICE_ENDPOINT says, as AWS's own tools read it; "" : there is none to ask.
std::string metadata_service(const std::string& provider);

// One conversation with the service. One thread.
class ReclaimNotice {
 public:
  // `http` outlives it.
  ReclaimNotice(HttpClient& http, std::string service);

  enum class Answer { none, notice, unknown };
  // Asks once, at most 2 s a request; makes a token first if there is none that is accepted.
  Answer ask();

 private:
  bool make_token();
  Result<HttpResponse> get();

  HttpClient& http_;
  std::string service_;
  std::string token_;
};

// Asks every 5 s on a thread of its own, which is left behind when this ends.
class ReclaimWatch {
 public:
  explicit ReclaimWatch(const std::string& service);
  ~ReclaimWatch();
  ReclaimWatch(const ReclaimWatch&) = delete;
  ReclaimWatch& operator=(const ReclaimWatch&) = delete;

  // Whether there has been a notice. Never waits.
  bool noticed() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace mayfly
