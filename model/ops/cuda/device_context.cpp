#include "model/ops/cuda/device_context.h"

#include "base/error.h"

namespace weft::ops {

DeviceContext::DeviceContext(const ComputeDevice& device)
    : library_(*device.library), index_(device.index) {}

void DeviceContext::check(int32_t status, const char* what) const {
  if (status != 0) throw Error("CUDA: " + std::string(what) + ": " + library_.error_text(status));
}

void DeviceContext::enter_thread() const {
  check(library_.services.use_device(index_), "use_device");
}

void DeviceContext::synchronize() const { check(library_.services.synchronize(), "synchronize"); }

int64_t DeviceContext::free_memory_bytes() const {
  int64_t free_bytes = 0, total_bytes = 0;
  check(library_.services.memory(index_, &free_bytes, &total_bytes), "memory");
  return free_bytes;
}

void DeviceContext::copy(void* to, const void* from, size_t bytes) const {
  check(library_.services.copy(to, from, bytes), "copy");
}

void* DeviceContext::capture(cuda::GraphBody body, void* argument) const {
  void* graph = nullptr;
  check(library_.services.capture(body, argument, &graph), "capture");
  return graph;
}

void DeviceContext::replay(void* graph) const { check(library_.services.replay(graph), "replay"); }

DeviceEvent::~DeviceEvent() {
  if (event_) context_.services().destroy_event(event_);
}

void DeviceEvent::record() { context_.check(context_.services().record(&event_), "record"); }

void DeviceEvent::wait() {
  if (event_) context_.check(context_.services().wait(event_), "wait");
}

PinnedBuffer::~PinnedBuffer() {
  if (data_) context_.services().unpin(data_);
}

void* PinnedBuffer::reserve(size_t bytes) {
  copied_.wait();
  if (bytes > size_) {
    if (data_) context_.services().unpin(data_);
    data_ = nullptr;
    size_ = 0;
    context_.check(context_.services().pin(bytes, &data_), "pin");
    size_ = bytes;
  }
  return data_;
}

void PinnedBuffer::copy_to(void* device, size_t bytes) {
  context_.copy(device, data_, bytes);
  copied_.record();
}

}  // namespace weft::ops
