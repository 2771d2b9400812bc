#include "model/ops/cpu/int8.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <vector>

#include "model/ops/cpu/kernels.h"
#include "model/ops/cpu/mapped_tensor.h"
#include "model/ops/cpu/parallel.h"

namespace weft::kernels {
namespace {

constexpr float kWeightLimit = 127, kFactorLimit = 32767;
constexpr int64_t kProductsGrain = 1 << 18;  // products worth a thread
constexpr int64_t kRoundingGrain = 1 << 14;  // elements worth a thread

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Place of an element in Int8Matrix::values.
int64_t packed_index(int64_t row, int64_t column, int64_t pairs) {
  const int64_t block = row / kInt8Block, lane = row % kInt8Block;
  return ((block * pairs + column / 2) * kInt8Block + lane) * 2 + column % 2;
}

// x as 16-bit integers, rows padded to whole pairs.
struct RoundedRows {
  at::Tensor values;  // [m, pairs, 2] int16
  at::Tensor steps;   // [m] f32
};

RoundedRows round_rows(const at::Tensor& x) {
  const int64_t m = x.size(0), k = x.size(1), padded = 2 * ceil_div(k, 2);
  RoundedRows rows{at::empty({m, padded}, at::kShort), at::empty({m}, at::kFloat)};
  auto* values = data<int16_t>(rows.values);
  auto* steps = data<float>(rows.steps);
  with_row_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(m, std::max<int64_t>(1, kRoundingGrain / k), [&](int64_t b, int64_t e) {
      for (int64_t r = b; r < e; ++r) {
        int16_t* row = values + r * padded;
        row[padded - 1] = 0;
        steps[r] = row_kernels<T>().round_row(data<T>(x) + r * k, row, k, kFactorLimit);
      }
    });
  });
  return rows;
}

void multiply(const at::Tensor& x, const Int8Matrix& w, float* f32, Bf16* bf16) {
  TORCH_INTERNAL_ASSERT(x.is_contiguous() && x.size(1) == w.columns);
  const RoundedRows rows = round_rows(x);
  const int64_t m = x.size(0), blocks = w.values.size(0), pairs = w.values.size(1);
  const int64_t products = std::max<int64_t>(1, 2 * kInt8Block * pairs * m);
  parallel_shares(blocks, ceil_div(kProductsGrain, products), [&](int64_t b, int64_t e) {
    kernel_table().gemm_int8({data<int16_t>(rows.values), data<float>(rows.steps),
                              data<int8_t>(w.values), data<float>(w.steps), m, w.rows, pairs, b, e,
                              f32, bf16});
  });
}

}  // namespace

Int8Matrix to_int8(const at::Tensor& w) {
  TORCH_INTERNAL_ASSERT(w.is_contiguous());
  const int64_t rows = w.size(0), columns = w.size(1);
  const int64_t blocks = ceil_div(rows, kInt8Block), pairs = ceil_div(columns, 2);
  Int8Matrix matrix{mapped_tensor({blocks, pairs, kInt8Block, 2}, at::kChar),
                    at::zeros({blocks * kInt8Block}, at::kFloat), rows, columns};
  auto* values = data<int8_t>(matrix.values);
  auto* steps = data<float>(matrix.steps);
  with_row_type(w.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(rows, ceil_div(kRoundingGrain, columns), [&](int64_t b, int64_t e) {
      std::vector<int16_t> rounded(columns);
      for (int64_t r = b; r < e; ++r) {
        steps[r] = row_kernels<T>().round_row(data<T>(w) + r * columns, rounded.data(), columns,
                                              kWeightLimit);
        for (int64_t c = 0; c < columns; ++c) {
          values[packed_index(r, c, pairs)] = static_cast<int8_t>(rounded[c]);
        }
      }
    });
  });
  return matrix;
}

at::Tensor take_rows(const Int8Matrix& w, const at::Tensor& ids, at::ScalarType dtype) {
  const int64_t count = ids.size(0), pairs = w.values.size(1);
  at::Tensor result = at::empty({count, w.columns}, dtype);
  const int64_t* id = ids.const_data_ptr<int64_t>();
  const auto* values = data<int8_t>(w.values);
  with_row_type(dtype, [&](auto tag) {
    using T = decltype(tag);
    std::vector<float> row(w.columns);
    for (int64_t i = 0; i < count; ++i) {
      TORCH_INTERNAL_ASSERT(id[i] >= 0 && id[i] < w.rows);
      const float step = data<float>(w.steps)[id[i]];
      for (int64_t c = 0; c < w.columns; ++c) row[c] = step * values[packed_index(id[i], c, pairs)];
      row_kernels<T>().narrow(row.data(), data<T>(result) + i * w.columns, w.columns);
    }
  });
  return result;
}

at::Tensor linear(const at::Tensor& x, const Int8Matrix& w, const at::Tensor& bias) {
  at::Tensor y = at::empty({x.size(0), w.rows}, x.options());
  const bool wide = x.scalar_type() == at::kFloat;
  multiply(x, w, wide ? data<float>(y) : nullptr, wide ? nullptr : data<Bf16>(y));
  return bias.defined() ? y.add_(bias) : y;
}

at::Tensor linear_f32(const at::Tensor& x, const Int8Matrix& w) {
  at::Tensor y = at::empty({x.size(0), w.rows}, x.options().dtype(at::kFloat));
  multiply(x, w, data<float>(y), nullptr);
  return y;
}

}  // namespace weft::kernels
