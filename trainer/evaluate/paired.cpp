#include "trainer/evaluate/paired.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace weft {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLevelZ = 1.959963984540054;   ///< normal quantile of 0.975
constexpr double kPowerZ = 0.8416212335729143;  ///< of 0.8

/// The tasks that both have.
struct Shared {
  std::vector<double> differences;
  Discordance counts;
  bool binary = true;
};

Shared shared_tasks(std::span<const double> a, std::span<const double> b) {
  const auto is_binary = [](double x) { return x == 0 || x == 1; };
  Shared shared;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i])) continue;
    shared.differences.push_back(a[i] - b[i]);
    shared.binary = shared.binary && is_binary(a[i]) && is_binary(b[i]);
    shared.counts.only_a += a[i] > b[i];
    shared.counts.only_b += a[i] < b[i];
  }
  return shared;
}

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values) {
  if (values.size() < 2) return kNaN;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

/// Whether a deviation is more than what rounding leaves of equal values in [-1, 1].
bool varies(double deviation) { return deviation > 1e-12; }

std::string power_words(int64_t n, double detectable) {
  const std::string tasks = fmt::format("n = {} task{}", n, n == 1 ? "" : "s");
  if (std::isnan(detectable)) {
    return tasks + " with these differences do not tell what difference they could show";
  }
  if (detectable > 1) return tasks + " cannot show any difference";
  return fmt::format("{} cannot show a difference below {:.3f}", tasks, detectable);
}

}  // namespace

double mcnemar_exact_p(Discordance counts) {
  const auto n = static_cast<double>(counts.only_a + counts.only_b);
  const int64_t fewer = std::min(counts.only_a, counts.only_b);
  double tail = 0;
  for (int64_t i = 0; i <= fewer; ++i) {
    const auto k = static_cast<double>(i);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) -
                     n * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

double cohens_g(Discordance counts) {
  const int64_t n = counts.only_a + counts.only_b;
  return n == 0 ? kNaN : static_cast<double>(counts.only_a) / static_cast<double>(n) - 0.5;
}

double cohens_dz(std::span<const double> differences) {
  const double deviation = deviation_of(differences);
  return varies(deviation) ? mean_of(differences) / deviation : kNaN;
}

double detectable_share_difference(int64_t n, double discordance) {
  const double root = std::sqrt(static_cast<double>(n));
  const auto shows = [&](double d) {
    const double psi = std::max(discordance, d);
    return root * d >= kLevelZ * std::sqrt(psi) + kPowerZ * std::sqrt(std::max(psi - d * d, 0.0));
  };
  if (!shows(1)) return kNaN;
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (shows(middle) ? high : low) = middle;
  }
  return high;
}

double detectable_mean_difference(int64_t n, double sd) {
  if (n < 2 || !varies(sd)) return kNaN;
  return (kLevelZ + kPowerZ) * sd / std::sqrt(static_cast<double>(n));
}

Json compare_scores(std::span<const double> a, std::span<const double> b,
                    const BootstrapOptions& bootstrap) {
  const Estimate difference = estimate_difference(one_each(a), one_each(b), bootstrap);
  const Shared shared = shared_tasks(a, b);
  const auto n = static_cast<int64_t>(shared.differences.size());
  Json json = Json::object();
  add_estimate(json, "diff", difference);
  json["reading"] = reading_of(difference.ci);
  double detectable = kNaN;
  if (n > 0 && shared.binary) {
    const Discordance& counts = shared.counts;
    json["mcnemar"] = {
        {"only_a", counts.only_a}, {"only_b", counts.only_b}, {"p", mcnemar_exact_p(counts)}};
    const double odds = counts.only_b == 0 ? kNaN
                                           : static_cast<double>(counts.only_a) /
                                                 static_cast<double>(counts.only_b);
    json["effect"] = {{"cohens_g", number_or_null(cohens_g(counts))},
                      {"odds_ratio", number_or_null(odds)}};
    const auto differing = static_cast<double>(counts.only_a + counts.only_b);
    detectable = detectable_share_difference(n, differing / static_cast<double>(n));
    if (std::isnan(detectable)) detectable = std::numeric_limits<double>::infinity();
  } else {
    json["effect"] = {{"cohens_dz", number_or_null(cohens_dz(shared.differences))}};
    detectable = detectable_mean_difference(n, deviation_of(shared.differences));
  }
  json["detectable"] = number_or_null(detectable > 1 ? kNaN : detectable);
  json["power"] = power_words(n, detectable);
  return json;
}

}  // namespace weft
