#include "model/kernels/kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>

#include "model/kernels/parallel.h"

namespace weft::kernels {
namespace {

constexpr int64_t kRowsGrain = 16384;        // elements worth a thread
constexpr int64_t kPackedNumbers = 1 << 18;  // of packed rows, which stay in L2
constexpr int64_t kSharedColumns = 32;       // of a product, that go to one thread

int64_t grain(int64_t dim) { return std::max<int64_t>(1, kRowsGrain / dim); }

// Rows of x [*, k] as gemm wants them.
class PackedRows {
 public:
  explicit PackedRows(const at::Tensor& x) : x_(data<Bf16>(x)), k_(x.size(1)) {}

  // Rows [first, first + count), until the next call. The first call's count is the greatest.
  const Bf16* pack(int64_t first, int64_t count) {
    const auto pack_rows = kernel_table().pack_rows;
    if (!pack_rows) return x_ + first * k_;
    if (!packed_.defined()) packed_ = at::empty({packed_size(count, k_)}, at::kBFloat16);
    parallel_ranges((count + 15) / 16, grain(16 * k_), [&](int64_t begin, int64_t end) {
      pack_rows(x_ + (first + 16 * begin) * k_, std::min(count, 16 * end) - 16 * begin, k_,
                data<Bf16>(packed_) + packed_size(16 * begin, k_));
    });
    return data<Bf16>(packed_);
  }

 private:
  const Bf16* x_;
  int64_t k_;
  at::Tensor packed_;
};

// Fills in x, w and their shapes; columns are shared among the threads, some rows at a time.
void own_gemm(const at::Tensor& x, const at::Tensor& w, GemmArgs args) {
  const int64_t m = x.size(0), k = x.size(1);
  args.w = data<Bf16>(w);
  args.n = w.size(0), args.k = k;
  const int64_t panel =
      kernel_table().pack_rows
          ? std::max<int64_t>(32, kPackedNumbers / std::max<int64_t>(1, k) / 32 * 32)
          : m;
  PackedRows rows(x);
  for (int64_t first = 0; first < m; first += panel) {
    GemmArgs some = args;
    some.m = std::min(panel, m - first);
    some.x = rows.pack(first, some.m);
    if (args.added) some.added += first * args.n;
    if (args.f32) some.f32 += first * args.n;
    if (args.bf16) some.bf16 += first * args.n;
    const int64_t work =
        std::max<int64_t>(1, (1 << 18) / std::max<int64_t>(1, kSharedColumns * k * some.m));
    parallel_shares((args.n + kSharedColumns - 1) / kSharedColumns, work,
                    [&](int64_t begin, int64_t end) {
                      GemmArgs part = some;
                      part.n0 = begin * kSharedColumns;
                      part.n1 = std::min(args.n, end * kSharedColumns);
                      kernel_table().gemm(part);
                    });
  }
}

}  // namespace

bool has_own_product(const at::Tensor& x, const at::Tensor& w) {
  return has_bf16_products() && x.scalar_type() == at::kBFloat16 && x.is_contiguous() &&
         x.is_cpu() && w.is_contiguous();
}

bool has_bf16_products() { return kernel_table().gemm != nullptr; }

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  if (!has_own_product(x, w)) {
    return at::linear(x, w, bias.defined() ? std::optional(bias) : std::nullopt);
  }
  at::Tensor y = at::empty({x.size(0), w.size(0)}, x.options());
  own_gemm(x, w, {.bias = bias.defined() ? data<Bf16>(bias) : nullptr, .bf16 = data<Bf16>(y)});
  return y;
}

void add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w,
                const at::Tensor& out) {
  if (!has_own_product(x, w)) {
    out.copy_(at::linear(x, w).add_(y));
    return;
  }
  TORCH_INTERNAL_ASSERT(y.is_contiguous() && out.is_contiguous());
  own_gemm(x, w, {.added = data<Bf16>(y), .bf16 = data<Bf16>(out)});
}

at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& w) {
  if (x.scalar_type() == at::kFloat) return at::linear(x, w);
  if (!has_own_product(x, w)) return at::linear(x.to(at::kFloat), w.to(at::kFloat));
  at::Tensor y = at::empty({x.size(0), w.size(0)}, x.options().dtype(at::kFloat));
  own_gemm(x, w, {.f32 = data<float>(y)});
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
