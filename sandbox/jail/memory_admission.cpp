#include "sandbox/jail/memory_admission.h"

namespace weft {

bool MemoryAdmission::admit(int64_t budget_mb) {
  if (used_mb_ + cost(budget_mb) > capacity_mb_) return false;
  used_mb_ += cost(budget_mb);
  return true;
}

}  // namespace weft
