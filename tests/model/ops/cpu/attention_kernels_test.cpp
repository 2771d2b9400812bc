// Attention and rope of each instruction set that this CPU has, against plain loops in double
// precision. Whole layers are compared with transformers in parity_test.cpp, but only with the set
// that the CPU at hand prefers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "tests/model/ops/cpu/kernel_tables.h"

namespace weft::kernels {
namespace {

template <class T>
struct Rounding;
template <>
struct Rounding<float> {
  static constexpr double kUnit = 0;
  static float from(float x) { return x; }
  static double to(float x) { return x; }
  static const RowKernels<float>& kernels(const KernelTable& table) { return table.f32; }
};
template <>
struct Rounding<Bf16> {
  static constexpr double kUnit = 0x1p-8;  // weights are rounded before they meet the values
  static Bf16 from(float x) { return rounded(x); }
  static double to(Bf16 x) { return widened(x); }
  static const RowKernels<Bf16>& kernels(const KernelTable& table) { return table.bf16; }
};

// A score sums at most 64 products, whose magnitudes sum to about 41 for normal numbers, in fp32:
// an error of at most 64 * 2^-24 * 41 / 8 = 2e-5 after scaling; as much again for exp, peak and
// sum.
constexpr double kScoreError = 4e-5;

/// One head: `tokens` keys and values, `rows` queries with their limits, rows padded to a stored
/// dimension.
template <class T>
struct Head {
  using R = Rounding<T>;

  int64_t head_dim, dim, tokens, rows;
  float scale;
  std::vector<T> q, k, v, g;  // [rows or tokens, dim]
  std::vector<int32_t> limit;

  Head(int64_t head_dim, int64_t tokens, int64_t rows)
      : head_dim(head_dim),
        dim(padded_dim(head_dim)),
        tokens(tokens),
        rows(rows),
        scale(1 / std::sqrt(static_cast<float>(head_dim))),
        q(random_rows(rows, 1)),
        k(random_rows(tokens, 2)),
        v(random_rows(tokens, 3)),
        g(random_rows(rows, 4)) {
    for (int64_t r = 0; r < rows; ++r) {
      limit.push_back(static_cast<int32_t>(1 + (r * 7 + tokens - 1) % tokens));
    }
  }

  std::vector<T> random_rows(int64_t count, uint64_t seed) const {
    Rng rng(seed);
    std::vector<T> values(count * dim, R::from(0));
    for (int64_t i = 0; i < count * dim; ++i) {
      if (i % dim < head_dim) values[i] = R::from(static_cast<float>(rng.normal()));
    }
    return values;
  }

  /// Dot product of two rows, and in `size` the sum of its terms' magnitudes.
  double product(const std::vector<T>& x, int64_t i, const std::vector<T>& y, int64_t j,
                 double* size = nullptr) const {
    double sum = 0, magnitude = 0;
    for (int64_t d = 0; d < dim; ++d) {
      const double term = R::to(x[i * dim + d]) * R::to(y[j * dim + d]);
      sum += term;
      magnitude += std::abs(term);
    }
    if (size) *size = magnitude;
    return sum;
  }

  double lse(int64_t r) const {
    double sum = 0;
    for (int64_t t = 0; t < limit[r]; ++t) sum += std::exp(product(q, r, k, t) * scale);
    return std::log(sum);
  }

  double weight(int64_t r, int64_t t) const {
    return t < limit[r] ? std::exp(product(q, r, k, t) * scale - lse(r)) : 0;
  }

  std::vector<double> attended(int64_t r) const {
    std::vector<double> out(dim);
    for (int64_t t = 0; t < limit[r]; ++t) {
      const double w = weight(r, t);
      for (int64_t d = 0; d < dim; ++d) out[d] += w * R::to(v[t * dim + d]);
    }
    return out;
  }

  double delta(int64_t r) const {
    const auto out = attended(r);
    double sum = 0;
    for (int64_t d = 0; d < dim; ++d) sum += R::to(g[r * dim + d]) * out[d];
    return sum;
  }
};

/// Rows of x and y as the blocks that store_kv writes.
template <class T>
struct Blocks {
  std::vector<T> store;
  std::vector<const T*> pointers;
  std::vector<int32_t> base, count;

  Blocks(const RowKernels<T>& kernels, const std::vector<T>& x, const std::vector<T>& y,
         int64_t rows, int64_t dim) {
    const int64_t blocks = (rows + kBlockTokens - 1) / kBlockTokens, size = 2 * kBlockTokens * dim;
    store.assign(blocks * size, Rounding<T>::from(0));
    for (int64_t i = 0; i < rows; ++i) {
      kernels.store_kv(store.data() + i / kBlockTokens * size, x.data() + i * dim,
                       y.data() + i * dim, i % kBlockTokens, dim);
    }
    for (int64_t b = 0; b < blocks; ++b) {
      pointers.push_back(store.data() + b * size);
      base.push_back(static_cast<int32_t>(b * kBlockTokens));
      count.push_back(static_cast<int32_t>(std::min(kBlockTokens, rows - b * kBlockTokens)));
    }
  }
  int64_t size() const { return static_cast<int64_t>(pointers.size()); }
};

/// A sum of terms that carry relative errors: what it is and how far from it a kernel may be.
struct Sum {
  double value = 0, size = 0;

  void add(double term, double magnitude) {
    value += term;
    size += magnitude;
  }
  void expect(float got, double unit) const {
    EXPECT_NEAR(got, value, (unit + kScoreError) * size + 1e-7);
  }
};

template <class T>
void check_attend(const RowKernels<T>& kernels, const Head<T>& head) {
  const Blocks<T> keys(kernels, head.k, head.v, head.tokens, head.dim);
  std::vector<float> out(head.rows * head.dim), lse(head.rows);
  kernels.attend({head.q.data(), head.limit.data(), head.rows, head.dim, keys.pointers.data(),
                  keys.base.data(), keys.count.data(), keys.size(), head.scale, out.data(),
                  lse.data(), keys.pointers.data()});
  for (int64_t r = 0; r < head.rows; ++r) {
    EXPECT_NEAR(lse[r], head.lse(r), kScoreError);
    std::vector<double> weights;
    for (int64_t t = 0; t < head.limit[r]; ++t) weights.push_back(head.weight(r, t));
    for (int64_t d = 0; d < head.dim; ++d) {
      Sum sum;
      for (int64_t t = 0; t < head.limit[r]; ++t) {
        const double term = weights[t] * Rounding<T>::to(head.v[t * head.dim + d]);
        sum.add(term, std::abs(term));
      }
      sum.expect(out[r * head.dim + d], Rounding<T>::kUnit);
    }
  }
}

/// Gradient of the loss sum(g * out) with respect to the score of row r and token t, unscaled keys.
template <class T>
Sum score_gradient(const Head<T>& head, int64_t r, int64_t t) {
  double size = 0;
  const double slope = head.product(head.g, r, head.v, t, &size), delta = head.delta(r);
  const double factor = head.weight(r, t) * head.scale;
  return {factor * (slope - delta), factor * (size + std::abs(delta))};
}

template <class T>
void check_gradients(const RowKernels<T>& kernels, const Head<T>& head) {
  const int64_t dim = head.dim, rows = head.rows;
  std::vector<float> lse(rows), delta(rows);
  for (int64_t r = 0; r < rows; ++r) {
    lse[r] = static_cast<float>(head.lse(r));
    delta[r] = static_cast<float>(head.delta(r));
  }
  const Blocks<T> k(kernels, head.k, head.k, head.tokens, dim);
  const Blocks<T> v(kernels, head.v, head.v, head.tokens, dim);
  std::vector<float> g_q(rows * dim), g_k(head.tokens * dim), g_v(head.tokens * dim);
  kernels.attend_query_grad({head.q.data(), head.g.data(), head.limit.data(), lse.data(),
                             delta.data(), rows, dim, k.pointers.data(), v.pointers.data(),
                             k.base.data(), k.count.data(), k.size(), head.scale, g_q.data()});

  const Blocks<T> q(kernels, head.q, head.q, rows, dim), g(kernels, head.g, head.g, rows, dim);
  lse.resize(q.size() * kBlockTokens);
  delta.resize(lse.size());
  std::vector<int32_t> limit = head.limit, index(head.tokens);
  limit.resize(lse.size());
  for (int64_t t = 0; t < head.tokens; ++t) index[t] = static_cast<int32_t>(t);
  std::vector<const float*> lse_of, delta_of;
  std::vector<const int32_t*> limit_of;
  for (int64_t b = 0; b < q.size(); ++b) {
    lse_of.push_back(lse.data() + b * kBlockTokens);
    delta_of.push_back(delta.data() + b * kBlockTokens);
    limit_of.push_back(limit.data() + b * kBlockTokens);
  }
  kernels.attend_key_grad({head.k.data(), head.v.data(), index.data(), head.tokens, dim,
                           q.pointers.data(), g.pointers.data(), lse_of.data(), delta_of.data(),
                           limit_of.data(), q.size(), head.scale, g_k.data(), g_v.data()});

  std::vector<Sum> want_q(rows * dim), want_k(head.tokens * dim), want_v(head.tokens * dim);
  const auto at = [&](const std::vector<T>& x, int64_t i, int64_t d) {
    return Rounding<T>::to(x[i * dim + d]);
  };
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t t = 0; t < head.limit[r]; ++t) {
      const Sum slope = score_gradient(head, r, t);
      const double weight = head.weight(r, t);
      for (int64_t d = 0; d < dim; ++d) {
        want_q[r * dim + d].add(slope.value * at(head.k, t, d),
                                slope.size * std::abs(at(head.k, t, d)));
        want_k[t * dim + d].add(slope.value * at(head.q, r, d),
                                slope.size * std::abs(at(head.q, r, d)));
        want_v[t * dim + d].add(weight * at(head.g, r, d), weight * std::abs(at(head.g, r, d)));
      }
    }
  }
  for (size_t i = 0; i < want_q.size(); ++i) want_q[i].expect(g_q[i], Rounding<T>::kUnit);
  for (size_t i = 0; i < want_k.size(); ++i) want_k[i].expect(g_k[i], Rounding<T>::kUnit);
  for (size_t i = 0; i < want_v.size(); ++i) want_v[i].expect(g_v[i], Rounding<T>::kUnit);
}

template <class T>
class AttentionKernels : public testing::Test {};
using RowTypes = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(AttentionKernels, RowTypes);

TYPED_TEST(AttentionKernels, EqualPlainLoops) {
  for (const KernelTable* table : tables()) {
    const auto& kernels = Rounding<TypeParam>::kernels(*table);
    for (const int64_t head_dim : {16, 24, 64}) {
      for (const int64_t tokens : {1, 15, 16, 17, 70}) {
        const Head<TypeParam> head(head_dim, tokens, 6);
        SCOPED_TRACE(testing::Message() << head_dim << " dimensions, " << tokens << " tokens");
        check_attend(kernels, head);
        check_gradients(kernels, head);
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

TYPED_TEST(AttentionKernels, ManyRowsAndWideHeadsEqualPlainLoops) {
  for (const KernelTable* table : tables()) {
    for (const int64_t head_dim : {64, 80, 128}) {
      SCOPED_TRACE(testing::Message() << head_dim << " dimensions");
      check_attend(Rounding<TypeParam>::kernels(*table), Head<TypeParam>(head_dim, 90, 37));
      if (testing::Test::HasFailure()) return;
    }
  }
}

// Prompts, decoding and training attend from the same row in tiles of different rows.
TYPED_TEST(AttentionKernels, ARowHasTheSameBitsWhateverRowsAreBesideIt) {
  const Head<TypeParam> head(64, 150, 37);
  for (const KernelTable* table : tables()) {
    const auto& kernels = Rounding<TypeParam>::kernels(*table);
    const Blocks<TypeParam> keys(kernels, head.k, head.v, head.tokens, head.dim);
    const auto attend = [&](int64_t row, int64_t rows) {
      std::vector<float> out(rows * head.dim), lse(rows);
      kernels.attend({head.q.data() + row * head.dim, head.limit.data() + row, rows, head.dim,
                      keys.pointers.data(), keys.base.data(), keys.count.data(), keys.size(),
                      head.scale, out.data(), lse.data(), nullptr});
      out.insert(out.end(), lse.begin(), lse.end());
      return out;
    };
    const auto all = attend(0, head.rows);
    for (int64_t r = 0; r < head.rows; ++r) {
      const auto alone = attend(r, 1);
      for (int64_t d = 0; d < head.dim; ++d) ASSERT_EQ(alone[d], all[r * head.dim + d]) << r;
      ASSERT_EQ(alone[head.dim], all[head.rows * head.dim + r]) << r;
    }
  }
}

TYPED_TEST(AttentionKernels, RopeRotatesPairsAndUndoesIt) {
  using R = Rounding<TypeParam>;
  for (const KernelTable* table : tables()) {
    const auto& kernels = R::kernels(*table);
    for (const int64_t dim : {8, 24, 64}) {
      const int64_t half = dim / 2;
      std::vector<float> angles(dim);
      for (int64_t i = 0; i < half; ++i) {
        angles[i] = std::cos(0.3f * static_cast<float>(i));
        angles[half + i] = std::sin(0.3f * static_cast<float>(i));
      }
      const Head<TypeParam> head(dim, 1, 3);
      std::vector<TypeParam> x;
      for (int64_t r = 0; r < 3; ++r) {
        x.insert(x.end(), head.q.begin() + r * head.dim, head.q.begin() + r * head.dim + dim);
      }
      const auto before = x;
      const double unit = R::kUnit + 0x1p-22;
      kernels.rope(x.data(), angles.data(), 1, 3, dim);
      for (int64_t r = 0; r < 3; ++r) {
        for (int64_t i = 0; i < half; ++i) {
          const double a = R::to(before[r * dim + i]), b = R::to(before[r * dim + half + i]);
          const double length = std::hypot(a, b);
          ASSERT_NEAR(R::to(x[r * dim + i]), a * angles[i] - b * angles[half + i], unit * length);
          ASSERT_NEAR(R::to(x[r * dim + half + i]), b * angles[i] + a * angles[half + i],
                      unit * length);
        }
      }
      kernels.rope(x.data(), angles.data(), -1, 3, dim);
      for (int64_t i = 0; i < 3 * dim; ++i) {
        const int64_t pair = i % dim < half ? i + half : i - half;
        const double length = std::hypot(R::to(before[i]), R::to(before[pair]));
        ASSERT_NEAR(R::to(x[i]), R::to(before[i]), 3 * unit * length);
      }
    }
  }
}

}  // namespace
}  // namespace weft::kernels
