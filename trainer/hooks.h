// Commands of the user's at moments of a run (train.hooks): copying a checkpoint somewhere, telling
// a chat. Training waits for them, a minute at most; what goes wrong in them is a warning and never
// ends a run.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/run/event.h"

namespace mayfly {

class Hooks {
 public:
  // `commands`: by moment (kHookMoments), each for /bin/sh.
  Hooks(std::map<std::string, std::string> commands, std::filesystem::path run_dir,
        std::chrono::milliseconds limit = std::chrono::minutes(1));

  // Runs the command of this moment, if there is one, with our environment, MAYFLY_RUN_DIR,
  // MAYFLY_MOMENT and `facts` ("STEP" -> MAYFLY_STEP). What it prints goes to the log. Blocking. A
  // warning when it fails, once a moment: a broken on_step would fill the events.
  std::optional<WarningEvent> run(std::string_view moment,
                                  const std::map<std::string, std::string>& facts);

 private:
  struct Hook {
    std::string command;
    bool warned = false;
  };

  std::map<std::string, Hook, std::less<>> hooks_;
  std::filesystem::path run_dir_;
  std::chrono::milliseconds limit_;
};

}  // namespace mayfly
