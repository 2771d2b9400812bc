#include "base/clock_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.h"

namespace weft {

Json report_clock(const std::vector<std::string>& reasons, int64_t decisions) {
  if (!reasons.empty()) {
    log::warn("another run of the same seed may differ: {}", fmt::join(reasons, "; "));
  }
  if (decisions > 0) {
    log::warn(
        "{} decisions were the clock's (limits of time, calls cut short): another run of the "
        "same seed may take them otherwise",
        decisions);
  }
  return {{"reasons", reasons}, {"decisions", decisions}};
}

}  // namespace weft
