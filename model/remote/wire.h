/// OpenAI's JSON: a request's body, an answer's meaning. Free of network and state.
#pragma once

#include <string>

#include "model/remote/remote_model.h"

namespace weft {

struct WireRequest {
  std::string path;  ///< below the base URL: "/chat/completions" or "/completions"
  std::string body;
  int n = 1;  ///< choices that it asks for: one where greedy choices would all be the same
};

WireRequest encode_request(const TextRequest& request, const RemoteModelOptions& options);

/// How an attempt ended.
struct WireAnswer {
  enum class Kind {
    kAnswer,
    kRetry,
    kRefused,  ///< the request's own fault
    kFailed,   ///< will fail again, and is not the request's fault
  };
  Kind kind = Kind::kRetry;
  TextResponse response;  ///< kAnswer: status kOk; else `error` says why in one line
};

/// Reads the answer of the server. `n` choices are expected (WireRequest::n); fewer, an answer
/// without text fields or broken JSON mean kRetry.
WireAnswer decode_answer(long http_status, const std::string& body, int n,
                         const RemoteModelOptions& options);

/// The text on one line, at most `max_bytes` long.
std::string one_line(const std::string& text, size_t max_bytes = 300);

}  // namespace weft
