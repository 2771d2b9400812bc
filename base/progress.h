/// Progress of a long stage on standard error: a bar with rate and time left on a terminal, one
/// plain line every few seconds elsewhere.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace weft {

/// How far a stage was when, and what that says of its speed.
class ProgressRate {
 public:
  using Clock = std::chrono::steady_clock;

  ProgressRate(int64_t done, Clock::time_point now) : samples_{{now, done}}, advanced_(now) {}

  void add(int64_t done, Clock::time_point now);

  /// Units a second over the last minute, or since the start where nothing advanced in it; 0 before
  /// anything did.
  double per_second(Clock::time_point now) const;

  /// Seconds since something advanced, or since the start.
  double quiet_s(Clock::time_point now) const;

 private:
  struct Sample {
    Clock::time_point at;
    int64_t done;
  };
  std::deque<Sample> samples_;  ///< the first of all, then those of the last minute and one before
  Clock::time_point advanced_;
};

/// All methods may be called from any thread. It is drawn as time goes, advanced or not, so that
/// what hangs can be told from what is slow. The destructor ends the line. Plain lines go into
/// log.txt as they are printed, of a bar the last.
class Progress {
 public:
  /// `total` in `unit`s ("steps", "workflows"), 0 where it is not known; `done` of them were
  /// finished before (resume).
  /// `tokens` counts what models have decoded: it moves while a unit is one long call. It is asked
  /// on a thread of this object; may be empty.
  Progress(std::string label, int64_t total, std::string unit, int64_t done = 0,
           std::function<int64_t()> tokens = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(int64_t count = 1);

  /// A short text shown behind the numbers, e.g. "loss 1.23".
  void note(std::string text);

 private:
  using Clock = std::chrono::steady_clock;
  void draw_as_time_goes();
  void draw(bool last);
  std::string render(Clock::time_point now) const;

  const std::string label_, unit_;
  const int64_t total_;
  const bool terminal_;
  const std::function<int64_t()> tokens_;
  const Clock::time_point start_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_over_ = false;
  int64_t done_;
  ProgressRate rate_;
  std::string note_;
  Clock::time_point last_draw_;
  std::thread drawer_;
};

/// "1:05", "2:03:04".
std::string format_duration(double seconds);

/// "12.5/s", or where one takes longer than a second "2.5 s each".
std::string format_rate(double per_second);

}  // namespace weft
