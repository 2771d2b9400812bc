#include "base/hash.h"

#include <fmt/format.h>

namespace weft {
namespace {

uint64_t splitmix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t hash64(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 0x100000001b3;
  return splitmix64(hash);
}

uint64_t hash_combine(uint64_t hash, uint64_t value) {
  return splitmix64(hash ^ splitmix64(value));
}

std::string hex64(uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace weft
