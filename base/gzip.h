/// Text files that may be gzipped.
#pragma once

#include <filesystem>
#include <istream>
#include <memory>
#include <string>
#include <string_view>

namespace weft {

/// The text of a file, unpacked where it begins as a gzip file does, whatever its name. Throws
/// InputError naming the file when it cannot be opened; reading throws it when the file is broken
/// or cut off.
std::unique_ptr<std::istream> open_text(const std::filesystem::path& path);

/// What zlib packed as `bytes`. Throws InputError opened by `where` when they are broken or hold
/// more than `most_bytes`.
std::string unpack_zlib(std::string_view bytes, const std::string& where,
                        size_t most_bytes = size_t{256} << 20);

}  // namespace weft
