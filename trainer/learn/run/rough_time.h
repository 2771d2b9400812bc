/// How long a training run takes on this machine's CPU, roughly, for --dry-run.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

#include "base/json.h"
#include "model/checkpoint/model_config.h"
#include "trainer/learn/update/learner.h"

namespace weft {

/// Multiplications and additions, each counted, of the products with weights for one token of a
/// step: forward, backward, and forward again in the layers that keep no activations. Attention
/// among tokens is left out.
double step_flops(const TransformerConfig& shape, const LearnOptions& learn);

/// {"tokens", "tokens_per_s", "hours"} of steps over `tokens`. A product of one layer's size is
/// measured here, for a quarter of a second; the products take 0.6 of a step, as they do in
/// docs/benchmarks.
Json rough_time(const TransformerConfig& shape, const LearnOptions& learn, at::ScalarType dtype,
                int64_t tokens);

/// {"completion_tokens", "hours"} of sampling that many, in batches whose products with weights are
/// no dearer than a forward pass's (from about 32 rollouts on), and of `epochs` steps over them,
/// each with a forward pass more where a reference is asked.
Json rough_rollout_time(const TransformerConfig& shape, const LearnOptions& learn,
                        at::ScalarType dtype, double completion_tokens, int64_t epochs,
                        bool with_reference);

}  // namespace weft
