#include "model/kernels/kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "model/kernels/parallel.h"

namespace weft::kernels {
namespace {

// Where the CPU has matrix tiles, LibTorch multiplies from here on.
constexpr int64_t kTiledRows = 96;
constexpr int64_t kRowsGrain = 16384;  // elements worth a thread

int64_t grain(int64_t dim) { return std::max<int64_t>(1, kRowsGrain / dim); }

// Calls f(n0, n1) for ranges of w's rows, which are columns of x w^T.
template <class F>
void parallel_columns(const at::Tensor& x, const at::Tensor& w, const F& f) {
  const int64_t m = x.size(0), k = x.size(1), n = w.size(0);
  const int64_t tiles = (n + 15) / 16;
  const int64_t work = std::max<int64_t>(1, (1 << 18) / std::max<int64_t>(1, 16 * k * m));
  parallel_ranges(tiles, work,
                  [&](int64_t begin, int64_t end) { f(begin * 16, std::min(n, end * 16)); });
}

void own_gemm(const at::Tensor& x, const at::Tensor& w, float* f32, Bf16* bf16) {
  const int64_t m = x.size(0), k = x.size(1), n = w.size(0);
  parallel_columns(x, w, [&](int64_t n0, int64_t n1) {
    kernel_table().gemm(data<Bf16>(x), k, data<Bf16>(w), k, m, n0, n1, f32, bf16, n);
  });
}

// y = x w^T + what add(row, n0, n1, sums) adds to a row's products [n0, n1), which stay in fp32 and
// in the cache until then; rounded once.
template <class Add>
void own_gemm_with_sum(const at::Tensor& x, const at::Tensor& w, const at::Tensor& y, Add add) {
  constexpr int64_t kRows = 64;
  const int64_t m = x.size(0), k = x.size(1), n = w.size(0);
  parallel_columns(x, w, [&](int64_t n0, int64_t n1) {
    const int64_t columns = n1 - n0;
    std::vector<float> sums(std::min(m, kRows) * columns);
    for (int64_t first = 0; first < m; first += kRows) {
      const int64_t rows = std::min(kRows, m - first);
      kernel_table().gemm(data<Bf16>(x) + first * k, k, data<Bf16>(w) + n0 * k, k, rows, 0, columns,
                          sums.data(), nullptr, columns);
      for (int64_t row = 0; row < rows; ++row) {
        float* sum = sums.data() + row * columns;
        add(first + row, n0, n1, sum);
        kernel_table().bf16.narrow(sum, data<Bf16>(y) + (first + row) * n + n0, columns);
      }
    }
  });
}

void own_gemm_with_bias(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                        const at::Tensor& y) {
  const at::Tensor wide_bias = bias.to(at::kFloat);
  const float* added = data<float>(wide_bias);
  own_gemm_with_sum(x, w, y, [added](int64_t, int64_t n0, int64_t n1, float* sum) {
    for (int64_t i = n0; i < n1; ++i) sum[i - n0] += added[i];
  });
}

bool can_use_own_gemm(const at::Tensor& x, const at::Tensor& w) {
  return kernel_table().gemm != nullptr && x.scalar_type() == at::kBFloat16 && x.is_contiguous() &&
         x.is_cpu() && w.is_contiguous();
}

}  // namespace

bool has_own_product(const at::Tensor& x, const at::Tensor& w) {
  return can_use_own_gemm(x, w) && (x.size(0) < kTiledRows || !has_matrix_tiles());
}

bool has_bf16_products() { return kernel_table().gemm != nullptr; }

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  if (!has_own_product(x, w)) {
    return at::linear(x, w, bias.defined() ? std::optional(bias) : std::nullopt);
  }
  at::Tensor y = at::empty({x.size(0), w.size(0)}, x.options());
  if (bias.defined()) {
    own_gemm_with_bias(x, w, bias, y);
  } else {
    own_gemm(x, w, nullptr, data<Bf16>(y));
  }
  return y;
}

void add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w,
                const at::Tensor& out) {
  if (!has_own_product(x, w)) {
    out.copy_(at::linear(x, w).add_(y));
    return;
  }
  TORCH_INTERNAL_ASSERT(y.is_contiguous() && out.is_contiguous());
  own_gemm_with_sum(x, w, out, [&](int64_t row, int64_t n0, int64_t n1, float* sum) {
    const Bf16* added = data<Bf16>(y) + row * y.size(1) + n0;
    for (int64_t i = 0; i < n1 - n0; ++i) {
      sum[i] += std::bit_cast<float>(static_cast<uint32_t>(added[i].bits) << 16);
    }
  });
}

at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& w) {
  if (x.scalar_type() == at::kFloat) return at::linear(x, w);
  if (!can_use_own_gemm(x, w)) return at::linear(x.to(at::kFloat), w.to(at::kFloat));
  at::Tensor y = at::empty({x.size(0), w.size(0)}, x.options().dtype(at::kFloat));
  own_gemm(x, w, data<float>(y), nullptr);
  return y;
}

at::Tensor take_rows(const at::Tensor& x, const at::Tensor& rows) {
  TORCH_INTERNAL_ASSERT(x.is_contiguous());
  at::Tensor y = at::empty({rows.size(0), x.size(1)}, x.options());
  const int64_t* row = data<int64_t>(rows);
  const int64_t bytes = x.size(1) * x.element_size();
  parallel_ranges(rows.size(0), grain(x.size(1)), [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) {
      TORCH_INTERNAL_ASSERT(row[i] >= 0 && row[i] < x.size(0));
      std::memcpy(data<char>(y) + i * bytes, data<char>(x) + row[i] * bytes, bytes);
    }
  });
  return y;
}

at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w,
                        double eps, const at::Tensor& rstd) {
  at::Tensor y = at::empty_like(x);
  const int64_t rows = x.size(0), dim = x.size(1);
  with_row_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(rows, grain(dim), [&](int64_t b, int64_t e) {
      row_kernels<T>().rms_norm(
          data<T>(x) + b * dim, delta.defined() ? data<T>(delta) + b * dim : nullptr, data<T>(w),
          data<T>(y) + b * dim, rstd.defined() ? data<float>(rstd) + b : nullptr, e - b, dim,
          static_cast<float>(eps));
    });
  });
  return y;
}

std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& gy, const at::Tensor& x,
                                                    const at::Tensor& w, const at::Tensor& rstd,
                                                    bool want_gw) {
  at::Tensor gx = at::empty_like(x), gw;
  const int64_t rows = x.size(0), dim = x.size(1);
  const int64_t threads = at::get_num_threads();
  if (want_gw) gw = at::zeros({threads, dim}, x.options().dtype(at::kFloat));
  const int64_t share = (rows + threads - 1) / threads;
  with_row_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(threads, 1, [&](int64_t first, int64_t last) {
      for (int64_t t = first; t < last; ++t) {
        const int64_t b = std::min(rows, t * share), e = std::min(rows, b + share);
        row_kernels<T>().rms_norm_backward(
            data<T>(gy) + b * dim, data<T>(x) + b * dim, data<T>(w), data<float>(rstd) + b,
            data<T>(gx) + b * dim, want_gw ? data<float>(gw) + t * dim : nullptr, e - b, dim);
      }
    });
  });
  if (want_gw) gw = gw.sum(0).to(w.scalar_type());
  return {gx, gw};
}

at::Tensor silu_mul(const at::Tensor& gate_up) {
  const int64_t rows = gate_up.size(0), dim = gate_up.size(1) / 2;
  at::Tensor y = at::empty({rows, dim}, gate_up.options());
  with_row_type(y.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(rows, grain(2 * dim), [&](int64_t b, int64_t e) {
      row_kernels<T>().silu_mul(data<T>(gate_up) + b * 2 * dim, data<T>(y) + b * dim, e - b, dim);
    });
  });
  return y;
}

at::Tensor silu_mul_backward(const at::Tensor& gy, const at::Tensor& gate_up) {
  at::Tensor g = at::empty_like(gate_up);
  const int64_t rows = gy.size(0), dim = gy.size(1);
  with_row_type(g.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(rows, grain(2 * dim), [&](int64_t b, int64_t e) {
      row_kernels<T>().silu_mul_backward(data<T>(gy) + b * dim, data<T>(gate_up) + b * 2 * dim,
                                         data<T>(g) + b * 2 * dim, e - b, dim);
    });
  });
  return g;
}

void rope(const at::Tensor& x, const at::Tensor& table, const at::Tensor& positions, int64_t heads,
          int64_t dim, float sign) {
  const int64_t rows = x.size(0), stride = x.size(1), angles = table.size(0);
  const int32_t* position = data<int32_t>(positions);
  with_row_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(rows, grain(heads * dim), [&](int64_t b, int64_t e) {
      for (int64_t r = b; r < e; ++r) {
        TORCH_INTERNAL_ASSERT(position[r] >= 0 && position[r] < angles);
        row_kernels<T>().rope(data<T>(x) + r * stride, data<float>(table) + position[r] * dim, sign,
                              heads, dim);
      }
    });
  });
}

}  // namespace weft::kernels
