/// Estimators of the divergence of the policy from its reference, on the sampled tokens.
#pragma once

#include "base/config.h"

namespace weft {

/// Estimators of KL(policy || reference) on tokens of the policy, with a = logp - reference_logp
/// (in nats, held to +-20 before exp). As a term of the loss each has the gradient of another thing
/// in expectation over the policy's tokens:
enum class KlKind {
  kK1,      ///< a; its gradient is 0 in expectation: as a loss it does nothing
  kK2,      ///< a^2 / 2; that of the reverse KL, KL(policy || reference)
  kK3,      ///< exp(-a) + a - 1, arXiv:2402.03300, eq. 4; that of the *forward* KL
  kK3Plus,  ///< value of k3, gradient of k2 (verl's "k3+")
};
EnumTable<KlKind> enum_table(KlKind);

enum class KlPlace {
  kLoss,    ///< added to the loss of each token (GRPO)
  kReward,  ///< its sum over a response is taken off the reward (RLOO)
};
EnumTable<KlPlace> enum_table(KlPlace);

struct KlTerm {
  double value = 0;  ///< nats
  double slope = 0;  ///< d value / d logp
};

/// The term of a token. With `importance` it is r k(a), where r = policy / behaviour = `ratio` and
/// the gradient goes through r too: r k1 and r k3 have the gradient of the reverse KL, also on
/// tokens that an older policy sampled (DeepSeek-V3.2; TRL's use_bias_correction_kl). The slope of
/// r k3 is r a.
KlTerm kl_term(KlKind kind, double logp, double reference_logp, bool importance = false,
               double ratio = 1);

}  // namespace weft
