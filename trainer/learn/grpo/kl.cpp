#include "trainer/learn/grpo/kl.h"

#include <algorithm>
#include <cmath>

namespace weft {

EnumTable<KlKind> enum_table(KlKind) {
  return {{KlKind::kK1, "k1"}, {KlKind::kK2, "k2"}, {KlKind::kK3, "k3"}, {KlKind::kK3Plus, "k3+"}};
}

EnumTable<KlPlace> enum_table(KlPlace) {
  return {{KlPlace::kLoss, "loss"}, {KlPlace::kReward, "reward"}};
}

KlTerm kl_term(KlKind kind, double logp, double reference_logp, bool importance, double ratio) {
  const double a = std::clamp(logp - reference_logp, -20.0, 20.0);
  const double k3 = std::exp(-a) + a - 1;
  KlTerm term;
  switch (kind) {
    case KlKind::kK1:
      term = {a, 1};
      break;
    case KlKind::kK2:
      term = {a * a / 2, a};
      break;
    case KlKind::kK3:
      term = {k3, 1 - std::exp(-a)};
      break;
    case KlKind::kK3Plus:
      term = {k3, a};
      break;
  }
  if (importance) term = {ratio * term.value, ratio * (term.slope + term.value)};
  return term;
}

}  // namespace weft
