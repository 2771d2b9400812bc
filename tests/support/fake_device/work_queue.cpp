#include "tests/support/fake_device/work_queue.h"

#include <thread>
#include <utility>

namespace weft::test::fake {

WorkQueue::WorkQueue() {
  std::thread([this] { work(); }).detach();
}

uint64_t WorkQueue::push(std::function<void()> run) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back({++given_, std::move(run)});
  changed_.notify_all();
  return given_;
}

uint64_t WorkQueue::reserve() {
  const std::lock_guard lock(mutex_);
  return ++given_;
}

void WorkQueue::take_turn(uint64_t place, const std::function<void()>& run) {
  wait_for(place - 1);
  std::exception_ptr failure;
  try {
    run();
  } catch (...) {
    failure = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    ++done_;
    changed_.notify_all();
  }
  if (failure) std::rethrow_exception(failure);
}

void WorkQueue::wait_for(uint64_t place) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ >= place; });
}

bool WorkQueue::is_done(uint64_t place) {
  const std::lock_guard lock(mutex_);
  return done_ >= place;
}

void WorkQueue::rethrow() {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void WorkQueue::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return !tasks_.empty() && tasks_.front().place == done_ + 1; });
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    std::exception_ptr failure;
    try {
      task.run();
    } catch (...) {
      failure = std::current_exception();
    }
    task.run = nullptr;  // what it holds goes before the work counts as done
    lock.lock();
    if (!failure_) failure_ = failure;
    ++done_;
    changed_.notify_all();
  }
}

}  // namespace weft::test::fake
