/// Base64 (RFC 4648, section 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weft {

std::string base64_encode(std::string_view bytes);

/// Nothing if a character is none of base64's. Padding may be missing and ends the text.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace weft
