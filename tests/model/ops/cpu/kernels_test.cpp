// Kernels against plain loops in double precision, for every instruction set that this CPU has.
#include "model/ops/cpu/kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/rng.h"
#include "tests/model/ops/cpu/kernel_tables.h"

namespace weft::kernels {
namespace {

TEST(Kernels, LogSumExpMatchesDoublePrecision) {
  for (const size_t n : {1u, 15u, 16u, 1000u, 49152u}) {
    const auto logits = random_values(n, n, 5);
    double sum = 0;
    for (float x : logits) sum += std::exp(static_cast<double>(x));
    for (const KernelTable* table : tables()) {
      EXPECT_NEAR(table->log_sum_exp(logits.data(), static_cast<int64_t>(n)), std::log(sum), 2e-6);
    }
  }
}

TEST(Kernels, ScaledSoftmaxMatchesDoublePrecision) {
  for (const size_t n : {1u, 15u, 16u, 1000u, 49152u}) {
    auto logits = random_values(n, n, 5);
    if (n > 1) logits[n / 2] = logits[n - 1] = -INFINITY;
    double sum = 0, entropy = 0;
    for (float x : logits) sum += std::exp(static_cast<double>(x));
    const auto p = [&](size_t i) { return std::exp(static_cast<double>(logits[i])) / sum; };
    for (size_t i = 0; i < n; ++i) entropy -= p(i) > 0 ? p(i) * std::log(p(i)) : 0;
    for (const KernelTable* table : tables()) {
      std::vector<float> got = logits;
      const float lse = table->log_sum_exp(logits.data(), static_cast<int64_t>(n));
      // The error of lse, some 2e-6, is that of every log probability.
      EXPECT_NEAR(table->scaled_softmax(got.data(), static_cast<int64_t>(n), lse, -3), entropy,
                  4e-6 * (1 + entropy));
      for (size_t i = 0; i < n; ++i) ASSERT_NEAR(got[i], -3 * p(i), 4e-6 * 3 * p(i) + 1e-37) << i;
    }
  }
}

TEST(Kernels, ScaledSoftmaxOfRowsWithoutASumIsNan) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    for (const KernelTable* table : tables()) {
      std::vector<float> logits(40, -INFINITY);
      logits[17] = bad;
      const float lse = table->log_sum_exp(logits.data(), 40);
      EXPECT_TRUE(std::isnan(table->scaled_softmax(logits.data(), 40, lse, 1)));
      for (const float p : logits) EXPECT_TRUE(std::isnan(p));
    }
  }
}

// Chi-square of 20,000 draws over 40 ids: the 0.1 % point of 39 degrees of freedom is 72.1.
TEST(Kernels, DrawsFollowTheSoftmax) {
  const auto logits = random_values(40, 3);
  for (const KernelTable* table : tables()) {
    std::vector<double> counts(40), p(40);
    const float lse = table->log_sum_exp(logits.data(), 40);
    for (uint64_t i = 0; i < 20000; ++i) {
      const auto draw = table->sample({logits.data(), 40, philox_uniform(1, 2, i), 1, 1, 0, 0});
      ++counts[draw.id];
      ASSERT_NEAR(draw.logprob, logits[draw.id] - lse, 1e-5);
    }
    double chi = 0;
    for (int i = 0; i < 40; ++i) {
      const double expected = 20000 * std::exp(logits[i] - lse);
      chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    EXPECT_LT(chi, 72.1);
  }
}

// Ids kept by the plain definition of the cuts.
std::vector<int64_t> kept_plainly(const std::vector<float>& logits, double t, int64_t k,
                                  double top_p, double min_p) {
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
  if (k > 0) order.resize(std::min<size_t>(k, order.size()));
  double total = 0, sum = 0;
  for (int64_t i : order) total += std::exp(logits[i] / t);
  size_t n = 0;
  while (n < order.size() && sum < top_p * total) sum += std::exp(logits[order[n++]] / t);
  order.resize(std::max<size_t>(n, 1));
  std::erase_if(order,
                [&](int64_t i) { return std::exp((logits[i] - logits[order[0]]) / t) < min_p; });
  return order;
}

TEST(Kernels, CutsKeepWhatTheirDefinitionKeeps) {
  const auto logits = random_values(3000, 4, 3);
  struct Cut {
    float t, top_p, min_p;
    int64_t k;
  };
  for (const Cut& cut : {Cut{1, 0.9f, 0, 0}, Cut{0.7f, 1, 0, 20}, Cut{2, 1, 0.05f, 0},
                         Cut{1.5f, 0.8f, 0.01f, 50}, Cut{5, 0.999f, 0, 0}, Cut{1, 1, 0, 1}}) {
    auto kept = kept_plainly(logits, cut.t, cut.k, cut.top_p, cut.min_p);
    double total = 0;
    for (int64_t i : kept) total += std::exp(logits[i] / cut.t);
    for (const KernelTable* table : tables()) {
      for (uint64_t i = 0; i < 300; ++i) {
        const auto draw = table->sample(
            {logits.data(), 3000, philox_uniform(5, 6, i), cut.t, cut.top_p, cut.min_p, cut.k});
        ASSERT_NE(std::find(kept.begin(), kept.end(), draw.id), kept.end());
        ASSERT_NEAR(draw.sampling_logprob, logits[draw.id] / cut.t - std::log(total), 1e-4);
      }
      const auto last =
          table->sample({logits.data(), 3000, 0.9999999999, cut.t, cut.top_p, cut.min_p, cut.k});
      EXPECT_EQ(last.id, kept.back());
    }
  }
}

TEST(Kernels, SampleRefusesNan) {
  auto logits = random_values(100, 1);
  logits[37] = std::numeric_limits<float>::quiet_NaN();
  for (const KernelTable* table : tables()) {
    EXPECT_EQ(table->sample({logits.data(), 100, 0.5, 1, 1, 0, 0}).id, -1);
    EXPECT_EQ(table->sample({logits.data(), 100, 0.5, 0, 1, 0, 0}).id, -1);
  }
}

template <class T>
struct Number;
template <>
struct Number<float> {
  static float from(float x) { return x; }
  static double to(float x) { return x; }
  static const RowKernels<float>& kernels(const KernelTable& table) { return table.f32; }
};
template <>
struct Number<Bf16> {
  static Bf16 from(float x) { return rounded(x); }
  static double to(Bf16 x) { return widened(x); }
  static const RowKernels<Bf16>& kernels(const KernelTable& table) { return table.bf16; }
};

template <class T>
std::vector<T> random_numbers(size_t n, uint64_t seed) {
  std::vector<T> values;
  for (float v : random_values(n, seed)) values.push_back(Number<T>::from(v));
  return values;
}

template <class T>
void multiply(const KernelTable& table, GemmArgs<T> args) {
  const RowKernels<T>& kernels = Number<T>::kernels(table);
  at::Tensor packed;
  if (kernels.pack_rows) {
    packed = at::empty({packed_size(args.m, args.k)}, at::kBFloat16);
    kernels.pack_rows(args.x, args.m, args.k, data<T>(packed));
    args.x = data<T>(packed);
  }
  kernels.gemm(args);
}

// x w^T + bias + added and, for each number, how far fp32 sums may be from it. Vectors of 16 lanes,
// or of 4 at least, add k / lanes products (or pairs of them) to each lane and then the lanes; a
// tile adds products one by one, 16 times at most, twice, and the two sums to what the tiles before
// gave. All round k / lanes + 18 times at most, and bias and added twice, each by half a unit of
// 2^-23 of what has been added.
template <class T>
void expect_product(const KernelTable& table, const GemmArgs<T>& g, const std::vector<float>& out) {
  using N = Number<T>;
  const int64_t lanes = table.has_bf16_products ? 16 : 4;
  for (int64_t i = 0; i < g.m * g.n; ++i) {
    const double bias = g.bias ? N::to(g.bias[i % g.n]) : 0;
    const double added = g.added ? N::to(g.added[i]) : 0;
    double expected = bias + added, magnitude = std::abs(bias) + std::abs(added);
    for (int64_t j = 0; j < g.k; ++j) {
      const double product = N::to(g.x[i / g.n * g.k + j]) * N::to(g.w[i % g.n * g.k + j]);
      expected += product;
      magnitude += std::abs(product);
    }
    ASSERT_NEAR(out[i], expected, static_cast<double>(g.k / lanes + 20) * 0x1p-24 * magnitude)
        << table.name << ": " << g.m << " " << g.k << " " << g.n << ": " << i;
  }
}

template <class T>
class Products : public testing::Test {};
using NumberTypes = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(Products, NumberTypes);

TYPED_TEST(Products, EqualPlainLoops) {
  for (const KernelTable* table : tables()) {
    for (const int64_t m : {1, 2, 3, 4, 5, 7, 8, 16, 33, 48}) {
      for (const int64_t k : {16, 31, 48, 64, 100, 1536}) {
        for (const int64_t n : {1, 16, 18, 37, 70, 130}) {
          const auto x = random_numbers<TypeParam>(m * k, 1),
                     w = random_numbers<TypeParam>(n * k, 2);
          const auto bias = random_numbers<TypeParam>(n, 3),
                     added = random_numbers<TypeParam>(m * n, 4);
          std::vector<float> out(m * n, -1);
          GemmArgs<TypeParam> args{.x = x.data(), .w = w.data(), .m = m, .n = n, .k = k, .n1 = n};
          args.f32 = out.data();
          multiply(*table, args);
          expect_product(*table, args, out);
          args.bias = bias.data();
          args.added = added.data();
          multiply(*table, args);
          expect_product(*table, args, out);
        }
      }
    }
  }
}

// Threads share the columns of a product: each writes its own and no others.
TYPED_TEST(Products, WriteTheColumnsTheyWereAskedFor) {
  using N = Number<TypeParam>;
  const int64_t m = 37, k = 100, n = 150;
  const auto x = random_numbers<TypeParam>(m * k, 1), w = random_numbers<TypeParam>(n * k, 2);
  for (const KernelTable* table : tables()) {
    GemmArgs<TypeParam> args{.x = x.data(), .w = w.data(), .m = m, .n = n, .k = k, .n1 = n};
    std::vector<float> whole(m * n);
    args.f32 = whole.data();
    multiply(*table, args);
    for (const auto& [n0, n1] : {std::pair<int64_t, int64_t>{0, 16},
                                 {16, 64},
                                 {16, 150},
                                 {64, 69},
                                 {5, 40},
                                 {144, 150},
                                 {32, 32}}) {
      std::vector<float> part(m * n, -1);
      std::vector<TypeParam> narrow(m * n, N::from(-1));
      args.n0 = n0, args.n1 = n1;
      args.f32 = part.data(), args.rounded = nullptr;
      multiply(*table, args);
      args.f32 = nullptr, args.rounded = narrow.data();
      multiply(*table, args);
      for (int64_t i = 0; i < m * n; ++i) {
        const float expected = i % n >= n0 && i % n < n1 ? whole[i] : -1;
        ASSERT_EQ(part[i], expected) << n0 << " " << n1 << ": " << i;
        ASSERT_EQ(N::to(narrow[i]), N::to(N::from(expected))) << n0 << " " << n1 << ": " << i;
      }
    }
  }
}

// Decoding multiplies a row alone, training among thousands; and threads share columns as they
// come.
TYPED_TEST(Products, GiveARowTheSameBitsInTilesOfEveryShape) {
  const int64_t rows = 23, n = 89;
  for (const KernelTable* table : tables()) {
    for (const int64_t k : {8, 16, 24, 32, 48, 64, 100, 577}) {
      const auto x = random_numbers<TypeParam>(rows * k, 1),
                 w = random_numbers<TypeParam>(n * k, 2);
      std::vector<float> all(rows * n), part(rows * n);
      GemmArgs<TypeParam> args{.x = x.data(), .w = w.data(), .m = rows, .n = n, .k = k, .n1 = n};
      args.f32 = all.data();
      multiply(*table, args);
      for (int64_t count = 1; count <= 9; ++count) {
        for (int64_t first = 0; first + count <= rows; ++first) {
          args.x = x.data() + first * k, args.m = count, args.f32 = part.data();
          args.n0 = first % 7, args.n1 = n - count % 5;
          multiply(*table, args);
          for (int64_t i = 0; i < count * n; ++i) {
            if (i % n < args.n0 || i % n >= args.n1) continue;
            ASSERT_EQ(part[i], all[first * n + i]) << table->name << " " << k << " " << count;
          }
        }
      }
    }
  }
}

// Prefill, decoding and logprobs of given ids multiply the same row in batches of all sizes. Of
// 1,536 columns not all 180 rows are packed at once.
TEST(Kernels, RowsOfAProductHaveTheSameBitsInEveryBatch) {
  const int64_t rows = 180, n = 90;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto y = at::randn({rows, n}).to(dtype);
    for (const int64_t k : {100, 576, 1536}) {
      const auto x = at::randn({rows, k}).to(dtype), w = at::randn({n, k}).to(dtype);
      const at::Tensor all = linear(x, w), wide = linear_f32(x, w), sum = y.clone();
      add_linear(sum, x, w, sum);
      for (const int64_t count : {1, 2, 3, 7, 33, 97}) {
        for (int64_t first = 0; first + count <= rows; first += count) {
          const at::Tensor part = x.narrow(0, first, count);
          const at::Tensor out = at::empty({count, n}, y.options());
          ASSERT_TRUE(at::equal(linear(part, w), all.narrow(0, first, count))) << k << " " << count;
          ASSERT_TRUE(at::equal(linear_f32(part, w), wide.narrow(0, first, count))) << k;
          add_linear(y.narrow(0, first, count), part, w, out);
          ASSERT_TRUE(at::equal(out, sum.narrow(0, first, count))) << k << " " << count;
        }
      }
    }
  }
}

// Fused projections have one matrix whose rows hold zeros at the other projections' ranks.
TEST(Kernels, FusedUpdatesHaveTheBitsOfEachProjectionsOwn) {
  const int64_t rows = 20, n = 3 * 48 + 5, rank = 16;
  const auto y = at::randn({rows, n}).to(at::kBFloat16);
  const auto x = at::randn({rows, 3 * rank}).to(at::kBFloat16);
  const at::Tensor w = at::zeros({n, 3 * rank}, at::kBFloat16), fused = y.clone();
  for (int64_t p = 0; p < 3; ++p) {
    w.narrow(0, 48 * p, 48).narrow(1, rank * p, rank).copy_(at::randn({48, rank}));
  }
  add_linear(fused, x, w, fused);
  for (int64_t p = 0; p < 3; ++p) {
    const at::Tensor own = y.narrow(1, 48 * p, 48).contiguous();
    add_linear(own, x.narrow(1, rank * p, rank).contiguous(),
               w.narrow(0, 48 * p, 48).narrow(1, rank * p, rank).contiguous(), own);
    ASSERT_TRUE(at::equal(own, fused.narrow(1, 48 * p, 48))) << p;
  }
  ASSERT_TRUE(at::equal(fused.narrow(1, 144, 5), y.narrow(1, 144, 5)));
}

// The trainer's logprob of a token is the one that was recorded when it was drawn.
TEST(Kernels, LogprobHasTheBitsOfTheDraw) {
  const auto logits = random_values(3000, 4, 3);
  for (const KernelTable* table : tables()) {
    for (const float temperature : {1.0f, 0.7f, 0.3f, 1.9f}) {
      for (uint64_t i = 0; i < 100; ++i) {
        const auto draw =
            table->sample({logits.data(), 3000, philox_uniform(5, 6, i), temperature, 1, 0, 0});
        const auto token = table->logprob(logits.data(), 3000, draw.id, temperature);
        ASSERT_EQ(token.logprob, draw.sampling_logprob) << temperature;
        ASSERT_NEAR(token.logprob, logits[draw.id] / temperature - token.lse, 1e-5);
      }
    }
  }
}

TEST(Kernels, ProductsWithABiasAreRoundedOnce) {
  const int64_t k = 64, n = 37;
  at::Tensor w = at::empty({n, k}, at::kBFloat16), bias = at::empty({n}, at::kBFloat16);
  const auto x_values = random_values(k, 1), w_values = random_values(n * k, 2);
  for (int64_t i = 0; i < n * k; ++i) data<Bf16>(w)[i] = rounded(w_values[i]);
  for (const int64_t m : {1, 3, 20, 200}) {
    at::Tensor x = at::empty({m, k}, at::kBFloat16);
    for (int64_t i = 0; i < m * k; ++i) data<Bf16>(x)[i] = rounded(x_values[i % k]);
    std::vector<double> left(n);
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < k; ++i) {
        left[j] +=
            static_cast<double>(widened(data<Bf16>(x)[i])) * widened(data<Bf16>(w)[j * k + i]);
      }
      data<Bf16>(bias)[j] = rounded(static_cast<float>(-left[j]));
      left[j] += widened(data<Bf16>(bias)[j]);
    }
    const at::Tensor y = linear(x, w, bias);
    for (int64_t i = 0; i < m * n; ++i) {
      const double expected = left[i % n];
      ASSERT_NEAR(widened(data<Bf16>(y)[i]), expected, std::abs(expected) / 256 + 1e-4) << m;
    }
  }
}

TEST(Kernels, NormAndActivationGradientsEqualDifferences) {
  const int64_t dim = 37;
  auto x = random_values(dim, 1), w = random_values(dim, 2), gy = random_values(dim, 3);
  for (const KernelTable* table : tables()) {
    const auto norm = [&](std::vector<float> at) {
      std::vector<float> y(dim);
      table->f32.rms_norm(at.data(), nullptr, w.data(), y.data(), nullptr, 1, dim, 1e-5f);
      return std::inner_product(y.begin(), y.end(), gy.begin(), 0.0);
    };
    std::vector<float> y(dim), gx(dim), gw(dim);
    float rstd = 0;
    table->f32.rms_norm(x.data(), nullptr, w.data(), y.data(), &rstd, 1, dim, 1e-5f);
    table->f32.rms_norm_backward(gy.data(), x.data(), w.data(), &rstd, gx.data(), gw.data(), 1,
                                 dim);
    for (int64_t i = 0; i < dim; ++i) {
      auto up = x, down = x;
      up[i] += 1e-2f;
      down[i] -= 1e-2f;
      EXPECT_NEAR(gx[i], (norm(up) - norm(down)) / 2e-2, 1e-3);
      EXPECT_NEAR(gw[i], gy[i] * x[i] * rstd, 1e-5);
    }
    auto gate_up = random_values(2 * dim, 4);
    std::vector<float> g(2 * dim);
    table->f32.silu_mul_backward(gy.data(), gate_up.data(), g.data(), 1, dim);
    const auto silu = [&](const std::vector<float>& at) {
      std::vector<float> out(dim);
      table->f32.silu_mul(at.data(), out.data(), 1, dim);
      return std::inner_product(out.begin(), out.end(), gy.begin(), 0.0);
    };
    for (int64_t i = 0; i < 2 * dim; ++i) {
      auto up = gate_up, down = gate_up;
      up[i] += 1e-2f;
      down[i] -= 1e-2f;
      EXPECT_NEAR(g[i], (silu(up) - silu(down)) / 2e-2, 1e-3);
    }
  }
}

}  // namespace
}  // namespace weft::kernels
