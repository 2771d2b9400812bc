#include "serve/admissions.h"

#include <fmt/format.h>

#include <chrono>

#include "serve/api_error.h"

namespace weft {

std::shared_ptr<Admissions::Ticket> Admissions::enter() {
  const std::lock_guard lock(mutex_);
  if (draining_) throw ApiError(503, "the server is shutting down");
  if (flags_.size() >= most_) {
    throw ApiError(429,
                   fmt::format("expected at most {} requests at a time; try again later", most_));
  }
  auto flag = std::make_shared<std::atomic<bool>>(false);
  flags_.insert(flag);
  return std::make_shared<Ticket>(*this, std::move(flag));
}

bool Admissions::drain(double seconds) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  const auto idle = [this] { return flags_.empty(); };
  if (left_.wait_for(lock, std::chrono::duration<double>(seconds), idle)) return true;
  for (const CancelFlag& flag : flags_) flag->store(true);
  left_.wait_for(lock, std::chrono::seconds(10), idle);
  return false;
}

bool Admissions::draining() const {
  const std::lock_guard lock(mutex_);
  return draining_;
}

int64_t Admissions::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(flags_.size());
}

void Admissions::leave(const CancelFlag& flag) {
  const std::lock_guard lock(mutex_);
  flags_.erase(flag);
  left_.notify_all();
}

}  // namespace weft
