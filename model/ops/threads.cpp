#include "model/ops/threads.h"

#include <ATen/Parallel.h>

namespace weft {

void use_threads(int64_t threads) {
  if (threads > 0) at::set_num_threads(static_cast<int>(threads));
}

}  // namespace weft
