#include "model/engine/pass_costs.h"

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

constexpr double kRate = 0.25;      // of a pass's error that is corrected at once
constexpr double kMostError = 1.5;  // logarithm: what others did to the machine counts no more

double squared(double x) { return x * x; }

}  // namespace

PassWork PassCosts::decoding(int64_t rows, int64_t context) const {
  return {shape_.reads_per_token * static_cast<double>(context), static_cast<double>(rows), 0};
}

PassWork PassCosts::prefilling(int64_t start, int64_t count) const {
  const auto n = static_cast<double>(count), before = static_cast<double>(start);
  const double pairs = n * before + n * (n + 1) / 2;
  return {shape_.reads_per_token * (before + n), 0, n + shape_.products_per_pair * pairs};
}

double PassCosts::seconds(const PassWork& work) const {
  return std::hypot(read_s_ * work.reads, decode_s_ * work.decoded + prefill_s_ * work.prefilled);
}

int64_t PassCosts::tokens_within(const PassWork& besides, int64_t start, double seconds) const {
  const auto fit = [&](int64_t end) {
    const double reads = besides.reads + shape_.reads_per_token * static_cast<double>(end);
    const double rest = squared(seconds) - squared(read_s_ * reads);
    const double tokens_s = std::sqrt(std::max(0.0, rest)) - decode_s_ * besides.decoded;
    return tokens_of(start, tokens_s / prefill_s_ - besides.prefilled);
  };
  return fit(start + fit(start));  // what is read grows with the tokens: from above
}

// The root of n + p (n start + n (n + 1) / 2) = prefilled, p the products of a pair.
int64_t PassCosts::tokens_of(int64_t start, double prefilled) const {
  if (!(prefilled > 0)) return 0;
  const double pair = shape_.products_per_pair;
  const double slope = 1 + pair * (static_cast<double>(start) + 0.5);
  return static_cast<int64_t>(2 * prefilled /
                              (slope + std::sqrt(squared(slope) + 2 * pair * prefilled)));
}

// A pass teaches the part that it is mostly made of. Were the others corrected as well, then many
// passes of one kind, which do not tell how their time is divided, would carry them away.
void PassCosts::learn(const PassWork& work, double seconds) {
  const double expected = this->seconds(work);
  if (!(seconds > 0) || !(expected > 0)) return;
  const double error = std::log(seconds / expected);
  if (!learnt_) {
    for (double* part : {&read_s_, &decode_s_, &prefill_s_}) *part *= std::exp(error);
    learnt_ = true;
    return;
  }
  const double reading = squared(read_s_ * work.reads / expected);
  const double decoding = decode_s_ * work.decoded, prefilling = prefill_s_ * work.prefilled;
  // How much more a pass takes where a part costs a little more, both in logarithms.
  double *part = &read_s_, effect = reading;
  if (reading <= 0.5) {
    part = decoding > prefilling ? &decode_s_ : &prefill_s_;
    effect = (1 - reading) * std::max(decoding, prefilling) / (decoding + prefilling);
  }
  *part *= std::exp(kRate * std::clamp(error, -kMostError, kMostError) / effect);
}

}  // namespace weft
