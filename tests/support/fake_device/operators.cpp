#include "tests/support/fake_device/operators.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>

#include <cstring>

#include "tests/support/fake_device/host_views.h"

namespace weft::test::fake {
namespace {

constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

FakeGpu& gpu() { return FakeGpu::get(); }

void release(void* address) { gpu().release(address); }

void copy_bytes(void* to, const void* from, size_t bytes) {
  const char* source = shadow(static_cast<const char*>(from));
  char* target = shadow(static_cast<char*>(to));
  gpu().launch(gpu().current_stream(), {"a copy", {{from, bytes, false}, {to, bytes, true}}, [=] {
                                          std::memcpy(target, source, bytes);
                                        }});
}

class Allocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* address = nullptr;
    try {
      address = gpu().allocate(bytes);
    } catch (const OutOfDeviceMemory&) {
      TORCH_CHECK_WITH(OutOfMemoryError, false, "fake device out of memory. Tried to allocate ",
                       bytes, " bytes.");
    }
    return {address, address, address ? &release : &c10::detail::deleteNothing, own_device()};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    copy_bytes(to, from, bytes);
  }
};

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &allocator(), kKeys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                         std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                         std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &allocator(), kKeys,
                                           c10::dtype_or_default(dtype));
}

const at::Tensor& resize(const at::Tensor& self, at::IntArrayRef size,
                         std::optional<at::MemoryFormat>) {
  c10::StorageImpl* storage = self.storage().unsafeGetStorageImpl();
  const size_t before = storage->nbytes();
  const auto needed = static_cast<size_t>((c10::multiply_integers(size) + self.storage_offset()) *
                                          self.element_size());
  if (needed > before) {
    c10::DataPtr larger = allocator().allocate(needed);
    if (before > 0) copy_bytes(larger.get(), storage->data(), before);
    storage->set_data_ptr_noswap(std::move(larger));
    storage->set_nbytes(needed);
  }
  self.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  return self;
}

// Where the device finds a pinned tensor's bytes.
at::Tensor device_view(const at::Tensor& pinned) {
  auto* bytes = const_cast<void*>(gpu().bytes_of(pinned.const_data_ptr()));
  return at::from_blob(bytes, pinned.sizes(), pinned.strides(), pinned.options());
}

// As on a GPU, only copies within the device, or from and to pinned memory where the caller asks
// for it, go on while the host does; the host has waited for the others.
at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (to.numel() == 0) return to;
  HostViews views;
  Work copy{"aten::copy_", {}, nullptr};
  bool waits = false;
  const auto side = [&](const at::Tensor& t, bool writes) {
    const bool pinned = t.is_cpu() && gpu().is_pinned(t.const_data_ptr());
    if (!t.is_cpu() || pinned) copy.accesses.push_back(access_to(t, writes));
    waits = waits || (t.is_cpu() && !(pinned && non_blocking));
    return pinned ? device_view(t) : t.is_cpu() ? t : views.of(t);
  };
  const at::Tensor source = side(from, false), target = side(to, true);
  copy.run = [source, target] {
    const at::NoGradGuard no_grad;
    target.copy_(source);
  };
  const StreamId stream = gpu().current_stream();
  if (!waits) {
    gpu().launch(stream, std::move(copy));
    return to;
  }
  gpu().launch_here(stream, copy);
  if (!non_blocking) {
    gpu().synchronize(stream, to.is_cpu() ? "a copy to the host" : "a copy from the host");
  }
  return to;
}

at::Scalar local_scalar(const at::Tensor& self) {
  const at::Tensor view = HostViews().of(self);
  at::Scalar value;
  const Work read{
      "aten::_local_scalar_dense", {access_to(self, false)}, [&] { value = view.item(); }};
  gpu().launch_here(gpu().current_stream(), read);
  gpu().synchronize(gpu().current_stream(), read.name);
  return value;
}

// cuBLAS adds up bf16 products in fp32 and can leave them so; the CPU has no such form.
at::Tensor& mm_dtype_out(const at::Tensor& a, const at::Tensor& b, at::ScalarType dtype,
                         at::Tensor& out) {
  TORCH_CHECK(
      a.device() == own_device() && b.device() == own_device() && out.device() == own_device(),
      "fake device: aten::mm.dtype_out got a tensor of the CPU");
  HostViews views;
  const at::Tensor x = views.of(a), y = views.of(b), result = views.of(out);
  gpu().launch(gpu().current_stream(),
               {"aten::mm.dtype_out",
                {access_to(a, false), access_to(b, false), access_to(out, true)},
                [=] { result.copy_(at::mm(x.to(dtype), y.to(dtype))); }});
  return out;
}

void record_stream(at::Tensor& self, c10::Stream stream) {
  gpu().record_use(self.const_data_ptr(), static_cast<StreamId>(stream.id()));
}

}  // namespace

c10::Allocator& allocator() {
  static auto* const made = new Allocator;
  return *made;
}

void register_operators(torch::Library& aten) {
  aten.impl("empty.memory_format", &empty);
  aten.impl("empty_strided", &empty_strided);
  aten.impl("as_strided", &at::native::as_strided_tensorimpl);
  aten.impl("view", &at::native::view);
  aten.impl("_reshape_alias", &at::native::_reshape_alias);
  aten.impl("set_.source_Storage_storage_offset", &at::native::set_storage_cpu_);
  aten.impl("resize_", &resize);
  aten.impl("_copy_from", &copy_from);
  aten.impl("_local_scalar_dense", &local_scalar);
  aten.impl("record_stream", &record_stream);
  aten.impl("mm.dtype_out", &mm_dtype_out);
}

}  // namespace weft::test::fake
