/// Autograd functions around the operations' forms. ops.h is what others call.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/device_ops.h"

namespace weft::ops::gradients {

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias);
at::Tensor add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w);
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& w, double eps);
at::Tensor silu_mul(const at::Tensor& gate_up);
at::Tensor rotary_attention(const at::Tensor& qkv, const PackedPlanPtr& plan,
                            const at::Tensor& rope_table, const kernels::HeadShape& shape);

}  // namespace weft::ops::gradients
