/// Sums of what is only looked at after a step.
#pragma once

#include <ATen/core/Tensor.h>

namespace weft {

/// A sum in fp64 whose terms may lie on a device: it adds them up there, and the host waits only in
/// value(). Not thread-safe.
class LoggedSum {
 public:
  void add(double term) { host_ += term; }
  /// The sum of `terms`, f32 of any shape. Undefined: none.
  void add(const at::Tensor& terms);
  double value() const;

 private:
  double host_ = 0;
  at::Tensor device_;  // 0-dim f64; undefined while no term was on a device
};

}  // namespace weft
