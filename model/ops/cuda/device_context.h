/// A GPU through libweft_cuda.so, with errors as exceptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "model/device.h"
#include "model/ops/cuda/cuda_library.h"

namespace weft::ops {

/// The kernels and services of one GPU. Calls go to the calling thread's stream.
class DeviceContext {
 public:
  /// Borrows the library. `device` must name a GPU.
  explicit DeviceContext(const ComputeDevice& device);

  const cuda::Kernels& kernels() const { return library_.kernels; }
  void* stream() const { return library_.services.stream(); }

  /// Throws Error with what failed, and why, if the status of a call is one of failure.
  void check(int32_t status, const char* what) const;

  /// Gives the calling thread the device and a stream of its own.
  void enter_thread() const;
  void synchronize() const;
  /// Waits for all that any thread gave the device to do.
  void settle() const { library_.services.settle(index_); }
  int64_t free_memory_bytes() const;

  /// On the stream, to the device or from it.
  void copy(void* to, const void* from, size_t bytes) const;

  /// Records what `body` launches; to be given to `replay` and then to `destroy`.
  void* capture(cuda::GraphBody body, void* argument) const;
  void replay(void* graph) const;
  void destroy(void* graph) const { library_.services.destroy(graph); }

  const cuda::Services& services() const { return library_.services; }

 private:
  const cuda::Library& library_;
  const int index_;
};

/// A place in a stream's work that the host may wait for. Borrows the context.
class DeviceEvent {
 public:
  explicit DeviceEvent(const DeviceContext& context) : context_(context) {}
  ~DeviceEvent();
  DeviceEvent(const DeviceEvent&) = delete;
  DeviceEvent& operator=(const DeviceEvent&) = delete;

  /// Marks what the current stream was given so far.
  void record();
  /// Waits for what was marked last, if anything.
  void wait();

 private:
  const DeviceContext& context_;
  void* event_ = nullptr;
};

/// Pinned host memory that grows, from which copies go on while the CPU does. Borrows the context.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(const DeviceContext& context) : context_(context), copied_(context) {}
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  /// At least `bytes`, for what will be copied; waits for an earlier copy. Throws Error.
  void* reserve(size_t bytes);

  /// Starts the copy of the first `bytes` to the device.
  void copy_to(void* device, size_t bytes);

 private:
  const DeviceContext& context_;
  void* data_ = nullptr;
  size_t size_ = 0;
  DeviceEvent copied_;
};

}  // namespace weft::ops
