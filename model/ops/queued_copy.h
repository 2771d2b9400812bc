/// Copies to a device that the host does not wait for.
#pragma once

#include <ATen/core/Tensor.h>

namespace weft::ops {

/// `host`, a tensor of the CPU, on `device`: itself there, elsewhere a copy by way of pinned
/// memory, in the order of the current stream's work.
at::Tensor queued_copy(const at::Tensor& host, at::Device device);

}  // namespace weft::ops
