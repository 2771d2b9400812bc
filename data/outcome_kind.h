/// What became of a workflow: the words of outcomes, rows of evaluations, rollouts and stores.
#pragma once

#include <string>

#include "base/config.h"

namespace weft {

enum class OutcomeKind {
  kScored,         ///< it answered, and the answer was scored
  kWorkflowError,  ///< it raised or answered nothing, or as a run that it is not valid: score 0
  kLimit,          ///< a budget or a limit ended it: score 0
  kInvalid,        ///< of an evaluation's row: does not pass the static check: score 0
  kInfrastructure  ///< not its doing, also at the second try: no score, never a reward
};

inline EnumTable<OutcomeKind> enum_table(OutcomeKind) {
  return {{OutcomeKind::kScored, "scored"},
          {OutcomeKind::kWorkflowError, "workflow_error"},
          {OutcomeKind::kLimit, "limit"},
          {OutcomeKind::kInvalid, "invalid"},
          {OutcomeKind::kInfrastructure, "infrastructure"}};
}

/// "scored", ...
const char* outcome_name(OutcomeKind kind);

/// Its inverse; throws InputError naming `where` and the words.
OutcomeKind parse_outcome(const std::string& text, const std::string& where);

}  // namespace weft
