#include "sandbox/value/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "sandbox/value/radix.h"

namespace weft {
namespace {

using Kind = PythonValue::Kind;
constexpr size_t kDigitsOfPart = 9;  // of a number in base 10^9

void negate(Digits& limbs) {
  uint64_t carry = 1;
  for (auto& limb : limbs) {
    carry += static_cast<uint32_t>(~limb);
    limb = static_cast<uint32_t>(carry);
    carry >>= 32;
  }
}

// Two's complement bytes of sign and magnitude (base 2^32).
std::string twos_complement(Digits magnitude, bool negative) {
  magnitude.push_back(0);
  if (negative) negate(magnitude);
  std::string bytes;
  for (const uint32_t limb : magnitude) {
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(limb >> shift));
  }
  const char fill = negative ? '\xff' : '\0';
  while (bytes.size() > 1 && bytes.back() == fill &&
         ((bytes[bytes.size() - 2] & 0x80) != 0) == negative) {
    bytes.pop_back();
  }
  return bytes;
}

std::string big_digits(const std::string& bytes) {
  const bool negative = (bytes.back() & 0x80) != 0;
  Digits limbs((bytes.size() + 3) / 4 + 1, negative ? 0xffffffffu : 0u);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const uint32_t mask = 0xffu << (8 * (i % 4));
    limbs[i / 4] =
        (limbs[i / 4] & ~mask) | (uint32_t{static_cast<uint8_t>(bytes[i])} << (8 * (i % 4)));
  }
  if (negative) negate(limbs);
  std::string reversed;
  for (uint32_t part : decimal_of_binary(limbs)) {
    for (size_t k = 0; k < kDigitsOfPart; ++k, part /= 10) {
      reversed.push_back(static_cast<char>('0' + part % 10));
    }
  }
  while (reversed.size() > 1 && reversed.back() == '0') reversed.pop_back();
  if (negative) reversed.push_back('-');
  std::reverse(reversed.begin(), reversed.end());
  return reversed;
}

// In base 10^9.
Digits parts_of(std::string_view digits) {
  Digits parts;
  for (size_t end = digits.size(); end > 0;) {
    const size_t start = end > kDigitsOfPart ? end - kDigitsOfPart : 0;
    uint32_t part = 0;
    for (size_t at = start; at < end; ++at)
      part = part * 10 + static_cast<uint32_t>(digits[at] - '0');
    parts.push_back(part);
    end = start;
  }
  while (!parts.empty() && parts.back() == 0) parts.pop_back();
  return parts;
}

class LiteralWriter {
 public:
  explicit LiteralWriter(size_t max_bytes) : max_bytes_(max_bytes) {}

  void write(const PythonValue& value);
  bool cut() const { return cut_ || out_.size() > max_bytes_; }
  std::string take() { return std::move(out_); }

 private:
  bool full() { return cut_ = cut_ || out_.size() >= max_bytes_; }
  void write_big_int(const PythonValue& value);
  void write_number(double number);
  void write_text(const std::string& text, bool bytes);
  void write_items(const PythonValue& value, const char* open, const char* close);

  size_t max_bytes_;
  bool cut_ = false;
  std::string out_;
};

// Digits take time: none are made that would be cut.
void LiteralWriter::write_big_int(const PythonValue& value) {
  const size_t least_digits = 2 * value.text.size();
  if (least_digits <= max_bytes_ || value.text.size() <= 400) {
    out_ += int_digits(value);
  } else {
    out_ += "int of " + std::to_string(value.text.size()) + " bytes";
    cut_ = true;
  }
}

void LiteralWriter::write_number(double number) {
  if (std::isnan(number)) {
    out_ += "nan";
  } else if (std::isinf(number)) {
    out_ += number > 0 ? "inf" : "-inf";
  } else {
    char buffer[40];
    const double size = std::abs(number);
    const bool fixed = number == 0 || (size >= 1e-4 && size < 1e16);
    const auto end =
        std::to_chars(buffer, buffer + sizeof buffer, number,
                      fixed ? std::chars_format::fixed : std::chars_format::scientific);
    std::string text(buffer, end.ptr);
    if (fixed && text.find('.') == std::string::npos) text += ".0";
    out_ += text;
  }
}

void LiteralWriter::write_text(const std::string& text, bool bytes) {
  const char quote =
      text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  if (bytes) out_ += 'b';
  out_ += quote;
  for (const char c : text) {
    if (full()) return;
    const auto byte = static_cast<uint8_t>(c);
    if (c == quote || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (c == '\n') {
      out_ += "\\n";
    } else if (c == '\r') {
      out_ += "\\r";
    } else if (c == '\t') {
      out_ += "\\t";
    } else if (byte < 0x20 || byte == 0x7f || (bytes && byte >= 0x80)) {
      constexpr char kHex[] = "0123456789abcdef";
      out_ += "\\x";
      out_ += kHex[byte >> 4];
      out_ += kHex[byte & 15];
    } else {
      out_ += c;
    }
  }
  out_ += quote;
}

void LiteralWriter::write_items(const PythonValue& value, const char* open, const char* close) {
  const bool is_dict = value.kind == Kind::kDict;
  out_ += open;
  for (size_t i = 0; i < value.items.size(); ++i) {
    if (full()) return;
    if (i > 0) out_ += is_dict && i % 2 == 1 ? ": " : ", ";
    write(value.items[i]);
  }
  if (value.kind == Kind::kTuple && value.items.size() == 1) out_ += ',';
  out_ += close;
}

void LiteralWriter::write(const PythonValue& value) {
  switch (value.kind) {
    case Kind::kNone:
      out_ += "None";
      break;
    case Kind::kBool:
      out_ += value.number ? "True" : "False";
      break;
    case Kind::kInt:
      out_ += int_digits(value);
      break;
    case Kind::kBigInt:
      write_big_int(value);
      break;
    case Kind::kFloat:
      write_number(value.real);
      break;
    case Kind::kComplex:
      out_ += "complex(";
      write_number(value.real);
      out_ += ", ";
      write_number(value.imag);
      out_ += ')';
      break;
    case Kind::kStr:
      write_text(value.text, false);
      break;
    case Kind::kBytes:
      write_text(value.text, true);
      break;
    case Kind::kList:
      write_items(value, "[", "]");
      break;
    case Kind::kTuple:
      write_items(value, "(", ")");
      break;
    case Kind::kSet:
      value.items.empty() ? void(out_ += "set()") : write_items(value, "{", "}");
      break;
    case Kind::kFrozenset:
      value.items.empty() ? void(out_ += "frozenset()") : write_items(value, "frozenset({", "})");
      break;
    case Kind::kDict:
      write_items(value, "{", "}");
      break;
    case Kind::kDeque:
      write_items(value, "deque([", "])");
      break;
    case Kind::kRange:
      write_items(value, "range(", ")");
      break;
    case Kind::kFraction:
      write_items(value, "Fraction(", ")");
      break;
  }
}

PythonValue with_kind(Kind kind) {
  PythonValue value;
  value.kind = kind;
  return value;
}

}  // namespace

PythonValue PythonValue::boolean(bool value) {
  auto result = with_kind(Kind::kBool);
  result.number = value;
  return result;
}

PythonValue PythonValue::integer(int64_t value) {
  auto result = with_kind(Kind::kInt);
  result.number = value;
  return result;
}

PythonValue PythonValue::real_number(double value) {
  auto result = with_kind(Kind::kFloat);
  result.real = value;
  return result;
}

PythonValue PythonValue::str(std::string value) {
  auto result = with_kind(Kind::kStr);
  result.text = std::move(value);
  return result;
}

PythonValue PythonValue::list(std::vector<PythonValue> items) {
  auto result = with_kind(Kind::kList);
  result.items = std::move(items);
  return result;
}

PythonValue PythonValue::tuple(std::vector<PythonValue> items) {
  auto result = with_kind(Kind::kTuple);
  result.items = std::move(items);
  return result;
}

PythonValue python_int(std::string_view digits) {
  int64_t small = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), small);
  if (parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size()) {
    return PythonValue::integer(small);
  }
  const bool negative = !digits.empty() && digits[0] == '-';
  const auto magnitude = digits.substr(negative ? 1 : 0);
  if (magnitude.empty() || magnitude.find_first_not_of("0123456789") != std::string_view::npos) {
    throw InputError("expected decimal digits of an integer, got \"" +
                     std::string(digits.substr(0, 40)) + "\"");
  }
  if (magnitude.size() > kMaxIntDigits) {
    throw InputError("an integer of " + std::to_string(magnitude.size()) +
                     " digits, expected at most " + std::to_string(kMaxIntDigits));
  }
  std::string bytes = twos_complement(binary_of_decimal(parts_of(magnitude)), negative);
  if (bytes.size() <= 8) {  // digits with leading zeros
    uint64_t raw = (bytes.back() & 0x80) ? ~uint64_t{0} : 0;
    for (size_t i = bytes.size(); i-- > 0;) raw = (raw << 8) | static_cast<uint8_t>(bytes[i]);
    return PythonValue::integer(static_cast<int64_t>(raw));
  }
  auto value = with_kind(Kind::kBigInt);
  value.text = std::move(bytes);
  return value;
}

bool is_positive(const PythonValue& value) {
  return value.kind == Kind::kInt      ? value.number > 0
         : value.kind == Kind::kBigInt ? (value.text.back() & 0x80) == 0
                                       : false;
}

std::string int_digits(const PythonValue& value) {
  return value.kind == Kind::kBigInt ? big_digits(value.text) : std::to_string(value.number);
}

std::string python_literal(const PythonValue& value, size_t max_bytes) {
  LiteralWriter writer(max_bytes);
  writer.write(value);
  const bool cut = writer.cut();
  std::string text = writer.take();
  if (!cut) return text;
  size_t size = std::min(max_bytes, text.size());
  while (size > 0 && size < text.size() && (text[size] & 0xc0) == 0x80) --size;
  return text.substr(0, size) + "...";
}

}  // namespace weft
