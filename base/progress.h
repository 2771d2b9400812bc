/// Progress of a long stage on standard error: a bar with rate and time left on a terminal, one
/// plain line every few seconds elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace weft {

/// All methods may be called from any thread. The destructor ends the line.
class Progress {
 public:
  /// `total` in `unit`s ("steps", "workflows"); `done` of them were finished before (resume).
  Progress(std::string label, int64_t total, std::string unit, int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(int64_t count = 1);

  /// A short text shown behind the numbers, e.g. "loss 1.23".
  void note(std::string text);

 private:
  using Clock = std::chrono::steady_clock;
  void draw(bool last);
  std::string render(double elapsed_s) const;

  const std::string label_, unit_;
  const int64_t total_, first_;
  const bool terminal_;
  const Clock::time_point start_;
  std::mutex mutex_;
  int64_t done_;
  std::string note_;
  Clock::time_point last_draw_;
};

/// "1:05", "2:03:04".
std::string format_duration(double seconds);

}  // namespace weft
