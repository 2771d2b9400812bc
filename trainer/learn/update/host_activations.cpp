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

void HostActivations::wait_for(const c10::Stream& first, const c10::Stream& waiting) const {
  c10::Event done(device_.type());
  done.record(first);
  done.block(waiting);
}

void HostActivations::begin_pass() {
  wait_for(copies_, current());
  leaving_.clear();
  for (Slot& s : slots_) s.device.reset();
  num_put_ = 0;
}

size_t HostActivations::put(const at::Tensor& values) {
  const size_t index = num_put_++;
  if (index == slots_.size()) slots_.emplace_back();
  Slot& s = slots_[index];
  if (!s.buffer.defined() || s.buffer.numel() < values.numel() ||
      s.buffer.scalar_type() != values.scalar_type()) {
    s.buffer = at::empty({values.numel()}, values.options().device(at::kCPU).pinned_memory(true));
  }
  s.host = s.buffer.narrow(0, 0, values.numel()).view(values.sizes());
  wait_for(current(), copies_);
  const c10::StreamGuard guard(copies_);
  s.host.copy_(values, /*non_blocking=*/true);
  leaving_.push_back(values);
  return index;
}

void HostActivations::settle() {
  if (leaving_.empty()) return;
  wait_for(copies_, current());
  leaving_.clear();
}

void HostActivations::fetch(size_t index) {
  Slot& s = slots_[index];
  if (s.device.defined()) return;
  s.device = at::empty_like(s.host, s.host.options().device(device_).pinned_memory(false));
  wait_for(current(), copies_);
  const c10::StreamGuard guard(copies_);
  s.device.copy_(s.host, /*non_blocking=*/true);
  s.arrived.emplace(device_.type());
  s.arrived->record(copies_);
}

at::Tensor HostActivations::take(size_t index) {
  fetch(index);
  Slot& s = slots_[index];
  s.arrived->block(current());
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
