/// The report of recorded runs for reading.
#pragma once

#include <string>

#include "base/json.h"

namespace weft {

/// Tables and what they mean, as Markdown; shows coverage.svg beside it. `report` is that of
/// run_analysis (analyse_program.h).
std::string runs_markdown(const Json& report);

}  // namespace weft
