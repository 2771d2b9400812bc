// int8 products against plain loops, for every instruction set that this CPU has.
#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "model/ops/cpu/int8.h"
#include "tests/model/ops/cpu/kernel_tables.h"

namespace weft::kernels {
namespace {

at::Tensor random_matrix(int64_t rows, int64_t columns, uint64_t seed,
                         at::ScalarType dtype = at::kFloat) {
  Rng rng(seed);
  at::Tensor t = at::empty({rows, columns}, at::kFloat);
  float* values = t.data_ptr<float>();
  for (int64_t i = 0; i < t.numel(); ++i) values[i] = static_cast<float>(rng.normal());
  return t.to(dtype);
}

// x * limit / top takes two roundings of 2^-24 each and top itself one more: at most
// limit * 2^-22 of a step beside the half.
template <class T>
void expect_nearest(const KernelTable& table, const RowKernels<T>& kernels, const std::vector<T>& x,
                    const std::vector<float>& wide, float limit) {
  std::vector<int16_t> q(x.size(), 99);
  const float step = kernels.round_row(x.data(), q.data(), static_cast<int64_t>(x.size()), limit);
  int greatest = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    greatest = std::max(greatest, std::abs(q[i]));
    EXPECT_LE(std::abs(wide[i] - static_cast<double>(step) * q[i]),
              step * (0.5 + limit * std::ldexp(1.0, -22)))
        << i << " of " << x.size() << ", table " << (&table == &table_generic());
  }
  EXPECT_EQ(greatest, static_cast<int>(limit));
}

TEST(Int8Kernels, RoundingMovesNoElementByMoreThanHalfAStep) {
  for (const KernelTable* table : tables()) {
    for (const size_t n : {1u, 15u, 16u, 37u, 576u}) {
      for (const float limit : {127.0f, 32767.0f}) {
        const at::Tensor row = random_matrix(1, static_cast<int64_t>(n), n);
        const float* values = row.const_data_ptr<float>();
        std::vector<float> x(values, values + n), widened_x;
        std::vector<Bf16> narrow;
        for (float v : x) narrow.push_back(rounded(v));
        for (Bf16 v : narrow) widened_x.push_back(widened(v));
        expect_nearest<float>(*table, table->f32, x, x, limit);
        expect_nearest<Bf16>(*table, table->bf16, narrow, widened_x, limit);
      }
    }
  }
}

TEST(Int8Kernels, ARowThatIsNotFiniteHasNoStep) {
  for (const KernelTable* table : tables()) {
    for (const size_t at : {0u, 20u, 36u}) {
      for (const float bad :
           {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        std::vector<float> x(37, 1.0f);
        std::vector<int16_t> q(37, 99);
        x[at] = bad;
        EXPECT_TRUE(std::isnan(table->f32.round_row(x.data(), q.data(), 37, 127)));
        EXPECT_EQ(q, std::vector<int16_t>(37, 0));
      }
    }
    std::vector<float> zeros(37, 0.0f);
    std::vector<int16_t> q(37, 99);
    EXPECT_EQ(table->f32.round_row(zeros.data(), q.data(), 37, 127), 0.0f);
    EXPECT_EQ(q, std::vector<int16_t>(37, 0));
  }
}

// Whole numbers x [m, k] and w [n, k] with their steps, as the kernel reads them.
struct Product {
  Product(int64_t rows, int64_t columns, int64_t outputs, bool extreme)
      : m(rows), k(columns), n(outputs), pairs((k + 1) / 2), blocks((n + 15) / 16) {
    Rng rng(static_cast<uint64_t>(m * 1000003 + k * 1009 + n));
    const auto draw = [&](int limit) {
      return extreme ? limit : static_cast<int>(rng.below(2 * limit + 1)) - limit;
    };
    x.resize(m * 2 * pairs);
    w.resize(blocks * pairs * 32);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t c = 0; c < k; ++c) x[i * 2 * pairs + c] = static_cast<int16_t>(draw(32767));
      x_steps.push_back(static_cast<float>(1e-4 * (1 + rng.uniform())));
    }
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t c = 0; c < k; ++c) weight(j, c) = static_cast<int8_t>(draw(127));
    }
    for (int64_t j = 0; j < 16 * blocks; ++j) {
      w_steps.push_back(static_cast<float>(1e-3 * (1 + rng.uniform())));
    }
  }

  int8_t& weight(int64_t j, int64_t c) {
    return w[((j / 16 * pairs + c / 2) * 16 + j % 16) * 2 + c % 2];
  }

  Int8GemmArgs args(float* f32, Bf16* bf16) const {
    return {x.data(), x_steps.data(), w.data(), w_steps.data(), m, n, pairs, 0, blocks, f32, bf16};
  }

  std::vector<float> compute(const KernelTable& table) const {
    std::vector<float> out(m * n, -1);
    table.gemm_int8(args(out.data(), nullptr));
    return out;
  }

  int64_t m, k, n, pairs, blocks;
  std::vector<int16_t> x;
  std::vector<int8_t> w;
  std::vector<float> x_steps, w_steps;
};

// A sum of 512 columns is exact and rounded once, so are the sums over those, and there are two
// factors: (chunks + 1 + 2) roundings of 2^-24 relative to the sum of magnitudes, at most.
void expect_product(Product& p) {
  std::vector<float> first;
  for (const KernelTable* table : tables()) {
    const auto out = p.compute(*table);
    for (int64_t i = 0; i < p.m; ++i) {
      for (int64_t j = 0; j < p.n; ++j) {
        int64_t sum = 0, magnitude = 0;
        for (int64_t c = 0; c < p.k; ++c) {
          const int64_t product = int64_t{p.x[i * 2 * p.pairs + c]} * p.weight(j, c);
          sum += product;
          magnitude += std::abs(product);
        }
        const double steps = static_cast<double>(p.x_steps[i]) * p.w_steps[j];
        const double roundings = static_cast<double>((p.k + 511) / 512 * 2 + 2);
        ASSERT_NEAR(out[i * p.n + j], static_cast<double>(sum) * steps,
                    roundings * std::ldexp(1.0, -24) * static_cast<double>(magnitude) * steps)
            << p.m << " " << p.k << " " << p.n << " at " << i << " " << j;
      }
    }
    if (first.empty()) first = out;
    ASSERT_EQ(out, first) << "every instruction set gives the same bits";
    std::vector<Bf16> narrow(p.m * p.n);
    table->gemm_int8(p.args(nullptr, narrow.data()));
    for (size_t i = 0; i < narrow.size(); ++i) {
      ASSERT_EQ(narrow[i].bits, rounded(out[i]).bits);
    }
  }
}

TEST(Int8Kernels, ProductsEqualPlainLoops) {
  for (const int64_t m : {1, 2, 3, 5, 6, 7, 13}) {
    for (const int64_t k : {1, 2, 63, 512, 514, 1100}) {
      for (const int64_t n : {1, 16, 30, 64, 100}) {
        Product p(m, k, n, false);
        expect_product(p);
      }
    }
  }
}

TEST(Int8Kernels, TheGreatestFactorsDoNotOverflow) {
  for (const int64_t m : {1, 6}) {
    Product p(m, 4096, 64, true);
    expect_product(p);
  }
}

TEST(Int8Kernels, OnlyTheBlocksAskedForAreWritten) {
  Product p(3, 40, 160, false);
  for (const KernelTable* table : tables()) {
    const auto whole = p.compute(*table);
    std::vector<float> part(whole.size(), -7);
    Int8GemmArgs args = p.args(part.data(), nullptr);
    args.first_block = 3;
    args.last_block = 8;
    table->gemm_int8(args);
    for (size_t i = 0; i < part.size(); ++i) {
      const bool inside = i % 160 >= 48 && i % 160 < 128;
      ASSERT_EQ(part[i], inside ? whole[i] : -7) << i;
    }
  }
}

// Half a step for each weight and each factor, with the sums of the other's magnitudes; the
// roundings of fp32 are far below: 1e-6 of the same sums.
TEST(Int8, ProductsStayWithinTheRoundingOfTheirFactors) {
  for (const int64_t k : {16, 37, 600}) {
    const int64_t m = 9, n = 53;
    const at::Tensor x = random_matrix(m, k, 1), w = random_matrix(n, k, 2);
    const Int8Matrix matrix = to_int8(w);
    const at::Tensor y = linear_f32(x, matrix);
    const at::Tensor exact = x.to(at::kDouble).mm(w.to(at::kDouble).t());
    const at::Tensor x_step = x.abs().amax({1}, true).to(at::kDouble) / 32767;
    const at::Tensor w_step = w.abs().amax({1}, true).to(at::kDouble) / 127;
    const at::Tensor x_sum = x.abs().sum({1}, true, at::kDouble);
    const at::Tensor w_sum = w.abs().sum({1}, true, at::kDouble) + k * w_step / 2;
    const at::Tensor bound =
        (x_sum.mm(w_step.t()) + x_step.mm(w_sum.t())) * 0.501 + 1e-6 * x_sum.mm(w_sum.t());
    EXPECT_TRUE(((y.to(at::kDouble) - exact).abs() <= bound).all().item<bool>()) << k;
    EXPECT_GT((y.to(at::kDouble) - exact).abs().max().item<double>(), 0);
  }
}

TEST(Int8, RowsComeBackWithinHalfAStep) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor w = random_matrix(37, 51, 3, dtype);
    const Int8Matrix matrix = to_int8(w);
    EXPECT_EQ(matrix.rows, 37);
    EXPECT_EQ(matrix.columns, 51);
    const at::Tensor back = take_rows(matrix, at::arange(37, at::kLong), at::kFloat);
    const at::Tensor step = w.to(at::kFloat).abs().amax({1}, true) / 127;
    EXPECT_TRUE(((back - w.to(at::kFloat)).abs() <= step * 0.5001).all().item<bool>());
    const at::Tensor ids = at::arange(36, -1, -12, at::kLong);
    EXPECT_TRUE(at::equal(take_rows(matrix, ids, at::kFloat), back.index_select(0, ids)));
    EXPECT_TRUE(at::equal(take_rows(matrix, ids, at::kBFloat16),
                          back.index_select(0, ids).to(at::kBFloat16)));
  }
}

TEST(Int8, ARowsBitsDependOnNothingElseInTheBatch) {
  const at::Tensor w = random_matrix(100, 600, 4);
  const Int8Matrix matrix = to_int8(w);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = random_matrix(200, 600, 5, dtype);
    const at::Tensor bias = random_matrix(1, 100, 6, dtype).squeeze(0);
    const at::Tensor y = linear(x, matrix, bias), y_f32 = linear_f32(x, matrix);
    EXPECT_EQ(y.scalar_type(), dtype);
    for (const int64_t count : {1, 2, 5, 97}) {
      const at::Tensor some = x.narrow(0, 31, count);
      EXPECT_TRUE(at::equal(linear(some, matrix, bias), y.narrow(0, 31, count)));
      EXPECT_TRUE(at::equal(linear_f32(some, matrix), y_f32.narrow(0, 31, count)));
    }
  }
}

TEST(Int8, NanStaysInItsRow) {
  const Int8Matrix matrix = to_int8(random_matrix(20, 30, 7));
  at::Tensor x = random_matrix(8, 30, 8);
  const at::Tensor good = linear(x, matrix);
  x[5][7] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor y = linear(x, matrix);
  for (int64_t i = 0; i < 8; ++i) {
    if (i == 5) {
      EXPECT_TRUE(y[i].isnan().all().item<bool>());
    } else {
      EXPECT_TRUE(at::equal(y[i], good[i]));
    }
  }
}

}  // namespace
}  // namespace weft::kernels
