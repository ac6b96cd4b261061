// The losses of a run in at most 512 points, however long it is, from its growing events.jsonl.
//
// Each point is the mean loss of as many steps in a row; when there are 512, neighbours are joined.
// Steps that a restarted trainer does again replace what they were. Reads what was appended since
// the last time, line by line, so that memory does not grow with the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/run/event.h"

namespace mayfly {

struct CurvePoint {
  double step = 0;
  double loss = 0;
};

class LossCurve {
 public:
  explicit LossCurve(std::filesystem::path events) : events_(std::move(events)) {}

  // At most 8 MB of new lines a call; the next call goes on. A missing file has none.
  void read_new();

  const std::vector<CurvePoint>& losses() const {
    return losses_;
  }
  const std::vector<CurvePoint>& held_out() const {
    return held_out_;
  }

  void add(const Event& event);

 private:
  void add_step(const StepEvent& step);

  static constexpr std::size_t kMostPoints = 512;

  std::filesystem::path events_;
  std::int64_t offset_ = 0;
  std::vector<CurvePoint> losses_;
  std::vector<CurvePoint> held_out_;
  int steps_a_point_ = 1;
  CurvePoint sum_;  // of the steps that wait for their point
  int waiting_ = 0;
};

// An inline SVG of 640 x 200: losses as a line, held-out losses as dots, both axes labelled. "" if
// there is nothing to draw.
std::string curve_svg(const LossCurve& curve);

}  // namespace mayfly
