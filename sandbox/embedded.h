/// Python sources that are part of the library.
#pragma once

#include <string_view>

namespace weft {

std::string_view recorder_source();  ///< runtime/recorder.py

}  // namespace weft
