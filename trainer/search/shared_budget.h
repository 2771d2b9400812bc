/// Concurrent jobs under one budget, none of which gains by being first.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "trainer/search/budget.h"

namespace weft {

/// Runs jobs 0 to count - 1, `width` at a time. Without a limit none has one. With one, jobs go in
/// groups of `width`: each member may spend an equal share of what the groups before it left, then
/// those that were cut short share what the others did not need, until none asks for more or
/// nothing is left. What a job may spend is thus a function of what jobs spend, never of the clock.
/// Within a share calls, tokens and money are set aside before they are used (Budget::calls), so
/// that no limit is exceeded; which of a job's workflows is then cut short may depend on the clock.
class SharedBudget {
 public:
  /// `stored(i)` is what job i spent in an earlier process.
  SharedBudget(const BudgetOptions& limits, size_t count, size_t width,
               const std::function<Spent(size_t)>& stored);

  /// `job(i, budget)` returns true when its budget cut it short: it is called again when there is
  /// more. It is called on several threads; the first exception ends all and is thrown again.
  void run(const std::function<bool(size_t, Budget&)>& job);

  Spent spent() const;  ///< by all jobs; any thread

 private:
  void run_group(size_t begin, size_t end);
  std::vector<size_t> hand_out(const std::vector<size_t>& asking, const Spent& used, bool first);
  std::vector<size_t> run_all(const std::vector<size_t>& jobs);
  Spent spent_by(size_t begin, size_t end) const;

  const BudgetOptions limits_;
  const size_t width_;
  std::vector<std::unique_ptr<Budget>> budgets_;  ///< [count]
  std::function<bool(size_t, Budget&)> job_;
  mutable std::mutex mutex_;  ///< of budgets_'s pointers
};

}  // namespace weft
