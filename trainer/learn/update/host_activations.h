/// Layer inputs that wait on the host for the backward pass.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace weft {

/// Tensors of a device in pinned memory of the host, copied by a stream of their own beside the
/// current one's work; the host waits for none of it. The buffers are kept for the next pass. One
/// thread at a time.
class HostActivations {
 public:
  explicit HostActivations(at::Device device);

  /// Copies `values` out once the current stream's work so far is done. The caller may drop them.
  void put(size_t index, const at::Tensor& values);
  /// Begins to copy back what was put.
  void fetch(size_t index);
  /// What was put, for work of the current stream; fetches it where fetch() has not.
  at::Tensor take(size_t index);

  int64_t host_bytes() const;  ///< of all buffers

 private:
  struct Slot {
    at::Tensor buffer;  // [room] on the host
    at::Tensor host;    // the part that holds the values, shaped like them
    at::Tensor device;  // on their way back
    std::optional<c10::Event> arrived;
  };
  Slot& slot(size_t index);
  c10::Stream current() const;

  at::Device device_;
  c10::Stream copies_;
  std::vector<Slot> slots_;
};

}  // namespace weft
