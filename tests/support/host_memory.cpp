#include "tests/support/host_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

namespace weft::test {
namespace {

struct Counts {
  std::mutex mutex;
  std::unordered_map<void*, int64_t> sizes;
  int64_t live = 0, peak = 0, limit = 0;
};

Counts& counts() {
  static auto* const all = new Counts;  // outlives every tensor
  return *all;
}

void release(void* memory) {
  {
    const std::lock_guard lock(counts().mutex);
    const auto found = counts().sizes.find(memory);
    counts().live -= found->second;
    counts().sizes.erase(found);
  }
  c10::GetDefaultCPUAllocator()->raw_deallocate(memory);
}

class Counting final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    Counts& c = counts();
    const auto size = static_cast<int64_t>(bytes);
    {
      const std::lock_guard lock(c.mutex);
      TORCH_CHECK(c.limit == 0 || c.live + size <= c.limit,
                  "DefaultCPUAllocator: can't allocate memory: you tried to allocate ", bytes,
                  " bytes.");
    }
    void* const memory = c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
    if (memory == nullptr) return {nullptr, nullptr, &c10::detail::deleteNothing, at()};
    const std::lock_guard lock(c.mutex);
    c.sizes[memory] = size;
    c.live += size;
    c.peak = std::max(c.peak, c.live);
    return {memory, memory, &release, at()};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static c10::Device at() { return c10::Device(c10::DeviceType::CPU); }
};

}  // namespace

HostMemory& HostMemory::get() {
  static HostMemory* const memory = [] {
    c10::SetCPUAllocator(new Counting, /*priority=*/100);
    return new HostMemory;
  }();
  return *memory;
}

int64_t HostMemory::live_bytes() const {
  const std::lock_guard lock(counts().mutex);
  return counts().live;
}

int64_t HostMemory::peak_bytes() const {
  const std::lock_guard lock(counts().mutex);
  return counts().peak;
}

void HostMemory::restart_peak() {
  const std::lock_guard lock(counts().mutex);
  counts().peak = counts().live;
}

void HostMemory::set_limit(int64_t bytes) {
  const std::lock_guard lock(counts().mutex);
  counts().limit = bytes;
}

}  // namespace weft::test
