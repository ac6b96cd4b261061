// A laptop, a fake cloud and its stand-in machines, for tests of whole runs.
#pragma once

#include <memory>

#include "tests/clouds/rig.h"
#include "tests/clouds/stand_in.h"
#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {

class CloudRunTest : public LaunchTest {
 protected:
  static constexpr const char* kToken = "hf_test0123456789abcdef0123456789";

  // False: it cannot be done here, and the test was marked as skipped.
  bool start(const std::string& provider) {
    if (!StandIns::sshd()) return false;
    for (const CloudKind& kind : cloud_kinds()) {
      if (kind.name == provider) kind_ = kind;
    }
    cloud_ = kind_.fake(clock_);
    stand_ins_ = std::make_unique<StandIns>(*cloud_, clock_, root / "machines");
    cloud_->start();
    // The model must be where a rented machine can get it.
    EXPECT_EQ(run("launch", "hub create local/tiny").code, 0);
    EXPECT_EQ(run("launch", "hub put local/tiny model").code, 0);
    return true;
  }
  ~CloudRunTest() override {
    if (stand_ins_) {
      if (HasFailure()) (void)run("launch", "down --all --yes");
      EXPECT_TRUE(stand_ins_->processes().empty());
    }
    stand_ins_.reset();
  }

  std::vector<std::string> environment() const override {
    std::vector<std::string> all = LaunchTest::environment();
    if (!cloud_) return all;
    const std::string key = FakeCloud::kKey;
    const std::string end = cloud_->endpoint();
    if (kind_.name == "shadeform")
      all.insert(all.end(), {"SHADEFORM_API_KEY=" + key, "SHADEFORM_ENDPOINT=" + end});
    if (kind_.name == "lambda")
      all.insert(all.end(), {"LAMBDA_API_KEY=" + key, "LAMBDA_ENDPOINT=" + end});
    if (kind_.name == "lium")
      all.insert(all.end(), {"LIUM_API_KEY=" + key, "LIUM_ENDPOINT=" + end});
    if (kind_.name == "aws") {
      all.insert(all.end(), {"AWS_SECRET_ACCESS_KEY=" + key, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
                             "AWS_REGION=" + aws_region_, "AWS_ENDPOINT_URL_EC2=" + end});
    }
    return all;
  }
  std::string words(const std::string& more) const {
    std::string text =
        "run.yaml --provider " + kind_.name + " --base-model local/tiny --gpu A100 --yes " + more;
    if (kind_.name == "aws") text += " --region r1 --set instance.spot=false";
    // Two vendors have a user and a port of their own that a stand-in cannot have.
    if (kind_.name == "lambda" || kind_.name == "aws") {
      text += " --set ssh.user=" + StandIns::user() +
              " --set ssh.port=" + std::to_string(stand_ins_->next_port());
    }
    return text;
  }
  // What a person would want to read when a test fails.
  std::string consoles() const {
    std::string text;
    for (const auto& entry : std::filesystem::directory_iterator(root / "machines")) {
      for (const char* name : {"console.log", "sshd.log", "opt/mayfly/bootstrap.log",
                               "var/lib/mayfly/run/logs/agent.log"}) {
        const auto log = read_file(entry.path() / name);
        if (log) text += "--- " + entry.path().filename().string() + " " + name + "\n" + *log;
      }
    }
    return text;
  }

  CloudKind kind_;
  std::string aws_region_ = "r1,r2";
  VirtualClock clock_;
  std::unique_ptr<FakeCloud> cloud_;
  std::unique_ptr<StandIns> stand_ins_;
};

}  // namespace mayfly
