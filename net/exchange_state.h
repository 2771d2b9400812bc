/// What an Exchange and the connection that it came from share.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "net/exchange.h"
#include "net/message.h"

namespace weft::net {

/// Any thread.
class ExchangeState {
 public:
  /// `wake` tells the connection that take() has something new; it is called while a lock is held,
  /// so it posts and returns, and not after detach().
  ExchangeState(Request request, size_t max_waiting_bytes, std::function<void()> wake);

  const Request& request() const { return request_; }

  /// As Exchange has them.
  void respond(Response response);
  void begin(Response head);
  Sent write(std::string_view text);
  bool wait_for_room(size_t num_bytes);
  void finish();
  void on_cancel(std::function<void()> callback);
  bool cancelled() const;

  /// Nobody is left who would answer.
  void abandon();

  /// What the connection has to send next.
  struct Taken {
    std::optional<Response> head;  ///< once
    bool streams = false;          ///< the head is a stream's
    std::string text;              ///< of a stream
    bool finished = false;         ///< nothing follows
    bool abandoned = false;        ///< nothing follows, though the answer is not whole
  };
  Taken take();

  /// Whether all of the answer is there.
  bool finished() const;

  /// Calls what on_cancel was given, unless the answer is finished; true if it was not.
  bool cancel();

  /// The connection is done with it: from here on it is cancelled for whoever still writes.
  void detach();

 private:
  enum class Phase { kWaiting, kStreaming, kFinished };

  void notify();  // under the lock
  bool has_room_for(size_t num_bytes) const;
  void expect(Phase phase, const char* what) const;

  const Request request_;
  const size_t max_waiting_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::function<void()> wake_;
  std::function<void()> cancel_callback_;
  Phase phase_ = Phase::kWaiting;
  std::optional<Response> head_;
  bool streams_ = false;
  std::string text_;
  bool woken_ = false, cancelled_ = false, abandoned_ = false;
};

}  // namespace weft::net
