/// The local text model: continuous batching over a paged KV cache, on weights shared with a
/// trainer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/device.h"
#include "model/engine/engine_options.h"
#include "model/text_model.h"
#include "model/tokenizer/chat_template.h"
#include "model/tokenizer/tokenizer.h"
#include "model/transformer/lora.h"
#include "model/transformer/transformer.h"

namespace weft {

struct EngineRequest;
struct HeldText;

/// Ids whose logprobs after a prompt are asked for.
struct LogprobRequest {
  std::vector<int32_t> prompt_ids;  ///< at least one
  std::vector<int32_t> ids;
  std::string adapter;
};

/// Local model. One thread of its own runs prefill, decoding and logprobs(); it computes only while
/// there are requests. Sampling of choice i at token t uses philox_uniform(seed, i, t): the same
/// request gives the same draws whatever else is in the batch.
///
/// Requests refused: no prompt tokens, ids out of range, prompt + 1 beyond the context or the KV
/// cache, unknown adapter, sampling parameters out of range, text without a tokenizer. A completion
/// that meets the context limit ends with FinishReason::kLength. NaN logits give kFailed. A pass on
/// the CPU is dropped between two layers once all requests are cancelled.
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

  /// Which products run, and whether or how far decoding, logprobs() and training may differ: one
  /// line for people, which the log shows when the engine starts.
  std::string numerics() const;

  /// log p(ids[i] | prompt, ids[:i]) in fp32, [ids] for each request. On the CPU bitwise equal to
  /// decoding and to the trainer's forward, in whatever batch. Blocks; runs on
  /// the engine's thread between decode passes. Throws InputError on ids or lengths out of range or
  /// an unknown adapter, Error if a logprob is NaN, Interrupted after SIGINT or SIGTERM.
  std::vector<std::vector<float>> logprobs(const std::vector<LogprobRequest>& requests);

  /// Ids of a request's prompt, as submit computes them. Throws InputError without a tokenizer or
  /// chat template where one is needed. Any thread.
  std::vector<int32_t> encode(const TextRequest& request) const;

  /// Why submit would refuse this request; empty if it would not. Any thread.
  std::string refusal(const TextRequest& request) const;

  /// Makes an adapter usable as TextRequest::adapter. The engine shares it with the caller, who may
  /// train it while the engine is idle. Replaces one of the same name. Throws InputError for a DoRA
  /// adapter on a GPU or over a model in int8.
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
