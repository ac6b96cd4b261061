// Saying that a layer is at work when it is not is worse than saying nothing. So each is taken away
// in turn, and must be missed.
#include "agent/layers_seen.h"

#include <gtest/gtest.h>

#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class LayersSeenTest : public TemporaryFolder {
 protected:
  LayersSeenTest() {
    put("opt/mayfly/times", "FUSE=3600\nBEHIND=300\nTICK=30\n");
    put("run/mayfly/life", "boot-1 1000 120 1790000000\n");
    evidence.root = folder_;
    evidence.local = true;
    evidence.commands = {"sh /x/opt/mayfly/fuse.sh wait", "sh /x/opt/mayfly/watch.sh watch",
                         "sh /x/opt/mayfly/bootstrap.sh", "/x/opt/mayfly/bin/agent run --plan p"};
    evidence.boot_id = "boot-1";
    evidence.uptime_seconds = 1010;
  }
  Layer seen(const std::string& name) const {
    for (const Layer& layer : layers_seen(planned_layers("local", 1h), evidence)) {
      if (layer.name == name) return layer;
    }
    return {};
  }
  LayerEvidence evidence;
};

TEST_F(LayersSeenTest, SeesAllThatAreAtWork) {
  for (const char* name : {"L1", "L2", "L3", "L4", "L5"}) {
    EXPECT_EQ(seen(name).state, LayerState::verified) << name;
  }
  EXPECT_EQ(seen("L6").state, LayerState::none);
  EXPECT_EQ(seen("L7").state, LayerState::planned);
  // 3600 s of life, of which 120 were over 10 s ago.
  EXPECT_EQ(seen("L5").detail, "destroys in 57m50s at the latest");
}

TEST_F(LayersSeenTest, TheFusesDeadlineIsWhatItsFilesSay) {
  put("opt/mayfly/total", "600\n");
  EXPECT_EQ(seen("L5").detail, "destroys in 7m50s at the latest");
  put("var/lib/mayfly/extended", "60\n");
  EXPECT_EQ(seen("L5").detail, "destroys in 8m50s at the latest");
}

TEST_F(LayersSeenTest, MissesAFuseThatDoesNotTick) {
  evidence.uptime_seconds = 1090;
  EXPECT_EQ(seen("L5").state, LayerState::verified);
  evidence.uptime_seconds = 1091;
  EXPECT_EQ(seen("L5").state, LayerState::missing);
  evidence.uptime_seconds = 1010;
  evidence.boot_id = "boot-2";  // it ticked before a reboot, and not since
  EXPECT_EQ(seen("L5").state, LayerState::missing);
  evidence.boot_id = "boot-1";
  put("run/mayfly/life", "");
  EXPECT_EQ(seen("L5").detail, "not armed");
}

TEST_F(LayersSeenTest, MissesEachProcessThatIsNotThere) {
  const auto commands = evidence.commands;
  const char* names[] = {"L5", "L4", "L3"};
  for (std::size_t i = 0; i < 3; ++i) {
    evidence.commands = commands;
    evidence.commands.erase(evidence.commands.begin() + static_cast<std::ptrdiff_t>(i));
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(seen(names[k]).state, k == i ? LayerState::missing : LayerState::verified);
    }
  }
}

TEST_F(LayersSeenTest, OnARentedMachineSaysOnlyWhatItCanSee) {
  evidence.local = false;
  evidence.commands.clear();
  EXPECT_EQ(seen("L3").state, LayerState::missing);
  evidence.supervised = true;
  EXPECT_EQ(seen("L3").state, LayerState::verified);
  EXPECT_EQ(seen("L4").state, LayerState::unseen);
  EXPECT_EQ(seen("L5").state, LayerState::verified);
}

TEST_F(LayersSeenTest, NamesWhatIsMissingFirst) {
  evidence.commands.clear();
  const std::string text = layers_text(layers_seen(planned_layers("local", 1h), evidence));
  EXPECT_EQ(text,
            "MISSING: L3 restart (nothing starts the agent again), L4 watchdog (its process does "
            "not run), L5 fuse (its process does not run) · verified: L1 agent, L2 hard stop · "
            "planned: L7 reap · none: L6 provider's timer (this machine has none)");
}

}  // namespace
}  // namespace mayfly
