/// What identifies a file's content.
#pragma once

#include <filesystem>
#include <string>

namespace weft {

/// SHA-256 of a file's bytes, 64 hexadecimal digits. Throws InputError when it cannot be read.
std::string file_sha256(const std::filesystem::path& path);

}  // namespace weft
