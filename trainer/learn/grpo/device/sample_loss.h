/// The policy loss of an update's samples, microbatch by microbatch, where the log probabilities
/// lie.
#pragma once

#include <vector>

#include "trainer/learn/grpo/device/policy_tensors.h"
#include "trainer/learn/grpo/policy_samples.h"
#include "trainer/learn/update/learner.h"

namespace weft {

/// On the CPU by policy_coefficients() of spans, elsewhere by that of tensors, where nothing waits
/// for the device until totals(). A chunk in which a logp is not finite has NaN coefficients and no
/// part in the sums.
class SampleLoss {
 public:
  /// Both are borrowed. With `compares` the logprobs are also compared with the recorded ones.
  SampleLoss(const std::vector<Sample>& samples, const PolicyLossOptions& options, bool compares)
      : samples_(samples), options_(options), compares_(compares) {}
  SampleLoss(const SampleLoss&) = delete;
  SampleLoss& operator=(const SampleLoss&) = delete;

  /// Over microbatches of sequences_of(samples). Borrows this.
  MicrobatchLoss by_microbatch();

  /// Of all microbatches so far.
  PolicyTotals::Values totals() const;

 private:
  struct Rows;
  void coefficients(const Rows& rows, int64_t begin, std::span<const float> logp,
                    std::span<float> out);

  const std::vector<Sample>& samples_;
  const PolicyLossOptions& options_;
  bool compares_;
  PolicyTotals::Values on_host_;
  PolicyTotals on_device_;
};

}  // namespace weft
