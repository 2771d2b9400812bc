/// The form in which a model writes a workflow: reasoning, then one ```python block, nothing after
/// it.
#pragma once

#include <string>
#include <string_view>

namespace weft {

struct CompletionParts {
  std::string reasoning;  ///< trimmed; what stood before "</think>" opens it
  std::string code;       ///< as it stands between the fences
  std::string problem;    ///< why the text is not of the form, one line; empty when it is
};

/// What else is taken for the form.
struct CompletionForm {
  bool no_reasoning = false;  ///< the block may stand alone
  bool cut = false;           ///< a stop string may have ended the text before the closing fence
};

/// Strict: fences open a line, there are two of them, nothing is repaired. Text up to the last
/// "</think>" counts as reasoning and may hold anything.
CompletionParts split_completion(std::string_view completion, CompletionForm form = {});

/// Without white space at both ends.
std::string trimmed(std::string_view text);

}  // namespace weft
