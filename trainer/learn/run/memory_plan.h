/// How many bytes a training run will need, from shapes alone: what --dry-run prints.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "model/checkpoint/model_config.h"
#include "trainer/learn/update/learner.h"

namespace weft {

struct MemoryPlanInput {
  TransformerConfig shape;
  int64_t weight_bytes = 2;  ///< of one weight: 2 for bf16, 4 for f32
  LearnOptions learn;
  bool entropy = false;        ///< the loss head also computes entropies
  int64_t kv_cache_bytes = 0;  ///< of the rollout engine
  int64_t frozen_copies = 0;   ///< further whole models of this shape
  int64_t worker_bytes = 0;    ///< weights and cache of a local worker in an engine of its own
};

/// Trained parameters: every weight, or those of the adapter.
int64_t num_trained_parameters(const TransformerConfig& shape, const LearnOptions& options);

/// {"weights", "frozen_copies", "adapter", "gradients", "masters", "optimizer", "activations",
/// "logits_chunk", "temporaries", "kv_cache", "worker", "total"} in bytes, with "num_parameters"
/// and "trained_parameters".
///
/// Gradients, masters and the optimizer's states are what is allocated for them, to the byte; with
/// optimizer_in_backward, whose gradients may be fewer at a time, those of a step of several
/// microbatches.
///
/// Activations are those of one microbatch at the end of its forward pass: the input of every layer
/// that is not offloaded, and what the kept layers save for backward where that stays. Temporaries
/// are what a step's peak, in the loss, in the backward pass of a layer or in the update, has
/// beside these and a chunk of logits. The total is within 10 % of what LibTorch's tensors take at
/// the peak; it leaves out the process itself and gaps between blocks.
Json memory_plan(const MemoryPlanInput& input);

/// Shape of `model_shape` (a config.json or a folder with one; no weights needed) or, if that is
/// empty, of the model folder. Throws InputError if neither is there.
TransformerConfig plan_shape(const std::string& model, const std::string& model_shape);

/// Bytes of one weight for a dtype option ("auto" is bf16, as on any machine worth planning for).
/// The steps of int8 rows, one in some hundred bytes, are left out.
int64_t plan_weight_bytes(const std::string& dtype);

}  // namespace weft
