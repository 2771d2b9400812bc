#include "trainer/search/weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace weft {

namespace {

constexpr double kLogZero = -std::numeric_limits<double>::infinity();

std::vector<size_t> resample_multinomial(std::span<const double> probabilities, size_t num_draws,
                                         Rng& rng) {
  std::vector<double> cumulative(probabilities.size());
  std::partial_sum(probabilities.begin(), probabilities.end(), cumulative.begin());
  WEFT_ASSERT(!cumulative.empty() && cumulative.back() > 0);
  std::vector<size_t> drawn;
  while (drawn.size() < num_draws) {
    const double point = rng.uniform() * cumulative.back();
    const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), point);
    drawn.push_back(static_cast<size_t>(found - cumulative.begin()));
  }
  return drawn;
}

std::vector<size_t> resample_systematic(std::span<const double> probabilities, size_t num_draws,
                                        Rng& rng) {
  std::vector<size_t> drawn;
  const double offset = rng.uniform();
  double cumulative = 0;
  size_t last = 0;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    if (!(probabilities[i] > 0)) continue;
    last = i;
    cumulative += probabilities[i] * static_cast<double>(num_draws);
    while (drawn.size() < num_draws && static_cast<double>(drawn.size()) + offset < cumulative) {
      drawn.push_back(i);
    }
  }
  drawn.resize(num_draws, last);  // what rounding left
  return drawn;
}

std::vector<size_t> resample_residual(std::span<const double> probabilities, size_t num_draws,
                                      Rng& rng) {
  std::vector<size_t> drawn;
  std::vector<double> rest;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    const double expected = probabilities[i] * static_cast<double>(num_draws);
    const double copies = std::floor(expected + 1e-9);
    drawn.insert(drawn.end(), static_cast<size_t>(copies), i);
    rest.push_back(std::max(0.0, expected - copies));
  }
  if (drawn.size() < num_draws) {
    const auto more = resample_multinomial(rest, num_draws - drawn.size(), rng);
    drawn.insert(drawn.end(), more.begin(), more.end());
  }
  return drawn;
}

}  // namespace

double look_ahead_log_weight(std::span<const double> rewards, double beta) {
  if (rewards.empty()) return kLogZero;
  const double largest = *std::max_element(rewards.begin(), rewards.end()) * beta;
  const double smallest = *std::min_element(rewards.begin(), rewards.end()) * beta;
  const double shift = std::max(largest, smallest);
  double sum = 0;
  for (const double reward : rewards) sum += std::exp(beta * reward - shift);
  return shift + std::log(sum / static_cast<double>(rewards.size()));
}

std::vector<double> normalize_log_weights(std::span<const double> log_weights) {
  double largest = kLogZero;
  for (const double w : log_weights) {
    if (std::isnan(w) || w == -kLogZero) {
      throw InputError("log weight: expected a finite number or -inf, got " + std::to_string(w));
    }
    largest = std::max(largest, w);
  }
  std::vector<double> probabilities(log_weights.size(), 0.0);
  if (largest == kLogZero) return probabilities;
  double sum = 0;
  for (size_t i = 0; i < log_weights.size(); ++i) {
    sum += probabilities[i] = std::exp(log_weights[i] - largest);
  }
  for (double& p : probabilities) p /= sum;
  return probabilities;
}

double effective_sample_size(std::span<const double> probabilities) {
  double squares = 0;
  for (const double p : probabilities) squares += p * p;
  return squares > 0 ? 1.0 / squares : 0.0;
}

std::vector<double> softmax(std::span<const double> values, double temperature) {
  if (!(temperature > 0)) {
    throw InputError("softmax temperature: expected > 0, got " + std::to_string(temperature));
  }
  std::vector<double> scaled(values.begin(), values.end());
  for (double& value : scaled) value /= temperature;
  return normalize_log_weights(scaled);
}

std::vector<size_t> resample(std::span<const double> probabilities, size_t num_draws,
                             Resampling method, Rng& rng) {
  if (method == Resampling::kSystematic) return resample_systematic(probabilities, num_draws, rng);
  if (method == Resampling::kResidual) return resample_residual(probabilities, num_draws, rng);
  return resample_multinomial(probabilities, num_draws, rng);
}

std::vector<size_t> top_indices(std::span<const double> values, size_t count) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] > values[b]; });
  order.resize(std::min(count, order.size()));
  return order;
}

}  // namespace weft
