// Creating one machine for one run, and never a second one, whatever is lost or killed on the way.
//
// The order is the method. What is about to be asked is on disk before it is asked (LaunchJournal),
// and the machine carries the run id from the create call on. So whoever comes after a crash or a
// lost answer can look for the machine by that id. When the provider's own listing has not shown
// one for `look_for`, it depends on the provider (ProviderTraits): with some that proves that there
// is none; some make one machine of two equal requests, so the same is sent again; with the others
// the outcome stays unknown and nothing further is asked. A listing that cannot be read proves
// nothing anywhere.
//
// More than one machine of the run (a provider that answered late, two launchers): the oldest is
// kept, the others are asked to end.
#pragma once

#include <chrono>
#include <vector>

#include "core/clock.h"
#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

// How far the creation of a run's machine has come. `creating`: the provider may have been asked.
enum class LaunchStage { planned, creating, made };

struct LaunchProgress {
  LaunchStage stage = LaunchStage::planned;
  int attempt = 0;  // of the last create call, from 1
  InstanceId id;    // when made
};

// Where the progress of one run is kept between two lives of the launcher.
class LaunchJournal {
 public:
  virtual ~LaunchJournal() = default;
  // Durable when it returns. Called before each create call, and after each answer.
  virtual Status write(const LaunchProgress& progress) = 0;
};

struct LaunchPatience {
  std::chrono::milliseconds first_wait;
  std::chrono::milliseconds longest_wait;
  // How long a machine may take to show up in the provider's listing.
  std::chrono::milliseconds look_for;
  // How long a request is sent again that was refused because the provider is busy or out of reach.
  std::chrono::milliseconds busy_for = std::chrono::minutes(10);
};
// Lambda and EC2 list a new machine within seconds; reports of a minute exist (skypilot #4431).
constexpr LaunchPatience kLaunchPatience{std::chrono::seconds(2), std::chrono::seconds(15),
                                         std::chrono::seconds(120)};

// Makes spec's machine from the first of `offers` that has capacity, or adopts the one that an
// earlier life made; `before` is what the journal says of that life. spec.offer and spec.attempt
// are filled in here: the attempts count the offers, whatever becomes of them. After a refusal for
// a whole region (a quota) its other offers are left out.
// Errors: those of create when it refused (no_capacity when every offer did); outcome_unknown when
// a machine may exist that could not be looked up; the journal's, and then nothing was asked.
Result<Instance> launch_once(Provider& provider, InstanceSpec spec,
                             const std::vector<Offer>& offers, const LaunchProgress& before,
                             LaunchJournal& journal, Clock& clock, const LaunchPatience& patience);

}  // namespace mayfly
