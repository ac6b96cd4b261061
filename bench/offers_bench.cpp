// How long `launch offers` takes between asking and showing: four clouds over HTTP on loopback, two
// thousand rows in all, parsed, filtered, sorted, and written as a table. Goal: 300 ms.
//
// The fakes answer at once, so what is measured is ours; a real vendor's answer takes what it
// takes, and all are asked at the same time.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "launcher/cloud_access.h"
#include "launcher/offers_command.h"
#include "tests/clouds/fake_ec2.h"
#include "tests/clouds/rig.h"

namespace mayfly {
namespace {

constexpr int kTypes = 125;

struct Clouds {
  Clouds() {
    for (const CloudKind& kind : cloud_kinds()) {
      fakes.push_back(kind.fake(clock));
      FakeCloud& fake = *fakes.back();
      fake.types.clear();
      for (int i = 0; i < kTypes; ++i) {
        fake.types.push_back({"type" + std::to_string(i),
                              i % 2 == 0 ? "H100" : "A100",
                              1 << (i % 4),
                              80,
                              100 + (i * 7919) % 3000,
                              {"r1", "r2", "r3", "r4"}});
      }
      fake.start();
      std::string name = kind.name;
      for (char& letter : name) letter = static_cast<char>(std::toupper(letter));
      environment[name + "_API_KEY"] = FakeCloud::kKey;
      environment[name + "_ENDPOINT"] = fake.endpoint();
      if (kind.name != "aws") continue;
      environment["AWS_ACCESS_KEY_ID"] = "AKIDEXAMPLE";
      environment["AWS_SECRET_ACCESS_KEY"] = FakeCloud::kKey;
      environment["AWS_ENDPOINT_URL_EC2"] = fake.endpoint();
      environment["AWS_REGION"] = "r1,r2,r3,r4";
    }
  }
  VirtualClock clock;
  std::vector<std::unique_ptr<FakeCloud>> fakes;
  Environment environment;
};

void OffersOfFourClouds(benchmark::State& state) {
  Clouds clouds;
  OfferWish wish;
  wish.gpus = {"h100"};
  wish.max_price = dollars(25);
  wish.region = "r";
  std::size_t asked = 0, shown = 0;
  for (auto _ : state) {
    const auto clients = clouds_of(clouds.environment, "", clouds.clock);
    if (!clients) std::exit(1);
    const CloudOffers answer = ask_for_offers(*clients);
    const std::vector<Offer> offers = choose_offers(answer.offers, wish);
    const std::string table = offers_table(offers, true);
    asked = answer.offers.size();
    shown = offers.size();
    benchmark::DoNotOptimize(table.data());
  }
  state.counters["rows"] = static_cast<double>(asked);
  state.counters["shown"] = static_cast<double>(shown);
}
BENCHMARK(OffersOfFourClouds)->Unit(benchmark::kMillisecond)->UseRealTime();

// The choosing alone.
void ChooseAmongTwoThousand(benchmark::State& state) {
  Clouds clouds;
  const auto clients = clouds_of(clouds.environment, "", clouds.clock);
  if (!clients) std::exit(1);
  const CloudOffers answer = ask_for_offers(*clients);
  OfferWish wish;
  wish.gpus = {"h100"};
  for (auto _ : state) benchmark::DoNotOptimize(choose_offers(answer.offers, wish).size());
}
BENCHMARK(ChooseAmongTwoThousand)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mayfly

BENCHMARK_MAIN();
