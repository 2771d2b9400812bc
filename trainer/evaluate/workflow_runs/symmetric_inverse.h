/// The little linear algebra that a ridge regression takes.
#pragma once

#include <cstddef>
#include <vector>

namespace weft {

class SquareMatrix {
 public:
  /// All 0.
  explicit SquareMatrix(size_t size) : size_(size), values_(size * size) {}
  size_t size() const { return size_; }
  double& at(size_t row, size_t column) { return values_[row * size_ + column]; }
  double at(size_t row, size_t column) const { return values_[row * size_ + column]; }

 private:
  size_t size_;
  std::vector<double> values_;
};

/// The inverse of a symmetric positive definite matrix, by its Cholesky factor (Golub and Van Loan
/// 2013, Matrix Computations, algorithm 4.2.1): n^3 multiplications. Throws InputError where the
/// matrix is not positive definite. Time is checked for a stop.
SquareMatrix invert_positive_definite(SquareMatrix matrix);

}  // namespace weft
