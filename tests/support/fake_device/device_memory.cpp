#include "tests/support/fake_device/device_memory.h"

#include <sys/mman.h>

#include <new>
#include <stdexcept>

namespace weft::test::fake {
namespace {

constexpr size_t kArena = size_t{1} << 36;
constexpr size_t kGranularity = 512;

struct Arena {
  char* device;
  char* shadow;

  Arena() : device(reserve(PROT_NONE)), shadow(reserve(PROT_READ | PROT_WRITE)) {}

  static char* reserve(int protection) {
    void* memory =
        mmap(nullptr, kArena, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return static_cast<char*>(memory);
  }
};

const Arena& arena() {
  static const Arena reserved;
  return reserved;
}

}  // namespace

bool is_device_address(const void* address) {
  const auto* at = static_cast<const char*>(address);
  return at >= arena().device && at < arena().device + kArena;
}

const void* shadow(const void* address) {
  if (address == nullptr) return nullptr;
  if (!is_device_address(address)) {
    throw std::logic_error("fake device: an address of the host where the device's is expected");
  }
  return arena().shadow + (static_cast<const char*>(address) - arena().device);
}

DeviceMemory::Block& DeviceMemory::allocate(size_t bytes, int pool) {
  const size_t room = (bytes + kGranularity - 1) / kGranularity * kGranularity;
  auto& free = free_[{pool, room}];
  Block* block = nullptr;
  if (free.empty()) {
    if (used_ + room > kArena) throw std::bad_alloc();
    char* const begin = arena().device + used_;
    used_ += room;
    block = &blocks_[begin + room];
    block->begin = begin;
    block->room = room;
    block->pool = pool;
  } else {
    block = free.back();
    free.pop_back();
  }
  block->bytes = bytes;
  block->number = ++storages_;
  block->live = true;
  return *block;
}

void DeviceMemory::release(Block& block) {
  block.live = false;
  free_[{block.pool, block.room}].push_back(&block);
}

DeviceMemory::Block* DeviceMemory::find(const void* address) {
  const auto* at = static_cast<const char*>(address);
  const auto found = blocks_.upper_bound(at);  // the first that ends behind it
  return found != blocks_.end() && found->second.begin <= at ? &found->second : nullptr;
}

}  // namespace weft::test::fake
