/// One order of sums whatever shares the batch, as an option of GPUs. Free of LibTorch.
#pragma once

namespace weft::ops {

/// While one that is on lives, what its thread computes on a GPU by the operations of ops.h does
/// not depend on the other rows of the call: LibTorch's products, which choose a kernel by the
/// number of rows, are computed in panels of as many rows each, and attention by the kernel whose
/// parts depend on a row's own length. That is slower where a call has more rows than a panel,
/// which then reads the weights again. On a CPU it is always so, and this changes nothing. Nests.
class OneOrder {
 public:
  explicit OneOrder(bool on);
  ~OneOrder();
  OneOrder(const OneOrder&) = delete;
  OneOrder& operator=(const OneOrder&) = delete;

  /// Of the calling thread.
  static bool on();

 private:
  const bool before_;
};

}  // namespace weft::ops
