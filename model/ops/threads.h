/// How many CPU threads computing takes.
#pragma once

#include <cstdint>

namespace weft {

/// In this process, from now on; 0: as many as there are cores. Before models are opened: what they
/// have by then keeps its threads.
void use_threads(int64_t threads);

}  // namespace weft
