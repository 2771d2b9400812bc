/// What an answer of an OpenAI-like server means. Free of network and state.
#pragma once

#include <string>

#include "model/remote/remote_options.h"
#include "model/text_model.h"

namespace weft {

/// How an attempt ended.
struct WireAnswer {
  enum class Kind {
    kAnswer,
    kRetry,    ///< a passing fault: nothing whole came
    kRefused,  ///< the request's own fault
    kFailed,   ///< will fail again, and is not the request's fault
  };
  Kind kind = Kind::kRetry;
  /// kAnswer: status kOk, one to n choices; else `error` says why in one line. `usage` is what the
  /// server was paid for, whatever the kind.
  TextResponse response;
};

/// Reads the answer of a server that was asked for `n` choices.
///
/// - 200 and 201 are answers. Fewer choices than asked for are an answer, too; none, more, or one
/// of
///   another form are kFailed with what was found: the same would come again, and be paid again.
/// - An "error" object is one under any status; its "code" counts as the status where it is one.
/// - What does not end as JSON was cut on the way: kRetry. Invalid UTF-8 becomes U+FFFD.
/// - null stands for an optional field that is missing. Content is a text, null or missing (empty),
///   or a list of parts whose texts are joined.
/// - Choices are put in the order of their "index" where these are 0..n-1, else left as they came.
/// - Without a usage, or with one of 0 tokens, tokens are counted by the ids that came, else as
///   bytes / 4, and `usage.estimated` says so; the prompt's are then left at 0 unless its ids came.
WireAnswer decode_answer(long http_status, const std::string& body, int n,
                         const RemoteModelOptions& options);

/// The text on one line, at most `max_bytes` long.
std::string one_line(const std::string& text, size_t max_bytes = 300);

}  // namespace weft
