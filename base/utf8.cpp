#include "base/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace weft {
namespace {

bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

}  // namespace

Utf8Char decode_utf8(std::string_view text, size_t position) {
  const auto byte = [&](size_t i) -> unsigned char {
    return position + i < text.size() ? static_cast<unsigned char>(text[position + i]) : 0;
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const int length = lead >= 0xC2 && lead <= 0xDF   ? 2
                     : lead >= 0xE0 && lead <= 0xEF ? 3
                     : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                    : 0;
  if (length == 0) return {0xFFFD, 1, false};
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < low || byte(1) > high) return {0xFFFD, 1, false};
  char32_t code = lead & (0xFF >> (length + 1));
  code = (code << 6) | (byte(1) & 0x3F);
  for (int i = 2; i < length; ++i) {
    if (!is_continuation(byte(i))) return {0xFFFD, i, false};
    code = (code << 6) | (byte(i) & 0x3F);
  }
  return {code, length, true};
}

bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    uint64_t eight = 0;
    if (i + sizeof eight <= text.size()) std::memcpy(&eight, text.data() + i, sizeof eight);
    if (i + sizeof eight <= text.size() && (eight & 0x8080808080808080ull) == 0) {
      i += sizeof eight;
      continue;
    }
    const Utf8Char c = decode_utf8(text, i);
    if (!c.valid) return false;
    i += c.length;
  }
  return true;
}

std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = decode_utf8(text, i);
    out.append(c.valid ? text.substr(i, c.length) : kReplacementCharacter);
    i += c.length;
  }
  return out;
}

size_t incomplete_utf8_suffix(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (is_continuation(byte)) continue;
    const Utf8Char c = decode_utf8(text, text.size() - back);
    const int wanted = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    const bool may_complete = byte >= 0xC2 && byte <= 0xF4 && !c.valid &&
                              static_cast<size_t>(c.length) == back &&
                              back < static_cast<size_t>(wanted);
    return may_complete ? back : 0;
  }
  return 0;
}

std::string utf8_prefix(std::string_view text, size_t most_bytes) {
  std::string_view kept = text.substr(0, most_bytes);
  if (kept.size() < text.size()) kept.remove_suffix(incomplete_utf8_suffix(kept));
  return std::string(kept);
}

void append_utf8(std::string& out, char32_t code) {
  std::array<utf8proc_uint8_t, 4> bytes;
  const auto n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(n));
}

}  // namespace weft
