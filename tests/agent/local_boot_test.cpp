// The start-up file carries what a user wrote to a machine where a shell is root. Whatever is in a
// value must arrive as it was, and nothing of it may become a command or a key.
#include "agent/local_boot.h"

#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/run/user_data.h"

namespace mayfly {
namespace {

RunPlan plan_with(const std::string& text) {
  RunPlan plan;
  plan.run_id = "0123456789ab";
  plan.run_name = text;
  plan.run_dir = "/runs/" + text;
  plan.offer.provider = "local";
  plan.config.model.base = text;
  plan.config.data.path = {text};
  plan.config.generate.vars = {{"name", text}};
  plan.programs = {{"agent", "file:///opt/a b/agent", std::string(64, 'a')}};
  return plan;
}

const CloudFile* find_file(const CloudConfig& config, const std::string& path) {
  for (const CloudFile& file : config.files) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

TEST(LocalBootTest, ReadsTheStartUpThatTheLauncherWrites) {
  const auto text = render_user_data(plan_with("run"), {.fuse = std::chrono::seconds(5400)});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_LE(text->size(), kUserDataMaxBytes);
  const auto config = parse_cloud_config(*text);
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->boot_commands.size(), 1U);
  EXPECT_NE(config->boot_commands[0].back().find("\nFUSE=5400 BEHIND=300 START=1800 TICK=30 "),
            std::string::npos);
  EXPECT_TRUE(config->boot_commands[0].back().ends_with("sh \"$D/fuse.sh\" arm\n"));
  ASSERT_EQ(config->run_commands.size(), 1U);
  const CloudFile* programs = find_file(*config, "/opt/mayfly/programs");
  ASSERT_NE(programs, nullptr);
  EXPECT_EQ(programs->content, "agent " + std::string(64, 'a') + " file:///opt/a b/agent\n");
  const CloudFile* bootstrap = find_file(*config, "/opt/mayfly/bootstrap.sh");
  ASSERT_NE(bootstrap, nullptr);
  EXPECT_TRUE(bootstrap->content.starts_with("#!/bin/sh\n"));
  EXPECT_EQ(bootstrap->mode, 0755U);
  EXPECT_EQ(find_file(*config, "/opt/mayfly/plan.json")->mode, 0600U);
}

TEST(LocalBootTest, EveryHostileTextArrivesAsItWas) {
  const std::vector<std::string> pieces = {"'",
                                           "\"",
                                           "\n",
                                           "$(touch /tmp/canary)",
                                           "`id`",
                                           "; rm -rf /",
                                           "--",
                                           "#cloud-config\n",
                                           "runcmd:\n  - evil\n",
                                           "@{plan_base64}",
                                           "@{file:bootstrap.sh}\n",
                                           "\xf0\x9f\x92\xa5",
                                           "\\",
                                           "\t",
                                           "${HOME}",
                                           "|",
                                           "&",
                                           "%s",
                                           std::string(1000, 'x')};
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    std::string hostile;
    for (unsigned k = 0; k < 1 + random() % 4; ++k) hostile += pieces[random() % pieces.size()];
    const RunPlan plan = plan_with(hostile);
    const auto text = render_user_data(plan, {.fuse = std::chrono::seconds(60)});
    if (!text) {
      ASSERT_NE(text.error().message.find("bytes"), std::string::npos) << text.error().message;
      continue;  // too large, and said so
    }
    const auto config = parse_cloud_config(*text);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->run_commands.size(), 1U);
    EXPECT_EQ(config->files.size(), 3U);
    const auto json = parse_json(find_file(*config, "/opt/mayfly/plan.json")->content, "plan");
    ASSERT_TRUE(json);
    EXPECT_EQ(*json, plan_to_json(plan));
  }
}

TEST(LocalBootTest, AProgramsAddressWithALineBreakIsRefused) {
  RunPlan plan = plan_with("run");
  plan.programs[0].url = "file:///a\ntrain 00 file:///evil";
  const auto text = render_user_data(plan, {.fuse = std::chrono::seconds(60)});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::invalid_config);
}

TEST(LocalBootTest, WhatItDoesNotKnowIsRefusedByName) {
  EXPECT_EQ(parse_cloud_config("runcmd: []").error().message,
            "user-data: does not begin with #cloud-config");
  EXPECT_EQ(parse_cloud_config("#cloud-config\nruncmds: []\n").error().message,
            "user-data: unknown key runcmds");
  EXPECT_EQ(
      parse_cloud_config("#cloud-config\nwrite_files: [{path: /a, owner: me}]\n").error().message,
      "user-data: unknown key write_files.owner");
  EXPECT_FALSE(parse_cloud_config("#cloud-config\nwrite_files: [{path: /a/../../b}]\n"));
  EXPECT_FALSE(parse_cloud_config("#cloud-config\nwrite_files: [{path: b}]\n"));
  EXPECT_FALSE(parse_cloud_config("#cloud-config\nruncmd: {a: b}\n"));
  // The one bad item that makes cloud-init drop a whole list.
  EXPECT_FALSE(parse_cloud_config("#cloud-config\nruncmd: [{x: y}]\n"));
}

}  // namespace
}  // namespace mayfly
