/// Sequences of different lengths laid into microbatches of about equal size, without padding.
/// Source: best-fit decreasing as in arXiv:2404.10830; sequences never see each other and positions
/// restart in each.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/transformer/transformer.h"

namespace weft {

/// One training example: only completion tokens carry loss.
struct TrainSequence {
  std::vector<int32_t> prompt_ids;      ///< at least one
  std::vector<int32_t> completion_ids;  ///< at least one
  /// [completion_ids] 1 where a token carries loss, else 0, at least one of them 1; empty: all do.
  std::vector<uint8_t> trained = {};
  double weight = 1;  ///< of each of its loss tokens; finite, > 0

  int64_t num_loss_tokens() const;
};

struct PackingOptions {
  int64_t tokens_per_microbatch = 2048;  ///< a longer sequence gets a microbatch of its own
  bool share_prompts = true;  ///< sequences with equal prompts in one microbatch compute it once
};

/// Where the completion of a sequence lies among the loss rows of a microbatch.
struct CompletionSpan {
  int64_t sequence = 0;  ///< index into the packed span
  int64_t begin = 0;     ///< first of its rows
  int64_t length = 0;    ///< its loss tokens
};

struct Microbatch {
  at::Tensor ids;              ///< [T] int64
  PackedBatch batch;           ///< over the T tokens
  at::Tensor rows;             ///< [N] int64, token whose hidden state predicts a completion token
  at::Tensor targets;          ///< [N] int64, that completion token
  std::vector<float> weights;  ///< [N] TrainSequence::weight of the row; empty where all are 1
  std::vector<CompletionSpan> spans;

  /// The same with ids, rows and targets on a device, by one copy that the host does not wait for.
  Microbatch to(at::Device device) const;
  int64_t num_tokens() const { return batch.num_tokens(); }
  int64_t num_loss_tokens() const { return rows.numel(); }
};

/// Bins for items of the given sizes, best fit in order of decreasing size (equal sizes in input
/// order); an item above `capacity` is alone in its bin. Deterministic.
std::vector<std::vector<int64_t>> best_fit_decreasing(std::span<const int64_t> sizes,
                                                      int64_t capacity);

/// Packs all sequences. Throws std::invalid_argument on an empty prompt or completion and where
/// `trained` is of another length than the completion or marks none of it.
std::vector<Microbatch> pack(std::span<const TrainSequence> sequences,
                             const PackingOptions& options);

}  // namespace weft
