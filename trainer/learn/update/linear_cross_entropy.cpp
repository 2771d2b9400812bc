#include "trainer/learn/update/linear_cross_entropy.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <span>
#include <vector>

#include "base/error.h"
#include "model/ops/cpu/kernel_table.h"
#include "model/transformer/transformer.h"

namespace weft {
namespace {

std::span<float> floats(at::Tensor& t) {
  return {t.data_ptr<float>(), static_cast<size_t>(t.numel())};
}

// Per row: log sum exp of the logits [n, V] over the temperature, and the log probability of its
// target, with the bits that the sampler gives.
void row_statistics(const at::Tensor& logits, const at::Tensor& targets, double temperature,
                    at::Tensor& lse, at::Tensor& logp) {
  const int64_t size = logits.size(1);
  const float* x = logits.const_data_ptr<float>();
  const int64_t* target = targets.const_data_ptr<int64_t>();
  float* sums = lse.data_ptr<float>();
  float* out = logp.data_ptr<float>();
  at::parallel_for(0, logits.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const kernels::TokenLogprob token = kernels::kernel_table().logprob(
          x + r * size, size, target[r], static_cast<float>(temperature));
      sums[r] = token.lse;
      out[r] = token.logprob;
    }
  });
}

// logits [n, V] -> coefficient * (onehot(target) - softmax) of each row, in place, and the entropy
// of each. ATen's exp would not do: two threads in its first call, of MKL, can give other bits.
void to_logit_gradient(at::Tensor& logits, const at::Tensor& lse, const at::Tensor& targets,
                       std::span<const float> coefficients, std::span<float> entropy) {
  const int64_t size = logits.size(1);
  float* x = logits.data_ptr<float>();
  const float* sums = lse.const_data_ptr<float>();
  const int64_t* target = targets.const_data_ptr<int64_t>();
  at::parallel_for(0, logits.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* row = x + r * size;
      entropy[r] = kernels::kernel_table().scaled_softmax(row, size, sums[r], -coefficients[r]);
      row[target[r]] += coefficients[r];
    }
  });
}

}  // namespace

LinearCrossEntropyResult linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                              const at::Tensor& targets,
                                              const CoefficientFn& coefficients,
                                              at::Tensor* weight_grad,
                                              const LinearCrossEntropyOptions& options) {
  at::NoGradGuard no_grad;
  const int64_t n = hidden.size(0);
  WEFT_ASSERT(targets.numel() == n && weight.size(1) == hidden.size(1));
  WEFT_ASSERT(options.temperature > 0);
  const double inverse = 1 / options.temperature;
  LinearCrossEntropyResult result;
  result.logp = at::empty({n}, at::kFloat);
  if (options.entropy) result.entropy = at::empty({n}, at::kFloat);
  if (coefficients) result.hidden_grad = at::empty_like(hidden);
  const int64_t chunk = std::min(n, options.chunk_tokens);
  at::Tensor sums = at::empty({chunk}, at::kFloat), entropies = at::empty({chunk}, at::kFloat);
  std::vector<float> slopes(chunk);

  for (int64_t begin = 0; begin < n; begin += chunk) {
    const int64_t count = std::min(chunk, n - begin);
    const at::Tensor rows = hidden.narrow(0, begin, count);
    const at::Tensor wanted = targets.narrow(0, begin, count);
    at::Tensor logits = lm_head_logits(rows, weight);
    at::Tensor logp = result.logp.narrow(0, begin, count), lse = sums.narrow(0, 0, count);
    row_statistics(logits, wanted, options.temperature, lse, logp);
    if (!coefficients && !options.entropy) continue;
    if (inverse != 1) logits.mul_(inverse);
    const std::span<float> slope(slopes.data(), count);
    if (coefficients) coefficients(begin, floats(logp), slope);
    for (float& c : slope) c *= inverse;
    at::Tensor entropy = entropies.narrow(0, 0, count);
    to_logit_gradient(logits, lse, wanted, slope, floats(entropy));
    if (options.entropy) result.entropy.narrow(0, begin, count).copy_(entropy);
    if (!coefficients) continue;
    const at::Tensor logit_grad = logits.to(hidden.scalar_type());
    result.hidden_grad.narrow(0, begin, count).copy_(at::mm(logit_grad, weight));
    if (weight_grad != nullptr) weight_grad->add_(at::mm(logit_grad.t(), rows));
  }
  return result;
}

}  // namespace weft
