#include "tests/support/fake_device/host_views.h"

#include <c10/core/CPUAllocator.h>

namespace weft::test::fake {

at::Storage HostViews::storage_of(const at::Tensor& device) {
  const at::Storage& storage = device.storage();
  for (const auto& [known, view] : storages_) {
    if (known == storage.unsafeGetStorageImpl()) return view;
  }
  c10::DataPtr bytes(shadow(storage.mutable_data()), at::kCPU);
  at::Storage view(c10::make_intrusive<c10::StorageImpl>(
      c10::StorageImpl::use_byte_size_t(), static_cast<int64_t>(storage.nbytes()), std::move(bytes),
      c10::GetCPUAllocator(), /*resizable=*/true));
  storages_.emplace_back(storage.unsafeGetStorageImpl(), view);
  return view;
}

at::Tensor HostViews::of(const at::Tensor& device) {
  for (const auto& [known, view] : tensors_) {
    if (known.is_same(device)) return view;
  }
  at::Tensor view = at::detail::make_tensor<c10::TensorImpl>(
      storage_of(device), c10::DispatchKeySet(c10::DispatchKey::CPU), device.dtype());
  view.unsafeGetTensorImpl()->set_sizes_and_strides(device.sizes(), device.strides(),
                                                    device.storage_offset());
  tensors_.emplace_back(device, view);
  return view;
}

Access access_to(const at::Tensor& device, bool writes) {
  if (device.numel() == 0) return {nullptr, 0, writes};
  int64_t last = 0;
  for (int64_t d = 0; d < device.dim(); ++d) last += (device.size(d) - 1) * device.stride(d);
  return {device.const_data_ptr(), static_cast<size_t>((last + 1) * device.element_size()), writes};
}

}  // namespace weft::test::fake
