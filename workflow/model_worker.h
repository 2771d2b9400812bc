/// The bridge between the sandbox, which knows no model, and the models, which know no sandbox.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/text_model.h"
#include "sandbox/workflow/worker.h"

namespace weft {

struct ModelWorkerOptions {
  int max_tokens = 256;              ///< most tokens of one response
  double top_p = 1.0;                ///< in (0, 1]
  double max_temperature = 2.0;      ///< a workflow's temperature is held in [0, this]
  int64_t max_prompt_bytes = 24000;  ///< of system and user text each; cut in the middle beyond

  template <class V>
  void visit(V& v) {
    v("max_tokens", max_tokens, "most tokens of one worker response");
    v("top_p", top_p, "nucleus of worker sampling");
    v("max_temperature", max_temperature, "upper bound of a workflow's temperature");
    v("max_prompt_bytes", max_prompt_bytes, "a prompt beyond this is cut in its middle");
  }
  void validate() const;  ///< throws InputError
};

/// The worker behind `call_llm`: each call becomes one TextRequest on the base weights with
/// n = num_of_response and the call's own seed. System message "You are a ROLE. INSTRUCTIONS"
/// (either part is left out when empty); the messages become one user message, joined by blank
/// lines, because most chat templates know no two user turns in a row.
/// A refused request is the caller's (kRefused), a failed one infrastructure, one that its
/// max_tokens or max_usd leave nothing for kLimit. Borrows the model.
class ModelWorker : public Worker {
 public:
  ModelWorker(TextModel& model, ModelWorkerOptions options = {});

  /// A token for each byte of the prompt, a margin for the chat template, and max_tokens of each
  /// response, at the model's price.
  Bound bound(const WorkerRequest& request) const override;

  void submit(WorkerRequest request, std::function<void(WorkerReply)> done) override;

 private:
  TextModel& model_;
  ModelWorkerOptions options_;
};

/// The conversation sent for a call.
std::vector<ChatMessage> worker_messages(const WorkerRequest& request, int64_t max_prompt_bytes);

}  // namespace weft
