/// What a program says of the clock's part in its results.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

/// {"reasons", "decisions"}: why another run of the same seed, config and machine may differ, and
/// how many decisions the clock took in this one (limits of time that bound, calls cut short).
/// Warns in the log unless both are empty, when two runs are equal.
Json report_clock(const std::vector<std::string>& reasons, int64_t decisions);

}  // namespace weft
