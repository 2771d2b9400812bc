#include "model/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "base/error.h"

namespace weft {
namespace {

struct Range {
  char32_t first, last;
};

// Assigned in Unicode 15.1 and 16.0, after the tables of utf8proc 2.8.
constexpr Range kNewLetters[] = {
    {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3},
    {0x10D4A, 0x10D65}, {0x10D6F, 0x10D85}, {0x10EC2, 0x10EC4}, {0x11380, 0x11389},
    {0x1138B, 0x1138B}, {0x1138E, 0x1138E}, {0x11390, 0x113B5}, {0x113B7, 0x113B7},
    {0x113D1, 0x113D1}, {0x113D3, 0x113D3}, {0x11BC0, 0x11BE0}, {0x13460, 0x143FA},
    {0x16100, 0x1611D}, {0x16D40, 0x16D6C}, {0x18CFF, 0x18CFF}, {0x1E5D0, 0x1E5ED},
    {0x1E5F0, 0x1E5F0}, {0x2EBF0, 0x2EE5D},
};
// Alphabetic symbols: circled and squared Latin letters.
constexpr Range kAlphabeticSymbols[] = {
    {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
constexpr Range kNewNumbers[] = {
    {0x10D40, 0x10D49}, {0x116D0, 0x116E3}, {0x11BF0, 0x11BF9}, {0x16130, 0x16139},
    {0x16D70, 0x16D79}, {0x1CCF0, 0x1CCF9}, {0x1E5F1, 0x1E5FA},
};

// What the NFC of `tokenizers` (Unicode 9) neither reorders nor composes, but utf8proc 2.8 does:
// marks of Unicode 10 and later, and U+11A7, which is no trailing consonant.
constexpr Range kInert[] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},
    {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x11A7, 0x11A7},
    {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},
    {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50},
    {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E},
    {0x11839, 0x1183A}, {0x11930, 0x11930}, {0x1193D, 0x1193E}, {0x11943, 0x11943},
    {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
    {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
    {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
};

// What the NFKC of `tokenizers` leaves as it is beside these, but utf8proc 2.8 replaces: what
// Unicode 10 and later brought.
constexpr Range kInertCompatible[] = {{0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},   {0xAB69, 0xAB69},
                                      {0x10781, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA},
                                      {0x1E030, 0x1E06D}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9}};

// Lower cases of Unicode 16 and 17, after the tables of utf8proc 2.8.
struct LowerCase {
  char32_t first, last;
  char32_t first_lower;
};
constexpr LowerCase kNewLowers[] = {{0x1C89, 0x1C89, 0x1C8A},    {0xA7CB, 0xA7CB, 0x264},
                                    {0xA7CC, 0xA7CC, 0xA7CD},    {0xA7CE, 0xA7CE, 0xA7CF},
                                    {0xA7D2, 0xA7D2, 0xA7D3},    {0xA7D4, 0xA7D4, 0xA7D5},
                                    {0xA7DA, 0xA7DA, 0xA7DB},    {0xA7DC, 0xA7DC, 0x19B},
                                    {0x10D50, 0x10D65, 0x10D70}, {0x16EA0, 0x16EB8, 0x16EBB}};

template <size_t N>
bool contains(const Range (&ranges)[N], char32_t code) {
  const auto* found = std::lower_bound(std::begin(ranges), std::end(ranges), code,
                                       [](const Range& r, char32_t c) { return r.last < c; });
  return found != std::end(ranges) && found->first <= code;
}

bool is_white_space(char32_t code) {
  return (code >= 0x9 && code <= 0xD) || code == ' ' || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

CharClass classify(char32_t code) {
  if (is_white_space(code)) return CharClass::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::kNumber;
    case UTF8PROC_CATEGORY_CN:
      if (contains(kNewLetters, code)) return CharClass::kLetter;
      if (contains(kNewNumbers, code)) return CharClass::kNumber;
      return CharClass::kOther;
    default:
      return CharClass::kOther;
  }
}

void append_composed(std::string& out, std::string_view text, int options) {
  if (text.empty()) return;
  utf8proc_uint8_t* mapped = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(mapped, &std::free);
  if (length < 0) throw Error(std::string("Unicode normalisation: ") + utf8proc_errmsg(length));
  out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
}

bool is_inert(char32_t code, int options) {
  return contains(kInert, code) || (options == UTF8PROC_COMPAT && contains(kInertCompatible, code));
}

// NFC or NFKC of the text between inert characters, which stay where they are.
void append_mixed(std::string& out, std::string_view text, int options) {
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = decode_utf8(text, i);
    if (c.code >= kInert[0].first && is_inert(c.code, options)) {
      append_composed(out, text.substr(done, i - done), options);
      out.append(text.substr(i, c.length));
      done = i + c.length;
    }
    i += c.length;
  }
  append_composed(out, text.substr(done), options);
}

std::string normal_form(std::string_view text, int options) {
  std::string out;
  out.reserve(text.size());
  const auto is_ascii = [&](size_t i) { return static_cast<unsigned char>(text[i]) < 0x80; };
  for (size_t i = 0; i < text.size();) {
    const size_t run = i;
    while (i < text.size() && is_ascii(i)) ++i;
    // Only the last character before other ones can compose with them.
    const size_t begin = i < text.size() && i > run ? i - 1 : i;
    out.append(text.substr(run, begin - run));
    while (i < text.size() && !is_ascii(i)) ++i;
    append_mixed(out, text.substr(begin, i - begin), options);
  }
  return out;
}

// U+0130 is the one character whose lower case is two.
void append_lower(std::string& out, char32_t code) {
  if (code == 0x130) {
    out += "i\u0307";
    return;
  }
  for (const LowerCase& pairs : kNewLowers) {
    if (code < pairs.first || code > pairs.last) continue;
    return append_utf8(out, pairs.first_lower + (code - pairs.first));
  }
  append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
}

}  // namespace

size_t last_char(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

size_t trailing_space(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    const size_t at = last_char(text.substr(0, end));
    if (char_class(decode_utf8(text, at).code) != CharClass::kSpace) break;
    end = at;
  }
  return text.size() - end;
}

size_t leading_space(std::string_view text) {
  size_t end = 0;
  while (end < text.size()) {
    const Utf8Char c = decode_utf8(text, end);
    if (char_class(c.code) != CharClass::kSpace) break;
    end += c.length;
  }
  return end;
}

CharClass char_class(char32_t code) {
  static const auto ascii = [] {
    std::array<CharClass, 128> table;
    for (char32_t c = 0; c < 128; ++c) table[c] = classify(c);
    return table;
  }();
  return code < 128 ? ascii[code] : classify(code);
}

bool is_word_char(char32_t code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return char_class(code) == CharClass::kLetter || code == 0x200C || code == 0x200D ||
             contains(kAlphabeticSymbols, code);
  }
}

std::string to_nfc(std::string_view text) { return normal_form(text, 0); }

std::string to_nfkc(std::string_view text) { return normal_form(text, UTF8PROC_COMPAT); }

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = decode_utf8(text, i);
    append_lower(out, c.code);
    i += c.length;
  }
  return out;
}

}  // namespace weft
