/// What the kernels of libweft_cuda.so read and write, by their arguments.
#pragma once

#include <vector>

#include "model/ops/cuda/cuda_library.h"
#include "tests/support/fake_device/fake_gpu.h"

namespace weft::test {

/// Replaces the device addresses in a kernel's arguments by those of the shadow, and gives what
/// they point to. Where the arguments do not say how much that is, it is the rest of the storage.
/// Throws std::logic_error for an address of the host.
///
/// What SampleRows::args and BatchedLora::weights point to in turn is left alone: it lies on the
/// device.
std::vector<fake::Access> take_operands(cuda::AddRmsNorm& a);
std::vector<fake::Access> take_operands(cuda::RopeStore& a);
std::vector<fake::Access> take_operands(cuda::PagedAttention& a);
std::vector<fake::Access> take_operands(cuda::SiluMul& a);
std::vector<fake::Access> take_operands(cuda::SampleRows& a);
std::vector<fake::Access> take_operands(cuda::TakeIds& a);
std::vector<fake::Access> take_operands(cuda::BatchedLora& a);
std::vector<fake::Access> take_operands(cuda::RmsNormBackward& a);
std::vector<fake::Access> take_operands(cuda::SiluMulBackward& a);
std::vector<fake::Access> take_operands(cuda::RotateRows& a);
std::vector<fake::Access> take_operands(cuda::PackedAttention& a);
std::vector<fake::Access> take_operands(cuda::PackedAttentionBackward& a);
std::vector<fake::Access> take_operands(cuda::LossRows& a);
std::vector<fake::Access> take_operands(cuda::LogitGradient& a);

}  // namespace weft::test
