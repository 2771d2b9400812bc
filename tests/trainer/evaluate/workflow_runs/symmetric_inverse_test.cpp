#include "trainer/evaluate/workflow_runs/symmetric_inverse.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

TEST(SymmetricInverse, OfTwoByTwoByHand) {
  SquareMatrix m(2);
  m.at(0, 0) = 2;
  m.at(0, 1) = m.at(1, 0) = 1;
  m.at(1, 1) = 3;
  const SquareMatrix inverse = invert_positive_definite(m);  // determinant 5
  EXPECT_NEAR(inverse.at(0, 0), 0.6, 1e-15);
  EXPECT_NEAR(inverse.at(0, 1), -0.2, 1e-15);
  EXPECT_NEAR(inverse.at(1, 0), -0.2, 1e-15);
  EXPECT_NEAR(inverse.at(1, 1), 0.4, 1e-15);
}

TEST(SymmetricInverse, TimesTheMatrixIsOne) {
  constexpr size_t kSize = 40;
  Rng rng(0);
  SquareMatrix factor(kSize), m(kSize);
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) factor.at(i, j) = rng.normal();
  }
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) {
      for (size_t k = 0; k < kSize; ++k) m.at(i, j) += factor.at(i, k) * factor.at(j, k);
    }
    m.at(i, i) += 1;
  }
  const SquareMatrix inverse = invert_positive_definite(m);
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) {
      double sum = 0;
      for (size_t k = 0; k < kSize; ++k) sum += m.at(i, k) * inverse.at(k, j);
      EXPECT_NEAR(sum, i == j, 1e-11);
    }
  }
}

TEST(SymmetricInverse, AMatrixThatIsNotPositiveDefiniteIsRefused) {
  SquareMatrix m(2);
  m.at(0, 0) = m.at(1, 1) = 1;
  m.at(0, 1) = m.at(1, 0) = 2;
  EXPECT_NE(test::input_error([&] { invert_positive_definite(m); }).find("positive definite"),
            std::string::npos);
}

}  // namespace
}  // namespace weft
