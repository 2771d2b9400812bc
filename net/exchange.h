/// One request on its way to an answer, in the hands of whoever answers it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "net/message.h"

namespace weft::net {

class ExchangeState;

/// What became of a piece of a stream.
enum class Sent {
  kQueued,  ///< it goes out as fast as the client reads
  kFull,    ///< nothing of it was taken: the client reads too slowly
  kGone,    ///< nobody waits for it any more
};

/// Every method may be called from any thread, also after the server has stopped. An exchange whose
/// last reference goes before it was answered is answered with 500; a stream that was not finished
/// is cut off, so that the client can tell.
///
/// Cancelled: before the answer was finished the client closed its connection, or only its sending
/// half of it; or it took nothing for write_timeout_s; or Server::stop gives it up. What is written
/// then goes nowhere.
class Exchange {
 public:
  /// By the server.
  explicit Exchange(std::shared_ptr<ExchangeState> state);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Lives as long as the exchange.
  const Request& request() const;

  /// The whole answer. Throws std::logic_error when one was begun already.
  void respond(Response response);

  /// Begins a stream, in chunks of the transfer coding (until the connection's end for HTTP/1.0).
  /// `head.body` is its first piece. A stream of text/event-stream gets Cache-Control: no-cache and
  /// X-Accel-Buffering: no, and a comment in each heartbeat_s in which nothing was written. Throws
  /// std::logic_error when an answer was begun already.
  void begin(Response head);

  /// Adds to the stream, of events whole ones. Never blocks. kFull when text waits already and this
  /// piece would make it more than max_stream_bytes. Throws std::logic_error before begin() and
  /// after finish().
  Sent write(std::string_view text);

  /// Waits until less than half of max_stream_bytes waits and a piece of `num_bytes` would be
  /// taken; false when the exchange is cancelled, which a client that takes nothing is after
  /// write_timeout_s. Not on the event loop's threads.
  bool wait_for_room(size_t num_bytes = 0);

  /// Ends the stream. Throws std::logic_error as write() does.
  void finish();

  /// Calls `callback` once, on any thread, when the exchange is cancelled; at once if it is
  /// already. Not after the answer was finished. It must neither block nor throw, nor hold the
  /// exchange's own reference.
  void on_cancel(std::function<void()> callback);

  bool cancelled() const;

 private:
  std::shared_ptr<ExchangeState> state_;
};

}  // namespace weft::net
