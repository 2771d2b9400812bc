/// Answers of a server in a file of JSON lines, {"path", "request", "answer"}, and given again
/// without it: to repeat a run that cost money, or to test without a network.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/jsonl.h"
#include "model/remote/wire.h"

namespace weft {

/// Keeps answers. Requests hold no key, so none is in the file.
class AnswerRecorder {
 public:
  /// Goes on with a file that is there. Throws Error when it cannot be opened.
  explicit AnswerRecorder(const std::filesystem::path& path) : writer_(path, /*append=*/true) {}

  /// `answer` is the JSON text of a sound answer. Throws Error when the disk is full.
  void add(const WireRequest& request, const std::string& answer);

 private:
  JsonlWriter writer_;
};

/// Gives them again, to the k-th request of one text the k-th answer to it.
class RecordedAnswers {
 public:
  /// Throws InputError naming file and line.
  explicit RecordedAnswers(const std::filesystem::path& path);

  /// JSON text; nothing when no answer is left for this request.
  std::optional<std::string> take(const WireRequest& request);

 private:
  std::map<std::string, std::deque<std::string>> answers_;
};

}  // namespace weft
