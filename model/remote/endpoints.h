/// Several servers of one model: which takes the next request, and which are left alone for a
/// while.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace weft {

/// Bookkeeping only: it sends nothing and reads no clock. Not thread-safe.
class Endpoints {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr int kSickAfter = 3;  ///< attempts in a row that failed

  /// `urls`: at least one. At most `max_concurrent` requests are at each at a time, and each gets
  /// them at least `spacing` apart.
  Endpoints(std::vector<std::string> urls, int max_concurrent, Clock::duration spacing = {});

  /// The endpoint with the fewest requests under way among those that take one, counted for it;
  /// -1 when none does. `avoid` (-1: none) is only taken where no other is: it failed last time.
  ///
  /// An endpoint that is sick takes none for a time that doubles with each failure from 1 s to
  /// 60 s, then one request, until one is answered. When all are sick they take requests as ever:
  /// whoever waits for them gives up by its own rules.
  int acquire(Clock::time_point now, int avoid = -1);

  enum class End { kAnswered, kFailed, kUnknown };  ///< kUnknown: cancelled, or asked to wait

  /// Ends a request at an endpoint. True when the endpoint is sick from now on.
  bool release(int endpoint, End end, Clock::time_point now);

  /// Takes no request before `until`: it asked to wait.
  void pause(int endpoint, Clock::time_point until);

  /// Whether acquire would give one.
  bool has_room(Clock::time_point now) const;

  /// When acquire will give one though no request ends before: `now` if it would already,
  /// time_point::max() if waiting alone does not help.
  Clock::time_point next_room(Clock::time_point now) const;

  const std::string& url(int endpoint) const { return all_[static_cast<size_t>(endpoint)].url; }
  std::chrono::seconds time_out(int endpoint) const;  ///< how long it is left alone when sick

 private:
  struct Endpoint {
    std::string url;
    int active = 0;
    int failures = 0;  // in a row
    Clock::time_point alone_until{};
    Clock::time_point spaced_until{};

    bool is_sick() const { return failures >= kSickAfter; }
  };

  Clock::time_point takes_from(const Endpoint& endpoint, bool all_alone) const;
  bool all_alone(Clock::time_point now) const;

  std::vector<Endpoint> all_;
  const int max_concurrent_;
  const Clock::duration spacing_;
  size_t last_ = 0;  // where the search for the next one starts, so that equals take turns
};

}  // namespace weft
