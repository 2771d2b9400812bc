/// Python sources that are part of the zygote.
#pragma once

#include <string_view>

namespace weft {

std::string_view helpers_source();   ///< runtime/helpers.py
std::string_view math_source();      ///< runtime/math_symbols.py
std::string_view rules_source();     ///< runtime/workflow_rules.py
std::string_view workflow_source();  ///< runtime/weft.py

}  // namespace weft
