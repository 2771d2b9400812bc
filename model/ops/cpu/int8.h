/// Matrices rounded to int8, for models that only answer: a decoded token reads every weight once,
/// and here that is half of the bytes of bf16. Source: arXiv:2208.07339, sections 2.1 and 3.1
/// (symmetric rounding by the greatest magnitude of a row); activations are cut to 16 bits, not 8.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace weft::kernels {

/// A matrix [rows, columns] as whole numbers in [-127, 127] times the step of their row, in the
/// order in which products read it.
struct Int8Matrix {
  at::Tensor values;  ///< [ceil(rows / 16), ceil(columns / 2), 16, 2] int8, zeros outside
  at::Tensor steps;   ///< [16 ceil(rows / 16)] f32, zeros outside
  int64_t rows = 0;
  int64_t columns = 0;

  bool defined() const { return values.defined(); }
};

/// Rounds w [rows, columns] (f32 or bf16, contiguous) to the nearest multiples of its rows' steps,
/// max |row| / 127 each. A row that is not finite has the step NaN, which its products inherit.
Int8Matrix to_int8(const at::Tensor& w);

/// The rows `ids` [N] int64 of w as [N, columns] in `dtype` (f32 or bf16).
at::Tensor take_rows(const Int8Matrix& w, const at::Tensor& ids, at::ScalarType dtype);

/// y [m, rows] = x [m, columns] w^T + bias (bias may be undefined), in the dtype of x (f32 or bf16,
/// contiguous). Each row of x is rounded to 16-bit multiples of max |row| / 32767; the sums are
/// then exact for 512 columns at a time. So a row's result has the same bits whatever else is in
/// the batch. Records no gradient.
at::Tensor linear(const at::Tensor& x, const Int8Matrix& w, const at::Tensor& bias = {});

/// The same in fp32 whatever the dtype of x: [m, rows] f32.
at::Tensor linear_f32(const at::Tensor& x, const Int8Matrix& w);

}  // namespace weft::kernels
