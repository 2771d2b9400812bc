#include "net/exchange.h"

#include <stdexcept>
#include <utility>

#include "net/exchange_state.h"

namespace weft::net {

Exchange::Exchange(std::shared_ptr<ExchangeState> state) : state_(std::move(state)) {}
Exchange::~Exchange() { state_->abandon(); }

const Request& Exchange::request() const { return state_->request(); }
void Exchange::respond(Response response) { state_->respond(std::move(response)); }
void Exchange::begin(Response head) { state_->begin(std::move(head)); }
Sent Exchange::write(std::string_view text) { return state_->write(text); }
bool Exchange::wait_for_room(size_t num_bytes) { return state_->wait_for_room(num_bytes); }
void Exchange::finish() { state_->finish(); }
bool Exchange::cancelled() const { return state_->cancelled(); }

void Exchange::on_cancel(std::function<void()> callback) { state_->on_cancel(std::move(callback)); }

ExchangeState::ExchangeState(Request request, size_t max_waiting_bytes, std::function<void()> wake)
    : request_(std::move(request)), max_waiting_bytes_(max_waiting_bytes), wake_(std::move(wake)) {}

void ExchangeState::notify() {
  if (woken_ || !wake_) return;
  woken_ = true;
  wake_();
}

void ExchangeState::expect(Phase phase, const char* what) const {
  if (phase_ != phase) throw std::logic_error(std::string("exchange: ") + what);
}

void ExchangeState::respond(Response response) {
  std::function<void()> unused;  // what it holds may end here, so not under the lock
  const std::lock_guard lock(mutex_);
  expect(Phase::kWaiting, "a second answer");
  phase_ = Phase::kFinished;
  head_ = std::move(response);
  unused = std::exchange(cancel_callback_, nullptr);
  notify();
}

void ExchangeState::begin(Response head) {
  const std::lock_guard lock(mutex_);
  expect(Phase::kWaiting, "a second answer");
  phase_ = Phase::kStreaming;
  streams_ = true;
  text_ = std::exchange(head.body, {});
  head_ = std::move(head);
  notify();
}

Sent ExchangeState::write(std::string_view text) {
  const std::lock_guard lock(mutex_);
  expect(Phase::kStreaming, "written to where no stream is");
  if (cancelled_) return Sent::kGone;
  if (!has_room_for(text.size())) return Sent::kFull;
  text_ += text;
  notify();
  return Sent::kQueued;
}

bool ExchangeState::has_room_for(size_t num_bytes) const {
  return text_.empty() || text_.size() + num_bytes <= max_waiting_bytes_;
}

bool ExchangeState::wait_for_room(size_t num_bytes) {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] {
    const bool is_half_empty = text_.size() < (max_waiting_bytes_ + 1) / 2;
    return cancelled_ || (is_half_empty && has_room_for(num_bytes));
  });
  return !cancelled_;
}

void ExchangeState::finish() {
  std::function<void()> unused;
  const std::lock_guard lock(mutex_);
  expect(Phase::kStreaming, "finished where no stream is");
  phase_ = Phase::kFinished;
  unused = std::exchange(cancel_callback_, nullptr);
  notify();
}

void ExchangeState::on_cancel(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!cancelled_) {
      if (phase_ != Phase::kFinished) std::swap(cancel_callback_, callback);
      return;
    }
  }
  callback();
}

bool ExchangeState::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

void ExchangeState::abandon() {
  std::function<void()> unused;
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::kFinished) return;
  unused = std::exchange(cancel_callback_, nullptr);
  abandoned_ = true;
  notify();
}

ExchangeState::Taken ExchangeState::take() {
  const std::lock_guard lock(mutex_);
  woken_ = false;
  Taken taken;
  taken.head = std::exchange(head_, std::nullopt);
  taken.streams = streams_;
  taken.text = std::exchange(text_, {});
  taken.finished = phase_ == Phase::kFinished;
  taken.abandoned = abandoned_;
  room_.notify_all();
  return taken;
}

bool ExchangeState::finished() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::kFinished;
}

bool ExchangeState::cancel() {
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::kFinished) return false;
    cancelled_ = true;
    callback = std::exchange(cancel_callback_, nullptr);
    room_.notify_all();
  }
  if (callback) callback();
  return true;
}

void ExchangeState::detach() {
  const std::lock_guard lock(mutex_);
  wake_ = nullptr;
  cancelled_ = cancelled_ || phase_ != Phase::kFinished;
  room_.notify_all();
}

}  // namespace weft::net
