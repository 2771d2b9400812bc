/// The local text model: continuous batching over a paged KV cache, on weights shared with a
/// trainer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/device/device.h"
#include "model/text_model.h"
#include "model/tokenizer/chat_template.h"
#include "model/tokenizer/tokenizer.h"
#include "model/transformer/lora.h"
#include "model/transformer/transformer.h"

namespace weft {

struct EngineOptions {
  int64_t max_batch = 64;         ///< sequences decoded together
  int64_t prefill_tokens = 2048;  ///< most prompt tokens in one prefill step
  int64_t max_context = 0;        ///< tokens of prompt + completion, 0: the model's limit
  double kv_fraction = 0.2;       ///< share of the device's available memory for the KV cache
  int64_t kv_mb = 0;              ///< size of the KV cache in MiB; 0: by kv_fraction
  double prefix_fraction = 0.25;  ///< share of the KV cache that may keep text for later prompts
  bool cuda_graphs = true;        ///< on a GPU, record decode steps once and replay them

  template <class V>
  void visit(V& v) {
    v("max_batch", max_batch, "sequences decoded together");
    v("prefill_tokens", prefill_tokens, "most prompt tokens in one prefill step");
    v("max_context", max_context, "tokens of prompt and completion, 0: the model's limit");
    v("kv_fraction", kv_fraction, "share of available memory for the KV cache");
    v("kv_mb", kv_mb, "size of the KV cache in MiB, 0: by kv_fraction");
    v("prefix_fraction", prefix_fraction,
      "share of the KV cache that may keep ended texts for prompts that begin alike, 0: none");
    v("cuda_graphs", cuda_graphs, "on a GPU, record decode steps once and replay them");
  }
  void validate() const;
};

struct EngineRequest;
struct HeldText;

/// Counters since construction, and the state of the KV cache.
struct EngineStats {
  int64_t prefill_tokens = 0;  ///< of prompts, a shared one once, and of texts computed again
  int64_t prompt_tokens = 0;   ///< of prompts that were let in
  int64_t cached_tokens = 0;   ///< of those: not computed, as earlier texts began alike
  int64_t decoded_tokens = 0;  ///< tokens sampled
  int64_t scored_tokens = 0;
  int64_t decode_steps = 0;
  int64_t preemptions = 0;  ///< times that a sequence or a prompt lost its blocks to an older one
  double prefill_s = 0;     ///< seconds spent in prefill steps
  double decode_s = 0;
  int64_t running = 0;  ///< sequences being decoded
  int64_t queued = 0;   ///< requests that wait
  int64_t kv_blocks_total = 0;
  int64_t kv_blocks_used = 0;  ///< held by requests
  int64_t kv_blocks_idle = 0;  ///< kept for later prompts; they make way
};

/// Ids to score after a prompt.
struct ScoreRequest {
  std::vector<int32_t> prompt_ids;  ///< at least one
  std::vector<int32_t> ids;
  std::string adapter;
};

/// Local model. One thread of its own runs prefill, decoding and scoring; it computes only while
/// there are requests. Sampling of choice i at token t uses philox_uniform(seed, i, t): the same
/// request gives the same draws whatever else is in the batch.
///
/// Requests refused: no prompt tokens, ids out of range, prompt + 1 beyond the context or the KV
/// cache, unknown adapter, sampling parameters out of range, text without a tokenizer. A completion
/// that meets the context limit ends with FinishReason::kLength. NaN logits give kFailed.
class Engine : public TextModel {
 public:
  /// `tokenizer` may be null: then prompts are ids and texts are empty. `chat_template` likewise.
  /// `device` holds the model's weights.
  Engine(std::shared_ptr<Transformer> model, std::shared_ptr<const Tokenizer> tokenizer,
         std::shared_ptr<const ChatTemplate> chat_template, const EngineOptions& options,
         std::string name = "local", const ComputeDevice& device = {});

  /// Model, tokenizer and chat template of a Hugging Face directory; `dtype` as in
  /// resolve_inference_dtype, but on a GPU "auto" is bf16 and int8 an InputError. Its name is the
  /// directory, with "-int8" behind it for that dtype.
  static std::unique_ptr<Engine> from_directory(const std::string& dir, const std::string& dtype,
                                                const EngineOptions& options,
                                                const ComputeDevice& device = {});

  /// Cancels what runs and waits for the thread.
  ~Engine() override;

  void submit(TextRequest request, std::function<void(TextResponse)> done) override;
  void submit_all(std::vector<Submission> submissions) override;
  std::string name() const override;

  /// Which products run, and whether or how far decoding, scoring and training may differ: one line
  /// for people, which the log shows when the engine starts.
  std::string numerics() const;

  /// log p(ids[i] | prompt, ids[:i]) in fp32, [ids] for each request. On the CPU bitwise equal to
  /// decoding and to the trainer's forward, in whatever batch. Blocks; runs on
  /// the engine's thread between decode steps. Throws InputError on ids or lengths out of range or
  /// an unknown adapter, Error if a logprob is NaN.
  std::vector<std::vector<float>> score(const std::vector<ScoreRequest>& requests);

  /// Ids of a request's prompt, as submit computes them. Throws InputError without a tokenizer or
  /// chat template where one is needed. Any thread.
  std::vector<int32_t> encode(const TextRequest& request) const;

  /// Why submit would refuse this request; empty if it would not. Any thread.
  std::string refusal(const TextRequest& request) const;

  /// Makes an adapter usable as TextRequest::adapter. The engine shares it with the caller, who may
  /// train it while the engine is idle. Replaces one of the same name.
  void set_adapter(const std::string& name, std::shared_ptr<Lora> adapter);

  /// Call after writing base or adapter weights, while the engine is idle: drops what was derived
  /// from them. Waits for running requests to end first.
  void weights_changed();

  /// Waits until no request is queued or running.
  void wait_idle();

  EngineStats stats() const;
  Transformer& model() { return *model_; }
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  const ChatTemplate* chat_template() const { return chat_template_.get(); }

 private:
  friend class EngineSequences;
  void submit_prepared(std::vector<std::unique_ptr<EngineRequest>> requests);
  std::shared_ptr<HeldText> make_held_text();

  struct Impl;
  std::shared_ptr<Transformer> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplate> chat_template_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
