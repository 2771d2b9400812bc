#include "model/engine/block_pool.h"

#include <numeric>

#include "base/error.h"

namespace weft {

BlockPool::BlockPool(int64_t num_blocks)
    : references_(num_blocks, 0), kept_(num_blocks, false), free_(num_blocks) {
  std::iota(free_.rbegin(), free_.rend(), 0);
}

int32_t BlockPool::allocate() {
  WEFT_ASSERT(!free_.empty());
  const int32_t block = free_.back();
  free_.pop_back();
  references_[block] = 1;
  return block;
}

void BlockPool::share(int32_t block) {
  num_idle_ -= is_idle(block);
  ++references_[block];
}

void BlockPool::release(int32_t block) {
  WEFT_ASSERT(references_[block] > 0);
  if (--references_[block] == 0) free_.push_back(block);
  num_idle_ += is_idle(block);
}

void BlockPool::release_all(std::vector<int32_t>& blocks) {
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) release(*block);
  blocks.clear();
}

void BlockPool::keep(int32_t block) {
  WEFT_ASSERT(!kept_[block] && references_[block] > 0);
  kept_[block] = true;
  ++references_[block];
}

void BlockPool::drop(int32_t block) {
  WEFT_ASSERT(kept_[block]);
  num_idle_ -= is_idle(block);
  kept_[block] = false;
  release(block);
}

}  // namespace weft
