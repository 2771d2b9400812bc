/// What identifies content.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace weft {

/// SHA-256 of bytes, 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

/// SHA-256 of a file's bytes, 64 hexadecimal digits. Throws InputError when it cannot be read.
std::string file_sha256(const std::filesystem::path& path);

}  // namespace weft
