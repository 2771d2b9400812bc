/// Large tensors in pages of their own.
#pragma once

#include <ATen/core/Tensor.h>

namespace weft::kernels {

/// Zeros on the CPU, committed when first written, in huge pages where the kernel grants them: what
/// is read from end to end in every pass then waits for fewer walks through page tables. Throws
/// Error if there is no room.
at::Tensor mapped_tensor(at::IntArrayRef shape, at::ScalarType dtype);

}  // namespace weft::kernels
