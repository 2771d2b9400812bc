#include "trainer/learn/update/muon.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
constexpr double kRootMeanSquare = 0.2;  // of an AdamW update, as measured in the source
constexpr double kLeastNorm = 1e-20;

}  // namespace

at::Tensor orthogonalize(const at::Tensor& x, int64_t steps) {
  const bool tall = x.size(0) > x.size(1);
  at::Tensor s = tall ? x.t() : x;
  s = s / at::linalg_vector_norm(s, 2).clamp_min(kLeastNorm);
  if (!x.is_cpu()) s = s.to(at::kBFloat16);
  for (int64_t i = 0; i < steps; ++i) {
    const at::Tensor gram = at::mm(s, s.t());
    const at::Tensor polynomial = at::addmm(gram, gram, gram, kB, kC);
    s = at::addmm(s, polynomial, s, kA, 1);
  }
  s = s.to(at::kFloat);
  return tall ? s.t() : s;
}

void muon_step(const at::Tensor& weights, const at::Tensor& gradient, const at::Tensor& momentum,
               at::IntArrayRef parts, double lr, double weight_decay, const MuonOptions& options) {
  momentum.mul_(options.momentum).add_(gradient);
  const at::Tensor direction = gradient + options.momentum * momentum;
  weights.mul_(1 - lr * weight_decay);
  const int64_t all[] = {weights.size(0)};
  int64_t first = 0;
  for (const int64_t rows : parts.empty() ? at::IntArrayRef(all) : parts) {
    const double size = static_cast<double>(std::max(rows, weights.size(1)));
    weights.narrow(0, first, rows)
        .add_(orthogonalize(direction.narrow(0, first, rows), options.newton_schulz_steps),
              -lr * kRootMeanSquare * std::sqrt(size));
    first += rows;
  }
}

}  // namespace weft
