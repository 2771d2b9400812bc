// Norms and the gradient of RMSNorm's weight: exact, and the same on any number of threads.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "model/ops/cpu/kernels.h"
#include "tests/model/ops/cpu/kernel_tables.h"

namespace weft::kernels {
namespace {

std::vector<float> constant(size_t n, float value) { return std::vector<float>(n, value); }

double norm_of(std::vector<float> values, at::ScalarType dtype = at::kFloat) {
  at::Tensor x = at::empty({static_cast<int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), data<float>(x));
  return l2_norm(x.to(dtype));
}

TEST(Norm, IsExactWhereSquaresLeaveTheRangeOfFp32) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    EXPECT_EQ(norm_of({}, dtype), 0);
    EXPECT_EQ(norm_of(constant(40000, 0x1p100f), dtype), 200 * 0x1p100);
    EXPECT_EQ(norm_of(constant(40000, 0x1p-126f), dtype), 200 * 0x1p-126);
    EXPECT_EQ(norm_of({3, 4}, dtype), 5);
  }
  EXPECT_EQ(norm_of(constant(4, std::numeric_limits<float>::denorm_min())), 0x1p-148);
  EXPECT_NEAR(norm_of(constant(100000, 1e30f)), 1e30 * std::sqrt(1e5), 1e26);
}

TEST(Norm, SeesANumberThatIsNotFiniteAnywhere) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const size_t at : {size_t{0}, size_t{32767}, size_t{32768}, size_t{99999}}) {
      auto values = constant(100000, 1);
      values[at] = NAN;
      EXPECT_TRUE(std::isnan(norm_of(values, dtype))) << at;
      values[at] = -INFINITY;
      EXPECT_EQ(norm_of(values, dtype), INFINITY) << at;
    }
  }
}

// Blocks have 2^15 numbers. In double and in another order: 2^-53 for each of some thousand sums.
TEST(Norm, HasTheSameBitsOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  for (const size_t n : {1000u, 32768u, 32769u, 200001u}) {
    const auto values = random_values(n, n);
    double squares = 0;
    for (const float v : values) squares += static_cast<double>(v) * v;
    const double norm = norm_of(values);
    EXPECT_NEAR(norm, std::sqrt(squares), 1e-11 * norm);
    for (const int threads : {1, 2, 3, 5}) {
      at::set_num_threads(threads);
      EXPECT_EQ(norm_of(values), norm) << threads;
    }
    at::set_num_threads(before);
  }
}

TEST(Norm, OfRowsGradientHasTheSameBitsOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  const at::Tensor x = at::randn({100, 64}), gy = at::randn({100, 64}), w = at::randn({64});
  const at::Tensor rstd = at::randn({100}).abs();
  const at::Tensor expected = rms_norm_backward(gy, x, w, rstd, true).second;
  for (const int threads : {1, 2, 3, 5}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(rms_norm_backward(gy, x, w, rstd, true).second, expected)) << threads;
  }
  at::set_num_threads(before);
}

// The bias is the sum's negative as bf16 has it: what is left is what a product that was rounded
// before the bias was added would have lost. It is itself rounded to bf16, by half of 2^-8 of it.

}  // namespace
}  // namespace weft::kernels
