#include "trainer/learn/grpo/device/policy_tensors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <limits>
#include <vector>

namespace weft {
namespace {

enum Added { kLoss, kKl, kTokens, kLow, kHigh, kMismatch, kMismatchK3, kNumAdded };
enum Largest { kRatio, kMismatchMax, kNumLargest };

at::Tensor exp_of(const at::Tensor& log) { return log.clamp(-20, 20).exp(); }

struct Terms {
  at::Tensor loss, slope;  // f64
  at::Tensor low, high;    // bool
};

Terms clipped_terms(const at::Tensor& ratio, const at::Tensor& advantage,
                    const PolicyLossOptions& o) {
  const double lower = 1 - o.clip_low, upper = 1 + o.clip_high;
  const at::Tensor is_gain = advantage > 0, is_loss = advantage < 0;
  const at::Tensor low = is_loss & (ratio < lower);
  at::Tensor high = is_gain & (ratio > upper);
  const auto filled = [&](double value) { return at::full_like(ratio, value); };
  at::Tensor held = at::where(high, filled(upper), at::where(low, filled(lower), ratio));
  if (o.dual_clip > 0) {
    const at::Tensor dual = is_loss & (ratio > o.dual_clip);
    held = at::where(dual, filled(o.dual_clip), held);
    high = high | dual;
  }
  const at::Tensor loss = -held * advantage;
  return {loss, at::where(low | high, at::zeros_like(loss), loss), low, high};
}

Terms cispo_terms(const at::Tensor& ratio, const at::Tensor& advantage, const at::Tensor& logp,
                  const PolicyLossOptions& o) {
  const double lower = 1 - o.clip_low, upper = 1 + o.clip_high;
  const at::Tensor slope = -ratio.clamp(lower, upper) * advantage;
  return {slope * logp, slope, ratio<lower, ratio> upper};
}

struct KlTerms {
  at::Tensor value, slope, k3;
};

KlTerms kl_terms(const PolicyLossOptions& o, const at::Tensor& logp, const at::Tensor& reference,
                 const at::Tensor& ratio) {
  const at::Tensor a = (logp - reference).clamp(-20, 20), inverse = (-a).exp();
  const at::Tensor k3 = inverse + a - 1;
  KlTerms terms{k3, a, k3};
  if (o.kl == KlKind::kK1) terms = {a, at::ones_like(a), k3};
  if (o.kl == KlKind::kK2) terms.value = a * a / 2;
  if (o.kl == KlKind::kK3) terms.slope = 1 - inverse;
  if (!o.kl_importance) return terms;
  return {ratio * terms.value, ratio * (terms.slope + terms.value), k3};
}

// `sums` where every logp is finite, else zeros.
void add_to(at::Tensor& total, const at::Tensor& sums, const at::Tensor& finite, bool largest) {
  const at::Tensor counted = at::where(finite, sums, at::zeros_like(sums));
  if (!total.defined()) {
    total = counted;
  } else if (largest) {
    total = at::maximum(total, counted);
  } else {
    total.add_(counted);
  }
}

}  // namespace

PolicyTensors PolicyTensors::part(int64_t begin, int64_t count) const {
  const auto of = [&](const at::Tensor& t) { return t.defined() ? t.narrow(0, begin, count) : t; };
  return {of(behaviour_logp),     of(reference_logp), of(advantage),    of(weight),
          of(sequence_log_ratio), of(importance),     of(recorded_logp)};
}

PolicyTotals::Values PolicyTotals::values() const {
  Values result;
  if (!added_.defined()) return result;
  const at::Tensor all = at::cat({added_, largest_}).cpu();
  const double *added = all.const_data_ptr<double>(), *largest = added + kNumAdded;
  const auto count = [&](Added which) { return static_cast<int64_t>(added[which]); };
  result.sums = {added[kLoss], added[kKl],   count(kTokens),
                 count(kLow),  count(kHigh), largest[kRatio]};
  if (compared_) {
    result.mismatch = {added[kMismatch], largest[kMismatchMax], added[kMismatchK3], count(kTokens)};
  }
  return result;
}

at::Tensor policy_coefficients(const at::Tensor& logp_f32, const PolicyTensors& t,
                               const PolicyLossOptions& options, PolicyTotals& totals) {
  const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
  const at::Tensor logp = wide(logp_f32), advantage = wide(t.advantage), weight = wide(t.weight);
  const at::Tensor finite = at::isfinite(logp_f32).all();
  const at::Tensor token_ratio = exp_of(logp - wide(t.behaviour_logp));
  const at::Tensor ratio =
      options.ratio == RatioLevel::kToken ? token_ratio : exp_of(wide(t.sequence_log_ratio));
  auto [loss, slope, low, high] = options.surrogate == Surrogate::kCispo
                                      ? cispo_terms(ratio, advantage, logp, options)
                                      : clipped_terms(ratio, advantage, options);
  if (t.importance.defined()) {
    const at::Tensor importance = wide(t.importance);
    loss = importance * loss;
    slope = importance * slope;
  }
  at::Tensor kl = at::zeros_like(logp);
  if (options.kl_in_loss()) {
    const KlTerms terms = kl_terms(options, logp, wide(t.reference_logp), token_ratio);
    loss = loss + options.kl_coefficient * terms.value;
    slope = slope + options.kl_coefficient * terms.slope;
    kl = terms.k3;
  }
  at::Tensor apart = at::zeros_like(logp), apart_k3 = apart;
  if (t.recorded_logp.defined()) {
    const at::Tensor d = logp - wide(t.recorded_logp);
    apart = d.abs();
    apart_k3 = exp_of(d) - d - 1;
    totals.compared_ = true;
  }
  const at::Tensor rows =
      at::stack({weight * loss, kl, at::ones_like(logp), wide(low), wide(high), apart, apart_k3});
  add_to(totals.added_, rows.sum(1), finite, /*largest=*/false);
  add_to(totals.largest_, at::stack({ratio.amax(), apart.amax()}), finite, /*largest=*/true);
  const at::Tensor coefficients = (weight * slope).to(at::kFloat);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  return at::where(finite, coefficients, at::full_like(coefficients, nan));
}

}  // namespace weft
