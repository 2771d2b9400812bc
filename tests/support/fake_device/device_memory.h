/// Memory of the fake device: addresses that no code can access, each standing for a byte of a
/// readable shadow at a constant distance. Code that takes a device pointer for one of the host's
/// dies at once; kernels translate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tests/support/fake_device/access_history.h"

namespace weft::test::fake {

/// Whether an address is one of the device's.
bool is_device_address(const void* address);

/// Where the bytes of a device address lie; null for null. std::logic_error for an address of the
/// host.
const void* shadow(const void* address);
template <class T>
T* shadow(T* address) {
  return static_cast<T*>(const_cast<void*>(shadow(static_cast<const void*>(address))));
}

/// Hands out device memory from pools, each with free lists of its own. Not thread-safe.
class DeviceMemory {
 public:
  struct Block {
    char* begin = nullptr;
    size_t bytes = 0;  ///< asked for
    size_t room = 0;   ///< `bytes` rounded up
    int pool = 0;
    int64_t number = 0;  ///< of the storage that it holds or held last
    bool live = false;
    AccessHistory history;       ///< outlives the storage: the next one must mind it
    std::set<StreamId> users{};  ///< beside the one it was allocated on
    std::vector<Place> uses{};   ///< the last work of each when it was released
  };

  /// Memory that was released last, of the same pool and room; else new memory.
  Block& allocate(size_t bytes, int pool);
  void release(Block& block);

  /// The block that holds an address, live or not; null if none ever has.
  Block* find(const void* address);

 private:
  std::map<const char*, Block> blocks_;  // by their end
  std::map<std::pair<int, size_t>, std::vector<Block*>> free_;
  size_t used_ = 0;
  int64_t storages_ = 0;
};

}  // namespace weft::test::fake
