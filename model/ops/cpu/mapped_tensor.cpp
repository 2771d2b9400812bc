#include "model/ops/cpu/mapped_tensor.h"

#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace weft::kernels {

at::Tensor mapped_tensor(at::IntArrayRef shape, at::ScalarType dtype) {
  constexpr size_t kHugePage = 2 << 20;
  size_t bytes = c10::elementSize(dtype);
  for (int64_t d : shape) bytes *= static_cast<size_t>(d);
  // As much more as it takes to begin at a huge page.
  const size_t mapped = std::max<size_t>(1, bytes) + kHugePage;
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw Error(with_errno("cannot map memory"));
  const auto first = reinterpret_cast<uintptr_t>(memory);
  void* data = reinterpret_cast<void*>((first + kHugePage - 1) / kHugePage * kHugePage);
  // A wish: without huge pages it is slower, and that is all.
  madvise(data, bytes, MADV_HUGEPAGE);
  return at::from_blob(
      data, shape, [memory, mapped](void*) { munmap(memory, mapped); }, at::TensorOptions(dtype));
}

}  // namespace weft::kernels
