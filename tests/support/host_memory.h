/// LibTorch's memory of the host, counted.
#pragma once

#include <cstdint>

namespace weft::test {

/// Tensors of the CPU that are made from here on, to the end of the process. Any thread.
class HostMemory {
 public:
  static HostMemory& get();  ///< the first call takes LibTorch's allocator over

  int64_t live_bytes() const;
  int64_t peak_bytes() const;  ///< most of live_bytes() since restart_peak()
  void restart_peak();
  /// Allocations that would make live_bytes() larger fail as LibTorch's do; 0: none.
  void set_limit(int64_t bytes);

 private:
  HostMemory() = default;
};

}  // namespace weft::test
