#include "model/remote/endpoints.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

constexpr int kLongestTimeOutS = 60;

}  // namespace

Endpoints::Endpoints(std::vector<std::string> urls, int max_concurrent, Clock::duration spacing)
    : max_concurrent_(max_concurrent), spacing_(spacing) {
  for (std::string& url : urls) all_.push_back({std::move(url), 0, 0, {}, {}});
}

bool Endpoints::all_alone(Clock::time_point now) const {
  return std::all_of(all_.begin(), all_.end(), [now](const Endpoint& endpoint) {
    return endpoint.is_sick() && now < endpoint.alone_until;
  });
}

// When it takes a request if none of its own ends before; time_point::max(): not before one ends.
Endpoints::Clock::time_point Endpoints::takes_from(const Endpoint& endpoint, bool all_alone) const {
  const bool recovers = endpoint.is_sick() && !all_alone;
  if (endpoint.active >= (recovers ? 1 : max_concurrent_)) return Clock::time_point::max();
  return recovers ? std::max(endpoint.alone_until, endpoint.spaced_until) : endpoint.spaced_until;
}

int Endpoints::acquire(Clock::time_point now, int avoid) {
  const bool alone = all_alone(now);
  int best = -1;
  for (size_t i = 1; i <= all_.size(); ++i) {
    const auto at = static_cast<int>((last_ + i) % all_.size());
    const Endpoint& endpoint = all_[static_cast<size_t>(at)];
    if (takes_from(endpoint, alone) > now) continue;
    const auto rank = [&](int e) {
      return std::pair(e == avoid, all_[static_cast<size_t>(e)].active);
    };
    if (best < 0 || rank(at) < rank(best)) best = at;
  }
  if (best < 0) return -1;
  last_ = static_cast<size_t>(best);
  ++all_[last_].active;
  all_[last_].spaced_until = now + spacing_;
  return best;
}

std::chrono::seconds Endpoints::time_out(int endpoint) const {
  const int beyond = all_[static_cast<size_t>(endpoint)].failures - kSickAfter;
  return std::chrono::seconds(std::min(1 << std::clamp(beyond, 0, 6), kLongestTimeOutS));
}

bool Endpoints::release(int endpoint, End end, Clock::time_point now) {
  Endpoint& ended = all_[static_cast<size_t>(endpoint)];
  --ended.active;
  if (end == End::kUnknown) return false;
  const bool was_sick = ended.is_sick();
  ended.failures = end == End::kFailed ? ended.failures + 1 : 0;
  if (ended.is_sick()) ended.alone_until = now + time_out(endpoint);
  return ended.is_sick() && !was_sick;
}

void Endpoints::pause(int endpoint, Clock::time_point until) {
  Endpoint& paused = all_[static_cast<size_t>(endpoint)];
  paused.spaced_until = std::max(paused.spaced_until, until);
}

bool Endpoints::has_room(Clock::time_point now) const { return next_room(now) <= now; }

Endpoints::Clock::time_point Endpoints::next_room(Clock::time_point now) const {
  const bool alone = all_alone(now);
  auto next = Clock::time_point::max();
  for (const Endpoint& endpoint : all_) next = std::min(next, takes_from(endpoint, alone));
  return std::max(next, now);
}

}  // namespace weft
