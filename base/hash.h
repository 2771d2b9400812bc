/// Stable hashes: the same on every machine and in every version.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

/// FNV-1a with a final avalanche (splitmix64), 64 bits. Not for untrusted keys.
uint64_t hash64(std::string_view text);

/// Mixes a further value into a hash or a seed.
uint64_t hash_combine(uint64_t hash, uint64_t value);

/// 16 hexadecimal digits.
std::string hex64(uint64_t value);

}  // namespace weft
