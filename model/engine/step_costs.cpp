#include "model/engine/step_costs.h"

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

constexpr double kRate = 0.25;      // of a step's error that is corrected at once
constexpr double kMostError = 1.5;  // logarithm: what others did to the machine counts no more

double squared(double x) { return x * x; }

}  // namespace

StepWork StepCosts::decoding(int64_t rows, int64_t context) const {
  return {shape_.reads_per_token * static_cast<double>(context), static_cast<double>(rows)};
}

StepWork StepCosts::prefilling(int64_t start, int64_t count) const {
  const auto n = static_cast<double>(count), before = static_cast<double>(start);
  const double pairs = n * before + n * (n + 1) / 2;
  return {shape_.reads_per_token * (before + n), n + shape_.products_per_pair * pairs};
}

double StepCosts::seconds(const StepWork& work) const {
  return std::hypot(read_s_ * work.reads, product_s_ * work.products);
}

int64_t StepCosts::tokens_within(const StepWork& besides, int64_t start, double seconds) const {
  const auto fit = [&](int64_t end) {
    const double reads = besides.reads + shape_.reads_per_token * static_cast<double>(end);
    const double rest = squared(seconds) - squared(read_s_ * reads);
    return tokens_of(start, std::sqrt(std::max(0.0, rest)) / product_s_ - besides.products);
  };
  return fit(start + fit(start));  // what is read grows with the tokens: from above
}

// The root of n + p (n start + n (n + 1) / 2) = products, p the products of a pair.
int64_t StepCosts::tokens_of(int64_t start, double products) const {
  if (!(products > 0)) return 0;
  const double pair = shape_.products_per_pair;
  const double slope = 1 + pair * (static_cast<double>(start) + 0.5);
  return static_cast<int64_t>(2 * products /
                              (slope + std::sqrt(squared(slope) + 2 * pair * products)));
}

// Each part is corrected as far as it is to blame for the error (a projection, in logarithms).
void StepCosts::learn(const StepWork& work, double seconds) {
  const double expected = this->seconds(work);
  if (!(seconds > 0) || !(expected > 0)) return;
  if (!learnt_) {
    read_s_ *= seconds / expected;
    product_s_ *= seconds / expected;
    learnt_ = true;
    return;
  }
  const double reading = squared(read_s_ * work.reads / expected), multiplying = 1 - reading;
  const double error = std::clamp(std::log(seconds / expected), -kMostError, kMostError);
  const double step = kRate * error / (squared(reading) + squared(multiplying));
  read_s_ *= std::exp(step * reading);
  product_s_ *= std::exp(step * multiplying);
}

}  // namespace weft
