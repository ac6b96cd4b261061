#include "agent/dashboard.h"

#include <cmath>

#include "core/clock.h"
#include "core/number_text.h"

namespace mayfly {

namespace {

constexpr const char* kHead =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta http-equiv=\"refresh\" content=\"5\">"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>mayfly</title><style>"
    "body{font:15px/1.45 system-ui,sans-serif;max-width:46rem;margin:1.5rem auto;padding:0 1rem;"
    "color:#222;background:#fff}h1{font-size:1.2rem}h2{font-size:1rem;margin:1.4rem 0 .3rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.15rem .8rem .15rem 0;"
    "vertical-align:top}th{font-weight:normal;color:#666;white-space:nowrap}"
    "pre{background:#f4f4f4;padding:.6rem;overflow-x:auto;font-size:12px}"
    "svg{width:100%}polyline{fill:none;stroke:#2a6;stroke-width:1.5}circle{fill:#c52}"
    "text{font-size:11px;fill:#666}.bad{color:#b00}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#242424}"
    "th,text{color:#999;fill:#999}}</style></head><body>";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string duration(double seconds) {
  return format_duration(std::chrono::seconds(std::llround(std::min(seconds, 1e15))));
}

// `content` is HTML.
std::string row(const std::string& name, const std::string& content) {
  if (content.empty()) return "";
  return "<tr><th>" + escaped(name) + "</th><td>" + content + "</td></tr>";
}

std::string work_rows(const RunStatus& status) {
  std::string state = escaped(status.state);
  if (!status.reason.empty()) state += " (" + escaped(status.reason) + ")";
  if (!status.detail.empty()) state += ": " + escaped(status.detail);
  std::string rows = row("state", state);
  std::string progress;
  if (status.total_steps > 0) {
    progress = "step " + std::to_string(status.step) + " of " + std::to_string(status.total_steps) +
               ", epoch " + number("%.3g", status.epoch) + " of " + number("%.3g", status.epochs);
  }
  rows += row(status.phase, progress);
  std::string loss;
  if (status.loss) loss = number("%.4f", *status.loss);
  if (status.held_out_loss) loss += ", held-out " + number("%.4f", *status.held_out_loss);
  rows += row("loss", loss);
  std::string speed = number("%.0f tokens a second", status.tokens_per_second);
  if (status.eta_seconds) speed += ", done in " + duration(*status.eta_seconds);
  rows += row("speed", speed);
  return rows;
}

std::string money_rows(const RunStatus& status) {
  std::string spent = format_usd(status.spent) + " of at most " + format_usd(status.limit);
  spent += ", " + format_usd(status.rate_per_hour) + " an hour";
  if (status.to_finish) spent += ", " + format_usd(*status.to_finish) + " more to finish";
  std::string rows = row("spent", spent);
  std::string limits;
  for (const GuardReport& guard : status.guards) {
    if (!guard.left_seconds) continue;
    limits +=
        (limits.empty() ? "" : ", ") + escaped(guard.name) + " in " + duration(*guard.left_seconds);
  }
  return rows + row("stops by", limits);
}

std::string upload_rows(const RunStatus& status) {
  std::string rows;
  for (const UploadReport& upload : status.uploads) {
    std::string text = escaped(upload.state);
    if (!upload.commit.empty()) text += ", commit " + escaped(upload.commit.substr(0, 12));
    if (!upload.message.empty() && upload.state != "safe") {
      text += "<span class=\"bad\">: " + escaped(upload.message) + "</span>";
    }
    rows += row(upload.label, text);
  }
  return rows;
}

std::string gpu_rows(const std::vector<GpuUse>& gpus) {
  std::string rows;
  for (const GpuUse& gpu : gpus) {
    std::string text;
    if (gpu.busy) text = number("%.0f %% busy", *gpu.busy * 100);
    if (gpu.memory_used_bytes && gpu.memory_bytes) {
      text += number(", %.1f", *gpu.memory_used_bytes / 1e9) +
              number(" of %.1f GB", *gpu.memory_bytes / 1e9);
    }
    if (gpu.celsius) text += number(", %.0f &deg;C", *gpu.celsius);
    if (gpu.watts) text += number(", %.0f W", *gpu.watts);
    rows += row("GPU " + gpu.index, text);
  }
  return rows;
}

std::string table(const std::string& title, const std::string& rows) {
  if (rows.empty()) return "";
  return (title.empty() ? "" : "<h2>" + title + "</h2>") + "<table>" + rows + "</table>";
}

}  // namespace

std::string dashboard_page(const std::optional<RunStatus>& status, const LossCurve& curve,
                           const std::vector<GpuUse>& gpus, const std::vector<LogLines>& logs) {
  std::string page = kHead;
  if (!status) {
    page += "<h1>The agent is starting</h1>";
  } else {
    page += "<h1>" + escaped(status->name) + "</h1>" + table("", work_rows(*status));
    page += curve_svg(curve);
    page += table("Money and time", money_rows(*status));
    page += table("On the hub", upload_rows(*status));
    for (const std::string& warning : status->warnings) {
      page += "<p class=\"bad\">" + escaped(warning) + "</p>";
    }
    page += table("GPU", gpu_rows(gpus));
  }
  for (const LogLines& log : logs) {
    if (log.text.empty()) continue;
    page += "<h2>" + escaped(log.name) + "</h2><pre>" + escaped(log.text) + "</pre>";
  }
  if (status) page += "<p>as of " + format_utc(status->updated_at) + "</p>";
  return page + "</body></html>\n";
}

}  // namespace mayfly
