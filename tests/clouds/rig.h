// One fake cloud with the real client in front of it, over real HTTP on loopback.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/http/curl_client.h"
#include "core/provider/rent.h"
#include "tests/clouds/fake_cloud.h"

namespace mayfly {

// A launcher that is killed at a given moment: thrown instead of the moment.
struct Killed {};

struct LauncherFate {
  int die_at = -1;
  int moments = 0;
  void moment() {
    if (moments++ == die_at) throw Killed{};
  }
};

// Every request is two moments: before it leaves, and after the answer came.
class MortalHttp final : public HttpClient {
 public:
  MortalHttp(std::unique_ptr<HttpClient> http, LauncherFate& fate)
      : http_(std::move(http)), fate_(fate) {}
  Result<HttpResponse> send(const HttpRequest& request) override {
    fate_.moment();
    Result<HttpResponse> answer = http_->send(request);
    fate_.moment();
    return answer;
  }

 private:
  std::unique_ptr<HttpClient> http_;
  LauncherFate& fate_;
};

class KeptJournal final : public LaunchJournal {
 public:
  explicit KeptJournal(LauncherFate& fate) : fate_(fate) {}
  Status write(const LaunchProgress& progress) override {
    fate_.moment();
    kept = progress;
    all.push_back(progress);
    fate_.moment();
    return Unit{};
  }
  LaunchProgress kept;
  std::vector<LaunchProgress> all;

 private:
  LauncherFate& fate_;
};

// How a vendor's fake and our client for it are made.
struct CloudKind {
  std::string name;
  std::function<std::unique_ptr<FakeCloud>(VirtualClock&)> fake;
  std::function<std::unique_ptr<Provider>(std::unique_ptr<HttpClient>, Clock&, const CloudAccess&,
                                          const ApiPatience&)>
      client;
  Usd beside;  // what is billed an hour beside each machine
};
const std::vector<CloudKind>& cloud_kinds();

struct Rig {
  explicit Rig(const CloudKind& kind_of_cloud) : kind(kind_of_cloud), cloud(kind.fake(clock)) {
    cloud->start();
    provider = client(FakeCloud::kKey);
  }

  std::unique_ptr<Provider> client(const std::string& key,
                                   std::chrono::seconds read_within = std::chrono::seconds(60)) {
    CloudAccess access;
    access.endpoint = cloud->endpoint();
    access.key = Secret(key);
    access.key_id = "AKIDEXAMPLE";
    access.regions = "r1,r2";
    ApiPatience patience;
    patience.total = std::chrono::seconds(1);  // in real time
    patience.read_within = read_within;
    return kind.client(std::make_unique<MortalHttp>(std::make_unique<CurlHttpClient>(), fate),
                       clock, access, patience);
  }

  InstanceSpec spec(const std::string& run_id = "0123456789ab") {
    InstanceSpec spec;
    spec.run_id = run_id;
    spec.user_data = "#cloud-config\n";
    spec.ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDemo me@laptop";
    spec.limits.end_by = clock.now() + std::chrono::hours(6);
    spec.limits.spend_cap = dollars(20);
    spec.limits.power_off_ends_billing = provider->traits().power_off_ends_billing;
    return spec;
  }

  // All that there is, the cheapest first.
  std::vector<Offer> offers() {
    Result<std::vector<Offer>> offers = provider->offers();
    if (!offers) return {};
    std::stable_sort(offers->begin(), offers->end(), [](const Offer& a, const Offer& b) {
      return a.price.per_hour < b.price.per_hour;
    });
    return *offers;
  }
  Result<Instance> rent_one() {
    return rent(*provider, spec(), offers(), journal.kept, journal, clock, RentPatience{});
  }

  CloudKind kind;
  VirtualClock clock;
  LauncherFate fate;
  KeptJournal journal{fate};
  std::unique_ptr<FakeCloud> cloud;
  std::unique_ptr<Provider> provider;
};

}  // namespace mayfly
