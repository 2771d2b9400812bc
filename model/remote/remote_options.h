/// Where the servers of a remote model are and how they are to be asked.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/start_check.h"

namespace weft {

struct RemoteModelOptions {
  std::string base_url = "http://127.0.0.1:8000/v1";
  std::vector<std::string> more_base_urls;  ///< further servers of the same model
  std::string model;
  std::string api_key_env;        ///< name of the environment variable, never the key itself
  double timeout_s = 300;         ///< longest time without a byte, sent or received
  double connect_timeout_s = 30;  ///< longest time to connect
  std::string max_tokens_field = "max_tokens";  ///< or "max_completion_tokens"
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
    v("timeout_s", timeout_s, "seconds without a byte after which an attempt is given up");
    v("connect_timeout_s", connect_timeout_s, "seconds to connect");
    v("max_tokens_field", max_tokens_field, "max_tokens, or max_completion_tokens (newer OpenAI)");
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
  /// What would keep a model of these options, which are the config's `key`, from being asked.
  void check_start(const std::string& key, StartCheck& check) const;
};

/// Base URLs of all servers, without a slash at the end.
std::vector<std::string> urls_of(const RemoteModelOptions& options);

/// Least time between the beginnings of two attempts at a server: rounded up, so that no minute
/// holds one more than max_requests_per_minute; none for a replay.
std::chrono::nanoseconds spacing_of(const RemoteModelOptions& options);

/// Scheme, host and port of a URL: where a key may be sent that was given for one of them.
std::string origin_of(const std::string& url);

}  // namespace weft
