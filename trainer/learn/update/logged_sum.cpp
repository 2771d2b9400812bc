#include "trainer/learn/update/logged_sum.h"

#include <ATen/ops/sum.h>

#include <numeric>

namespace weft {

void LoggedSum::add(const at::Tensor& terms) {
  if (!terms.defined()) return;
  if (terms.is_cpu()) {
    const at::Tensor values = terms.contiguous();
    const float* first = values.const_data_ptr<float>();
    host_ += std::accumulate(first, first + values.numel(), 0.0);
    return;
  }
  const at::Tensor sum = at::sum(terms, at::kDouble);
  if (device_.defined()) {
    device_.add_(sum);
  } else {
    device_ = sum;
  }
}

double LoggedSum::value() const {
  return device_.defined() ? host_ + device_.cpu().item<double>() : host_;
}

}  // namespace weft
