#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <utility>

#include "tests/support/fake_device/cpu_fallback.h"
#include "tests/support/fake_device/fake_device.h"
#include "tests/support/fake_device/fake_gpu.h"
#include "tests/support/fake_device/operators.h"

namespace weft::test::fake {
namespace {

FakeGpu& gpu() { return FakeGpu::get(); }

StreamId id_of(const c10::Stream& stream) { return static_cast<StreamId>(stream.id()); }

c10::Stream stream_of(StreamId id) { return c10::Stream(c10::Stream::UNSAFE, own_device(), id); }

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return own_device().type(); }
  c10::Device exchangeDevice(c10::Device) const override { return own_device(); }
  c10::Device getDevice() const override { return own_device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void synchronizeDevice(c10::DeviceIndex) const override {
    gpu().synchronize_all("waiting for the device");
  }

  c10::Stream getStream(c10::Device) const override { return stream_of(gpu().current_stream()); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream_of(0); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override {
    return stream_of(gpu().next_pool_stream());
  }
  c10::Stream getNewStream(c10::Device, int) const override {
    return stream_of(gpu().next_pool_stream());
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return stream_of(gpu().exchange_stream(id_of(stream)));
  }
  bool queryStream(const c10::Stream& stream) const override {
    return gpu().is_done(id_of(stream));
  }
  void synchronizeStream(const c10::Stream& stream) const override {
    gpu().synchronize(id_of(stream), "waiting for a stream");
  }
  void recordDataPtrOnStream(const c10::DataPtr& memory, const c10::Stream& stream) const override {
    gpu().record_use(memory.get(), id_of(stream));
  }

  void record(void** event, const c10::Stream& stream, c10::DeviceIndex,
              c10::EventFlag) const override {
    auto* recorded = new Event(gpu().record(id_of(stream)));
    delete static_cast<Event*>(std::exchange(*event, recorded));
  }
  void block(void* event, const c10::Stream& stream) const override {
    if (event) gpu().wait(id_of(stream), *static_cast<Event*>(event));
  }
  bool queryEvent(void* event) const override {
    return !event || gpu().is_done(*static_cast<Event*>(event));
  }
  void synchronizeEvent(void* event) const override {
    if (event) gpu().synchronize(*static_cast<Event*>(event), "waiting for an event");
  }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override {
    delete static_cast<Event*>(event);
  }
};

struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* memory = gpu().pin(bytes);
    return {memory, memory, [](void* address) { gpu().unpin(address); }, at::kCPU};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  bool isPinnedPtr(const void* address) const override { return gpu().is_pinned(address); }
  c10::Allocator* getPinnedMemoryAllocator() const override {
    static auto* const made = new PinnedAllocator;
    return made;
  }
};

// LibTorch keeps what is registered by address, to the end of the process.
bool register_all() {
  using torch::Library;
  constexpr auto kKey = c10::DispatchKey::PrivateUse1;
  c10::register_privateuse1_backend("fake");
  at::RegisterPrivateUse1HooksInterface(new Hooks);
  c10::impl::registerDeviceGuard(own_device().type(), new Guard);
  c10::SetAllocator(own_device().type(), &allocator());
  auto* aten = new Library(Library::IMPL, "aten", kKey, __FILE__, __LINE__);
  register_operators(*aten);
  register_flash_attention(*aten);
  auto* all = new Library(Library::IMPL, "_", kKey, __FILE__, __LINE__);
  all->fallback(torch::CppFunction::makeFromBoxedFunction<&cpu_fallback>());
  return true;
}

}  // namespace

c10::Device device() {
  [[maybe_unused]] static const bool registered = register_all();
  return own_device();
}

}  // namespace weft::test::fake
