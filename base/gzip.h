/// Text files that may be gzipped.
#pragma once

#include <filesystem>
#include <istream>
#include <memory>

namespace weft {

/// The text of a file, unpacked where it begins as a gzip file does, whatever its name. Throws
/// InputError naming the file when it cannot be opened; reading throws it when the file is broken
/// or cut off.
std::unique_ptr<std::istream> open_text(const std::filesystem::path& path);

}  // namespace weft
