/// A language model behind any server that speaks OpenAI's HTTP interface.
#pragma once

#include <memory>
#include <string>

#include "model/remote/remote_options.h"
#include "model/text_model.h"

namespace weft {

/// Requests run on one thread of its own over libcurl's multi interface. Messages go to
/// /chat/completions, text and ids to /completions. Every sampling parameter is sent, neutral ones
/// too: servers take their defaults from the model's generation_config.json. With `strict_openai`
/// those that OpenAI's own API does not know stay away. At temperature 0 one choice is asked for
/// and given `n` times, at the cost of one: vLLM refuses to repeat itself.
///
/// 408, 429 and 5xx, broken connections, timeouts, cut or empty answers are tried again: after what
/// Retry-After says, else after an exponential wait with full jitter. After a 429 nothing is sent
/// to that server for so long. When the attempts are used up the answer is kFailed with one line.
/// 400, 413, 414 and 422 are kRefused at once; any other 4xx (key, address, quota) and an answer of
/// another form are kFailed at once. 307 and 308 are followed to the same scheme, host and port.
/// A server that gives fewer choices than asked for is asked for the others one by one.
///
/// Usage is counted for every answer that reports it, also for one that cannot be used; a failed
/// response carries what its attempts cost. The budget counts the usage of the answers and, of
/// requests under way, the prompt and max_tokens of each choice asked for. A request that could
/// exceed it waits for those under way, is then sent with what is left as its max_tokens, and is
/// kOutOfBudget where that is less than a token for each choice. A prompt that is text is estimated
/// (estimated_prompt_tokens), and by as much as that is wrong the budget may be overrun, once.
///
/// No more than `max_requests_per_minute` attempts are begun at a server in any minute: they begin
/// at least 60 s / max_requests_per_minute apart.
///
/// With several servers a request goes to the one with the fewest under way, its next attempt to
/// another; one that fails three times in a row is left alone for a while
/// (model/remote/endpoints.h). They share the key, the budget and the prices.
///
/// With `replay` nothing is sent: the k-th request of one text gets the k-th recorded answer to it,
/// at the recorded usage, and kFailed when there is none.
///
/// The API key is read from the environment once, without the white space around it, and is in no
/// message, log, text or file, in none of its spellings (model/remote/secret.h); a replay needs
/// none.
class RemoteModel : public TextModel {
 public:
  /// Throws InputError for bad options, and when the variable `api_key_env` is not set.
  explicit RemoteModel(RemoteModelOptions options);

  /// Ends what is queued or under way with kCancelled, then joins the thread.
  ~RemoteModel() override;

  void submit(TextRequest request, std::function<void(TextResponse)> done) override;
  std::string name() const override;
  TextPrice price() const override;

  /// What all answers so far cost.
  TextUsage total_usage() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace weft
