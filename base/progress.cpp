#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"

namespace weft {
namespace {

constexpr auto kTerminalPeriod = std::chrono::milliseconds(200);
constexpr auto kPlainPeriod = std::chrono::seconds(5);
constexpr auto kQuietPeriod = std::chrono::seconds(30);  // of plain lines while nothing advances
constexpr auto kWindow = std::chrono::minutes(1);
constexpr auto kGrain = std::chrono::seconds(1);
constexpr double kQuietS = 10;  // without an advance from which the line says so
constexpr int kBarWidth = 24;

double seconds(std::chrono::steady_clock::duration span) {
  return std::chrono::duration<double>(span).count();
}

}  // namespace

std::string format_duration(double seconds) {
  const auto s = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string format_rate(double per_second) {
  return per_second >= 1 ? fmt::format("{:.3g}/s", per_second)
                         : fmt::format("{:.3g} s each", 1 / per_second);
}

void ProgressRate::add(int64_t done, Clock::time_point now) {
  advanced_ = now;
  if (samples_.size() > 2 && now - samples_[samples_.size() - 2].at < kGrain) {
    samples_.back() = {now, done};
  } else {
    samples_.push_back({now, done});
  }
  while (samples_.size() > 2 && now - samples_[2].at > kWindow) {
    samples_.erase(samples_.begin() + 1);
  }
}

double ProgressRate::per_second(Clock::time_point now) const {
  const auto recent = std::find_if(samples_.begin(), samples_.end() - 1,
                                   [&](const Sample& s) { return now - s.at <= kWindow; });
  const Sample& from = recent == samples_.end() - 1 ? samples_.front() : *recent;
  const double span = seconds(now - from.at);
  return span > 0 ? static_cast<double>(samples_.back().done - from.done) / span : 0;
}

double ProgressRate::quiet_s(Clock::time_point now) const { return seconds(now - advanced_); }

Progress::Progress(std::string label, int64_t total, std::string unit, int64_t done,
                   std::function<int64_t()> tokens)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(std::max<int64_t>(total, done)),
      terminal_(isatty(STDERR_FILENO) != 0),
      tokens_(std::move(tokens)),
      start_(Clock::now()),
      done_(done),
      rate_(done, start_) {
  {
    const std::lock_guard lock(mutex_);
    draw(false);
  }
  drawer_ = std::thread([this] { draw_as_time_goes(); });
}

Progress::~Progress() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  ended_.notify_all();
  drawer_.join();
  const std::lock_guard lock(mutex_);
  draw(true);
}

void Progress::advance(int64_t count) {
  const std::lock_guard lock(mutex_);
  done_ += count;
  rate_.add(done_, Clock::now());
}

void Progress::note(std::string text) {
  const std::lock_guard lock(mutex_);
  note_ = std::move(text);
}

void Progress::draw_as_time_goes() {
  std::unique_lock lock(mutex_);
  const auto period = terminal_ ? Clock::duration(kTerminalPeriod) : Clock::duration(kPlainPeriod);
  while (!ended_.wait_for(lock, period, [this] { return is_over_; })) {
    const auto now = Clock::now();
    const bool is_quiet = !terminal_ && rate_.quiet_s(now) > seconds(now - last_draw_);
    if (!is_quiet || now - last_draw_ >= kQuietPeriod) draw(false);
  }
}

void Progress::draw(bool last) {
  last_draw_ = Clock::now();
  const std::string text = render(last_draw_);
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", text.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
  if (last || !terminal_) log::write_to_file(log::Level::kInfo, text);
}

std::string Progress::render(Clock::time_point now) const {
  std::string text = fmt::format("{} ", label_);
  if (terminal_ && total_ > 0) {
    const auto filled =
        static_cast<size_t>(std::min<int64_t>(kBarWidth, kBarWidth * done_ / total_));
    text += "[" + std::string(filled, '=') + std::string(kBarWidth - filled, ' ') + "] ";
  }
  text += total_ > 0 ? fmt::format("{}/{} {}", done_, total_, unit_)
                     : fmt::format("{} {}", done_, unit_);
  if (const double rate = rate_.per_second(now); rate > 0) {
    text += ", " + format_rate(rate);
    if (done_ < total_) {
      text += ", " + format_duration(static_cast<double>(total_ - done_) / rate) + " left";
    }
  }
  text += fmt::format(", {} so far", format_duration(seconds(now - start_)));
  if (const double quiet = rate_.quiet_s(now); quiet >= kQuietS) {
    text += fmt::format(", none for {}", format_duration(quiet));
  }
  if (tokens_) text += fmt::format(", {} tokens", tokens_());
  if (!note_.empty()) text += " | " + note_;
  return text;
}

}  // namespace weft
