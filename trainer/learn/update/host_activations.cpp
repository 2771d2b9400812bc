#include "trainer/learn/update/host_activations.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace weft {

HostActivations::HostActivations(at::Device device)
    : device_(device),
      copies_(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)) {}

c10::Stream HostActivations::current() const {
  return c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
}

HostActivations::Slot& HostActivations::slot(size_t index) {
  if (index >= slots_.size()) slots_.resize(index + 1);
  return slots_[index];
}

void HostActivations::put(size_t index, const at::Tensor& values) {
  Slot& s = slot(index);
  if (!s.buffer.defined() || s.buffer.numel() < values.numel()) {
    s.buffer = at::empty({values.numel()}, values.options().device(at::kCPU).pinned_memory(true));
  }
  s.host = s.buffer.narrow(0, 0, values.numel()).view(values.sizes());
  s.device.reset();
  c10::Event computed(device_.type());
  computed.record(current());
  computed.block(copies_);
  const c10::StreamGuard guard(copies_);
  s.host.copy_(values, /*non_blocking=*/true);
  values.record_stream(copies_);
}

void HostActivations::fetch(size_t index) {
  Slot& s = slot(index);
  if (s.device.defined()) return;
  const c10::StreamGuard guard(copies_);
  s.device = at::empty_like(s.host, s.host.options().device(device_).pinned_memory(false));
  s.device.copy_(s.host, /*non_blocking=*/true);
  s.arrived.emplace(device_.type());
  s.arrived->record(copies_);
}

at::Tensor HostActivations::take(size_t index) {
  fetch(index);
  Slot& s = slot(index);
  s.arrived->block(current());
  s.device.record_stream(current());
  return std::exchange(s.device, {});
}

int64_t HostActivations::host_bytes() const {
  int64_t bytes = 0;
  for (const Slot& s : slots_) {
    if (s.buffer.defined()) bytes += static_cast<int64_t>(s.buffer.nbytes());
  }
  return bytes;
}

}  // namespace weft
