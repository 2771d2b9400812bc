/// How the local engine batches and what it counts. Free of LibTorch.
#pragma once

#include <cstdint>

namespace weft {

struct EngineOptions {
  int64_t max_batch = 0;          ///< sequences decoded together, 0: by the device
  int64_t prefill_tokens = 2048;  ///< most prompt tokens in one pass
  int64_t mixed_tokens = 0;       ///< of a pass that also decodes; 0: by what passes take
  int64_t max_context = 0;        ///< tokens of prompt + completion, 0: the model's limit
  double kv_fraction = 0;         ///< share of the device's available memory for the KV cache
  int64_t kv_mb = 0;              ///< size of the KV cache in MiB; 0: by kv_fraction
  double prefix_fraction = 0.25;  ///< share of the KV cache that may keep text for later prompts
  bool cuda_graphs = true;        ///< on a GPU, record decode passes once and replay them
  bool plan_ahead = true;         ///< on a GPU, begin a pass before the one before it is over
  bool invariant = false;         ///< on a GPU, one order of sums whatever shares a pass

  template <class V>
  void visit(V& v) {
    v("max_batch", max_batch,
      "sequences decoded together, 0: 64 on a CPU, on a GPU as many of 1,024 tokens as the KV "
      "cache holds, at most 256");
    v("prefill_tokens", prefill_tokens, "most prompt tokens in one pass");
    v("mixed_tokens", mixed_tokens,
      "most prompt tokens in a pass that also decodes, 0: as many as make it take about 2.5 times "
      "what it takes without");
    v("max_context", max_context, "tokens of prompt and completion, 0: the model's limit");
    v("kv_fraction", kv_fraction,
      "share of available memory for the KV cache, 0: 0.2 on a CPU, 0.9 on a GPU");
    v("kv_mb", kv_mb, "size of the KV cache in MiB, 0: by kv_fraction");
    v("prefix_fraction", prefix_fraction,
      "share of the KV cache that may keep ended texts for prompts that begin "
      "alike, 0: none");
    v("cuda_graphs", cuda_graphs, "on a GPU, record decode passes once and replay them");
    v("plan_ahead", plan_ahead,
      "on a GPU, plan and begin a pass while the one before it is computed, where nothing but "
      "sequences that go on wants a place in it");
    v("invariant", invariant,
      "on a GPU, one order of sums whatever shares a pass, slower in passes of more than 64 "
      "tokens; "
      "on a CPU it is always so");
  }
  void validate() const;

  /// These options with what is left to the device filled in: `available` bytes of memory on it,
  /// of which a token of the cache takes `token_bytes`. Throws InputError where kv_mb is more.
  EngineOptions for_device(bool is_gpu, int64_t available, int64_t token_bytes) const;
  /// Bytes for the KV cache, once kv_fraction is filled in.
  int64_t kv_bytes(int64_t available) const;
};

/// Counters since construction, and the state of the engine.
struct EngineStats {
  int64_t prefill_tokens = 0;  ///< of prompts, a shared one once, and of texts computed again
  int64_t prompt_tokens = 0;   ///< of prompts that were let in
  int64_t cached_tokens = 0;   ///< of those: not computed, as earlier texts began alike
  int64_t decoded_tokens = 0;  ///< tokens sampled
  int64_t logprob_tokens = 0;  ///< given ids whose logprobs were computed
  int64_t decode_passes = 0;   ///< passes that decoded, with prompts beside it or not
  int64_t passes_ahead = 0;    ///< of those, begun before the one before was over
  int64_t preemptions = 0;     ///< times that a sequence or a prompt lost its blocks
  double prefill_s = 0;  ///< seconds of passes, but for what decoding in them is expected to take
  double decode_s = 0;   ///< the other seconds of passes
  /// Prompts that are being computed, and choices that have a slot: those that passes decode, and
  /// those whose text is computed again.
  int64_t running = 0;
  /// Requests that were submitted and not let in, those included that the engine has not looked at
  /// yet: nothing of them has been computed. A choice that waits in the middle of its text, or for
  /// others of its request, counts neither here nor there.
  int64_t queued = 0;
  int64_t kv_blocks_total = 0;
  int64_t kv_blocks_used = 0;  ///< held by requests and by texts that are held for later ones
  int64_t kv_blocks_idle = 0;  ///< kept for later prompts; they make way
};

}  // namespace weft
