#include "trainer/learn/grpo/policy_loss.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "base/error.h"

namespace weft {
namespace {

constexpr double kMaxLogRatio = 20;
constexpr double kStdEpsilon = 1e-6;
constexpr double kEqualRewards = 1e-9;

double clamp_log(double x) { return std::clamp(x, -kMaxLogRatio, kMaxLogRatio); }

void group_values(AdvantageKind kind, bool population_std, const std::vector<size_t>& members,
                  std::span<const double> rewards, std::vector<double>& out) {
  const double n = static_cast<double>(members.size());
  double mean = 0;
  for (size_t i : members) mean += rewards[i] / n;
  double squares = 0;
  for (size_t i : members) squares += (rewards[i] - mean) * (rewards[i] - mean);
  double scale = 1;
  if (kind == AdvantageKind::kNormalized) {
    scale = 1 / (std::sqrt(squares / (population_std ? n : n - 1)) + kStdEpsilon);
  } else if (kind == AdvantageKind::kLeaveOneOut) {
    scale = n / (n - 1);
  }
  for (size_t i : members) out[i] = (rewards[i] - mean) * scale;
}

struct Surrogate {
  double loss = 0;
  double slope = 0;  // d loss / d logp
  bool low = false, high = false;
};

Surrogate surrogate(double ratio, double advantage, const PolicyLossOptions& o) {
  const double lower = 1 - o.clip_low, upper = 1 + o.clip_high;
  if (advantage > 0 && ratio > upper) return {-upper * advantage, 0, false, true};
  if (advantage < 0 && ratio < lower) return {-lower * advantage, 0, true, false};
  if (advantage < 0 && o.dual_clip > 0 && ratio > o.dual_clip) {
    return {-o.dual_clip * advantage, 0, false, true};
  }
  return {-ratio * advantage, -ratio * advantage, false, false};
}

void check_tokens(const PolicyTokens& t, const PolicyLossOptions& options, size_t out_size) {
  const size_t n = t.logp.size();
  const bool has_reference = options.kl_coefficient > 0;
  if (t.behaviour_logp.size() != n || t.advantage.size() != n || t.weight.size() != n ||
      out_size != n || (has_reference && t.reference_logp.size() != n)) {
    throw std::invalid_argument("policy_coefficients: arrays of different sizes");
  }
}

}  // namespace

EnumTable<AdvantageKind> enum_table(AdvantageKind) {
  return {{AdvantageKind::kNormalized, "normalized"},
          {AdvantageKind::kCentered, "centered"},
          {AdvantageKind::kLeaveOneOut, "leave_one_out"}};
}

EnumTable<TokenMean> enum_table(TokenMean) {
  return {{TokenMean::kPerSequence, "per_sequence"}, {TokenMean::kPerBatch, "per_batch"}};
}

EnumTable<KlKind> enum_table(KlKind) { return {{KlKind::kK3, "k3"}, {KlKind::kK3Plus, "k3+"}}; }

Advantages group_advantages(std::span<const double> rewards, std::span<const uint64_t> group,
                            AdvantageKind kind, bool population_std) {
  if (rewards.size() != group.size()) {
    throw std::invalid_argument("group_advantages: as many rewards as group ids are needed");
  }
  std::map<uint64_t, std::vector<size_t>> members;
  for (size_t i = 0; i < rewards.size(); ++i) {
    if (!std::isfinite(rewards[i])) {
      throw std::invalid_argument("group_advantages: a reward is not finite");
    }
    members[group[i]].push_back(i);
  }
  Advantages result;
  result.values.assign(rewards.size(), 0.0);
  result.num_groups = static_cast<int64_t>(members.size());
  for (const auto& [id, indices] : members) {
    const auto less = [&](size_t a, size_t b) { return rewards[a] < rewards[b]; };
    const auto [low, high] = std::minmax_element(indices.begin(), indices.end(), less);
    if (rewards[*high] - rewards[*low] <= kEqualRewards) {
      ++result.zero_std_groups;
    } else {
      group_values(kind, population_std, indices, rewards, result.values);
    }
  }
  return result;
}

void PolicyLossOptions::validate() const {
  if (!(clip_low > 0 && clip_low < 1)) {
    throw InputError("clip_low: expected a number in (0, 1), got " + std::to_string(clip_low));
  }
  if (!(clip_high > 0)) {
    throw InputError("clip_high: expected a number > 0, got " + std::to_string(clip_high));
  }
  if (dual_clip != 0 && !(dual_clip > 1)) {
    throw InputError("dual_clip: expected 0 or a number > 1, got " + std::to_string(dual_clip));
  }
  if (!(kl_coefficient >= 0)) {
    throw InputError("kl_coefficient: expected a number >= 0, got " +
                     std::to_string(kl_coefficient));
  }
}

double token_weight(TokenMean mean, int64_t length, int64_t num_sequences, int64_t num_tokens) {
  if (mean == TokenMean::kPerBatch) return 1.0 / static_cast<double>(num_tokens);
  return 1.0 / (static_cast<double>(length) * static_cast<double>(num_sequences));
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
    if (!std::isfinite(t.logp[i]) || !std::isfinite(t.behaviour_logp[i])) {
      throw std::invalid_argument("policy_coefficients: logp of token " + std::to_string(i) +
                                  " is not finite");
    }
    const double ratio = std::exp(clamp_log(double{t.logp[i]} - double{t.behaviour_logp[i]}));
    const Surrogate s = surrogate(ratio, t.advantage[i], options);
    double loss = s.loss, slope = s.slope;
    if (options.kl_coefficient > 0) {
      const double a = clamp_log(double{t.logp[i]} - double{t.reference_logp[i]});
      const double k3 = std::exp(-a) + a - 1;
      loss += options.kl_coefficient * k3;
      slope += options.kl_coefficient * (options.kl == KlKind::kK3 ? 1 - std::exp(-a) : a);
      total.kl += k3;
    }
    out[i] = static_cast<float>(t.weight[i] * slope);
    total.loss += t.weight[i] * loss;
    total.clipped_low += s.low;
    total.clipped_high += s.high;
    total.ratio_max = std::max(total.ratio_max, ratio);
  }
  total.num_tokens = static_cast<int64_t>(out.size());
  if (sums != nullptr) sums->add(total);
}

void Mismatch::add(std::span<const float> logp, std::span<const float> recorded) {
  for (size_t i = 0; i < logp.size(); ++i) {
    const double d = double{logp[i]} - double{recorded[i]};
    sum += std::abs(d);
    max = std::max(max, std::abs(d));
    k3_sum += std::exp(clamp_log(d)) - d - 1;
  }
  num_tokens += static_cast<int64_t>(logp.size());
}

}  // namespace weft
