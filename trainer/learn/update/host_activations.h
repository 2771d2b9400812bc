/// Activations that wait on the host for the backward pass.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace weft {

/// Tensors of a device in pinned memory of the host, copied by a stream of their own beside the
/// current one's work; the host waits for none of it. What is on its way is memory of the current
/// stream, whose later work may take it over at once. The buffers are kept for the next pass, which
/// puts tensors of the same sizes in the same order. One thread at a time.
class HostActivations {
 public:
  explicit HostActivations(at::Device device);

  /// Forgets what the pass before has put, also where that was cut short.
  void begin_pass();
  /// Begins to copy `values` out once the current stream's work so far is done, and holds them
  /// until settle(). Returns what fetch() and take() know them by.
  size_t put(const at::Tensor& values);
  /// The current stream's later work waits for the copies begun so far; what was put is dropped.
  void settle();
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
  c10::Stream current() const;
  /// Work that `waiting` is given from here on comes after what `first` was given.
  void wait_for(const c10::Stream& first, const c10::Stream& waiting) const;

  at::Device device_;
  c10::Stream copies_;
  std::vector<Slot> slots_;
  std::vector<at::Tensor> leaving_;
  size_t num_put_ = 0;
};

}  // namespace weft
