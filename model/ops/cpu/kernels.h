/// CPU kernels on tensors: what LibTorch does slowly or not at all on a CPU. Forward functions here
/// record no gradient; `model/ops/ops.h` joins them with their backward functions.
///
/// Tensors are contiguous CPU tensors of dtype f32 or bf16; arithmetic inside is fp32.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

#include "model/ops/cpu/kernel_table.h"

namespace weft::kernels {

/// True where the CPU multiplies bf16 vectors (avx512_bf16).
bool has_bf16_products();

/// y [m, n] = x [m, k] w [n, k]^T + bias (bias may be undefined), rounded once. Each of its rows
/// has the same bits in every batch, on any number of threads.
at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias = {});

/// out [m, n] = y [m, n] + x [m, k] w [n, k]^T, rounded once; `out` may be `y`.
void add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w,
                const at::Tensor& out);

/// The same as `linear` in fp32 whatever the dtype of x and w: [m, n] f32, `out` where it is given.
at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& w, const at::Tensor& out = {});

/// Square root of the sum of x^2, of any shape. Numbers are widened to double and summed in blocks
/// of fixed size: the same bits on any number of threads. NaN and infinity make it so.
double l2_norm(const at::Tensor& x);

/// Rows `rows` [n] int64 of x [*, dim], copied on the threads of parallel.h. (LibTorch's copy
/// starts threads of its own, which then look for work on the cores that the next loop needs.)
at::Tensor take_rows(const at::Tensor& x, const at::Tensor& rows);

/// x [rows, dim] += delta (may be undefined), then y = x / rms(x) * w. Returns y; `rstd` [rows] f32
/// is filled if given.
at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w,
                        double eps, const at::Tensor& rstd = {});

/// Gradients (gx, gw) of rms_norm; gw, in the dtype of w, only where wanted. The same bits on any
/// number of threads.
std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& gy, const at::Tensor& x,
                                                    const at::Tensor& w, const at::Tensor& rstd,
                                                    bool want_gw);

/// [rows, 2 dim] -> [rows, dim]: silu(first half) * second half.
at::Tensor silu_mul(const at::Tensor& gate_up);
at::Tensor silu_mul_backward(const at::Tensor& gy, const at::Tensor& gate_up);

/// Rotates the first `heads` heads of each row of x [rows, *] in place by the angles of `positions`
/// [rows] int32; table [max_positions, 2, dim / 2] f32. sign -1: its transpose.
void rope(const at::Tensor& x, const at::Tensor& table, const at::Tensor& positions, int64_t heads,
          int64_t dim, float sign);

[[noreturn]] void refuse_device(const at::Tensor& t);

/// Calls f(float{}) or f(Bf16{}) by dtype.
template <class F>
auto with_row_type(at::ScalarType dtype, F&& f) {
  return dtype == at::kFloat ? f(float{}) : f(Bf16{});
}

/// The elements of a tensor on the CPU. Throws Error for one on another device.
template <class T>
T* data(const at::Tensor& t) {
  if (!t.is_cpu()) refuse_device(t);
  return static_cast<T*>(t.data_ptr());
}

template <class T>
const RowKernels<T>& row_kernels() {
  if constexpr (sizeof(T) == sizeof(float)) {
    return kernel_table().f32;
  } else {
    return kernel_table().bf16;
  }
}

}  // namespace weft::kernels
