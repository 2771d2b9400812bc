/// Python texts that the build embeds.
#pragma once

#include <string_view>

namespace weft {

std::string_view tool_listing_source();  ///< runtime/tool_listing.py

}  // namespace weft
