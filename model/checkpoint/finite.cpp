#include "model/checkpoint/finite.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/aminmax.h>

#include <cmath>

namespace weft {

bool all_finite(const at::Tensor& tensor) {
  const at::NoGradGuard no_grad;
  if (tensor.numel() == 0 || !tensor.is_floating_point()) return true;
  const auto [least, most] = at::aminmax(tensor.detach());  // a NaN is both
  return std::isfinite(least.item<double>()) && std::isfinite(most.item<double>());
}

}  // namespace weft
