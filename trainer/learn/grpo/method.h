/// Published methods, one word each: an advantage, a loss and a way to sum over tokens together.
#pragma once

#include <cstdint>

#include "base/config.h"
#include "trainer/learn/grpo/policy_options.h"

namespace weft {

/// Each word sets the defaults of the fields named; any that is not marked (*) may be set to
/// something else. No word sets a KL coefficient: the KL named is what one would weigh.
enum class PolicyMethod {
  kCustom,  ///< sets nothing: the fields' own defaults, GRPO's advantage with DAPO's bounds and
            ///< mean
  /// arXiv:2402.03300, eq. 3: (*) normalized advantage, per_sequence mean, clip 0.2 / 0.2, k3 as
  /// loss.
  kGrpo,
  /// arXiv:2503.20783, §3.2: (*) centered advantage, (*) constant mean over max_completion_tokens,
  /// clip 0.2 / 0.2, k3 as loss.
  kDrGrpo,
  /// arXiv:2503.14476, eq. 8: normalized advantage, (*) per_batch mean, clip 0.2 / 0.28; equal
  /// groups dropped and refilled up to 10 times (eq. 11, verl's bound); overlong buffer of a fifth
  /// of max_completion_tokens, factor 1 (eq. 13).
  kDapo,
  /// arXiv:2507.18071, eq. 5 and 7: normalized advantage, (*) sequence ratio, per_sequence mean,
  /// clip 3e-4 / 4e-4.
  kGspo,
  /// arXiv:2506.13585, eq. 4 and 5: normalized advantage, (*) cispo surrogate, per_batch mean, no
  /// lower bound, upper bound 1 + clip_high = 5 (ScaleRL's, arXiv:2510.13786; the paper gives no
  /// number).
  kCispo,
  /// arXiv:2402.14740: (*) leave_one_out advantage, sum over tokens, then mean over responses; k1
  /// in the reward. The paper has one update for a batch and no ratio; further ones are held by
  /// clip 0.2 / 0.2 of the token's ratio (TRL: of the whole response's product).
  kRloo,
  /// arXiv:2501.03262, the variant with baseline: (*) whitened advantage, per_batch mean, clip 0.2
  /// / 0.2, k2 as loss.
  kReinforcePlusPlus,
};
EnumTable<PolicyMethod> enum_table(PolicyMethod);

/// Sets what the word stands for.
void apply_method(PolicyMethod method, PolicyUpdateOptions& update, int64_t& refill_rounds);

/// Throws InputError naming the field where a field marked (*) is not what the word stands for.
void check_method(PolicyMethod method, const PolicyUpdateOptions& update);

}  // namespace weft
