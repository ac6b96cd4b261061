// Our EC2 client for moto_test.py, one word a step:
//
//   ec2_probe ENDPOINT offers             what is offered in us-east-1
//   ec2_probe ENDPOINT rent RUN spot|on-demand    makes a g5.xlarge; prints its id
//   ec2_probe ENDPOINT list [RUN]         ids of ours, or of a run's
//   ec2_probe ENDPOINT end ID             until it is gone
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/http/curl_client.h"
#include "core/provider/destroy.h"
#include "core/provider/ec2.h"
#include "core/provider/rent.h"

namespace mayfly {
namespace {

// Wall time is real, for signatures; nobody waits.
class HastyClock final : public Clock {
 public:
  WallTime now() override {
    return real_.now();
  }
  SteadyTime steady_now() override {
    return real_.steady_now() + skipped_;
  }
  void sleep_for(std::chrono::milliseconds duration) override {
    skipped_ += duration;
  }

 private:
  SystemClock real_;
  std::chrono::milliseconds skipped_{0};
};

[[noreturn]] void fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  std::exit(static_cast<int>(error.kind) + 1);
}

class NoJournal final : public LaunchJournal {
 public:
  Status write(const LaunchProgress&) override {
    return Unit{};
  }
};

void rent_one(Provider& provider, Clock& clock, const std::string& run, bool spot) {
  Offer offer;
  offer.provider = "aws";
  offer.instance_type = "g5.xlarge";
  offer.region = "us-east-1";
  offer.price.per_hour = cents(101);
  offer.disk_gb = 200;
  offer.spot = spot;
  if (spot) offer.zone = "us-east-1b";
  InstanceSpec spec;
  spec.run_id = run;
  spec.user_data = "#cloud-config\n# of the probe\n";
  spec.ssh_public_key =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJCaYZIYTlnbuBhXVGCsHtyxWZUIWkNXBq3FDbHIPYGL me@laptop";
  spec.limits.power_off_ends_billing = true;
  NoJournal journal;
  const auto instance = rent(provider, spec, {offer}, {}, journal, clock, {});
  if (!instance) fail(instance.error());
  std::printf("%s %s %s\n", instance->id.c_str(), instance->run_id.c_str(),
              usd_decimal(instance->price.per_hour).c_str());
}

int run(int count, char** words) {
  HastyClock clock;
  CloudAccess access;
  access.endpoint = words[1];
  access.key_id = "AKIAIOSFODNN7EXAMPLE";
  access.key = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
  access.regions = "us-east-1";
  Ec2Provider provider(std::make_unique<CurlHttpClient>(), clock, access);
  const std::string word = words[2];
  if (word == "offers") {
    const auto offers = provider.offers();
    if (!offers) fail(offers.error());
    for (const Offer& offer : *offers) {
      std::printf("%s %s %dx%s %d GB %s\n", offer.instance_type.c_str(), offer.zone.c_str(),
                  offer.gpu_count, offer.gpu.c_str(), offer.vram_gb, offer.spot ? "spot" : "");
    }
  } else if (word == "rent" && count == 5) {
    rent_one(provider, clock, words[3], std::string(words[4]) == "spot");
  } else if (word == "list") {
    const auto found = count == 4 ? provider.find_run(words[3]) : provider.list_ours();
    if (!found) fail(found.error());
    for (const Instance& instance : *found) std::printf("%s\n", instance.id.c_str());
  } else if (word == "end" && count == 4) {
    const Status gone = destroy_until_gone(provider, words[3], clock, kDestroyPatience);
    if (!gone) fail(gone.error());
  }
  return 0;
}

}  // namespace
}  // namespace mayfly

int main(int count, char** words) {
  return count < 3 ? 2 : mayfly::run(count, words);
}
