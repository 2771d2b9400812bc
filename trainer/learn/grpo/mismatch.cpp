#include "trainer/learn/grpo/mismatch.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace weft {
namespace {

double clamp_log(double x) { return std::clamp(x, -20.0, 20.0); }

}  // namespace

void Mismatch::add(std::span<const float> logp, std::span<const float> recorded) {
  for (size_t i = 0; i < logp.size(); ++i) {
    const double d = double{logp[i]} - double{recorded[i]};
    sum += std::abs(d);
    max = std::max(max, std::abs(d));
    k3_sum += std::exp(clamp_log(d)) - d - 1;
  }
  num_tokens += static_cast<int64_t>(logp.size());
}

void CorrectionOptions::validate() const {
  const auto check = [](const char* name, double value, bool ok, const char* expected) {
    if (value == 0 || ok) return;
    throw InputError(std::string(name) + ": expected 0 or " + expected + ", got " +
                     std::to_string(value));
  };
  check("token_cap", token_cap, token_cap >= 1, "a number >= 1");
  check("reject_low", reject_low, reject_low > 0 && reject_low < 1, "a number in (0, 1)");
  check("reject_high", reject_high, reject_high > 1, "a number > 1");
}

double RatioStatistics::mean() const {
  return num_tokens > 0 ? sum / static_cast<double>(num_tokens) : 0;
}

double RatioStatistics::effective_share() const {
  return num_tokens > 0 ? sum * sum / (static_cast<double>(num_tokens) * squares) : 0;
}

Correction correct(std::span<const float> old_logp, std::span<const float> recorded,
                   const CorrectionOptions& options, RatioStatistics& statistics) {
  Correction result;
  double log_sum = 0;
  for (size_t i = 0; i < old_logp.size(); ++i) {
    const double log_ratio = double{old_logp[i]} - double{recorded[i]};
    const double ratio = std::exp(clamp_log(log_ratio));
    const bool truncated = options.token_cap > 0 && ratio > options.token_cap;
    const double weight = truncated ? options.token_cap : ratio;
    result.weights.push_back(options.token_cap > 0 ? static_cast<float>(weight) : 1.0f);
    log_sum += log_ratio;
    statistics.sum += ratio;
    statistics.squares += ratio * ratio;
    statistics.max = std::max(statistics.max, ratio);
    statistics.min = statistics.num_tokens == 0 ? ratio : std::min(statistics.min, ratio);
    statistics.truncated_tokens += truncated ? 1 : 0;
    ++statistics.num_tokens;
  }
  const auto n = static_cast<double>(std::max<size_t>(1, old_logp.size()));
  const double geometric = std::exp(clamp_log(log_sum / n));
  result.rejected = (options.reject_low > 0 && geometric < options.reject_low) ||
                    (options.reject_high > 0 && geometric > options.reject_high);
  ++statistics.num_sequences;
  statistics.rejected_sequences += result.rejected ? 1 : 0;
  return result;
}

}  // namespace weft
