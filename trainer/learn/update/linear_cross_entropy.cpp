#include "trainer/learn/update/linear_cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/error.h"
#include "model/ops/ops.h"
#include "model/transformer/transformer.h"

namespace weft {
namespace {

std::span<float> floats(const at::Tensor& t) {
  return {t.data_ptr<float>(), static_cast<size_t>(t.numel())};
}

}  // namespace

CoefficientFn on_host(SpanCoefficientFn coefficients) {
  return [f = std::move(coefficients)](int64_t begin, const at::Tensor& logp) {
    const at::Tensor host = logp.cpu(), slopes = at::empty(logp.sizes(), at::kFloat);
    f(begin, floats(host), floats(slopes));
    return slopes.to(logp.device());
  };
}

LinearCrossEntropyResult linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                              const at::Tensor& targets,
                                              const CoefficientFn& coefficients,
                                              at::Tensor* weight_grad,
                                              const LinearCrossEntropyOptions& options) {
  at::NoGradGuard no_grad;
  const int64_t n = hidden.size(0);
  WEFT_ASSERT(targets.numel() == n && weight.size(1) == hidden.size(1));
  WEFT_ASSERT(options.temperature > 0);
  const auto f32 = hidden.options().dtype(at::kFloat);
  LinearCrossEntropyResult result;
  result.logp = at::empty({n}, f32);
  if (options.entropy) result.entropy = at::empty({n}, f32);
  if (coefficients) result.hidden_grad = at::empty_like(hidden);
  const int64_t chunk = std::min(n, options.chunk_tokens);
  for (int64_t begin = 0; begin < n; begin += chunk) {
    look(options.stop);
    const int64_t count = std::min(chunk, n - begin);
    const at::Tensor rows = hidden.narrow(0, begin, count);
    const at::Tensor wanted = targets.narrow(0, begin, count);
    const at::Tensor logits = lm_head_logits(rows, weight);
    const auto [lse, logp] = ops::loss_rows(logits, wanted, options.temperature);
    result.logp.narrow(0, begin, count).copy_(logp);
    if (!coefficients && !options.entropy) continue;
    const at::Tensor slopes = coefficients ? coefficients(begin, logp) : at::zeros_like(logp);
    const at::Tensor entropy =
        options.entropy ? result.entropy.narrow(0, begin, count) : at::Tensor();
    const at::Tensor logit_grad = ops::logit_gradient(
        logits, wanted, lse, slopes, options.temperature, hidden.scalar_type(), entropy);
    if (!coefficients) continue;
    result.hidden_grad.narrow(0, begin, count).copy_(at::mm(logit_grad, weight));
    if (weight_grad != nullptr) weight_grad->add_(at::mm(logit_grad.t(), rows));
  }
  return result;
}

}  // namespace weft
