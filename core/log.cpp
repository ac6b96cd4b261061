#include "core/log.h"

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "core/scrub.h"

namespace mayfly {

namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

// spdlog's own sink opens its file by name.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit DescriptorSink(Descriptor file) : file_(std::move(file)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    (void)!::write(file_.get(), line.data(), line.size());
  }
  void flush_() override {}

  Descriptor file_;
};

// `to_file` may be none.
void install(std::string component, LogLevel console, spdlog::sink_ptr to_file) {
  std::vector<spdlog::sink_ptr> sinks;
  auto to_console = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  to_console->set_level(spdlog_level(console));
  sinks.push_back(std::move(to_console));
  if (to_file) {
    to_file->set_level(spdlog::level::debug);
    sinks.push_back(std::move(to_file));
  }
  auto logger = std::make_shared<spdlog::logger>(std::move(component), sinks.begin(), sinks.end());
  logger->set_level(spdlog::level::debug);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-5l%$ %n  %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void write(spdlog::level::level_enum level, std::string_view text) {
  const std::string masked = mask_tokens(text);
  spdlog::log(level, spdlog::string_view_t(masked.data(), masked.size()));
}

}  // namespace

Status start_log(std::string component, LogLevel console, const std::filesystem::path& file) {
  spdlog::sink_ptr to_file;
  if (!file.empty()) {
    try {
      to_file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
    } catch (const spdlog::spdlog_ex& error) {
      return Error{ErrorKind::refused, std::string("opening the log: ") + error.what()};
    }
  }
  install(std::move(component), console, std::move(to_file));
  return Unit{};
}

void start_log(std::string component, LogLevel console, Descriptor file) {
  install(std::move(component), console, std::make_shared<DescriptorSink>(std::move(file)));
}

void log_debug(std::string_view text) {
  write(spdlog::level::debug, text);
}
void log_info(std::string_view text) {
  write(spdlog::level::info, text);
}
void log_warn(std::string_view text) {
  write(spdlog::level::warn, text);
}
void log_error(std::string_view text) {
  write(spdlog::level::err, text);
}

std::string mask_tokens(std::string_view text) {
  return scrub_secrets(text);
}

}  // namespace mayfly
