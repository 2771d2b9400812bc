/// What a rollout's reward is worth: shaping, and the comparison with the rewards of its group.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "base/config.h"

namespace weft {

/// What a reward is compared with. Named for the formula, not for a method: a method (method.h) is
/// an advantage together with a loss and a way to sum over tokens.
enum class AdvantageKind {
  kNormalized,   ///< (R - mean) / (std + 1e-6) over the group, GRPO's; arXiv:2402.03300, §4.1.2
  kCentered,     ///< R - mean, Dr.GRPO's; arXiv:2503.20783, §3.2
  kLeaveOneOut,  ///< R - mean of the others in the group, RLOO's; arXiv:2402.14740
  /// c = R - mean of the group, then c / (std + 1e-6) with the deviation of c over the whole batch,
  /// whose mean is 0: REINFORCE++ with baseline, arXiv:2501.03262, without its KL. Each response
  /// counts once in the deviation (verl and OpenRLHF count each token).
  kWhitened,
};
EnumTable<AdvantageKind> enum_table(AdvantageKind);

struct Advantages {
  std::vector<double> values;  ///< one for each reward; 0 throughout a group of equal rewards
  int64_t num_groups = 0;
  int64_t zero_std_groups = 0;  ///< groups whose rewards are all equal, groups of one included
};

/// Advantages within explicit groups. `group[i]` is any id; samples of a group need not be
/// adjacent. No rewards at all give no advantages.
///
/// Deviations are the sample's (n - 1), or with `population_std` those over n. A group of one gets
/// 0 (verl would give it R). Throws std::invalid_argument if sizes differ or a reward is not
/// finite.
Advantages group_advantages(std::span<const double> rewards, std::span<const uint64_t> group,
                            AdvantageKind kind, bool population_std = false);

/// The groups whose rewards are all equal, groups of one included: what DAPO's dynamic sampling
/// leaves out (arXiv:2503.14476, eq. 11, there for rewards of two values). Throws as
/// group_advantages().
std::set<uint64_t> equal_groups(std::span<const double> rewards, std::span<const uint64_t> group);

/// DAPO's soft overlong punishment, arXiv:2503.14476, eq. 13: 0 up to max_tokens - buffer, from
/// there in a line down to -factor at max_tokens, and -factor beyond. `buffer` in tokens, > 0.
double overlong_penalty(int64_t num_tokens, int64_t max_tokens, double buffer, double factor);

}  // namespace weft
