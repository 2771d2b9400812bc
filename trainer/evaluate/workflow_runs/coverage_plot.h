/// The curves of coverage as a picture.
#pragma once

#include <string>

#include "base/json.h"

namespace weft {

/// SVG, one panel a set: coverage against executions of a query, by the k best workflows once each
/// and by the best one k times. Self-contained; `sets` are analyse_set's.
std::string coverage_plot(const Json& sets);

}  // namespace weft
