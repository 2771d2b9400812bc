#include "trainer/search/shared_budget.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace weft {

namespace {

/// Part `index` of `num` of what `limit` leaves beside `used`; 0 where there is no limit.
template <class T>
T part(T limit, T used, size_t index, size_t num) {
  if (!(limit > 0) || used >= limit) return 0;
  const T left = limit - used;
  if constexpr (std::is_integral_v<T>) {
    const T parts = static_cast<T>(num);
    return left / parts + (static_cast<T>(index) < left % parts ? 1 : 0);
  } else {
    return left / static_cast<T>(num);
  }
}

/// `base` + part; false when there is a limit and no part of it.
template <class T>
bool raise(T& cap, T limit, T used, T base, size_t index, size_t num) {
  if (!(limit > 0)) return true;
  const T more = part(limit, used, index, num);
  cap = base + more;
  return more > 0;
}

}  // namespace

SharedBudget::SharedBudget(const BudgetOptions& limits, size_t count, size_t width,
                           const std::function<Spent(size_t)>& stored)
    : limits_(limits), width_(width) {
  for (size_t i = 0; i < count; ++i) {
    budgets_.push_back(std::make_unique<Budget>(BudgetOptions{}, stored(i)));
  }
}

void SharedBudget::run(const std::function<bool(size_t, Budget&)>& job) {
  job_ = job;
  const size_t count = budgets_.size();
  const size_t group = limits_.any() ? width_ : std::max<size_t>(count, 1);
  for (size_t begin = 0; begin < count; begin += group) {
    run_group(begin, std::min(count, begin + group));
  }
}

void SharedBudget::run_group(size_t begin, size_t end) {
  std::vector<size_t> asking;
  for (size_t i = begin; i < end; ++i) asking.push_back(i);
  const Spent before = spent_by(0, begin);
  for (bool first = true; !asking.empty(); first = false) {
    Spent used = before;
    if (!first) used += spent_by(begin, end);
    const auto served = hand_out(asking, used, first);
    if (served.empty()) return;
    auto cut = run_all(served);
    std::vector<size_t> next;
    for (const size_t i : asking) {
      const bool is_served = std::find(served.begin(), served.end(), i) != served.end();
      if (!is_served || std::find(cut.begin(), cut.end(), i) != cut.end()) next.push_back(i);
    }
    asking = std::move(next);
  }
}

/// Gives each that asks its budget; returns those for whom there was something. The first time a
/// share counts from nothing, so that it is the same after an interruption.
std::vector<size_t> SharedBudget::hand_out(const std::vector<size_t>& asking, const Spent& used,
                                           bool first) {
  std::vector<size_t> served;
  for (size_t k = 0; k < asking.size(); ++k) {
    const Spent own = budgets_[asking[k]]->spent();
    const Spent base = first ? Spent{} : own;
    const size_t num = asking.size();
    BudgetOptions cap;
    const bool has_part =
        raise(cap.workflows, limits_.workflows, used.workflows, base.workflows, k, num) &
        raise(cap.calls, limits_.calls, used.calls(), base.calls(), k, num) &
        raise(cap.tokens, limits_.tokens, used.tokens(), base.tokens(), k, num) &
        raise(cap.usd, limits_.usd, used.usd, base.usd, k, num);
    if (!has_part) continue;
    const std::lock_guard lock(mutex_);
    budgets_[asking[k]] = std::make_unique<Budget>(cap, own);
    served.push_back(asking[k]);
  }
  return served;
}

/// Those that were cut short.
std::vector<size_t> SharedBudget::run_all(const std::vector<size_t>& jobs) {
  std::vector<char> is_cut(jobs.size(), 0);
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex error_mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      for (size_t k = next++; k < jobs.size() && !failed; k = next++) {
        is_cut[k] = job_(jobs[k], *budgets_[jobs[k]]);
      }
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
      failed = true;
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(jobs.size(), width_); ++i) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
  std::vector<size_t> cut;
  for (size_t k = 0; k < jobs.size(); ++k) {
    if (is_cut[k]) cut.push_back(jobs[k]);
  }
  return cut;
}

Spent SharedBudget::spent_by(size_t begin, size_t end) const {
  const std::lock_guard lock(mutex_);
  Spent total;
  for (size_t i = begin; i < end; ++i) total += budgets_[i]->spent();
  return total;
}

Spent SharedBudget::spent() const { return spent_by(0, budgets_.size()); }

}  // namespace weft
