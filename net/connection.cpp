#include "net/connection.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace weft::net {

namespace {

constexpr size_t kPieceBytes = 8 * 1024;
constexpr double kLingerSeconds = 1, kDrainLingerSeconds = 0.1;
constexpr double kDrainHeadSeconds = 1;  // for what is left of a head
constexpr size_t kLingerBytes = 1 << 20;

}  // namespace

Connection::Connection(boost::asio::io_context& loop, Service& service,
                       std::unique_ptr<Transport> transport, Peer peer, OnClosed on_closed)
    : loop_(loop),
      service_(service),
      transport_(std::move(transport)),
      peer_(std::move(peer)),
      on_closed_(std::move(on_closed)),
      in_timer_(loop),
      out_timer_(loop),
      piece_(kPieceBytes, '\0') {}

void Connection::start() {
  arm(in_timer_, service_.options.head_timeout_s, &Connection::on_deadline);
  transport_->open([self = shared_from_this()](const ErrorCode& error) {
    if (self->phase_ != Phase::kOpening) return;
    if (error) return self->close();
    self->phase_ = Phase::kHead;
    self->advance();
  });
}

void Connection::drain() {
  draining_ = true;
  if (phase_ == Phase::kLinger) {
    arm(in_timer_, kDrainLingerSeconds, &Connection::on_deadline);
  } else if (phase_ == Phase::kHead && !in_.empty()) {
    arm(in_timer_, std::min(kDrainHeadSeconds, service_.options.head_timeout_s),
        &Connection::on_deadline);
  } else if (awaits_head()) {
    close();
  }
}

void Connection::cancel() {
  if (exchange_) exchange_->cancel();
}

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  const auto self = shared_from_this();
  phase_ = Phase::kClosed;
  disarm(in_timer_);
  disarm(out_timer_);
  if (exchange_) {
    exchange_->cancel();
    exchange_->detach();
  }
  report_end(true);
  exchange_.reset();
  transport_->close();
  on_closed_(self);
}

void Connection::arm(boost::asio::steady_timer& timer, double seconds,
                     void (Connection::*expired)()) {
  timer.expires_after(
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)));
  timer.async_wait([self = shared_from_this(), &timer, expired](const ErrorCode& error) {
    // One that had run out already when it was armed anew, or disarmed, is told by its new time.
    if (error || timer.expiry() > Clock::now() || self->phase_ == Phase::kClosed) return;
    (self.get()->*expired)();
  });
}

void Connection::disarm(boost::asio::steady_timer& timer) {
  timer.expires_at(Clock::time_point::max());
}

// Reading.

void Connection::advance() {
  bool again = true;
  while (again) {
    again =
        (phase_ == Phase::kHead && advance_head()) || (phase_ == Phase::kBody && advance_body());
  }
  if (peer_ended_ && (phase_ == Phase::kHead || phase_ == Phase::kBody)) return close();
  want_read();
}

void Connection::await_head(double seconds) {
  phase_ = Phase::kHead;
  awaits_since_ = Clock::now();
  first_head_ = blank_taken_ = false;
  scanner_ = HeadScanner();
  parser_.reset();
  request_ = Request();
  route_ = nullptr;
  framing_ = Framing();
  arm(in_timer_, seconds, &Connection::on_deadline);
}

/// True when the phase has changed.
bool Connection::advance_head() {
  if (!blank_taken_ && in_.starts_with('\r') && (in_.size() == 1 || in_[1] == '\n')) {
    if (in_.size() == 1) return false;
    in_.erase(0, 2);
    blank_taken_ = true;
  }
  if (in_.empty()) return false;
  request_.remote_address = peer_.address;
  request_.remote_port = peer_.port;
  head_at_ = Clock::now();
  if (!first_head_ && scanner_.size() == 0) {
    arm(in_timer_, service_.options.head_timeout_s, &Connection::on_deadline);
  }
  switch (scanner_.scan(in_)) {
    case HeadScanner::State::kMore:
      return false;
    case HeadScanner::State::kRefused:
      refuse(scanner_.refusal());
      return true;
    case HeadScanner::State::kWhole:
      break;
  }
  const std::string head = in_.substr(0, scanner_.size());
  in_.erase(0, scanner_.size());
  read_head(head);
  return true;
}

void Connection::read_head(std::string_view head) {
  parser_ = std::make_unique<RequestParser>(service_.options.max_body_bytes);
  const auto refusal = parser_->read_head(head, request_);
  framing_.version = request_.version;
  framing_.head_only = request_.method == "HEAD";
  if (refusal) return refuse(*refusal);
  close_after_ = !parser_->keeps_alive();
  admit();
}

void Connection::admit() {
  auto found = service_.routes.find(request_.method, request_.path);
  route_ = found.route;
  request_.parameters = std::move(found.parameters);
  if (route_) request_.route = route_->path;
  if (service_.hooks.admit) {
    if (auto response = service_.hooks.admit(request_, route_)) return answer(std::move(*response));
  }
  if (!route_ && request_.method == "OPTIONS" && (request_.path == "*" || !found.allow.empty())) {
    Response options;
    options.status = 204;
    if (!found.allow.empty()) options.headers.set("Allow", found.allow);
    return answer(std::move(options));
  }
  if (!route_) {
    const bool known = !found.allow.empty();
    Response error = known ? service_.error(405, "no such method here: " + request_.method)
                           : service_.error(404, "no such path: " + request_.path);
    if (known) error.headers.set("Allow", found.allow);
    return answer(std::move(error));
  }
  if (!parser_->has_body()) return dispatch();
  if (const auto refusal = parser_->refuse_body(request_)) return refuse(*refusal);
  phase_ = Phase::kBody;
  arm(in_timer_, service_.options.body_timeout_s, &Connection::on_deadline);
  if (parser_->awaits_continue(request_) && in_.empty()) send("HTTP/1.1 100 Continue\r\n\r\n");
}

/// True when the phase has changed.
bool Connection::advance_body() {
  const auto read = parser_->read_body(in_);
  in_.erase(0, read.used);
  if (read.refusal) {
    refuse(*read.refusal);
  } else if (parser_->body_is_whole()) {
    request_.body = parser_->take_body();
    dispatch();
  } else if (in_.size() >= static_cast<size_t>(kMaxHeadBytes)) {
    refuse({400, "request body: a chunk's size or trailers that are too long"});
  } else {
    return false;
  }
  return true;
}

void Connection::want_read() {
  const bool enough = phase_ == Phase::kAnswer && in_.size() >= static_cast<size_t>(kMaxHeadBytes);
  if (reading_ || peer_ended_ || enough || phase_ == Phase::kOpening || phase_ == Phase::kClosed) {
    return;
  }
  reading_ = true;
  transport_->read_some(piece_.data(), piece_.size(),
                        [self = shared_from_this()](const ErrorCode& error, size_t bytes) {
                          self->on_read(error, bytes);
                        });
}

void Connection::on_read(const ErrorCode& error, size_t bytes) {
  reading_ = false;
  if (phase_ == Phase::kClosed) return;
  if (error) return on_input_end(error);
  if (phase_ == Phase::kLinger) {
    lingered_bytes_ += bytes;
    if (lingered_bytes_ > kLingerBytes) return close();
    return want_read();
  }
  in_.append(piece_, 0, bytes);
  advance();
}

void Connection::on_input_end(const ErrorCode& error) {
  peer_ended_ = true;
  const bool broken = error != boost::asio::error::eof;
  if (phase_ != Phase::kAnswer || broken || (exchange_ && !exchange_->finished())) close();
}

void Connection::on_deadline() {
  const bool silent = phase_ == Phase::kHead && in_.empty();
  if (phase_ == Phase::kOpening || phase_ == Phase::kLinger || silent) return close();
  refuse({408, "the request did not come in time"});
}

// Answering.

void Connection::dispatch() {
  disarm(in_timer_);
  phase_ = Phase::kAnswer;
  answering_ = true;
  parser_.reset();
  exchange_ = std::make_shared<ExchangeState>(
      std::move(request_), static_cast<size_t>(service_.options.max_stream_bytes),
      [weak = weak_from_this(), &loop = loop_] {
        boost::asio::post(loop, [weak] {
          if (const auto self = weak.lock()) self->pump();
        });
      });
  service_.run(*route_, std::make_shared<Exchange>(exchange_));
}

void Connection::refuse(const Refusal& refusal) {
  close_after_ = unread_ = true;
  answer(service_.error(refusal));
}

void Connection::answer(Response response) {
  disarm(in_timer_);
  if (parser_ && parser_->has_body()) close_after_ = unread_ = true;
  phase_ = Phase::kAnswer;
  answering_ = answer_ended_ = true;
  parser_.reset();
  send(text_of_head(std::move(response), false));
}

std::string Connection::text_of_head(Response head, bool streams) {
  if (service_.hooks.on_response) service_.hooks.on_response(request(), head);
  framing_.streams = streams;
  close_after_ = close_after_ || draining_ || (streams && framing_.version < 11);
  framing_.close = close_after_;
  heartbeats_ = streams && is_event_stream(head) && !framing_.head_only;
  ended_.status = head.status;
  return reply_text(head, framing_);
}

/// Sends what the handler has given, once what it gave before is sent.
void Connection::pump() {
  if (!exchange_ || writing_ || phase_ != Phase::kAnswer) return;
  auto taken = exchange_->take();
  if (taken.abandoned && (taken.streams && !taken.head)) return close();
  if (taken.abandoned) {
    taken.streams = false;
    taken.finished = true;
    taken.head = service_.error(500, "the request could not be answered");
  }
  std::string text;
  if (taken.head) text = text_of_head(std::move(*taken.head), taken.streams);
  if (taken.streams) text += chunk_text(taken.text, framing_);
  if (taken.streams && taken.finished) text += last_chunk(framing_);
  answer_ended_ = taken.finished;
  if (!text.empty()) return send(std::move(text));
  if (answer_ended_) return end_answer();
  await_heartbeat();
}

void Connection::end_answer() {
  disarm(out_timer_);
  if (exchange_) exchange_->detach();
  report_end(false);
  exchange_.reset();
  answer_ended_ = heartbeats_ = false;
  if (close_after_ || draining_) return linger();
  await_head(service_.options.keep_alive_s);
  advance();
}

void Connection::report_end(bool cut) {
  if (!std::exchange(answering_, false)) return;
  ended_.seconds = std::chrono::duration<double>(Clock::now() - head_at_).count();
  ended_.cut = cut;
  if (service_.hooks.on_end) service_.hooks.on_end(request(), ended_);
  ended_ = Ended{};
}

// Writing.

void Connection::send(std::string text) {
  if (writing_) {
    queued_ += text;
    return;
  }
  out_ = std::move(text);
  out_written_ = 0;
  write();
}

void Connection::write() {
  writing_ = true;
  arm(out_timer_, service_.options.write_timeout_s, &Connection::close);
  transport_->write_some(out_.data() + out_written_, out_.size() - out_written_,
                         [self = shared_from_this()](const ErrorCode& error, size_t bytes) {
                           self->on_written(error, bytes);
                         });
}

void Connection::on_written(const ErrorCode& error, size_t bytes) {
  writing_ = false;
  if (phase_ == Phase::kClosed) return;
  if (error) return close();
  out_written_ += bytes;
  ended_.bytes += static_cast<int64_t>(bytes);
  if (out_written_ < out_.size()) return write();
  if (!queued_.empty()) return send(std::exchange(queued_, {}));
  disarm(out_timer_);
  out_.clear();
  if (phase_ != Phase::kAnswer) return;
  if (answer_ended_) return end_answer();
  pump();
}

void Connection::await_heartbeat() {
  if (!heartbeats_) return;
  arm(out_timer_, service_.options.heartbeat_s, &Connection::send_heartbeat);
}

void Connection::send_heartbeat() { send(chunk_text(": keep-alive\n\n", framing_)); }

/// Tells the client that nothing follows, and reads on for a while where it may still send: closing
/// with input unread would take from it what it has not read yet.
void Connection::linger() {
  phase_ = Phase::kLinger;
  arm(in_timer_, draining_ ? kDrainLingerSeconds : kLingerSeconds, &Connection::on_deadline);
  transport_->end_sending([self = shared_from_this()] {
    if (self->phase_ == Phase::kClosed) return;
    const bool read_all = !self->unread_ && self->in_.empty();
    if (self->peer_ended_ || read_all) return self->close();
    self->want_read();
  });
}

}  // namespace weft::net
