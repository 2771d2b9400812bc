/// Waiting for many answers that come on other threads, with an eye on SIGINT and SIGTERM.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "model/text_model.h"

namespace weft {

/// A queue of (index, answer). Held by shared_ptr, so that answers may come after the one who
/// waited has left. Any thread.
template <class T>
class Collector {
 public:
  void put(size_t index, T value) {
    {
      const std::lock_guard lock(mutex_);
      ready_.emplace_back(index, std::move(value));
    }
    wake_.notify_one();
  }

  /// The next answer; nothing when none came within the timeout.
  std::optional<std::pair<size_t, T>> next(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, timeout, [this] { return !ready_.empty(); });
    if (ready_.empty()) return std::nullopt;
    auto front = std::move(ready_.front());
    ready_.pop_front();
    return front;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<size_t, T>> ready_;
};

/// TextModel::complete_all, but after SIGINT or SIGTERM the requests are cancelled and, when all
/// have come back, Interrupted is thrown.
std::vector<TextResponse> complete_all_or_stop(TextModel& model, std::vector<TextRequest> requests);

}  // namespace weft
