#include "trainer/learn/grpo/policy_options.h"

#include "base/check.h"

namespace weft {

void PolicyUpdateOptions::validate() const {
  require_share("negative_weight", negative_weight);
  require_share("overlong_share", overlong_share);
  require_at_least("overlong_factor", overlong_factor, 0);
  require_at_least("epochs", epochs, 1);
  require_at_least("updates_per_batch", updates_per_batch, 1);
}

}  // namespace weft
