#include "trainer/evaluate/workflow_runs/symmetric_inverse.h"

#include <cmath>

#include "base/error.h"
#include "base/stop.h"

namespace weft {

namespace {

/// L with L L' = the matrix, in its lower half.
void factorise(SquareMatrix& m) {
  for (size_t i = 0; i < m.size(); ++i) {
    throw_if_stopped();
    for (size_t j = 0; j <= i; ++j) {
      double sum = m.at(i, j);
      for (size_t k = 0; k < j; ++k) sum -= m.at(i, k) * m.at(j, k);
      if (i > j) {
        m.at(i, j) = sum / m.at(j, j);
      } else if (sum > 0) {
        m.at(i, i) = std::sqrt(sum);
      } else {
        throw InputError("matrix: expected a positive definite one, got one that is not");
      }
    }
  }
}

/// The transpose of the inverse of the lower triangular L, so that rows are read in order: row j
/// holds column j of the inverse.
SquareMatrix inverse_columns(const SquareMatrix& lower) {
  SquareMatrix columns(lower.size());
  for (size_t j = 0; j < lower.size(); ++j) {
    throw_if_stopped();
    columns.at(j, j) = 1 / lower.at(j, j);
    for (size_t i = j + 1; i < lower.size(); ++i) {
      double sum = 0;
      for (size_t k = j; k < i; ++k) sum -= lower.at(i, k) * columns.at(j, k);
      columns.at(j, i) = sum / lower.at(i, i);
    }
  }
  return columns;
}

}  // namespace

SquareMatrix invert_positive_definite(SquareMatrix matrix) {
  factorise(matrix);
  const SquareMatrix columns = inverse_columns(matrix);
  SquareMatrix inverse(matrix.size());
  for (size_t i = 0; i < matrix.size(); ++i) {
    throw_if_stopped();
    for (size_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (size_t k = i; k < matrix.size(); ++k) sum += columns.at(i, k) * columns.at(j, k);
      inverse.at(i, j) = inverse.at(j, i) = sum;
    }
  }
  return inverse;
}

}  // namespace weft
