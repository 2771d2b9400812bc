/// Host memory that the device copies from and to. While a copy that the host has not waited for
/// may be under way, the host's own use of it is a SIGSEGV: any use of what the device writes,
/// writes to what it reads.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "tests/support/fake_device/access_history.h"

namespace weft::test::fake {

/// Not thread-safe.
class PinnedMemory {
 public:
  struct Buffer {
    char* host;    ///< the addresses that programs know
    char* device;  ///< other addresses of the same bytes, always open
    size_t room;   ///< whole pages
    AccessHistory history;
    struct InFlight {
      Place place;
      bool writes;
    };
    std::vector<InFlight> in_flight;
  };

  Buffer& allocate(size_t bytes);
  void release(const void* address);
  /// The buffer that holds an address; null if there is none.
  Buffer* find(const void* address);

  /// Closes a buffer for a work of the device.
  void close(Buffer& buffer, const Place& place, bool writes);
  /// Opens what `known` says is done.
  void open(const Clock& known);

 private:
  std::map<const char*, Buffer> buffers_;  // by the end of their host addresses
  std::vector<Buffer*> closed_;
};

}  // namespace weft::test::fake
