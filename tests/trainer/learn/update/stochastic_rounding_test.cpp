#include "trainer/learn/update/stochastic_rounding.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/nan_to_num.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/trainer/learn/update/learn_support.h"

namespace weft {
namespace {

at::Tensor rounded(const at::Tensor& values, const RoundingKey& key) {
  at::Tensor result = at::empty(values.sizes(), at::kBFloat16);
  round_stochastically(values, result, key);
  return result;
}

at::Tensor mixed_values(int64_t count) {
  Rng rng(8);
  at::Tensor values = test::random_tensor({count}, rng, 100);
  float* first = values.data_ptr<float>();
  first[1] = std::numeric_limits<float>::infinity();
  first[2] = -first[1];
  first[3] = std::nanf("");
  first[4] = std::bit_cast<float>(0x7f7fffffu);  // the largest
  first[5] = std::bit_cast<float>(0x00000123u);  // a subnormal
  first[6] = 0;
  first[7] = std::bit_cast<float>(0x7f800001u);  // a NaN whose upper half is infinity's
  return values;
}

// 2^20 draws of 1 + p 2^-7: the share of those rounded up is p within 5 standard deviations, which
// an unbiased rounding misses once in 1.7 million times.
TEST(StochasticRounding, GoesUpAsOftenAsTheValueIsFarFromBelow) {
  constexpr int64_t kDraws = 1 << 20;
  uint64_t stream = 0;
  for (const double p : {1.0 / 65536, 0.1, 0.25, 0.5, 0.9}) {
    for (const float sign : {1.0f, -1.0f}) {
      const auto word = std::bit_cast<uint32_t>(1.0f) + static_cast<uint32_t>(p * 65536);
      const double exact = static_cast<uint32_t>(p * 65536) / 65536.0;
      const at::Tensor values =
          at::empty({kDraws}, at::kFloat).fill_(sign * std::bit_cast<float>(word));
      const at::Tensor up = rounded(values, {3, ++stream}).to(at::kFloat).abs().gt(1);
      const double share = up.sum().item<double>() / kDraws;
      EXPECT_NEAR(share, exact, 5 * std::sqrt(exact * (1 - exact) / kDraws)) << p;
    }
  }
}

TEST(StochasticRounding, KeepsWhatBf16Holds) {
  Rng rng(2);
  const at::Tensor values = test::random_tensor({1001}, rng).to(at::kBFloat16);
  EXPECT_TRUE(rounded(values.to(at::kFloat), {1, 1}).equal(values));
  const at::Tensor others = rounded(mixed_values(64), {1, 1}).to(at::kFloat);
  EXPECT_EQ(others[1].item<float>(), std::numeric_limits<float>::infinity());
  EXPECT_EQ(others[2].item<float>(), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(others[3].item<float>()));
  EXPECT_TRUE(std::isnan(others[7].item<float>()));
}

TEST(StochasticRounding, DependsOnSeedStreamAndIndexAlone) {
  const at::Tensor values = mixed_values(100003).narrow(0, 8, 99995);
  const at::Tensor once = rounded(values.contiguous(), {5, 7});
  at::Tensor parts = at::empty_like(once);
  for (int64_t first = 0; first < values.numel(); first += 40000) {
    const int64_t count = std::min<int64_t>(40000, values.numel() - first);
    round_stochastically(values.narrow(0, first, count), parts.narrow(0, first, count),
                         {5, 7, first});
  }
  EXPECT_TRUE(parts.equal(once));
  const int threads = at::get_num_threads();
  at::set_num_threads(threads == 1 ? 2 : 1);
  EXPECT_TRUE(rounded(values.contiguous(), {5, 7}).equal(once));
  at::set_num_threads(threads);
  EXPECT_FALSE(rounded(values.contiguous(), {5, 8}).equal(once));
  EXPECT_FALSE(rounded(values.contiguous(), {6, 7}).equal(once));
}

// The loop and the operations agree on every number that is not NaN.
TEST(StochasticRounding, HasTheSameBitsFromOperations) {
  const at::Tensor values = mixed_values(10007);
  for (const int64_t first : {int64_t{0}, int64_t{8} << 33}) {
    const RoundingKey key{0xfedcba9876543210, uint64_t{77} << 32 | 5, first};
    const at::Tensor loop = rounded(values, key);
    at::Tensor operations = at::empty_like(loop);
    round_stochastically_by_operations(values, operations, key);
    const auto without_nan = [](const at::Tensor& x) {
      return at::nan_to_num(x.to(at::kFloat), /*nan=*/0, HUGE_VAL, -HUGE_VAL);
    };
    EXPECT_TRUE(without_nan(loop).equal(without_nan(operations)));
    EXPECT_TRUE(loop.isnan().equal(operations.isnan()));
  }
}

}  // namespace
}  // namespace weft
