#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace weft {
namespace {

constexpr auto kTerminalPeriod = std::chrono::milliseconds(100);
constexpr auto kPlainPeriod = std::chrono::seconds(5);
constexpr int kBarWidth = 24;

}  // namespace

std::string format_duration(double seconds) {
  const auto s = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

Progress::Progress(std::string label, int64_t total, std::string unit, int64_t done)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(std::max<int64_t>(total, done)),
      first_(done),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      done_(done),
      last_draw_(start_ - kPlainPeriod) {
  std::lock_guard lock(mutex_);
  draw(false);
}

Progress::~Progress() {
  std::lock_guard lock(mutex_);
  draw(true);
}

void Progress::advance(int64_t count) {
  std::lock_guard lock(mutex_);
  done_ += count;
  draw(false);
}

void Progress::note(std::string text) {
  std::lock_guard lock(mutex_);
  note_ = std::move(text);
}

void Progress::draw(bool last) {
  const auto now = Clock::now();
  const auto period = terminal_ ? Clock::duration(kTerminalPeriod) : Clock::duration(kPlainPeriod);
  if (!last && now - last_draw_ < period) return;
  last_draw_ = now;
  const std::string text = render(std::chrono::duration<double>(now - start_).count());
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", text.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

std::string Progress::render(double elapsed_s) const {
  std::string text = fmt::format("{} ", label_);
  if (terminal_ && total_ > 0) {
    const auto filled =
        static_cast<size_t>(std::min<int64_t>(kBarWidth, kBarWidth * done_ / total_));
    text += "[" + std::string(filled, '=') + std::string(kBarWidth - filled, ' ') + "] ";
  }
  text += fmt::format("{}/{} {}", done_, total_, unit_);
  const int64_t fresh = done_ - first_;
  if (fresh > 0 && elapsed_s > 0) {
    const double rate = static_cast<double>(fresh) / elapsed_s;
    text += fmt::format(", {:.3g}/s", rate);
    if (done_ < total_) {
      text += ", " + format_duration(static_cast<double>(total_ - done_) / rate) + " left";
    }
  }
  text += fmt::format(", {} so far", format_duration(elapsed_s));
  if (!note_.empty()) text += " | " + note_;
  return text;
}

}  // namespace weft
