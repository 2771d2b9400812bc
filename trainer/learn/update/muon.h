/// Muon: momentum whose matrix is made orthogonal. Source: K. Jordan et al., "Muon: an optimizer
/// for hidden layers" (2024); scale and decay: arXiv:2502.16982, section 2.2.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "trainer/learn/update/optimizer_options.h"

namespace weft {

/// x with its singular values s replaced by p(p(... p(s / |x|))), |x| the Frobenius norm:
///
///   p(s) = 3.4445 s - 4.7750 s^3 + 2.0315 s^5, `steps` times.
///
/// 5 steps bring every s / |x| of at least 0.002 into [0.68, 1.21]. x [m, n] f32; the same shape
/// and dtype. Products in f32 on the CPU, elsewhere in bf16. A matrix of zeros stays.
at::Tensor orthogonalize(const at::Tensor& x, int64_t steps);

/// One step, weights and momentum [m, n] f32 in place, of which rows [0, parts[0]), ... are
/// matrices of their own (none: one matrix):
///
///   momentum = mu momentum + g
///   w = (1 - lr wd) w - 0.2 sqrt(max(m, n)) lr orthogonalize(g + mu momentum)
///
/// An update's root mean square is then about that of AdamW, whose lr and wd it takes.
void muon_step(const at::Tensor& weights, const at::Tensor& gradient, const at::Tensor& momentum,
               at::IntArrayRef parts, double lr, double weight_decay, const MuonOptions& options);

}  // namespace weft
