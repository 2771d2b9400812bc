/// The policy loss as operations on tensors: what a device computes without the host, and the twin
/// of policy_loss.h.
#pragma once

#include <ATen/core/Tensor.h>

#include "trainer/learn/grpo/mismatch.h"
#include "trainer/learn/grpo/policy_loss.h"

namespace weft {

/// Arrays of a microbatch's tokens, [T] f32 each on one device; undefined where PolicyTokens has
/// none.
struct PolicyTensors {
  at::Tensor behaviour_logp, reference_logp, advantage, weight, sequence_log_ratio, importance;
  at::Tensor recorded_logp;  ///< undefined: the mismatch is not measured

  /// Tokens [begin, begin + count).
  PolicyTensors part(int64_t begin, int64_t count) const;
};

/// Sums over tokens in fp64 on a device. The host waits only where they are read.
class PolicyTotals {
 public:
  struct Values {
    PolicySums sums;
    Mismatch mismatch;
  };
  Values values() const;  ///< zeros for what was not measured

 private:
  friend at::Tensor policy_coefficients(const at::Tensor&, const PolicyTensors&,
                                        const PolicyLossOptions&, PolicyTotals&);
  at::Tensor added_;    // [kNumAdded] f64, or undefined
  at::Tensor largest_;  // [kNumLargest] f64, or undefined
  bool compared_ = false;
};

/// The coefficients of `logp` [T] f32, nats, and `totals` as policy_coefficients() of spans has
/// them, but for the order of sums. Where a logp is not finite every coefficient is NaN, and
/// nothing is added. Sizes must agree, and the other arrays be finite: neither is looked at.
at::Tensor policy_coefficients(const at::Tensor& logp, const PolicyTensors& tokens,
                               const PolicyLossOptions& options, PolicyTotals& totals);

}  // namespace weft
