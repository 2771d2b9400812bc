/// What was recorded while a stream was being captured.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/fake_device/fake_gpu.h"

namespace weft::test::fake {

struct Graph {
  struct Node {
    Work work;
    std::vector<int64_t> storages;  ///< of its accesses, when it was recorded
  };
  std::vector<Node> nodes;
};

}  // namespace weft::test::fake
