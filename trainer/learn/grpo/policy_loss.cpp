#include "trainer/learn/grpo/policy_loss.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "base/error.h"

namespace weft {
namespace {

constexpr double kMaxLogRatio = 20;

double clamp_log(double x) { return std::clamp(x, -kMaxLogRatio, kMaxLogRatio); }

struct Term {
  double loss = 0;
  double slope = 0;  // d loss / d logp
  bool low = false, high = false;
};

Term clipped_term(double ratio, double advantage, const PolicyLossOptions& o) {
  const double lower = 1 - o.clip_low, upper = 1 + o.clip_high;
  if (advantage > 0 && ratio > upper) return {-upper * advantage, 0, false, true};
  if (advantage < 0 && ratio < lower) return {-lower * advantage, 0, true, false};
  if (advantage < 0 && o.dual_clip > 0 && ratio > o.dual_clip) {
    return {-o.dual_clip * advantage, 0, false, true};
  }
  return {-ratio * advantage, -ratio * advantage, false, false};
}

Term cispo_term(double ratio, double advantage, double logp, const PolicyLossOptions& o) {
  const double lower = 1 - o.clip_low, upper = 1 + o.clip_high;
  const double weight = std::clamp(ratio, lower, upper);
  return {-weight * advantage * logp, -weight * advantage, ratio<lower, ratio> upper};
}

void check_tokens(const PolicyTokens& t, const PolicyLossOptions& options, size_t out_size) {
  const size_t n = t.logp.size();
  const bool by_sequence = options.ratio == RatioLevel::kSequence;
  if (t.behaviour_logp.size() != n || t.advantage.size() != n || t.weight.size() != n ||
      out_size != n || (options.kl_in_loss() && t.reference_logp.size() != n) ||
      (by_sequence && t.sequence_log_ratio.size() != n) ||
      (!t.importance.empty() && t.importance.size() != n)) {
    throw std::invalid_argument("policy_coefficients: arrays of different sizes");
  }
  for (size_t i = 0; i < n; ++i) {
    if (!std::isfinite(t.logp[i]) || !std::isfinite(t.behaviour_logp[i])) {
      throw std::invalid_argument("policy_coefficients: logp of token " + std::to_string(i) +
                                  " is not finite");
    }
  }
}

void refuse(const char* field, const std::string& expected, double got) {
  throw InputError(std::string(field) + ": expected " + expected + ", got " + std::to_string(got));
}

void check_kl(const PolicyLossOptions& o) {
  if (!(o.kl_coefficient >= 0)) refuse("kl_coefficient", "a number >= 0", o.kl_coefficient);
  if (o.kl_in_loss() && o.kl == KlKind::kK1 && !o.kl_importance) {
    throw InputError(
        "kl: k1 as a loss has the expected gradient 0 and would do nothing: expected k2, k3 or "
        "k3+, kl_importance = true, or kl_place = reward");
  }
  if (o.kl_in_reward() && o.kl == KlKind::kK3Plus) {
    throw InputError(
        "kl: k3+ is k3 with another gradient, and a reward has none: expected k1, k2 or k3 with "
        "kl_place = reward, got k3+");
  }
  if (o.kl_in_reward() && o.kl_importance) {
    throw InputError("kl_importance: has no meaning with kl_place = reward");
  }
}

}  // namespace

EnumTable<TokenMean> enum_table(TokenMean) {
  return {{TokenMean::kPerSequence, "per_sequence"},
          {TokenMean::kPerBatch, "per_batch"},
          {TokenMean::kConstant, "constant"}};
}

EnumTable<RatioLevel> enum_table(RatioLevel) {
  return {{RatioLevel::kToken, "token"}, {RatioLevel::kSequence, "sequence"}};
}

EnumTable<Surrogate> enum_table(Surrogate) {
  return {{Surrogate::kClip, "clip"}, {Surrogate::kCispo, "cispo"}};
}

void PolicyLossOptions::validate() const {
  const bool cispo = surrogate == Surrogate::kCispo;
  if (!(clip_low > 0 && (clip_low < 1 || (cispo && clip_low == 1)))) {
    refuse("clip_low", cispo ? "a number in (0, 1], 1 for no bound" : "a number in (0, 1)",
           clip_low);
  }
  if (!(clip_high > 0)) refuse("clip_high", "a number > 0", clip_high);
  if (dual_clip != 0 && !(dual_clip > 1)) refuse("dual_clip", "0 or a number > 1", dual_clip);
  if (dual_clip != 0 && cispo) {
    throw InputError("dual_clip: has no meaning with surrogate = cispo, whose weights are bounded");
  }
  if (mean_tokens < 0) refuse("mean_tokens", "a number >= 0", static_cast<double>(mean_tokens));
  if (mean_tokens > 0 && mean != TokenMean::kConstant) {
    refuse("mean_tokens", "0 unless mean = constant", static_cast<double>(mean_tokens));
  }
  check_kl(*this);
}

double token_weight(TokenMean mean, int64_t length, const BatchSize& batch) {
  const auto sequences = static_cast<double>(batch.num_sequences);
  switch (mean) {
    case TokenMean::kPerBatch:
      return 1.0 / static_cast<double>(batch.num_tokens);
    case TokenMean::kConstant:
      if (batch.mean_tokens < 1) {
        throw std::invalid_argument("token_weight: mean_tokens >= 1 is needed");
      }
      return 1.0 / (static_cast<double>(batch.mean_tokens) * sequences);
    case TokenMean::kPerSequence:
      break;
  }
  return 1.0 / (static_cast<double>(length) * sequences);
}

double sequence_log_ratio(std::span<const float> logp, std::span<const float> behaviour_logp) {
  if (logp.size() != behaviour_logp.size()) {
    throw std::invalid_argument("sequence_log_ratio: arrays of different sizes");
  }
  double sum = 0;
  for (size_t i = 0; i < logp.size(); ++i) sum += double{logp[i]} - double{behaviour_logp[i]};
  return logp.empty() ? 0 : sum / static_cast<double>(logp.size());
}

void PolicySums::add(const PolicySums& other) {
  loss += other.loss;
  kl += other.kl;
  num_tokens += other.num_tokens;
  clipped_low += other.clipped_low;
  clipped_high += other.clipped_high;
  ratio_max = std::max(ratio_max, other.ratio_max);
}

void policy_coefficients(const PolicyTokens& t, const PolicyLossOptions& options,
                         std::span<float> out, PolicySums* sums) {
  check_tokens(t, options, out.size());
  PolicySums total;
  for (size_t i = 0; i < out.size(); ++i) {
    const double logp = t.logp[i];
    const double token_ratio = std::exp(clamp_log(logp - double{t.behaviour_logp[i]}));
    const double ratio = options.ratio == RatioLevel::kToken
                             ? token_ratio
                             : std::exp(clamp_log(double{t.sequence_log_ratio[i]}));
    const Term term = options.surrogate == Surrogate::kCispo
                          ? cispo_term(ratio, t.advantage[i], logp, options)
                          : clipped_term(ratio, t.advantage[i], options);
    const double importance = t.importance.empty() ? 1.0 : double{t.importance[i]};
    double loss = importance * term.loss, slope = importance * term.slope;
    if (options.kl_in_loss()) {
      const double reference = t.reference_logp[i];
      const KlTerm kl = kl_term(options.kl, logp, reference, options.kl_importance, token_ratio);
      loss += options.kl_coefficient * kl.value;
      slope += options.kl_coefficient * kl.slope;
      total.kl += kl_term(KlKind::kK3, logp, reference).value;
    }
    out[i] = static_cast<float>(t.weight[i] * slope);
    total.loss += t.weight[i] * loss;
    total.clipped_low += term.low;
    total.clipped_high += term.high;
    total.ratio_max = std::max(total.ratio_max, ratio);
  }
  total.num_tokens = static_cast<int64_t>(out.size());
  if (sums != nullptr) sums->add(total);
}

}  // namespace weft
