/// What a handler needs to know of its client's connection, and the queue between a model's thread
/// and the handler's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

namespace weft {

/// Tells whether the client has gone. httplib 0.11 does not hand out its sockets, so the one whose
/// peer has this address and port is looked up among the process's own.
class PeerWatch {
 public:
  PeerWatch(const std::string& address, int port);

  /// True once the client has closed its end or the connection broke. False if the socket was not
  /// found.
  bool gone() const;

 private:
  int fd_ = -1;  ///< borrowed
};

/// Events from any thread to one reader.
template <class Event>
class Channel {
 public:
  void push(Event event) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    }
    wake_.notify_one();
  }

  /// Waits up to 50 ms.
  std::optional<Event> pop() {
    std::unique_lock lock(mutex_);
    if (!wake_.wait_for(lock, std::chrono::milliseconds(50), [this] { return !events_.empty(); })) {
      return std::nullopt;
    }
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Event> events_;
};

}  // namespace weft
