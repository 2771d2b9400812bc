/// Python sources that are part of the library.
#pragma once

#include <string_view>

namespace weft {

std::string_view comparisons_source();  ///< runtime/comparisons.py
std::string_view recorder_source();     ///< runtime/recorder.py
std::string_view mutator_source();      ///< runtime/mutator.py

}  // namespace weft
