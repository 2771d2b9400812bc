/// How many jobs' memory budgets the machine can hold at a time.
#pragma once

#include <cstdint>

namespace weft {

/// Without a memory cgroup nothing else bounds the sum of many jobs. Not thread-safe.
class MemoryAdmission {
 public:
  explicit MemoryAdmission(int64_t capacity_mb) : capacity_mb_(capacity_mb) {}

  /// Takes the budget, plus what a process costs beside it, where there is room.
  bool admit(int64_t budget_mb);
  void give_back(int64_t budget_mb) { used_mb_ -= cost(budget_mb); }

  /// False for a budget that would not be admitted with nothing else running.
  bool can_ever_admit(int64_t budget_mb) const { return cost(budget_mb) <= capacity_mb_; }
  int64_t capacity_mb() const { return capacity_mb_; }

 private:
  static constexpr int64_t kOverheadMb = 4;  ///< page tables and touched pages of the interpreter
  static int64_t cost(int64_t budget_mb) { return budget_mb + kOverheadMb; }

  int64_t capacity_mb_;
  int64_t used_mb_ = 0;
};

}  // namespace weft
