#include "workflow/environment.h"

namespace weft {

const std::string& WorkflowRound::problem() const {
  const bool is_lost = outcome.kind == Outcome::Kind::kInfrastructure;
  return workflow.valid || is_lost ? outcome.error : workflow.problem;
}

}  // namespace weft
