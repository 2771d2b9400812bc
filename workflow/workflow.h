/// A workflow as the meta-agent writes it: Python text, the reasoning before it, and what a static
/// look at it found.
#pragma once

#include <string>

#include "sandbox/facts/static_facts.h"

namespace weft {

struct Workflow {
  std::string code;       ///< Python text; `class Workflow` of BayesFlow's contract
  std::string reasoning;  ///< what was written before the code; may be empty for stored code
  StaticFacts facts;      ///< of `code`; default when the text held no code
  int num_steps = 0;      ///< number of "# Step n:" comments
  bool valid = false;     ///< passes the static check; only then may it run
  std::string problem;    ///< why it is not valid, one line; empty when it is
};

}  // namespace weft
