/// The one way in which anything in Weft asks a language model for text: GRPO rollouts, search,
/// the worker behind `call_llm`, evaluation and the server. Free of LibTorch.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"

namespace weft {

/// One turn of a conversation; `role` is "system", "user" or "assistant".
struct ChatMessage {
  std::string role;
  std::string content;
};

/// How tokens are drawn. Temperature 0 is greedy. Cuts apply in the order top_k, top_p, min_p.
struct SamplingParams {
  double temperature = 1.0;  ///< divides the logits; >= 0
  double top_p = 1.0;        ///< smallest set with this mass; in (0, 1]
  int top_k = 0;             ///< most probable tokens kept; 0 keeps all
  double min_p = 0.0;        ///< keeps tokens with p >= min_p * max p; in [0, 1]
  int max_tokens = 256;      ///< most sampled tokens, the end-of-text token included
  std::vector<std::string>
      stop;                 ///< texts that end a completion; cut from its text, kept in its ids
  uint64_t seed = 0;        ///< sample i of a request draws from stream (seed, i)
  bool ignore_eos = false;  ///< go on after an end-of-text token
};

/// Set by any thread to end a request early; the answer then has ResponseStatus::kCancelled.
using CancelFlag = std::shared_ptr<std::atomic<bool>>;

/// A piece of a completion as it is decoded: whole characters only.
struct StreamDelta {
  int choice = 0;
  std::string text;
  std::vector<int32_t> ids;
  std::vector<float> logprobs;  ///< of `ids`, as in Completion
};

/// What may be taken of a budget. The default is no limit.
struct TextAllowance {
  int64_t tokens = std::numeric_limits<int64_t>::max();  ///< prompt and all completions together
  double usd = std::numeric_limits<double>::infinity();

  bool is_unlimited() const;
};

/// Money for a million tokens; 0 for local models.
struct TextPrice {
  double usd_per_mtok_in = 0;
  double usd_per_mtok_out = 0;

  double of(int64_t prompt_tokens, int64_t completion_tokens) const;
};

struct TextRequest {
  /// Token ids (taken as they are), text (encoded with special tokens) or messages (chat template
  /// with the generation prompt).
  std::variant<std::vector<int32_t>, std::string, std::vector<ChatMessage>> prompt;
  int n = 1;  ///< completions wanted; they share one prefill
  SamplingParams sampling;
  std::string adapter;           ///< name of a loaded LoRA adapter; empty: the base weights
  bool prompt_logprobs = false;  ///< also those of the prompt; of a server's model only
  /// max_tokens and then n are lowered to what this leaves after the prompt (fit_to_allowance).
  TextAllowance allowance;
  CancelFlag cancelled;
  /// Called on the model's own thread for each piece of text; must not block. May be empty.
  std::function<void(const StreamDelta&)> on_delta;
};

enum class FinishReason {
  kStop,           ///< the model ended the text, or a stop string did
  kLength,         ///< max_tokens or the context's end
  kContentFilter,  ///< the rest that follow: a server's, never a local model's
  kToolCalls,
  kOther,  ///< a word that is not known, or none
};

/// OpenAI's word: "stop", "length", "content_filter", "tool_calls"; "other".
const char* to_string(FinishReason reason);

struct Completion {
  std::vector<int32_t> ids;  ///< sampled ids, the end-of-text token included when it was sampled
  std::string text;          ///< decoded without special tokens, cut at a stop string
  /// What a server kept apart from its text (`reasoning_content`); empty for local models, whose
  /// reasoning stands in the text.
  std::string reasoning;
  /// [ids] natural logarithms in fp32 of the raw distribution (temperature 1, nothing cut).
  std::vector<float> logprobs;
  /// [ids] of the distribution sampled from; empty where it is the raw one or unknown.
  std::vector<float> sampling_logprobs;
  FinishReason finish = FinishReason::kLength;

  /// The text with its reasoning before it as "<think>..</think>", in one form for all models.
  std::string text_with_reasoning() const;
};

/// What came of a request. All but kOk and kRefused say nothing about the request: never to be
/// scored as an answer.
enum class ResponseStatus {
  kOk,
  kRefused,      ///< the request itself is at fault (too long, unknown adapter)
  kCancelled,    ///< by its flag, or by the end of the model
  kFailed,       ///< the model or the way to it is at fault (also a key or an address)
  kOutOfBudget,  ///< not sent: what is set aside for the model or the request leaves no token
};

struct TextUsage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  double usd = 0;             ///< 0 for local models
  int64_t cached_tokens = 0;  ///< of the prompt: known from earlier texts, not computed again
  bool estimated = false;     ///< a server reported none: counted by ids, else 4 bytes a token

  void add(const TextUsage& more);
};

struct TextResponse {
  ResponseStatus status = ResponseStatus::kOk;
  std::string error;  ///< one line; empty when kOk
  std::vector<int32_t> prompt_ids;
  /// [prompt_ids - 1] of each id but the first, given those before; empty where not asked for.
  std::vector<float> prompt_logprobs;
  std::vector<Completion> choices;  ///< n; fewer only where the allowance lowered it
  bool lowered = false;             ///< a budget lowered max_tokens or n
  TextUsage usage;

  /// One without choices.
  static TextResponse unanswered(ResponseStatus status, std::string error, TextUsage usage = {});
};

/// Lowers max_tokens to what the allowance leaves after `prompt_tokens`, shared evenly by the n
/// completions, and where that is less than a token each, n. True when it lowered something, so
/// that what is asked for cannot exceed the allowance; throws BudgetError, one line, when not one
/// token is left.
bool fit_to_allowance(TextRequest& request, int64_t prompt_tokens, const TextPrice& price = {});

/// What a request's allowance, or its model's budget, leaves no token of.
class BudgetError : public Error {
 public:
  using Error::Error;
};

/// Tokens of a prompt that is text: one for each four bytes, rounded down. Ids are counted.
int64_t estimated_prompt_tokens(const TextRequest& request);

/// A source of completions. All methods may be called from any thread.
class TextModel {
 public:
  virtual ~TextModel() = default;

  /// Queues a request and returns at once. `done` is called exactly once, on the model's own
  /// thread, or for a request that is refused on the caller's before this returns; it must not
  /// block and must not destroy the model.
  virtual void submit(TextRequest request, std::function<void(TextResponse)> done) = 0;

  struct Submission {
    TextRequest request;
    std::function<void(TextResponse)> done;
  };
  /// Submits all. A local model takes them up together, in their order, and shares its slots
  /// between such calls, not between their requests. Where nothing else is submitted meanwhile and
  /// EngineOptions::mixed_tokens is set, what is computed with what, and so the last bits, depends
  /// on the requests alone.
  virtual void submit_all(std::vector<Submission> submissions);

  /// Name shown in reports and stored with trajectories.
  virtual std::string name() const = 0;

  virtual TextPrice price() const { return {}; }

  /// Submits and waits.
  TextResponse complete(TextRequest request);

  /// Submits all, waits for all; answers in the order of the requests.
  std::vector<TextResponse> complete_all(std::vector<TextRequest> requests);
};

}  // namespace weft
