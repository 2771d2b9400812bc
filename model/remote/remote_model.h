/// A language model behind any server that speaks OpenAI's HTTP interface.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/text_model.h"

namespace weft {

struct RemoteModelOptions {
  std::string base_url = "http://127.0.0.1:8000/v1";
  std::vector<std::string> more_base_urls;  ///< further servers of the same model
  std::string model;
  std::string api_key_env;          ///< name of the environment variable, never the key itself
  double timeout_s = 300;           ///< of one attempt, connecting included
  int max_concurrent = 16;          ///< requests in flight at each server; more wait in a queue
  int max_requests_per_minute = 0;  ///< attempts begun at each server, evenly spaced; 0: no limit
  int max_retries = 6;              ///< attempts after the first one
  double backoff_base_s = 0.5;      ///< full jitter: the k-th wait is uniform in [0, base * 2^k]
  double backoff_cap_s = 60;        ///< ... and never longer than this
  uint64_t backoff_seed = 0;        ///< of the jitter
  double usd_per_mtok_in = 0;       ///< price of a million prompt tokens
  double usd_per_mtok_out = 0;      ///< price of a million completion tokens
  int64_t max_total_tokens = 0;   ///< of all requests together, prompt and completion; 0: no limit
  double max_total_usd = 0;       ///< of all requests together; 0: no limit
  bool strict_openai = false;     ///< leave out top_k, min_p, repetition_penalty and ignore_eos
  bool request_ids = false;       ///< ask for token ids (vLLM's return_token_ids)
  bool request_logprobs = false;  ///< ask for the logprob of each sampled token
  std::string record;             ///< file that every answer is added to; empty: none
  std::string replay;             ///< file that answers come from, in place of a server
  Json extra_body = Json::object();  ///< fields put into every request as they are

  template <class V>
  void visit(V& v) {
    v("base_url", base_url, "URL up to and including /v1");
    v("more_base_urls", more_base_urls, "further servers of the same model");
    v("model", model, "the server's name of the model");
    v("api_key_env", api_key_env, "environment variable that holds the API key; empty: no key");
    v("timeout_s", timeout_s, "seconds for one attempt, connecting included");
    v("max_concurrent", max_concurrent, "requests in flight at each server; more wait in a queue");
    v("max_requests_per_minute", max_requests_per_minute,
      "attempts begun at each server, evenly spaced; 0: no limit");
    v("max_retries", max_retries, "attempts after the first one");
    v("backoff_base_s", backoff_base_s, "seconds; the k-th wait is uniform in [0, base * 2^k]");
    v("backoff_cap_s", backoff_cap_s, "longest wait in seconds, unless the server asks for more");
    v("backoff_seed", backoff_seed, "seed of the waits");
    v("usd_per_mtok_in", usd_per_mtok_in, "US dollars for a million prompt tokens");
    v("usd_per_mtok_out", usd_per_mtok_out, "US dollars for a million completion tokens");
    v("max_total_tokens", max_total_tokens, "token budget of all requests together; 0: no limit");
    v("max_total_usd", max_total_usd, "money budget of all requests together; 0: no limit");
    v("strict_openai", strict_openai, "send no field that OpenAI's own API would refuse");
    v("request_ids", request_ids, "ask for token ids (vLLM, Weft)");
    v("request_logprobs", request_logprobs, "ask for logprobs of the sampled tokens");
    v("record", record, "file that requests and answers are added to, as JSON lines");
    v("replay", replay, "file of recorded answers to take in place of a server's");
    v("extra_body", extra_body, "fields put into every request as they are");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

/// Requests run on one thread of its own over libcurl's multi interface. Messages go to
/// /chat/completions, text and ids to /completions. Every sampling parameter is sent, neutral ones
/// too: servers take their defaults from the model's generation_config.json. With `strict_openai`
/// those that OpenAI's own API does not know stay away. At temperature 0 one choice is asked for
/// and given `n` times, at the cost of one: vLLM refuses to repeat itself.
///
/// 408, 429 and 5xx, broken connections, timeouts, cut or empty answers are tried again: after what
/// Retry-After says, else after an exponential wait with full jitter. When the attempts are used up
/// the answer is kFailed with one line. 400, 413, 414 and 422 are kRefused at once; any other 4xx
/// (key, address, quota) is kFailed at once. A request that could exceed the budget is
/// kOutOfBudget before it is sent; the budget counts the usage of the answers and, of requests
/// under way, max_tokens of each choice asked for.
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
/// The API key is read from the environment once and is in no message, log or file; a replay needs
/// none.
class RemoteModel : public TextModel {
 public:
  /// Throws InputError for bad options, and when the variable `api_key_env` is not set.
  explicit RemoteModel(RemoteModelOptions options);

  /// Ends what is queued or under way with kCancelled, then joins the thread.
  ~RemoteModel() override;

  void submit(TextRequest request, std::function<void(TextResponse)> done) override;
  std::string name() const override;

  /// What all answers so far cost.
  TextUsage total_usage() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace weft
