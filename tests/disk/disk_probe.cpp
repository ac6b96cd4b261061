// What trainer and agent do to a disk, as a program of its own that can be stopped, traced and cut
// off at any moment:
//
//   disk_probe checkpoint RUN STEP   writes that checkpoint, deletes all but the newest two
//   disk_probe freeze RUN STEP       freezes it for an upload, prints the files' paths
//   disk_probe state RUN N           replaces the agent's memory by N and appends N to its
//   decisions disk_probe loop RUN              all of that for ever, from step 1 on; prints
//   "<step>\n" when
//                                    the step is told of
//   disk_probe check RUN             prints "<newest whole step> <whole steps> <broken ones>
//                                    <state> <last decision>"
// Exit codes: 0; 3 with the error's text.
#include <cstdlib>
#include <iostream>
#include <string>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "agent/upload_folder.h"
#include "core/atomic_file.h"
#include "trainer/checkpoint.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

// Other numbers at every step, so that one step's bytes are never taken for another's.
class Content {
 public:
  Content(const RunDirectory& run, std::int64_t step) : values_(4000) {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      values_[i] = static_cast<float>(step) + static_cast<float>(i) / 4096;
    }
    made_.adapter.tensors = {{"base_model.model.x.lora_A.weight",
                              TensorType::f32,
                              {static_cast<std::int64_t>(values_.size())},
                              std::as_bytes(std::span(values_))}};
    made_.adapter.config = "{}\n";
    made_.adapter.model_card = "# card of step " + std::to_string(step) + "\n";
    made_.adapter.model_dir = run.model();
    made_.optimizer = made_.adapter.tensors;
    made_.optimizer[0].name = "first_moment";
    made_.trainer_state = "{}\n";
    made_.state.step = step;
    made_.state.total_steps = 1'000'000;
  }
  const CheckpointContent& get() const {
    return made_;
  }

 private:
  std::vector<float> values_;
  CheckpointContent made_;
};

Status save(const RunDirectory& run, std::int64_t step) {
  const Content content(run, step);
  const auto written = write_checkpoint(run, content.get());
  if (!written) return written.error();
  return delete_old_checkpoints(run, 2);
}

Status remember(const RunDirectory& run, std::int64_t number) {
  const std::string text = std::to_string(number);
  // As the agent does: the decision first, synced, then the memory.
  if (Status noted = append_line(run.decisions(), text); !noted) return noted;
  const int fd = ::open(run.decisions().c_str(), O_WRONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fdatasync(fd) == 0;
  if (fd >= 0) ::close(fd);
  if (!synced) return Error{ErrorKind::corrupt, "syncing " + run.decisions().string()};
  return write_file(run.agent_state(), text + "\n");
}

Status freeze(const RunDirectory& run, std::int64_t step) {
  const std::string name = run.checkpoint(step).filename().string();
  const auto files = freeze_folder(run, "checkpoints/" + name, "frozen-" + std::to_string(step),
                                   OptimizerState::none);
  if (!files) return files.error();
  for (const StoreUpload& file : *files) std::cout << file.source.string() << "\n";
  return Unit{};
}

[[noreturn]] void loop(const RunDirectory& run) {
  for (std::int64_t step = 1;; ++step) {
    const bool done =
        save(run, step) && write_file(run.uploaded_mark(step), "") && remember(run, step);
    if (!done) std::_Exit(3);
    const std::string told = std::to_string(step) + "\n";
    if (::write(STDOUT_FILENO, told.data(), told.size()) < 0) std::_Exit(0);
  }
}

Status check(const RunDirectory& run) {
  std::int64_t newest = -1;
  int whole = 0;
  int broken = 0;
  for (const std::int64_t step : checkpoint_steps(run)) {
    const auto checkpoint = read_checkpoint(run.checkpoint(step));
    const Content expected(run, step);
    const bool right = checkpoint && checkpoint->state.step == step &&
                       std::equal(checkpoint->adapter.tensors()[0].bytes.begin(),
                                  checkpoint->adapter.tensors()[0].bytes.end(),
                                  expected.get().adapter.tensors[0].bytes.begin());
    if (!right) std::cerr << (checkpoint ? "other numbers" : checkpoint.error().message) << "\n";
    right ? ++whole : ++broken;
    if (right) newest = step;
  }
  const auto state = read_file(run.agent_state());
  std::string decisions = read_file(run.decisions()) ? *read_file(run.decisions()) : "";
  decisions.resize(decisions.rfind('\n') == std::string::npos ? 0 : decisions.rfind('\n'));
  const auto last = decisions.rfind('\n');
  std::cout << newest << " " << whole << " " << broken << " "
            << (state ? std::atoll(state->c_str()) : -1) << " "
            << std::atoll(decisions.c_str() + (last == std::string::npos ? 0 : last + 1)) << "\n";
  return Unit{};
}

int probe(const std::string& verb, const RunDirectory& run, std::int64_t number) {
  Status done = Unit{};
  if (verb == "checkpoint") done = save(run, number);
  if (verb == "freeze") done = freeze(run, number);
  if (verb == "state") done = remember(run, number);
  if (verb == "loop") loop(run);
  if (verb == "check") done = check(run);
  if (done) return 0;
  std::cerr << done.error().message << "\n";
  return 3;
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  return mayfly::probe(argv[1], {argv[2]}, argc > 3 ? std::atoll(argv[3]) : 0);
}
