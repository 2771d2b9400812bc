/// One client's connection: reads requests, hands them to handlers, writes their answers.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/exchange_state.h"
#include "net/head_scanner.h"
#include "net/reply_text.h"
#include "net/request_parser.h"
#include "net/service.h"
#include "net/transport.h"

namespace weft::net {

/// The thread of its event loop alone. It lives until closed and what the loop does for it is done.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  struct Peer {
    std::string address;
    int port = 0;
  };

  using OnClosed = std::function<void(const std::shared_ptr<Connection>&)>;

  /// Calls `on_closed` once, at the end. Borrows `loop` and `service`.
  Connection(boost::asio::io_context& loop, Service& service, std::unique_ptr<Transport> transport,
             Peer peer, OnClosed on_closed);

  void start();

  /// Closes it, at once where no request is there, else after the answer to it.
  void drain();

  /// Tells whoever answers that nobody waits any more, and still sends what comes.
  void cancel();

  void close();

  /// Whether it waits for a request's head, and since when.
  bool awaits_head() const { return phase_ == Phase::kOpening || phase_ == Phase::kHead; }
  Clock::time_point awaits_since() const { return awaits_since_; }

 private:
  enum class Phase { kOpening, kHead, kBody, kAnswer, kLinger, kClosed };
  using ErrorCode = Transport::ErrorCode;

  // Reading.
  void advance();
  bool advance_head();
  bool advance_body();
  void await_head(double seconds);
  void read_head(std::string_view head);
  void admit();
  void want_read();
  void on_read(const ErrorCode& error, size_t bytes);
  void on_input_end(const ErrorCode& error);
  void on_deadline();

  // Answering.
  void dispatch();
  void refuse(const Refusal& refusal);
  void answer(Response response);
  void pump();
  std::string text_of_head(Response head, bool streams);
  void end_answer();
  void report_end(bool cut);
  const Request& request() const { return exchange_ ? exchange_->request() : request_; }

  // Writing.
  void send(std::string text);
  void write();
  void on_written(const ErrorCode& error, size_t bytes);
  void await_heartbeat();
  void send_heartbeat();
  void linger();

  void arm(boost::asio::steady_timer& timer, double seconds, void (Connection::*expired)());
  static void disarm(boost::asio::steady_timer& timer);

  boost::asio::io_context& loop_;
  Service& service_;
  const std::unique_ptr<Transport> transport_;
  const Peer peer_;
  const OnClosed on_closed_;
  boost::asio::steady_timer in_timer_, out_timer_;
  Phase phase_ = Phase::kOpening;
  Clock::time_point awaits_since_ = Clock::now();

  std::string piece_;  // what a read fills
  std::string in_;     // read and not taken yet
  bool reading_ = false;
  bool peer_ended_ = false;
  bool first_head_ = true;    // its deadline runs since the connection was made
  bool blank_taken_ = false;  // an empty line before the head
  size_t lingered_bytes_ = 0;
  HeadScanner scanner_;
  std::unique_ptr<RequestParser> parser_;

  Request request_;  // until it is the exchange's
  const Route* route_ = nullptr;
  std::shared_ptr<ExchangeState> exchange_;  // null: answered without a handler
  Framing framing_;
  Ended ended_;
  Clock::time_point head_at_;
  bool answering_ = false;
  bool answer_ended_ = false;  // all of it is in out_ and queued_
  bool heartbeats_ = false;
  bool close_after_ = false, unread_ = false, draining_ = false;

  std::string out_, queued_;  // being written, and what follows
  size_t out_written_ = 0;
  bool writing_ = false;
};

}  // namespace weft::net
