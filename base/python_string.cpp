#include "base/python_string.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/error.h"
#include "base/utf8.h"

namespace weft::python {
namespace {

template <class Visit>
void for_each_character(std::string_view text, Visit visit) {
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = decode_utf8(text, i);
    visit(c.code, text.substr(i, static_cast<size_t>(c.length)));
    i += static_cast<size_t>(c.length);
  }
}

utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

bool is_letter(char32_t code) {
  const auto kind = category(code);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

void append_case(std::string& out, char32_t code, Case to) {
  const std::string_view special = special_case(code, to);
  if (!special.empty()) {
    out += special;
    return;
  }
  const auto c = static_cast<utf8proc_int32_t>(code);
  const auto mapped = to == Case::kUpper   ? utf8proc_toupper(c)
                      : to == Case::kLower ? utf8proc_tolower(c)
                                           : utf8proc_totitle(c);
  append_utf8(out, static_cast<char32_t>(mapped));
}

struct Range {
  char32_t first, last;
};

// Unicode's Other_Lowercase and Other_Uppercase.
constexpr Range kOtherLower[] = {
    {0xAA, 0xAA},     {0xBA, 0xBA},     {0x2B0, 0x2B8},   {0x2C0, 0x2C1},   {0x2E0, 0x2E4},
    {0x345, 0x345},   {0x37A, 0x37A},   {0x1D2C, 0x1D6A}, {0x1D78, 0x1D78}, {0x1D9B, 0x1DBF},
    {0x2071, 0x2071}, {0x207F, 0x207F}, {0x2090, 0x209C}, {0x2170, 0x217F}, {0x24D0, 0x24E9},
    {0x2C7C, 0x2C7D}, {0xA69C, 0xA69D}, {0xA770, 0xA770}, {0xA7F8, 0xA7F9}, {0xAB5C, 0xAB5F}};
constexpr Range kOtherUpper[] = {
    {0x2160, 0x216F}, {0x24B6, 0x24CF}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};

template <size_t N>
bool is_among(char32_t code, const Range (&ranges)[N]) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](const Range& range) { return code >= range.first && code <= range.last; });
}

bool is_lower(char32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LL || is_among(code, kOtherLower);
}

bool is_upper(char32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LU || is_among(code, kOtherUpper);
}

bool has_case(char32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LT || is_lower(code) || is_upper(code);
}

// Unicode's Case_Ignorable, as far as it decides about a final sigma.
bool case_ignorable(char32_t code) {
  const auto kind = category(code);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME ||
         kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_LM ||
         kind == UTF8PROC_CATEGORY_SK || code == '\'' || code == '.' || code == ':' ||
         code == 0xB7 || code == 0x2019 || code == 0x2018 || code == 0x2024 || code == 0x2027;
}

constexpr char32_t kSigma = 0x3A3;

// Whether the sigma at `begin` ends a word, which gives it another small letter.
bool is_final_sigma(std::string_view text, size_t begin, size_t size) {
  size_t at = begin;
  bool before = false;
  while (at > 0 && !before) {
    do {
      --at;
    } while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
    const char32_t code = decode_utf8(text, at).code;
    if (case_ignorable(code)) continue;
    if (!has_case(code)) return false;
    before = true;
  }
  if (!before) return false;
  for (at = begin + size; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    if (!case_ignorable(c.code)) return !has_case(c.code);
    at += static_cast<size_t>(c.length);
  }
  return true;
}

void append_lower(std::string& out, std::string_view text, char32_t code, std::string_view bytes) {
  if (code != kSigma) return append_case(out, code, Case::kLower);
  const auto begin = static_cast<size_t>(bytes.data() - text.data());
  append_utf8(out, is_final_sigma(text, begin, bytes.size()) ? 0x3C2 : 0x3C3);
}

bool is_digit(char32_t code) {
  const auto kind = category(code);
  if (kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO) {
    throw InputError("the class of numbers that are no digits is not known here");
  }
  return kind == UTF8PROC_CATEGORY_ND;
}

bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

template <class Goes>
std::string_view strip_where(std::string_view text, bool left, bool right, Goes goes) {
  while (left && !text.empty()) {
    const Utf8Char c = decode_utf8(text, 0);
    if (!goes(c.code, text.substr(0, static_cast<size_t>(c.length)))) break;
    text.remove_prefix(static_cast<size_t>(c.length));
  }
  while (right && !text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && text.size() - at < 4 &&
           (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) {
      --at;
    }
    if (!goes(decode_utf8(text, at).code, text.substr(at))) break;
    text.remove_suffix(text.size() - at);
  }
  return text;
}

}  // namespace

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> all;
  all.reserve(text.size());
  for_each_character(text, [&](char32_t, std::string_view bytes) { all.push_back(bytes); });
  return all;
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for_each_character(text, [&](char32_t, std::string_view) { ++count; });
  return count;
}

size_t byte_of(std::string_view text, size_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) {
    at += static_cast<size_t>(decode_utf8(text, at).length);
  }
  return at;
}

size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (!found) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

std::string_view strip(std::string_view text, bool left, bool right) {
  return strip_where(text, left, right,
                     [](char32_t code, std::string_view) { return is_space(code); });
}

std::string_view strip(std::string_view text, std::string_view chars, bool left, bool right) {
  return strip_where(text, left, right, [&](char32_t, std::string_view bytes) {
    return chars.find(bytes) != std::string_view::npos;
  });
}

std::string upper(std::string_view text) {
  std::string out;
  for_each_character(
      text, [&](char32_t code, std::string_view) { append_case(out, code, Case::kUpper); });
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for_each_character(
      text, [&](char32_t code, std::string_view bytes) { append_lower(out, text, code, bytes); });
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t code, std::string_view bytes) {
    if (out.empty()) {
      append_case(out, code, Case::kTitle);
    } else {
      append_lower(out, text, code, bytes);
    }
  });
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for_each_character(text, [&](char32_t code, std::string_view bytes) {
    if (inside) {
      append_lower(out, text, code, bytes);
    } else {
      append_case(out, code, Case::kTitle);
    }
    inside = has_case(code);
  });
  return out;
}

bool is_class(std::string_view text, TextClass text_class) {
  bool all = !text.empty(), cased = false;
  for_each_character(text, [&](char32_t code, std::string_view) {
    const bool titled = category(code) == UTF8PROC_CATEGORY_LT;
    switch (text_class) {
      case TextClass::kAlpha:
        all = all && is_letter(code);
        break;
      case TextClass::kDigit:
        all = all && is_digit(code);
        break;
      case TextClass::kAlnum:
        all = all && (is_letter(code) || is_digit(code));
        break;
      case TextClass::kSpace:
        all = all && is_space(code);
        break;
      case TextClass::kLower:
        all = all && !titled && !is_upper(code);
        cased = cased || is_lower(code);
        break;
      case TextClass::kUpper:
        all = all && !titled && !is_lower(code);
        cased = cased || is_upper(code);
        break;
    }
  });
  const bool by_case = text_class == TextClass::kLower || text_class == TextClass::kUpper;
  return all && (cased || !by_case);
}

bool is_printable(char32_t code) {
  if (code == ' ') return true;
  const auto kind = category(code);
  return kind != UTF8PROC_CATEGORY_CN && (kind < UTF8PROC_CATEGORY_ZS);
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = decode_utf8(text, i);
    size_t next = i + static_cast<size_t>(c.length);
    if (is_line_end(c.code)) {
      if (c.code == '\r' && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(begin, (keep_ends ? next : i) - begin));
      begin = next;
    }
    i = next;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

}  // namespace weft::python
