#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

#include "base/error.h"

namespace weft::log {
namespace {

constexpr const char* kPattern = "%H:%M:%S %^%l%$ %v";

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>(
        "weft", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern(kPattern);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    default:
      return spdlog::level::err;
  }
}

}  // namespace

void write(Level level, std::string_view text) {
  logger().log(to_spdlog(level), "{}", fmt::string_view(text.data(), text.size()));
}

void write_to_file(Level level, std::string_view text) {
  if (logger().sinks().size() < 2) return;
  const auto& file = logger().sinks().back();
  try {
    file->log({"weft", to_spdlog(level), spdlog::string_view_t(text.data(), text.size())});
    file->flush();
  } catch (const spdlog::spdlog_ex&) {  // a full disk: what is written through write() says so
  }
}

void open_file(const std::filesystem::path& path) {
  close_file();
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
    sink->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    logger().sinks().push_back(sink);
  } catch (const spdlog::spdlog_ex& error) {
    throw Error("cannot write " + path.string() + ": " + error.what());
  }
}

void close_file() { logger().sinks().resize(1); }

}  // namespace weft::log
