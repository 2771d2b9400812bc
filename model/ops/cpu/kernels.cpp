#include "model/ops/cpu/kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "model/ops/cpu/parallel.h"

namespace weft::kernels {
namespace {

constexpr int64_t kRowsGrain = 16384;        // elements worth a thread
constexpr int64_t kPackedNumbers = 1 << 18;  // of packed rows, which stay in L2
constexpr int64_t kSharedColumns = 32;       // of a product, that go to one thread
constexpr int64_t kNormBlock = 1 << 15;      // numbers whose squares are summed together
constexpr int64_t kNormShares = 16;          // of rows, whose gradients of a norm are summed apart

int64_t grain(int64_t dim) { return std::max<int64_t>(1, kRowsGrain / dim); }

// Rows of x [*, k] as gemm wants them.
template <class T>
class PackedRows {
 public:
  explicit PackedRows(const at::Tensor& x) : x_(x), k_(x.size(1)) {}

  // Rows [first, first + count), until the next call. The first call's count is the greatest.
  const T* pack(int64_t first, int64_t count) {
    const auto pack_rows = row_kernels<T>().pack_rows;
    const T* x = data<T>(x_) + first * k_;
    if (!pack_rows) return x;
    if (!packed_.defined()) packed_ = at::empty({packed_size(count, k_)}, x_.options());
    parallel_ranges((count + 15) / 16, grain(16 * k_), [&](int64_t begin, int64_t end) {
      pack_rows(x + 16 * begin * k_, std::min(count, 16 * end) - 16 * begin, k_,
                data<T>(packed_) + packed_size(16 * begin, k_));
    });
    return data<T>(packed_);
  }

 private:
  const at::Tensor& x_;
  int64_t k_;
  at::Tensor packed_;
};

// Fills in x, w and their shapes; columns are shared among the threads, some rows at a time.
template <class T>
void multiply(const at::Tensor& x, const at::Tensor& w, GemmArgs<T> args) {
  TORCH_INTERNAL_ASSERT(x.is_contiguous() && w.is_contiguous());
  TORCH_INTERNAL_ASSERT(x.scalar_type() == w.scalar_type() && x.size(1) == w.size(1));
  const int64_t m = x.size(0), k = x.size(1);
  args.w = data<T>(w);
  args.n = w.size(0), args.k = k;
  const int64_t panel =
      row_kernels<T>().pack_rows
          ? std::max<int64_t>(32, kPackedNumbers / std::max<int64_t>(1, k) / 32 * 32)
          : m;
  PackedRows<T> rows(x);
  for (int64_t first = 0; first < m; first += panel) {
    GemmArgs<T> some = args;
    some.m = std::min(panel, m - first);
    some.x = rows.pack(first, some.m);
    if (args.added) some.added += first * args.n;
    if (args.f32) some.f32 += first * args.n;
    if (args.rounded) some.rounded += first * args.n;
    const int64_t work =
        std::max<int64_t>(1, (1 << 18) / std::max<int64_t>(1, kSharedColumns * k * some.m));
    parallel_shares((args.n + kSharedColumns - 1) / kSharedColumns, work,
                    [&](int64_t begin, int64_t end) {
                      GemmArgs<T> part = some;
                      part.n0 = begin * kSharedColumns;
                      part.n1 = std::min(args.n, end * kSharedColumns);
                      row_kernels<T>().gemm(part);
                    });
  }
}

}  // namespace

void refuse_device(const at::Tensor& t) {
  throw Error("the CPU's kernels cannot read a tensor on " + t.device().str());
}

bool has_bf16_products() { return kernel_table().has_bf16_products; }

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  at::Tensor y = at::empty({x.size(0), w.size(0)}, x.options());
  with_row_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    multiply<T>(x, w, {.bias = bias.defined() ? data<T>(bias) : nullptr, .rounded = data<T>(y)});
  });
  return y;
}

void add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w,
                const at::Tensor& out) {
  TORCH_INTERNAL_ASSERT(y.is_contiguous() && out.is_contiguous());
  with_row_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    multiply<T>(x, w, {.added = data<T>(y), .rounded = data<T>(out)});
  });
}

at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& w, const at::Tensor& out) {
  const at::Tensor y =
      out.defined() ? out : at::empty({x.size(0), w.size(0)}, x.options().dtype(at::kFloat));
  TORCH_INTERNAL_ASSERT(y.is_contiguous());
  with_row_type(x.scalar_type(),
                [&](auto tag) { multiply<decltype(tag)>(x, w, {.f32 = data<float>(y)}); });
  return y;
}

double l2_norm(const at::Tensor& x) {
  TORCH_INTERNAL_ASSERT(x.is_contiguous());
  const int64_t n = x.numel(), blocks = (n + kNormBlock - 1) / kNormBlock;
  std::vector<double> sums(blocks);
  with_row_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        sums[b] = row_kernels<T>().sum_of_squares(data<T>(x) + b * kNormBlock,
                                                  std::min(kNormBlock, n - b * kNormBlock));
      }
    });
  });
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
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
  if (want_gw) gw = at::zeros({kNormShares, dim}, x.options().dtype(at::kFloat));
  const int64_t share = (rows + kNormShares - 1) / kNormShares;
  with_row_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(kNormShares, 1, [&](int64_t first, int64_t last) {
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
