#include "agent/loss_curve.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string_view>

#include "core/number_text.h"

namespace mayfly {

namespace {

constexpr std::int64_t kMostAtOnce = 8 << 20;
constexpr std::size_t kBlock = 64 << 10;

constexpr double kWidth = 640;
constexpr double kHeight = 200;
constexpr double kLeft = 56;
constexpr double kBottom = 20;
constexpr double kTop = 8;

struct Box {
  double first = 0, last = 1;   // steps
  double lowest = 0, most = 1;  // losses

  std::string place(const CurvePoint& point, const char* format) const {
    const double x = kLeft + (kWidth - kLeft - 8) * (point.step - first) / (last - first);
    const double y =
        kTop + (kHeight - kTop - kBottom) * (1.0 - (point.loss - lowest) / (most - lowest));
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), format, x, y);
    return text.data();
  }
};

Box box_of(const LossCurve& curve) {
  Box box;
  bool any = false;
  for (const auto* list : {&curve.losses(), &curve.held_out()}) {
    for (const CurvePoint& point : *list) {
      if (!any) box = {point.step, point.step, point.loss, point.loss};
      any = true;
      box.first = std::min(box.first, point.step);
      box.last = std::max(box.last, point.step);
      box.lowest = std::min(box.lowest, point.loss);
      box.most = std::max(box.most, point.loss);
    }
  }
  if (box.last - box.first < 1) box.last = box.first + 1;
  if (box.most - box.lowest < 1e-9) box.most = box.lowest + 1e-3 + std::abs(box.lowest) * 1e-3;
  return box;
}

std::string label(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + number("%.0f", x) + "\" y=\"" + number("%.0f", y) + "\" text-anchor=\"" +
         anchor + "\">" + text + "</text>";
}

}  // namespace

void LossCurve::read_new() {
  std::ifstream in(events_, std::ios::binary);
  if (!in) return;
  std::string block(kBlock, '\0');
  for (const std::int64_t stop = offset_ + kMostAtOnce; offset_ < stop;) {
    in.seekg(offset_);
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    const std::string_view got(block.data(), static_cast<std::size_t>(in.gcount()));
    std::size_t begin = 0;
    for (auto end = got.find('\n'); end != std::string_view::npos; end = got.find('\n', begin)) {
      const auto event = parse_event(got.substr(begin, end - begin));
      if (event && *event) add(**event);
      begin = end + 1;
    }
    // A block without any end of line is no event, which has 4 KB at most.
    if (begin == 0 && got.size() == kBlock) begin = got.size();
    offset_ += static_cast<std::int64_t>(begin);
    if (got.size() < kBlock) return;
  }
}

void LossCurve::add(const Event& event) {
  if (const auto* step = std::get_if<StepEvent>(&event.body)) add_step(*step);
  if (const auto* seen = std::get_if<EvaluatedEvent>(&event.body)) {
    const CurvePoint point{static_cast<double>(seen->step), seen->loss};
    if (!std::isfinite(point.loss)) return;
    std::erase_if(held_out_, [&](const CurvePoint& old) { return old.step >= point.step; });
    if (held_out_.size() < kMostPoints) held_out_.push_back(point);
  }
}

void LossCurve::add_step(const StepEvent& event) {
  if (!std::isfinite(event.loss)) return;
  const auto step = static_cast<double>(event.step);
  const double waiting_since = waiting_ > 0 ? sum_.step / waiting_ : step - 1;
  if (step <= waiting_since) {
    sum_ = {};
    waiting_ = 0;
  }
  while (!losses_.empty() && losses_.back().step >= step) losses_.pop_back();
  sum_.step += step;
  sum_.loss += event.loss;
  if (++waiting_ < steps_a_point_) return;
  losses_.push_back({sum_.step / waiting_, sum_.loss / waiting_});
  sum_ = {};
  waiting_ = 0;
  if (losses_.size() < kMostPoints) return;
  for (std::size_t i = 0; i < kMostPoints / 2; ++i) {
    const CurvePoint &a = losses_[2 * i], &b = losses_[2 * i + 1];
    losses_[i] = {(a.step + b.step) / 2, (a.loss + b.loss) / 2};
  }
  losses_.resize(kMostPoints / 2);
  steps_a_point_ *= 2;
}

std::string curve_svg(const LossCurve& curve) {
  if (curve.losses().empty() && curve.held_out().empty()) return "";
  const Box box = box_of(curve);
  std::string points;
  for (const CurvePoint& point : curve.losses()) points += box.place(point, "%.1f,%.1f ");
  std::string svg = "<svg viewBox=\"0 0 640 200\" role=\"img\" aria-label=\"loss by step\">";
  svg += "<polyline points=\"" + points + "\"/>";
  for (const CurvePoint& point : curve.held_out()) {
    svg += box.place(point, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>");
  }
  svg += label(kLeft - 6, kTop + 8, "end", number("%.4g", box.most));
  svg += label(kLeft - 6, kHeight - kBottom, "end", number("%.4g", box.lowest));
  svg += label(kLeft, kHeight - 4, "start", "step " + number("%.0f", box.first));
  svg += label(kWidth - 8, kHeight - 4, "end", number("%.0f", box.last));
  return svg + "</svg>";
}

}  // namespace mayfly
